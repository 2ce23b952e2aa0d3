"""Ops that order: argsort and searchsorted as primitives, sort and top_k made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, composite, primitive, sample
from kcore.ops.indexing import _axis, _take_along_axis
from kcore.ops.shape import reshape, slice, transpose

__all__ = ["argsort", "searchsorted", "sort", "top_k"]


_TIES = In((9,), value=np.array([2.0, -1.0, 2.0, 0.5, -1.0, 7.0, 0.5, 2.0, -3.0]))


@primitive(
    "sorting",
    "argsort",
    infer=lambda x, *, descending=False: Spec(x.shape, "int32"),
    differentiable=False,
    samples=[
        sample(_TIES, grad=False),
        sample(_TIES, descending=True, grad=False),
        sample((3, 17), grad=False),
        sample((4, 5, 16), descending=True, grad=False),
        sample((3, 0), grad=False),
        sample((0, 3), grad=False),
        sample((2, 5000), grad=False),
    ],
)
def _argsort(x, *, descending=False):
    """Stable order of the last axis: equal elements keep theirs, in both directions; NaN comes last."""
    if descending:
        x = ~x if x.dtype.kind in "iub" else -x
    return np.argsort(x, axis=-1, kind="stable").astype(np.int32)


def _last(x: Any, axis: int) -> tuple[Any, tuple[int, ...] | None]:
    """The tensor with `axis` moved to the end, and the permutation that does so and undoes it."""
    ndim = len(x.shape)
    if axis == ndim - 1:
        return x, None
    swap = [*range(ndim)]
    swap[axis], swap[-1] = swap[-1], swap[axis]
    return transpose(x, tuple(swap)), tuple(swap)


def _along(function: str, x: Any, axis: int | None, work: Any) -> Any:
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    moved, swap = _last(x, _axis(function, axis, len(x.shape)))
    result = work(moved)
    return result if swap is None else transpose(result, swap)


def argsort(x: Any, axis: int | None = -1) -> Any:
    """The indices that sort a tensor along an axis, smallest first; the order of equal elements is kept.

    Args:
        x: a tensor.
        axis: the axis; None sorts the flattened tensor.

    Returns: int32 indices of x's shape.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> ops.argsort(np.array([3, 1, 2])).numpy().tolist()
    [1, 2, 0]

    Source: `keras.ops.argsort`.
    """
    return _along("argsort", x, axis, _argsort)


@composite(
    "sorting",
    "sort",
    infer=lambda x: x,
    samples=[sample((9,)), sample((3, 16)), sample((0, 2)), sample((2, 600), grad=False)],
)
def _sort(x):
    return _take_along_axis(x, _argsort(x), axis=len(x.shape) - 1)


def sort(x: Any, axis: int | None = -1) -> Any:
    """Sort a tensor along an axis, smallest first.

    Args:
        x: a tensor.
        axis: the axis; None sorts the flattened tensor.

    Returns: a tensor of x's shape and dtype.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> ops.sort(np.array([3, 1, 2])).numpy().tolist()
    [1, 2, 3]

    Source: `keras.ops.sort`.
    """
    return _along("sort", x, axis, _sort)


def _top_k_infer(x: Spec, *, k: int) -> tuple[Spec, Spec]:
    if not x.ndim or k < 0 or (x.shape[-1] is not None and k > x.shape[-1]):
        raise ValueError(f"top_k: cannot take the k={k} largest of the last axis of {x}")
    shape = (*x.shape[:-1], k)
    return Spec(shape, x.dtype), Spec(shape, "int32")


@composite(
    "sorting",
    "top_k",
    infer=_top_k_infer,
    samples=[sample((4, 9), k=3), sample((7,), k=7), sample((2, 3, 5), k=1), sample((3, 4), k=0)],
)
def _top_k(x, *, k):
    order = slice(_argsort(x, descending=True), (0,) * len(x.shape), (*x.shape[:-1], k))
    return _take_along_axis(x, order, axis=len(x.shape) - 1), order


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """The k largest elements of the last axis, largest first, and where they are.

    Args:
        x: a tensor `(..., n)`.
        k: how many, at most n.
        sorted: accepted for Keras' sake; the result is always sorted.

    Returns: values `(..., k)` and int32 indices `(..., k)`; of equal elements the one of lower index comes first.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> values, indices = ops.top_k(np.array([1.0, 5.0, 3.0], "float32"), 2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([5.0, 3.0], [1, 2])

    Source: `keras.ops.top_k`.
    """
    return _top_k(x, k=int(k))


def _searchsorted_infer(sorted_sequence: Spec, values: Spec, *, side: str = "left") -> Spec:
    if sorted_sequence.ndim != 1:
        raise ValueError(
            "`searchsorted` only supports 1-D sorted sequences. "
            f"Received: sorted_sequence.shape={sorted_sequence.shape}"
        )
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right'; received {side!r}")
    return Spec(values.shape, "int32")


@primitive(
    "sorting",
    infer=_searchsorted_infer,
    promote="common",
    differentiable=False,
    samples=[
        sample(In((5,), value=np.array([-1.0, 0.0, 0.0, 1.0, 1.5])), (3, 4), grad=False),
        sample(
            In((5,), value=np.array([-1.0, 0.0, 0.0, 1.0, 1.5])),
            In((3,), value=np.array([0.0, 1.5, -1.0])),
            side="right",
            grad=False,
        ),
        sample(In((0,), value=np.zeros(0)), (3,), grad=False),
        sample(In((4,), value=np.arange(4.0)), (0, 2), grad=False),
    ],
)
def searchsorted(sorted_sequence, values, side="left"):
    """Where each value would have to be inserted into an ascending sequence to keep it ascending.

    Args:
        sorted_sequence: `(n,)`, ascending.
        values: a tensor of any shape.
        side: ``"left"`` before equal elements, ``"right"`` after them.

    Returns: int32 positions in [0, n], of the values' shape.

    Raises:
        ValueError: if the sequence is not of rank 1.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> ops.searchsorted(np.array([1, 3, 5]), np.array([3, 4])).numpy().tolist()
    [1, 2]

    Source: `keras.ops.searchsorted`.
    """
    return np.searchsorted(sorted_sequence, values, side=side).astype(np.int32)
