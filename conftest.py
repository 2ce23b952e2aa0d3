"""What all tests and examples share: an environment of their own, and names registered once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before anything is imported: tests follow nobody's keras.json, and Keras, as the reference, computes with NumPy.
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="kcore-tests-")
os.environ["KERAS_BACKEND"] = "numpy"
# Compiled kernels and tests of devices are kept from run to run, but apart from the user's own.
os.environ.setdefault("KCORE_CACHE_DIR", str(Path(__file__).parent / ".pytest_cache" / "kcore"))

# A module that is run for its examples by its path must not register its ops a second time.
import kcore.layers  # noqa: E402, F401
