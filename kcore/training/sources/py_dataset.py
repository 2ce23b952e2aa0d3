"""`PyDataset`: a data set as a class that gives batches by number, in threads or processes if wanted."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from kcore.registry import public
from kcore.runtime.seeds import host_integers, host_permutation
from kcore.training.sources.ahead import Ahead, Processes, Threads
from kcore.training.sources.buffers import Buffers
from kcore.training.sources.source import Source
from kcore.training.sources.streams import batch_of, weighted
from kcore.training.weights import check_class_weight


@public("keras.utils", "PyDataset", "Sequence")
class PyDataset:
    """A data set that gives whole batches by number.

    A subclass writes ``__getitem__(index)``, which returns one batch ``(inputs,)``, ``(inputs, targets)`` or
    ``(inputs, targets, sample_weights)``, and ``__len__()``, the number of batches. Instead of ``__len__`` it may write
    the property `num_batches`, which is None for a data set without end.

    `fit` asks for every batch once per epoch, in another order every epoch unless ``shuffle=False``, and hands the
    batches out in the order it asked for them, however many workers there are.

    Args:
        workers: 0 makes each batch in the main thread when it is wanted; 1 makes them in one thread while a step runs,
            unless that is quicker done than handed over; more make several at once.
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
                f"{type(self).__name__}.__init__() should call super().__init__(**kwargs), which takes workers, "
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


class PyDatasetBatches(Source):
    """The batches of a `PyDataset`, or of another library's class like it.

    Args:
        dataset: gives batches by number.
        shuffle: whether to ask for them in another order every epoch; without end there is no order to change.
        class_weight: class -> weight.
    """

    def __init__(self, dataset: Any, shuffle: bool | str = False, class_weight: Mapping[int, float] | None = None):
        self._dataset = dataset
        self.kind = type(dataset).__name__
        self.repeats = getattr(dataset, "repeats", False)
        self._shuffle = bool(shuffle)
        self._class_weight = check_class_weight(class_weight)
        self._buffers = Buffers()
        self._ahead: Ahead | None = None
        count = self.num_batches
        self.endless = count is None
        if count == 0:
            raise ValueError(f"x gives no data: {self.kind} has no batches")

    @property
    def num_batches(self) -> int | None:  # type: ignore[override]
        if not hasattr(self._dataset, "num_batches"):
            return len(self._dataset)
        count = self._dataset.num_batches
        if count is not None and (isinstance(count, bool) or not hasattr(count, "__index__") or count < 0):
            raise ValueError(f"{self.kind}.num_batches must be an integer of at least 0 or None, received {count!r}")
        return count

    def first(self) -> Any:
        return self._make(0)

    def batches(self) -> Iterator[Any]:
        self.close()
        order, workers = self._order(), self._dataset.workers
        if workers == 0:
            return map(self._make, order)
        if not self._dataset.use_multiprocessing:
            here = self._make if workers == 1 else None
            self._ahead = Ahead(lambda: Threads(self._make, workers), order, self._dataset.max_queue_size, here)
            return self._ahead
        asked, answered = itertools.tee(order)
        seed = int(host_integers((), 0, 2**31 - 1))
        self._ahead = Ahead(lambda: Processes(self._dataset, workers, seed), asked, self._dataset.max_queue_size)
        return map(self._batch, self._whole(self._ahead), answered)

    def _whole(self, items: Iterator[Any]) -> Iterator[Any]:
        """The items of processes, and an error that says more than that of the pool where one of them dies."""
        try:
            yield from items
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"one of the processes that make batches of {self.kind} died: killed from outside, short of memory, or "
                "by a crash in __getitem__(); with use_multiprocessing=False a crash shows where it happens"
            ) from error

    def _order(self) -> Iterable[int]:
        count = self.num_batches
        if count is None:
            return itertools.count()
        return host_permutation(count).tolist() if self._shuffle else range(count)

    def _make(self, index: int) -> Any:
        return self._batch(self._dataset[index], index)

    def _batch(self, item: Any, index: int) -> Any:
        return weighted(batch_of(item, f"batch {index} of {self.kind}", self._buffers), self._class_weight)

    def allow(self, count: int | None) -> None:
        if self._ahead is not None:
            self._ahead.allow(count)

    def on_epoch_begin(self) -> None:
        getattr(self._dataset, "on_epoch_begin", _nothing)()

    def on_epoch_end(self) -> None:
        getattr(self._dataset, "on_epoch_end", _nothing)()

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


def _nothing() -> None:
    """What a data set without a hook does there."""
