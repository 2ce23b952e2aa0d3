"""Indices as vectors: one per index, or one per row that says which are in it, or how many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import ops
from kcore.declare import one_of, only
from kcore.dtypes import numpy_dtype

#: Kind of the argument ``sparse``.
dense_only = only(False, "there are no sparse tensors")


def mode_of(*choices: str) -> Callable[[Any], str]:
    """Kind of the argument: one of the choices, also in Keras 2's words."""
    check = one_of(*choices)
    return lambda value: check({"binary": "multi_hot", "tf-idf": "tf_idf"}.get(value, value))


def encode(indices: Any, mode: str, depth: int, dtype: str, weights: Any = None) -> Any:
    """Indices as a layer gives them out.

    Args:
        indices: integers; those outside [0, depth) count for nothing.
        mode: ``"int"``: as they are; ``"one_hot"``: each as a vector, a last axis of 1 replaced by it;
            ``"multi_hot"`` and ``"count"``: axis 1 (of one sample: axis 0) as one vector.
        depth: length of the vectors.
        dtype: dtype of the result.
        weights: for ``"count"``: what each index counts, of the shape of `indices`.
    """
    if mode == "int":
        return ops.cast(indices, dtype)
    if not indices.shape:
        indices = ops.expand_dims(indices, -1)
    axis = 1 if len(indices.shape) > 1 else 0
    if mode == "one_hot" and axis and indices.shape[-1] == 1:
        indices = ops.squeeze(indices, -1)
    hot = ops.cast(ops.equal(ops.expand_dims(indices, -1), np.arange(depth, dtype=indices.dtype)), dtype)
    if mode == "one_hot":
        return hot
    if mode == "multi_hot":
        return ops.max(hot, axis=axis, initial=0)
    return ops.sum(hot if weights is None else hot * ops.expand_dims(ops.cast(weights, dtype), -1), axis=axis)


def encode_on_host(indices: np.ndarray, mode: str, depth: int, dtype: str) -> np.ndarray:
    """What `encode` gives, of arrays and without a vector for every index on the way."""
    if mode == "int":
        return indices.astype(numpy_dtype(dtype))
    if not indices.ndim:
        indices = indices[None]
    if mode == "one_hot":
        if indices.ndim > 1 and indices.shape[-1] == 1:
            indices = indices[..., 0]
        return (indices[..., None] == np.arange(depth)).astype(numpy_dtype(dtype))
    axis = 1 if indices.ndim > 1 else 0
    rows = np.moveaxis(indices, axis, -1)
    counts = np.zeros((*rows.shape[:-1], depth), numpy_dtype(dtype))
    flat = counts.reshape(-1, depth)
    for row, found in zip(flat, rows.reshape(len(flat), -1), strict=True):
        row += np.bincount(found[(found >= 0) & (found < depth)], minlength=depth).astype(row.dtype)
    return counts if mode == "count" else (counts > 0).astype(counts.dtype)


def encoded_shape(shape: tuple[int | None, ...], mode: str, depth: int | None) -> tuple[int | None, ...]:
    """The shape of what `encode` gives."""
    shape = tuple(shape)
    if mode == "int":
        return shape
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)
