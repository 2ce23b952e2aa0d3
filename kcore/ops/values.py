"""Functions of values: closeness, special values, extremes that pass over NaN, choices, casts, and parts of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from kcore.dtypes import (
    float_range,
    int_range,
    is_bool,
    is_float,
    is_int,
    is_unsigned,
    numpy_dtype,
    result_type,
    standardize_dtype,
)
from kcore.ops.creation import zeros_like
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import arctan2, cast, divide, equal, isnan, maximum, minimum, where
from kcore.ops.operands import floating, together
from kcore.ops.reduction import all as reduce_all
from kcore.runtime.apply import convert_to_tensor
from kcore.runtime.promote import dtype_of

__all__ = [
    "allclose", "angle", "array", "conj", "conjugate", "dtype", "fabs", "fmax", "fmin", "heaviside", "imag", "isclose",
    "isneginf", "isposinf", "isreal", "nan_to_num", "polar", "real", "saturate_cast", "select", "signbit",
]  # fmt: skip


def array(x: Any, dtype: Any = None) -> Any:
    """A tensor of a number, list, array or tensor.

    Args:
        x: the values.
        dtype: of the result; that of `x`, by Keras's defaults for Python numbers, if None.

    Example:
        >>> array([1, 2], dtype="float32").numpy().tolist()
        [1.0, 2.0]

    Source: `keras.ops.array`.
    """
    return convert_to_tensor(x, dtype)


def dtype(x: Any) -> str:
    """The name of a tensor's dtype.

    Args:
        x: tensor, array or number.

    Example:
        >>> dtype(array([1, 2]))
        'int32'

    Source: `keras.ops.dtype`.
    """
    return result_type(dtype_of(x)) if type(x) in (int, float, bool) else standardize_dtype(dtype_of(x))


# -- closeness and special values --------------------------------------------------------------------------------------


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether elements are equal within a tolerance: ``|x1 - x2| <= atol + rtol * |x2|``; infinities are if equal.

    Args:
        x1, x2: tensors that broadcast.
        rtol: tolerance relative to `x2`.
        atol: absolute tolerance.
        equal_nan: whether two NaN are close.

    Returns:
        Bool tensor of the broadcast shape.

    Example:
        >>> isclose([1.0, 2.0], [1.000001, 2.1]).numpy().tolist()
        [True, False]

    Source: `keras.ops.isclose`.
    """
    x1, x2 = together(x1, x2, promote=float)
    finite = absolute(x2) < math.inf
    near = equal(x1, x2) | (finite & (absolute(x1 - x2) <= absolute(x2) * rtol + atol))
    return near | (isnan(x1) & isnan(x2)) if equal_nan else near


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all elements are equal within a tolerance, as `isclose` has it.

    Args:
        x1, x2: tensors that broadcast.
        rtol: tolerance relative to `x2`.
        atol: absolute tolerance.
        equal_nan: whether two NaN are close.

    Returns:
        Bool scalar tensor.

    Example:
        >>> bool(allclose([1.0, 2.0], [1.000001, 2.0]))
        True

    Source: `keras.ops.allclose`.
    """
    return reduce_all(isclose(x1, x2, rtol, atol, equal_nan))


def isposinf(x: Any) -> Any:
    """Whether each element is plus infinity.

    Args:
        x: tensor.

    Example:
        >>> isposinf([1.0, float("inf"), -float("inf")]).numpy().tolist()
        [False, True, False]

    Source: `keras.ops.isposinf`.
    """
    return _is_infinity(x, math.inf)


def isneginf(x: Any) -> Any:
    """Whether each element is minus infinity.

    Args:
        x: tensor.

    Example:
        >>> isneginf([1.0, float("inf"), -float("inf")]).numpy().tolist()
        [False, False, True]

    Source: `keras.ops.isneginf`.
    """
    return _is_infinity(x, -math.inf)


def _is_infinity(x: Any, infinity: float) -> Any:
    x = convert_to_tensor(x)
    return x == infinity if is_float(x.dtype) else zeros_like(x, dtype="bool")


def signbit(x: Any) -> Any:
    """Whether each element has a minus sign, as -0.0 has.

    Args:
        x: tensor.

    Example:
        >>> signbit([-1.0, -0.0, 0.0]).numpy().tolist()
        [True, True, False]

    Source: `keras.ops.signbit`.
    """
    x = convert_to_tensor(x)
    if not is_float(x.dtype):
        return zeros_like(x, dtype="bool") if is_bool(x.dtype) or is_unsigned(x.dtype) else x < 0
    zero = x == 0
    return where(zero, divide(1.0, where(zero, x, 1.0)), x) < 0


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """The tensor with numbers in the place of NaN and infinities.

    Args:
        x: tensor; integers are returned as they are.
        nan: what stands for NaN.
        posinf: what stands for plus infinity; the largest number of the dtype if None.
        neginf: what stands for minus infinity; the smallest number of the dtype if None.

    Example:
        >>> nan_to_num([float("nan"), float("inf"), 1.0], posinf=9.0).numpy().tolist()
        [0.0, 9.0, 1.0]

    Source: `keras.ops.nan_to_num`.
    """
    x = convert_to_tensor(x)
    if not is_float(x.dtype):
        return x
    largest = float_range(x.dtype)[1]
    y = where(isnan(x), nan, x)
    y = where(x == math.inf, largest if posinf is None else posinf, y)
    return where(x == -math.inf, -largest if neginf is None else neginf, y)


# -- extremes and steps ------------------------------------------------------------------------------------------------


def fmax(x1: Any, x2: Any) -> Any:
    """The larger of two elements; of a number and NaN the number, where `maximum` gives NaN.

    Args:
        x1, x2: tensors that broadcast.

    Example:
        >>> fmax([1.0, float("nan")], [0.0, 2.0]).numpy().tolist()
        [1.0, 2.0]

    Source: `keras.ops.fmax`.
    """
    return _extreme(maximum, x1, x2)


def fmin(x1: Any, x2: Any) -> Any:
    """The smaller of two elements; of a number and NaN the number, where `minimum` gives NaN.

    Args:
        x1, x2: tensors that broadcast.

    Example:
        >>> fmin([1.0, float("nan")], [0.0, 2.0]).numpy().tolist()
        [0.0, 2.0]

    Source: `keras.ops.fmin`.
    """
    return _extreme(minimum, x1, x2)


def _extreme(op: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = together(x1, x2)
    y = op(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, y)) if is_float(y.dtype) else y


def fabs(x: Any) -> Any:
    """The magnitude of each element, as a float.

    Args:
        x: tensor; integers become floatx.

    Example:
        >>> fabs([-2, 3]).numpy().tolist()
        [2.0, 3.0]

    Source: `keras.ops.fabs`.
    """
    return absolute(floating(x))


def heaviside(x1: Any, x2: Any) -> Any:
    """The step function: 0 where `x1` is negative, 1 where it is positive, `x2` where it is 0.

    Args:
        x1, x2: tensors that broadcast; integers are computed as floatx, truth values are kept.

    Example:
        >>> heaviside([-1.0, 0.0, 2.0], 0.5).numpy().tolist()
        [0.0, 0.5, 1.0]

    Source: `keras.ops.heaviside`.
    """
    name = result_type(dtype_of(x1), dtype_of(x2))
    x1, x2 = together(x1, x2, promote=float if is_int(name) else None)
    if is_bool(x1.dtype):
        return x1 | x2
    y = where(x1 > 0, 1.0, where(x1 < 0, 0.0, x1))  # NaN stays
    return where(x1 == 0, x2, y)


# -- choices and casts -------------------------------------------------------------------------------------------------


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Each element from the first choice whose condition holds there.

    Args:
        condlist: bool tensors.
        choicelist: as many tensors; all broadcast together.
        default: where no condition holds.

    Returns:
        The broadcast shape, and the dtype of the choices.

    Raises:
        ValueError: there are no conditions, or not as many as choices.

    Example:
        >>> x = array([1, 4, 9])
        >>> select([x < 3, x > 5], [x, x * 10]).numpy().tolist()
        [1, 0, 90]

    Source: `keras.ops.select`.
    """
    conditions, choices = list(condlist), list(choicelist)
    if not conditions or len(conditions) != len(choices):
        raise ValueError(
            f"select: expected as many conditions as choices, one or more; received {len(conditions)} in condlist and "
            f"{len(choices)} in choicelist"
        )
    *choices, y = together(*choices, default)
    for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
        y = where(condition, choice, y)
    return y


def _limits(name: str) -> tuple[float, float]:
    if is_bool(name):
        return 0, 1
    if is_int(name):
        return int_range(name)
    largest = float_range(name)[1]
    return -largest, largest


def saturate_cast(x: Any, dtype: Any) -> Any:
    """The tensor in another dtype; what that cannot hold becomes the nearest that it can.

    Args:
        x: tensor.
        dtype: name of the dtype.

    Example:
        >>> saturate_cast([-1.0, 256.0, 7.0], "uint8").numpy().tolist()
        [0, 255, 7]

    Source: `keras.ops.saturate_cast`.
    """
    x, target = convert_to_tensor(x), standardize_dtype(dtype)
    if x.dtype == target or is_bool(x.dtype):
        return cast(x, target)
    kind = numpy_dtype(x.dtype)
    low, high = _limits(target)
    least, most = _limits(x.dtype)
    bounds = []
    for limit in (max(low, least), min(high, most)):
        bound = kind.type(limit)
        if not low <= bound.item() <= high:  # int32's largest, say, is no float32
            bound = np.nextafter(bound, kind.type(0))
        bounds.append(bound)
    return cast(minimum(maximum(x, np.asarray(bounds[0])), np.asarray(bounds[1])), target)


# -- parts of numbers: there are only real ones ------------------------------------------------------------------------


def real(x: Any) -> Any:
    """The real part of each element: of the real numbers that tensors hold, the tensor itself.

    Args:
        x: tensor.

    Example:
        >>> real([1.5, -2.0]).numpy().tolist()
        [1.5, -2.0]

    Source: `keras.ops.real`.
    """
    return _of_reals("real", x)


def imag(x: Any) -> Any:
    """The imaginary part of each element: 0 for the real numbers that tensors hold.

    Args:
        x: tensor.

    Example:
        >>> imag([1.5, -2.0]).numpy().tolist()
        [0.0, 0.0]

    Source: `keras.ops.imag`.
    """
    return zeros_like(_of_reals("imag", x))


def conj(x: Any) -> Any:
    """The complex conjugate of each element: of the real numbers that tensors hold, the tensor itself.

    Args:
        x: tensor.

    Example:
        >>> conj([1.5, -2.0]).numpy().tolist()
        [1.5, -2.0]

    Source: `keras.ops.conj`.
    """
    return _of_reals("conj", x)


def conjugate(x: Any) -> Any:
    """The complex conjugate of each element, as `conj`.

    Args:
        x: tensor.

    Example:
        >>> conjugate([1.5, -2.0]).numpy().tolist()
        [1.5, -2.0]

    Source: `keras.ops.conjugate`.
    """
    return _of_reals("conjugate", x)


def angle(x: Any) -> Any:
    """The angle of each element in the complex plane: 0 for positive numbers, pi for negative ones.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> angle([2.0, -1.0]).numpy().round(4)
        array([0.    , 3.1416], dtype=float32)

    Source: `keras.ops.angle`.
    """
    x = floating(_of_reals("angle", x))
    return arctan2(zeros_like(x), x)


def isreal(x: Any) -> Any:
    """Whether each element has no imaginary part: true for the real numbers that tensors hold.

    Args:
        x: tensor.

    Example:
        >>> isreal([1.5, -2.0]).numpy().tolist()
        [True, True]

    Source: `keras.ops.isreal`.
    """
    return zeros_like(_of_reals("isreal", x), dtype="bool") == 0


def polar(abs_: Any, angle: Any) -> NoReturn:
    """Complex numbers from magnitudes and angles, which kcore's tensors cannot hold.

    Args:
        abs_: magnitudes.
        angle: angles in radians.

    Raises:
        TypeError: always; it names the two real tensors to compute instead.

    Source: `keras.ops.polar`.
    """
    raise TypeError(
        "polar: the result would be complex, which no dtype of kcore is; compute the parts, abs_ * ops.cos(angle) and "
        "abs_ * ops.sin(angle)"
    )


def _of_reals(function: str, x: Any) -> Any:
    kind = getattr(x, "dtype", None)
    if "complex" in str(kind) or isinstance(x, complex):
        raise TypeError(f"{function}: expected real numbers, as all dtypes of kcore are; received {kind or x}")
    return convert_to_tensor(x)
