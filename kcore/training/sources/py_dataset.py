"""`PyDataset`: a data set as a class that gives batches by number, in threads or processes if wanted."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

from kcore.registry import public


@public("keras.utils", "PyDataset", "Sequence")
class PyDataset:
    """A data set that gives whole batches by number.

    A subclass writes ``__getitem__(index)``, which returns one batch ``(inputs,)``, ``(inputs, targets)`` or
    ``(inputs, targets, sample_weights)``, and ``__len__()``, the number of batches. Instead of ``__len__`` it may write
    the property `num_batches`, which is None for a data set without end.

    `fit` asks for every batch once per epoch, in another order every epoch unless ``shuffle=False``, and hands the
    batches out in the order it asked for them, however many workers there are.

    Args:
        workers: 0 makes each batch in the main thread when it is wanted; 1 makes them in one thread while a step runs;
            more make several at once.
        use_multiprocessing: make batches in `workers` processes rather than threads. The data set must be picklable
            then. Every process draws its own random numbers: those of ``random`` and ``numpy.random`` follow from
            `kcore.set_random_seed` and the number of the batch, not from the process that happened to make it.
        max_queue_size: how many batches may be ready before they are wanted.

    Raises:
        ValueError: `workers` is negative or `max_queue_size` is not positive.

    Example:
        >>> import numpy as np
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         x = np.arange(4.0)[:, None] + 4 * index
        ...         return x, x**2
        >>> squares = Squares(workers=2)
        >>> squares.num_batches, [float(y[-1, 0]) for x, y in squares]
        (3, [9.0, 49.0, 121.0])

    Source: `keras.utils.PyDataset`.
    """

    _workers: int | None = None
    _use_multiprocessing = False
    _max_queue_size = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @property
    def workers(self) -> int:
        """How many threads or processes make batches."""
        if self._workers is None:
            self._workers = 1
            warnings.warn(
                f"{type(self).__name__}.__init__() should call super().__init__(**kwargs), whose arguments are workers, "
                "use_multiprocessing and max_queue_size",
                stacklevel=3,
            )
        return self._workers

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = _count(value, "workers", 0)

    @property
    def use_multiprocessing(self) -> bool:
        """Whether workers are processes."""
        return self._use_multiprocessing

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = bool(value)

    @property
    def max_queue_size(self) -> int:
        """How many batches may be ready before they are wanted."""
        return self._max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = _count(value, "max_queue_size", 1)

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None if there is no end to them."""
        try:
            length = type(self).__len__  # type: ignore[attr-defined]
        except AttributeError:
            raise NotImplementedError(
                f"{type(self).__name__} does not say how many batches it has: write __len__(), or the property "
                "num_batches, which is None for a data set without end"
            ) from None
        return length(self)

    def __getitem__(self, index: int) -> Any:
        """One batch."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__(index), which returns a batch")

    def __iter__(self) -> Iterator[Any]:
        """The batches in order, without workers."""
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before every epoch."""

    def on_epoch_end(self) -> None:
        """Called after every epoch."""


def _count(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{name} of a PyDataset must be an integer of at least {least}, received {value!r}")
    return int(value)
