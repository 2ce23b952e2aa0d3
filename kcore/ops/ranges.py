"""Tensors of evenly spaced numbers, on a line or a curve, of powers, of a triangle, and of no values in particular."""

from __future__ import annotations

from typing import Any

from kcore import config
from kcore.dtypes import is_int, result_type, standardize_dtype
from kcore.ops.creation import eye, iota, zeros, zeros_like
from kcore.ops.elementwise import cast, floor, power, where
from kcore.ops.reduction import cumprod_exclusive
from kcore.ops.shape import broadcast_to, expand_dims, flip, moveaxis
from kcore.runtime.apply import convert_to_tensor
from kcore.runtime.promote import dtype_of

__all__ = ["empty", "empty_like", "geomspace", "identity", "linspace", "logspace", "tri", "vander"]


def empty(shape: Any, dtype: Any = None) -> Any:
    """A tensor whose values do not matter: zeros.

    Args:
        shape: ints.
        dtype: floatx if None.

    Example:
        >>> empty((2, 3)).shape
        (2, 3)

    Source: `keras.ops.empty`.
    """
    return zeros(shape, dtype)


def empty_like(x: Any, dtype: Any = None) -> Any:
    """A tensor of another's shape whose values do not matter: zeros.

    Args:
        x: tensor.
        dtype: that of `x` if None.

    Example:
        >>> empty_like([[1, 2]]).shape
        (1, 2)

    Source: `keras.ops.empty_like`.
    """
    return zeros_like(x, dtype=None if dtype is None else standardize_dtype(dtype))


def identity(n: int, dtype: Any = None) -> Any:
    """The identity matrix: ones on the diagonal, zeros elsewhere.

    Args:
        n: number of rows and columns.
        dtype: floatx if None.

    Returns:
        ``(n, n)``.

    Example:
        >>> identity(2).numpy().tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: `keras.ops.identity`.
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on a diagonal and below it, zeros above.

    Args:
        N: rows.
        M: columns; `N` if None.
        k: which diagonal: 0 is the main one, 1 the one above it, -1 the one below.
        dtype: floatx if None.

    Returns:
        ``(N, M)``.

    Example:
        >>> tri(2, 3).numpy().tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]

    Source: `keras.ops.tri`.
    """
    shape = (N, N if M is None else M)
    rows, columns = iota(shape=shape, axis=0, dtype="int32"), iota(shape=shape, axis=1, dtype="int32")
    return cast(columns - rows <= k, dtype or config.floatx())


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The Vandermonde matrix: a row of powers for each element, from the highest to the power 0.

    Args:
        x: vector of n elements.
        N: number of columns; n if None.
        increasing: whether the power 0 comes first.

    Returns:
        ``(n, N)``, of the dtype of `x`.

    Raises:
        ValueError: `x` is no vector, or `N` is negative.

    Example:
        >>> vander([2, 3], 3).numpy().tolist()
        [[4, 2, 1], [9, 3, 1]]

    Source: `keras.ops.vander`.
    """
    x = convert_to_tensor(x)
    if len(x.shape) != 1:
        raise ValueError(f"vander: expected a vector; received shape {tuple(x.shape)}")
    count = x.shape[0] if N is None else N
    if count is not None and count < 0:
        raise ValueError(f"vander: expected N to be 0 or more; received {N}")
    powers = cumprod_exclusive(broadcast_to(expand_dims(x, 1), (x.shape[0], count)))
    return powers if increasing else flip(powers, 1)


# -- evenly spaced -----------------------------------------------------------------------------------------------------


def _steps(num: int, endpoint: bool, what: str) -> int:
    """How many steps lie between the first number and the end."""
    if not hasattr(num, "__index__"):
        raise TypeError(f"{what}: expected num to be an integer; received {num!r}")
    if num < 0:
        raise ValueError(f"{what}: expected num to be 0 or more; received {num}")
    return max(num - 1 if endpoint else num, 1)


def _result(start: Any, stop: Any, dtype: Any) -> tuple[str, str]:
    """The dtype to compute in and that of the result."""
    target = result_type(dtype_of(start), dtype_of(stop), float) if dtype is None else standardize_dtype(dtype)
    return (result_type(dtype_of(start), dtype_of(stop), float) if is_int(target) else target), target


def _places(num: int, first: Any, work: str) -> Any:
    """0, 1, 2, ... along a new first axis."""
    return iota(shape=(num, *[1] * len(first.shape)), axis=0, dtype=work)


def _finished(y: Any, places: Any, stop: Any, num: int, endpoint: bool, target: str, axis: int) -> Any:
    """The numbers with the end as it was given, in their dtype, along their axis."""
    if endpoint and num > 1:
        y = where(places == num - 1, stop, y)
    y = cast(floor(y), target) if is_int(target) else y
    return y if axis == 0 else moveaxis(y, 0, axis)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Numbers at equal distances.

    Args:
        start: the first, a number or a tensor.
        stop: the end; they broadcast.
        num: how many.
        endpoint: whether the last one is `stop`; otherwise it is one step before.
        retstep: whether the distance is returned, too.
        dtype: of the result; a float dtype by those of `start` and `stop` if None.
        axis: of the result, along which they lie.

    Returns:
        The broadcast shape with an axis of size `num`; with `retstep` the distance as well.

    Raises:
        TypeError: `num` is no integer.
        ValueError: `num` is negative.

    Example:
        >>> linspace(0, 1, 5).numpy().tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]

    Source: `keras.ops.linspace`.
    """
    steps = _steps(num, endpoint, "linspace")
    work, target = _result(start, stop, dtype)
    start, stop = convert_to_tensor(start, work), convert_to_tensor(stop, work)
    step = (stop - start) / float(steps)
    places = _places(num, step, work)
    y = _finished(start + places * step, places, stop, num, endpoint, target, axis)
    return (y, step) if retstep else y


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None, axis: int = 0
) -> Any:
    """Numbers whose logarithms have equal distances, from ``base**start`` to ``base**stop``.

    Args:
        start: logarithm of the first, a number or a tensor.
        stop: logarithm of the end; they broadcast.
        num: how many.
        endpoint: whether the last one is ``base**stop``; otherwise it is one step before.
        base: of the logarithms.
        dtype: of the result; a float dtype by those of `start` and `stop` if None.
        axis: of the result, along which they lie.

    Returns:
        The broadcast shape with an axis of size `num`.

    Raises:
        TypeError: `num` is no integer.
        ValueError: `num` is negative.

    Example:
        >>> logspace(0, 3, 4).numpy().round(2).tolist()
        [1.0, 10.0, 100.0, 1000.0]

    Source: `keras.ops.logspace`.
    """
    _steps(num, endpoint, "logspace")
    work, target = _result(start, stop, dtype)
    y = power(convert_to_tensor(base, work), linspace(start, stop, num, endpoint, dtype=work, axis=axis))
    return cast(floor(y), target) if is_int(target) else y


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Numbers each of which is the one before times a constant.

    Args:
        start: the first, a number or a tensor; not 0.
        stop: the end, of the same sign; they broadcast.
        num: how many.
        endpoint: whether the last one is `stop`; otherwise it is one step before.
        dtype: of the result; a float dtype by those of `start` and `stop` if None.
        axis: of the result, along which they lie.

    Returns:
        The broadcast shape with an axis of size `num`.

    Raises:
        TypeError: `num` is no integer.
        ValueError: `num` is negative.

    Example:
        >>> geomspace(1, 8, 4).numpy().round(4).tolist()
        [1.0, 2.0, 4.0, 8.0]

    Source: `keras.ops.geomspace`.
    """
    steps = _steps(num, endpoint, "geomspace")
    work, target = _result(start, stop, dtype)
    start, stop = convert_to_tensor(start, work), convert_to_tensor(stop, work)
    ratio = stop / start
    places = _places(num, ratio, work)
    return _finished(start * power(ratio, places / float(steps)), places, stop, num, endpoint, target, axis)
