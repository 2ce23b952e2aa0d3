"""`keras.preprocessing.sequence`: sequences of different length as one array."""

from __future__ import annotations

from kcore.utils import pad_sequences

__all__ = ["pad_sequences"]
