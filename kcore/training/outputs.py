"""Predictions, batch by batch put together to whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import tree


class Outputs:
    """Predictions batch by batch, written into one array of the full length where that is known."""

    def __init__(self, samples: int | None):
        self._samples = samples
        self._structure: Any = None
        self._started = False
        self._whole: list[np.ndarray] | None = None
        self._parts: list[list[np.ndarray]] = []
        self._filled = 0

    def add(self, outputs: Any, count: int) -> None:
        arrays = [to_numpy(leaf) for leaf in tree.flatten(outputs)]
        if not self._started:
            self._started = True
            self._structure = tree.map_structure(lambda _: None, outputs)
            if self._samples == count:
                self._whole, self._filled = arrays, count
                return
            if self._samples is not None and all(a.ndim and len(a) == count for a in arrays):
                self._whole = [np.empty((self._samples, *a.shape[1:]), a.dtype) for a in arrays]
        if self._whole is not None and self._fits(arrays, count):
            for whole, array in zip(self._whole, arrays, strict=True):
                whole[self._filled : self._filled + count] = array
        else:
            self._to_parts()
            self._parts.append(arrays)
        self._filled += count

    def _fits(self, arrays: list[np.ndarray], count: int) -> bool:
        assert self._whole is not None
        return all(a.shape == (count, *w.shape[1:]) for a, w in zip(arrays, self._whole, strict=True))

    def _to_parts(self) -> None:
        """Batches turned out not to be slices of one array after all."""
        if self._whole is not None:
            self._parts = [[whole[: self._filled] for whole in self._whole]]
            self._whole = None

    def get(self) -> Any:
        if not self._started:
            raise ValueError("there was nothing to predict: x gave no batch")
        if self._whole is not None:
            full = [
                whole if len(whole) == self._filled or not whole.ndim else whole[: self._filled]
                for whole in self._whole
            ]
        else:
            full = [_joined(column) for column in zip(*self._parts, strict=True)]
        return tree.pack(self._structure, full)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The predictions of all batches for one output."""
    shapes = list(dict.fromkeys(part.shape[1:] for part in parts))
    if len(shapes) > 1:
        raise ValueError(
            f"the predictions of different batches do not fit into one array: their samples have the shapes {shapes}. "
            "Pad the inputs to one size, or call predict_on_batch() for each batch"
        )
    return np.concatenate(parts) if parts[0].ndim else np.stack(parts)


def to_numpy(leaf: Any) -> np.ndarray:
    """A tensor as a NumPy array."""
    return leaf.numpy() if hasattr(leaf, "numpy") else np.asarray(leaf)


def length(batch: Any) -> int:
    """Samples in a batch."""
    return next(leaf for leaf in tree.flatten(batch) if leaf is not None).shape[0]
