"""Ops that make tensors: of one value, of ranges, of indices, and parts of a matrix chosen by index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore import config
from kcore.dtypes import numpy_dtype, result_type, standardize_dtype
from kcore.graph.op import OPS, Spec, composite, primitive, sample
from kcore.ops.elementwise import cast, where
from kcore.ops.shape import _ints, _tensor, broadcast_to, expand_dims
from kcore.ops.shapes import canonical_axis


@primitive(
    "shape",
    "full",
    infer=lambda *, shape, value, dtype: Spec(shape, dtype),
    samples=[sample(shape=(3, 4), value=1.5, dtype="float32"), sample(shape=(), value=2, dtype="int32")],
)
def _full(*, shape, value, dtype):
    """A tensor of one value."""
    return np.full(shape, value, numpy_dtype(dtype))


@primitive("shape", infer=lambda *, value: Spec(value.array.shape, value.dtype))
def constant(*, value):
    """A tensor known when the graph was made; `value` holds `.array` and `.dtype`."""
    return value.array


@primitive(
    "shape",
    infer=lambda *, shape, axis, dtype: Spec(shape, dtype),
    samples=[sample(shape=(5,), axis=0, dtype="int32"), sample(shape=(3, 4), axis=1, dtype="float32")],
)
def iota(*, shape, axis, dtype):
    """Each element's index along an axis."""
    steps = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.broadcast_to(steps, shape).astype(numpy_dtype(dtype))


@composite(
    "shape",
    infer=lambda x, dtype=None: Spec(x.shape, dtype or x.dtype),
    samples=[sample((3, 4), grad=False)],
    differentiable=False,
)
def zeros_like(x, dtype=None):
    """Zeros of the shape and dtype of a tensor."""
    return _full(shape=tuple(x.shape), value=0, dtype=dtype or x.dtype)


@composite(
    "shape",
    infer=lambda x, dtype=None: Spec(x.shape, dtype or x.dtype),
    samples=[sample((3, 4), grad=False)],
    differentiable=False,
)
def ones_like(x, dtype=None):
    """Ones of the shape and dtype of a tensor."""
    return _full(shape=tuple(x.shape), value=1, dtype=dtype or x.dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of one value, of the shape and dtype of another."""
    return zeros_like(x, dtype=None if dtype is None else standardize_dtype(dtype)) + cast(
        fill_value, dtype or _tensor(x).dtype
    )


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of one value.

    Args:
        shape: ints.
        fill_value: number, or tensor that broadcasts to the shape.
        dtype: floatx if not given.
    """
    name = standardize_dtype(dtype) if dtype is not None else config.floatx()
    if isinstance(fill_value, int | float | bool):
        return _full(shape=_ints(shape), value=fill_value, dtype=name)
    return broadcast_to(cast(fill_value, name), _ints(shape))


def zeros(shape: Any, dtype: Any = None) -> Any:
    """A tensor of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = None) -> Any:
    """A tensor of ones."""
    return full(shape, 1, dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from `start` to before `stop`, `step` apart; int32 or floatx unless `dtype` says otherwise."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    name = standardize_dtype(dtype) if dtype is not None else result_type(*{type(v) for v in (start, stop, step)})
    n = max(0, math.ceil((stop - start) / step))
    if isinstance(start, int) and isinstance(step, int) and "int" in name:
        y = iota(shape=(n,), axis=0, dtype=name)
        y = y if step == 1 else y * step
        return y if start == 0 else y + start
    return OPS["identity"](np.arange(start, stop, step).astype(numpy_dtype(name)))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the k-th diagonal of an N x M matrix, zeros elsewhere."""
    m = N if M is None else M
    rows, columns = iota(shape=(N, m), axis=0, dtype="int32"), iota(shape=(N, m), axis=1, dtype="int32")
    return cast(columns - rows == k, dtype or config.floatx())


def _triangle(x: Any, keep: Any, k: int) -> Any:
    x = _tensor(x)
    n, m = x.shape[-2:]
    rows, columns = iota(shape=(n, m), axis=0, dtype="int32"), iota(shape=(n, m), axis=1, dtype="int32")
    return where(keep(columns - rows, k), x, cast(0, x.dtype))


def tril(x: Any, k: int = 0) -> Any:
    """The last two dimensions with zeros above the k-th diagonal."""
    return _triangle(x, lambda d, k: d <= k, k)


def triu(x: Any, k: int = 0) -> Any:
    """The last two dimensions with zeros below the k-th diagonal."""
    return _triangle(x, lambda d, k: d >= k, k)


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """One at each index along a new axis of `num_classes`, zeros elsewhere; zeros for an index out of range."""
    if sparse:
        raise ValueError("one_hot: sparse tensors are not supported, sparse must be False")
    x = _tensor(x)
    axis = canonical_axis(axis, len(x.shape) + 1)
    wide = expand_dims(x, axis)
    shape = tuple(num_classes if i == axis else 1 for i in range(len(wide.shape)))
    return cast(
        wide == iota(shape=shape, axis=axis, dtype=x.dtype if "int" in x.dtype else "int32"), dtype or config.floatx()
    )


__all__ = [
    "arange", "eye", "full", "full_like", "one_hot", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip
