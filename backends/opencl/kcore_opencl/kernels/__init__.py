"""Kernels by family; importing a module registers its kernels."""

from __future__ import annotations

import kcore.ops  # noqa: F401  (kernels of elementwise ops are made for all ops there are)
