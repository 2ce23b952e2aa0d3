"""Products of vectors and matrices beyond matmul, distances, and averages and correlations made of products."""

from __future__ import annotations

from typing import Any

from kcore.dtypes import is_bool
from kcore.ops.contraction import matmul, tensordot
from kcore.ops.convolution import conv
from kcore.ops.elementwise import clip, sqrt, square, where
from kcore.ops.operands import floating, together
from kcore.ops.reduction import mean
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import broadcast_to, expand_dims, flip, pad, reshape, stack, transpose
from kcore.ops.shapes import canonical_axis

__all__ = ["average", "cdist", "corrcoef", "correlate", "cross", "inner", "kron"]


def inner(x1: Any, x2: Any) -> Any:
    """Sum of products over the last axes of two tensors.

    Args:
        x1: tensor ``(..., n)``, or a number.
        x2: tensor ``(..., n)``, or a number.

    Returns:
        The other axes of `x1`, then those of `x2`.

    Raises:
        ValueError: the last axes differ in size.

    Example:
        >>> inner([1, 2, 3], [4, 5, 6]).item()
        32

    Source: `keras.ops.inner`.
    """
    x1, x2 = together(x1, x2)
    if not x1.shape or not x2.shape:
        return x1 * x2
    if x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"inner: the last axes of shapes {tuple(x1.shape)} and {tuple(x2.shape)} must be of one size")
    return tensordot(x1, x2, ([len(x1.shape) - 1], [len(x2.shape) - 1]))


def kron(x1: Any, x2: Any) -> Any:
    """The Kronecker product: the second tensor once for every element of the first, times that element.

    Args:
        x1, x2: tensors; the one with fewer dimensions gets new ones in front.

    Returns:
        Sizes are the products of theirs.

    Example:
        >>> kron([[1, 2]], [[1, 1], [0, 1]]).numpy().tolist()
        [[1, 1, 2, 2], [0, 1, 0, 2]]

    Source: `keras.ops.kron`.
    """
    x1, x2 = together(x1, x2)
    ndim = max(len(x1.shape), len(x2.shape))
    first, second = ((1,) * (ndim - len(x.shape)) + tuple(x.shape) for x in (x1, x2))
    wide = reshape(x1, [n for d in first for n in (d, 1)]) * reshape(x2, [n for d in second for n in (1, d)])
    return reshape(wide, [a * b for a, b in zip(first, second, strict=True)])


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of three elements; one of two elements lies in the plane of the first two axes.

    Args:
        x1, x2: tensors of numbers; their other axes broadcast.
        axisa: axis of the vectors in `x1`.
        axisb: axis of the vectors in `x2`.
        axisc: axis of the vectors in the result; of two vectors of two elements there is only the third element, and
            no axis.
        axis: all three at once.

    Raises:
        TypeError: the tensors hold truth values.
        ValueError: a vector has other than two or three elements.

    Example:
        >>> cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
        [0, 0, 1]

    Source: `keras.ops.cross`.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = together(x1, x2)
    if is_bool(x1.dtype):
        raise TypeError("cross: expected numbers; received bool")
    a, b = _components("x1", x1, axisa), _components("x2", x2, axisb)
    third = a[0] * b[1] - a[1] * b[0]
    if len(a) == 2 and len(b) == 2:
        return third
    parts = [third]
    if len(b) == 2:
        parts = [-(a[2] * b[1]), a[2] * b[0], third]
    elif len(a) == 2:
        parts = [a[1] * b[2], -(a[0] * b[2]), third]
    else:
        parts = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], third]
    return stack(parts, axis=canonical_axis(axisc, len(third.shape) + 1, "axisc"))


def _components(name: str, x: Any, axis: int) -> list[Any]:
    place = canonical_axis(axis, len(x.shape), "axis")
    n = x.shape[place]
    if n not in (2, 3):
        raise ValueError(f"cross: expected vectors of 2 or 3 elements along axis {axis} of {name}; received {x.spec}")
    return [x[(*(slice(None),) * place, i)] for i in range(n)]


def cdist(x: Any, y: Any) -> Any:
    """The Euclidean distance of every point of one set from every point of the other.

    Args:
        x: points ``(..., n, d)``; integers are computed as floatx.
        y: points ``(..., m, d)``; other axes broadcast.

    Returns:
        ``(..., n, m)``. Where two points are one the gradient is 0.

    Raises:
        ValueError: there are fewer than two dimensions, or the points differ in their number of coordinates.

    Example:
        >>> cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).numpy().tolist()
        [[5.0, 1.0]]

    Source: `keras.ops.cdist`.
    """
    x, y = together(x, y, promote=float)
    if len(x.shape) < 2 or len(y.shape) < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"cdist: expected points (..., n, d) and (..., m, d); received shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    squares = reduce_sum(square(expand_dims(x, -2) - expand_dims(y, -3)), axis=-1)
    apart = squares > 0
    return where(apart, sqrt(where(apart, squares, 1.0)), squares)


# -- statistics --------------------------------------------------------------------------------------------------------


def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The weighted mean over axes.

    Args:
        x: tensor; integers are computed as floatx.
        axis: the axis or axes; None means all.
        weights: of the shape of `x`, or a vector along the one axis; all are equal if None.

    Raises:
        ValueError: the weights have another shape.

    Example:
        >>> average([1.0, 2.0, 3.0], weights=[3.0, 1.0, 0.0]).item()
        1.25

    Source: `keras.ops.average`.
    """
    if weights is None:
        return mean(x, axis)
    x, weights = together(x, weights, promote=float)
    if tuple(weights.shape) != tuple(x.shape):
        place = canonical_axis(axis, len(x.shape)) if isinstance(axis, int) else None
        if place is None or tuple(weights.shape) != (x.shape[place],):
            raise ValueError(
                f"average: expected weights of the shape of x, {tuple(x.shape)}, or a vector along its axis={axis}; "
                f"received shape {tuple(weights.shape)}"
            )
        weights = reshape(weights, [-1 if i == place else 1 for i in range(len(x.shape))])
        weights = broadcast_to(weights, x.shape)
    return reduce_sum(x * weights, axis) / reduce_sum(weights, axis)


def corrcoef(x: Any) -> Any:
    """Pearson's correlation coefficients of variables.

    Args:
        x: ``(variables, observations)``, or a vector of observations; integers are computed as floatx.

    Returns:
        ``(variables, variables)``, in [-1, 1]; of a vector a scalar, 1.

    Raises:
        ValueError: there are more than two dimensions.

    Example:
        >>> corrcoef([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]).numpy().round(3).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]

    Source: `keras.ops.corrcoef`.
    """
    x = floating(x)
    if len(x.shape) > 2:
        raise ValueError(f"corrcoef: expected (variables, observations); received shape {tuple(x.shape)}")
    rows = reshape(x, (-1, x.shape[-1] if x.shape else 1)) if len(x.shape) < 2 else x
    away = rows - mean(rows, axis=1, keepdims=True)
    spread = sqrt(reduce_sum(square(away), axis=1))
    found = matmul(away, transpose(away)) / expand_dims(spread, 1) / expand_dims(spread, 0)
    found = clip(found, -1.0, 1.0)
    return found if len(x.shape) == 2 else reshape(found, ())


def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """The cross-correlation of two vectors: sums of products while the second is moved along the first.

    Args:
        x1, x2: vectors; integers are computed as floatx.
        mode: ``"valid"``: where they lie on each other wholly; ``"full"``: where they touch; ``"same"``: of that the
            middle, as long as the longer vector.

    Raises:
        ValueError: another mode, or one of them is no vector, or empty.

    Example:
        >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0]).numpy().tolist()
        [2.0, 3.0]

    Source: `keras.ops.correlate`.
    """
    x1, x2 = together(x1, x2, promote=float)
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: expected mode to be 'valid', 'same' or 'full'; received {mode!r}")
    if len(x1.shape) != 1 or len(x2.shape) != 1 or 0 in (*x1.shape, *x2.shape):
        raise ValueError(
            f"correlate: expected two vectors that are not empty; received shapes {tuple(x1.shape)} and "
            f"{tuple(x2.shape)}"
        )
    n, m = x1.shape[0], x2.shape[0]
    if m > n:  # the longer one stands still: the result is then the other way round
        return flip(_slid(x2, x1, mode))
    return _slid(x1, x2, mode)


def _slid(x: Any, kernel: Any, mode: str) -> Any:
    n, m = x.shape[0], kernel.shape[0]
    before, after = {"valid": (0, 0), "full": (m - 1, m - 1), "same": (m // 2, (m - 1) // 2)}[mode]
    wide = pad(reshape(x, (1, n, 1)), ((0, 0), (before, after), (0, 0)))
    y = conv(wide, reshape(kernel, (m, 1, 1)), padding="valid", data_format="channels_last")
    return reshape(y, (-1,))
