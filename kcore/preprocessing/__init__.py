"""`keras.preprocessing`: images, text, sequences and time series under their older names."""

from __future__ import annotations

from kcore.preprocessing import image, sequence
from kcore.utils import timeseries_dataset_from_array

__all__ = ["image", "sequence", "timeseries_dataset_from_array"]
