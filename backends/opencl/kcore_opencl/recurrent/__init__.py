"""Generators of kernels for recurrent layers over a whole sequence."""

from __future__ import annotations
