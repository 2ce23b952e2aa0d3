"""Generators of kernels for attention that never store the whole score matrix."""

from __future__ import annotations
