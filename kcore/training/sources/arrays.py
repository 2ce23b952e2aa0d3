"""Arrays cut into batches, those in memory and those read where they are stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kcore import tree
from kcore.backend.batch import Rows
from kcore.runtime.seeds import host_permutation
from kcore.training.columns import Stored
from kcore.training.data import batch_dtype, check_batch_size, check_lengths, pack, to_arrays, unpack, whole
from kcore.training.sources.ahead import Ahead, Threads
from kcore.training.sources.source import Source
from kcore.training.weights import check_class_weight, check_sample_weight, weights_by_class

#: Batches of stored arrays that are read before they are wanted.
READ_AHEAD = 2


class ArrayBatches(Source):
    """Arrays cut into batches that are gathered only when they are written into the step's input buffers.

    Args:
        x, y, sample_weight: arrays or structures of them, of equal length.
        batch_size: samples per batch; None means 32, or what makes `steps` batches.
        steps: number of batches wanted, if it is known and batch_size is not.
        shuffle: True for another order every epoch, ``"batch"`` to shuffle only within batches.
        class_weight: class -> weight.
    """

    kind = "data set of arrays"
    samples: int
    num_batches: int

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ):
        check_batch_size(batch_size)
        class_weight = check_class_weight(class_weight, sample_weight)
        triple = (("x", x), ("y", y), ("sample_weight", sample_weight))
        x, y, sample_weight = (to_arrays(part, name, stored=True) for name, part in triple)
        self.samples = check_lengths(x, y, sample_weight)
        check_sample_weight(y, sample_weight)
        stored = [leaf for leaf in tree.leaves((x, y, sample_weight)) if isinstance(leaf, Stored)]
        self._class_weight = class_weight if stored else None
        if class_weight is not None and not stored:
            sample_weight = weights_by_class(y, class_weight)
        if batch_size is None:
            batch_size = math.ceil(self.samples / steps) if steps else 32
        self.batch_size = int(batch_size)
        self.num_batches = math.ceil(self.samples / self.batch_size)
        self._shuffle = shuffle
        self._data = pack(x, y, sample_weight)
        self._leaves = [leaf if leaf is None else (leaf, batch_dtype(leaf)) for leaf in tree.flatten(self._data)]
        self._pack = _packer(self._data)
        self._reading: Ahead | None = None
        if stored:
            self.batches = self._stored_batches  # type: ignore[method-assign]

    def first(self) -> Any:
        """One batch as arrays, for building a model; draws and reads nothing."""
        count = min(self.batch_size, self.samples)

        def rows(leaf: Any) -> Rows | None:
            if leaf is None:
                return None
            array = leaf.like(count) if isinstance(leaf, Stored) else leaf
            return Rows(array, slice(0, count), batch_dtype(leaf))

        return tree.map_structure(rows, self._data)

    def batches(self) -> Iterator[Any]:
        """One pass over the samples: structures of `Rows`."""
        leaves, packed = self._leaves, self._pack
        for rows in self._rows():
            yield packed([None if leaf is None else Rows(leaf[0], rows, leaf[1]) for leaf in leaves])

    def _rows(self) -> Iterator[Any]:
        """The rows of every batch: a slice, or row numbers."""
        size, samples = self.batch_size, self.samples
        order = host_permutation(samples) if self._shuffle and self._shuffle != "batch" else None
        for start in range(0, samples, size):
            stop = min(start + size, samples)
            if order is not None:
                yield order[start:stop]
            elif self._shuffle == "batch":
                yield host_permutation(stop - start) + start
            else:
                yield slice(start, stop)

    # -- arrays that are stored somewhere ----------------------------------------------------------------------------

    def _stored_batches(self) -> Iterator[Any]:
        self.close()
        # rows are drawn where a batch is asked for, in the main thread, so that their order is always the same
        self._reading = Ahead(lambda: Threads(self._read), self._rows(), READ_AHEAD, self._read)
        return self._reading

    def _read(self, rows: slice | np.ndarray) -> Any:
        def read(leaf: Any) -> Any:
            if isinstance(leaf, Stored):
                return whole(leaf.read(rows))
            return None if leaf is None else Rows(leaf, rows, batch_dtype(leaf))

        batch = tree.map_structure(read, self._data)
        if self._class_weight is None:
            return batch
        x, y, _ = unpack(batch)
        return pack(x, y, whole(weights_by_class(y, self._class_weight)))

    def allow(self, count: int | None) -> None:
        if self._reading is not None:
            self._reading.allow(count)

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None


def _packer(structure: Any) -> Any:
    """A fast `tree.pack` for one structure."""
    if isinstance(structure, tuple) and not any(tree.is_nested(part) for part in structure):
        return tuple
    if not tree.is_nested(structure):
        return lambda leaves: leaves[0]
    return lambda leaves: tree.pack(structure, leaves)
