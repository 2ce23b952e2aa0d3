"""`keras.preprocessing`: sequences and time series under their older names; images and text are not there yet."""

from __future__ import annotations

from kcore.preprocessing import sequence
from kcore.utils import timeseries_dataset_from_array

__all__ = ["sequence", "timeseries_dataset_from_array"]
