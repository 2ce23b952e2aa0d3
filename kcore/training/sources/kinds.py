"""Which source takes what the user passed as x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.errors import warn_user
from kcore.training.data import is_by_number, is_stream
from kcore.training.sources.arrays import ArrayBatches
from kcore.training.sources.py_dataset import PyDatasetBatches
from kcore.training.sources.source import Source
from kcore.training.sources.streams import StreamBatches


def source_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> Source:
    """Batches from whatever the user passed as x.

    Raises:
        ValueError: as the sources do; or y or sample_weight beside a generator, which yields them itself.
    """
    if isinstance(shuffle, str) and shuffle != "batch":
        raise ValueError(f"shuffle must be True, False or 'batch', received {shuffle!r}")
    if isinstance(x, Source):
        return x
    if not is_stream(x):
        return ArrayBatches(x, y, sample_weight, batch_size, steps, shuffle, class_weight)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"{name} cannot be given when x is a {type(x).__name__}: each item it yields is (x, y, sample_weight)"
            )
    if batch_size is not None:
        warn_user(f"batch_size={batch_size} is not used: x is a {type(x).__name__}, which makes the batches itself")
    return PyDatasetBatches(x, shuffle, class_weight) if is_by_number(x) else StreamBatches(x, class_weight)
