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

#: Bytes of a process that may stay from one file of tests to the next.
ENOUGH = 5 << 28


@pytest.fixture(autouse=True, scope="module")
def free_what_a_file_of_tests_leaves():
    """OpenCL drivers keep 2 to 3 MB for each kernel that is held: those of thousands of tests would be gigabytes."""
    yield
    if sys.platform == "linux" and _resident() > ENOUGH:
        gc.collect()
        for backend in started():
            backend.release()
        ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
