"""`keras.preprocessing`: images, text, sequences and time series under their older names."""

from __future__ import annotations

from kcore.preprocessing import image, sequence
from kcore.utils import timeseries_dataset_from_array
from kcore.utils.folders import image_dataset_from_directory, text_dataset_from_directory

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
