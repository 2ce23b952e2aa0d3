"""What all tests and examples share: an environment of their own, and names registered once."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest

# Before anything is imported: tests follow nobody's keras.json, and Keras, as the reference, computes with NumPy.
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="kcore-tests-")
os.environ["KERAS_BACKEND"] = "numpy"
# Compiled kernels and tests of devices are kept from run to run, but apart from the user's own.
os.environ.setdefault("KCORE_CACHE_DIR", str(Path(__file__).parent / ".pytest_cache" / "kcore"))

# A module that is run for its examples by its path must not register its ops a second time.
import kcore.layers  # noqa: E402, F401
from kcore.backend.installed import started  # noqa: E402

#: Bytes that a process of tests may have, and may grow by before it is tidied again.
ENOUGH, MORE = 1 << 30, 1 << 28
_tidied = 0


@pytest.fixture(autouse=True)
def free_what_tests_leave():
    """OpenCL drivers keep 2 to 3 MB for each kernel that is held: those of thousands of tests would be gigabytes."""
    yield
    global _tidied
    if sys.platform == "linux" and _resident() > max(ENOUGH, _tidied + MORE):
        gc.collect()
        for backend in started():
            backend.release()
        ctypes.CDLL(None).malloc_trim(0)
        _tidied = _resident()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
