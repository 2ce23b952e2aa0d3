"""Functions of values and window functions beside Keras's: values, dtypes, edges, gradients, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kcore import ops
from kcore.errors import TracingError
from kcore.runtime import KerasTensor, function

INF, NAN = math.inf, math.nan
ODD = np.array([[1.5, -0.0, NAN], [INF, -INF, -2.5]], "float32")
WHOLE = np.array([[-7, 4, 0], [12, -9, 5]], "int32")
TRUTH = np.array([True, False, True])
BYTES = np.array([0, 7, 200], "uint8")


@pytest.mark.parametrize(
    "name", "real imag isreal signbit isposinf isneginf nan_to_num fabs angle conj conjugate".split()
)
@pytest.mark.parametrize("x", [ODD, WHOLE, BYTES, TRUTH, np.zeros((0, 2), "float32")], ids=lambda x: str(x.dtype))
def test_functions_of_one_tensor(name, x, agrees):
    if x.dtype == bool and name == "angle":
        return  # NumPy's is of float64
    agrees(name, x, dtypes=str(x.dtype) if name.startswith("conj") else None)


@pytest.mark.parametrize("name", ["fmax", "fmin", "heaviside"])
def test_functions_of_two_tensors(name, agrees):
    agrees(name, ODD, np.array([NAN, 0.5, 1.0], "float32"))
    agrees(name, ODD, ODD.T[:1, :1])
    agrees(name, WHOLE, WHOLE[:1])
    agrees(name, TRUTH, ~TRUTH)
    agrees(name, BYTES, np.array([-1, 0, 3], "int8"))


@pytest.mark.parametrize("equal_nan", [False, True])
def test_closeness(equal_nan, agrees):
    other = ODD + np.array([1e-6, 1e-9, 0.0], "float32")
    agrees("isclose", ODD, other, equal_nan=equal_nan)
    agrees("isclose", ODD, -ODD, equal_nan=equal_nan)
    agrees("allclose", ODD, other, equal_nan=equal_nan, dtypes="bool")
    agrees("isclose", WHOLE, WHOLE + 1, rtol=0.1, atol=0.2)
    agrees("allclose", WHOLE, WHOLE + 1, rtol=0.0, atol=1.0, dtypes="bool")


def test_nan_to_num_takes_other_numbers(agrees):
    agrees("nan_to_num", ODD, nan=3.0, posinf=7.0, neginf=-9.0)
    agrees("nan_to_num", ODD.astype("float16"))


def test_select(agrees):
    agrees("select", [WHOLE < 0, WHOLE > 4], [WHOLE, WHOLE * 10], 99)
    agrees("select", [ODD > 0, ODD < 0], [ODD, np.float32(2) * ODD[:1]])
    with pytest.raises(ValueError, match="select: .* received 1 in condlist and 2 in choicelist"):
        ops.select([TRUTH], [WHOLE, WHOLE])


FAR = np.array([-1e20, -300.5, -1.0, 0.0, 255.9, 1e20], "float32")
ENDS = np.array([-(2**31), -1, 0, 300, 2**31 - 1], "int32")


@pytest.mark.parametrize("target", ["uint8", "int8", "float16", "bool"])
def test_saturate_cast(target, agrees):
    agrees("saturate_cast", FAR, target)
    agrees("saturate_cast", ENDS, target)
    agrees("saturate_cast", TRUTH, target)


def test_saturate_cast_between_wide_dtypes(agrees):
    """Keras's NumPy engine overflows here; of float32 the largest below the limit is what is reached."""
    largest = np.nextafter(np.float32(2**31), np.float32(0))
    agrees("saturate_cast", FAR, "int32", expected=np.array([-(2**31), -300, -1, 0, 255, largest]).astype("int32"))
    agrees("saturate_cast", FAR, "uint32", expected=np.array([0, 0, 0, 0, 255, 2**32 - 256], "uint32"))
    agrees("saturate_cast", ENDS, "float32", expected=ENDS.astype("float32"))
    agrees("saturate_cast", ENDS, "uint32", expected=np.array([0, 0, 0, 300, 2**31 - 1], "uint32"))


def test_array_and_dtype(agrees):
    agrees("array", WHOLE)
    agrees("array", WHOLE, dtype="float32")
    assert [ops.dtype(x) for x in (WHOLE, ODD, TRUTH, 1, 2.5, True, [1, 2])] == [
        "int32", "float32", "bool", "int32", "float32", "bool", "int32",
    ]  # fmt: skip
    assert ops.dtype(KerasTensor((2,), "float16")) == "float16"


def test_there_are_no_complex_numbers():
    with pytest.raises(TypeError, match=r"^polar: the result would be complex.*abs_ \* ops.cos\(angle\)"):
        ops.polar(ODD, ODD)
    for name in ("real", "imag", "conj", "conjugate", "angle", "isreal"):
        with pytest.raises(TypeError, match=f"^{name}: expected real numbers, .* received complex64"):
            getattr(ops, name)(np.ones(2, "complex64"))


def test_gradients(differentiates):
    x, y = np.array([0.3, -0.7, 1.2]), np.array([1.0, -2.0, 0.4])
    differentiates(ops.fmax, x, y)
    differentiates(ops.fmin, x, y)
    differentiates(ops.fabs, x)
    differentiates(lambda x, y: ops.select([x > 1], [x * y], y), x, y)
    differentiates(lambda x: ops.nan_to_num(x) * x, x)


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
def test_windows(name, agrees):
    for points in (0, 1, 2, 7, 16):
        agrees(name, points, static=True)
    agrees(name, np.array(5, "int32"), static=True)


def test_kaiser_s_window(agrees):
    for beta in (0.0, 8.6):
        agrees("kaiser", 9, beta, static=True)


def test_windows_must_know_their_length():
    assert function(lambda x: x * ops.hamming(3))(np.ones(3, "float32")).shape == (3,)
    with pytest.raises(TracingError, match="^hamming: .*x, the number of points, must be a number"):
        function(ops.hamming)(np.array(3))
    with pytest.raises(ValueError, match=r"^kaiser: expected x, the number of points, .* received float32\[\]"):
        ops.kaiser(np.float32(3.0), 1.0)
