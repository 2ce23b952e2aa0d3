"""Rotary position embedding and RMS normalization, as a plugin of kcore."""

from __future__ import annotations

from kcore_rotary.layers import RMSNormalization, RotaryEmbedding
from kcore_rotary.rotate import rotate

__all__ = ["RMSNormalization", "RotaryEmbedding", "rotate"]
