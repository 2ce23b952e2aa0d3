"""The NumPy backend of kcore."""

from __future__ import annotations

from kcore_numpy.backend import NumpyBackend

__all__ = ["NumpyBackend"]
