"""Batches that the user makes: generators, iterators, loaders of other libraries, any iterable."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kcore import tree
from kcore.backend.batch import Rows
from kcore.dtypes import numpy_dtype
from kcore.runtime import EagerTensor
from kcore.runtime.interchange import owned
from kcore.training.data import batch_dtype, check_lengths, pack, to_arrays, unpack
from kcore.training.sources.ahead import Ahead, Threads
from kcore.training.sources.buffers import Buffers
from kcore.training.sources.source import Source
from kcore.training.weights import check_class_weight, check_sample_weight, weights_by_class

#: Batches of a generator or iterable that are made before they are wanted.
MADE_AHEAD = 2

#: Batches that were taken from an iterator and not used, because training ended in mid-epoch: the next call's first.
_left: weakref.WeakKeyDictionary[Iterator[Any], deque[Any]] = weakref.WeakKeyDictionary()


def batch_of(item: Any, which: str, buffers: Buffers) -> Any:
    """What the user gives as a batch, as the step wants it: a copy, so that the next one may use the same memory.

    Args:
        item: ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``.
        which: what it is called in errors.
        buffers: makes the copies.

    Raises:
        ValueError: it is something else, or its arrays do not fit each other.
    """
    try:
        if item is None or isinstance(item, (str, bytes)):
            raise ValueError(f"expected x, (x, y) or (x, y, sample_weight), received {item!r}")
        x, y, weight = unpack(item)
        x, y, weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(weight, "sample_weight")
        check_lengths(x, y, weight)
        check_sample_weight(y, weight)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{which}: {error}") from None

    def own(array: np.ndarray | EagerTensor | None) -> Rows | EagerTensor | None:
        if array is None:
            return None
        if isinstance(array, EagerTensor):
            return owned(array)
        dtype = batch_dtype(array)
        return Rows(buffers.copy(array, numpy_dtype(dtype)), slice(0, len(array)), dtype)

    parts = x, y, weight
    if not any(map(tree.is_nested, parts)):  # most are arrays, and done in half the time so
        return pack(*map(own, parts))
    return tree.map_structure(own, pack(*parts))


def _rows(array: np.ndarray | None) -> Rows | None:
    return None if array is None else Rows(array, slice(0, len(array)), batch_dtype(array))


def length_of(stream: Any) -> int | None:
    """The number of batches an iterable says it has, None if it does not say."""
    try:
        return len(stream)
    except (TypeError, NotImplementedError):  # loaders and data sets without end have a __len__ that raises
        return None


def weighted(batch: Any, class_weight: Mapping[int, float] | None) -> Any:
    """A batch with weights from the classes of its labels."""
    if class_weight is None:
        return batch
    x, y, weight = unpack(batch)
    check_class_weight(class_weight, weight)
    return pack(x, y, _rows(weights_by_class(y, class_weight)))


class StreamBatches(Source):
    """Batches that the user's generator, iterator or iterable makes.

    They are made in a thread while steps run, unless that is quicker done than handed over: at most `MADE_AHEAD` before
    they are wanted, and none that the epoch does not need. An iterable that is not an iterator is started anew for
    every pass.

    Args:
        stream: yields ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, each one batch of arrays.
        class_weight: class -> weight.
    """

    def __init__(self, stream: Iterable[Any], class_weight: Mapping[int, float] | None = None):
        self._stream = stream
        self._class_weight = check_class_weight(class_weight)
        self.kind = type(stream).__name__
        self.once = isinstance(stream, Iterator)
        self.num_batches = length_of(stream)
        #: Batches taken from an iterator that come before its next one.
        self._ready: deque[Any] = _take_left(stream) if isinstance(stream, Iterator) else deque()
        self._count = 0
        self._buffers = Buffers()
        self._ahead: Ahead | None = None

    def first(self) -> Any:
        """The first batch; it is not lost for training."""
        if not self._ready:
            batch = next(map(self._plain, self._stream), None)
            if batch is None:
                raise ValueError(f"x gives no data: the {self.kind} yields nothing")
            if not self.once:
                return weighted(batch, self._class_weight)
            self._ready.append(batch)
        return weighted(self._ready[0], self._class_weight)

    def batches(self) -> Iterator[Any]:
        self.close()
        items = iter(self._stream)

        def make(_: Any) -> Any:
            plain = self._ready.popleft() if self._ready else self._plain(next(items))
            return weighted(plain, self._class_weight)

        self._ready = _take_left(self._stream) if self.once else deque()
        if not self.once:
            self._count = 0
        self._ahead = Ahead(lambda: Threads(make), itertools.repeat(None), MADE_AHEAD, make)
        return self._ahead

    def allow(self, count: int | None) -> None:
        if self._ahead is not None:
            self._ahead.allow(count)

    def more(self) -> bool:
        return self._ahead is not None and self._ahead.more()

    def close(self) -> None:
        made = self._ahead.close() if self._ahead is not None else []
        self._ahead = None
        if self.once:
            if self._class_weight is not None:
                made = [pack(*unpack(batch)[:2]) for batch in made]
            _leave(self._stream, [*made, *self._ready])
            self._ready = deque()

    def _plain(self, item: Any) -> Any:
        self._count += 1
        return batch_of(item, f"batch {self._count} of the {self.kind}", self._buffers)


def _take_left(stream: Any) -> deque[Any]:
    try:
        return _left.pop(stream, None) or deque()
    except TypeError:  # iterators that are written in C know no weak references
        return deque()


def _leave(stream: Any, batches: list[Any]) -> None:
    if batches:
        with contextlib.suppress(TypeError):
            _left[stream] = deque(batches)
