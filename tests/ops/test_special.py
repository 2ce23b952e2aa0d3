"""Mathematical functions and bits beside Keras's: values, dtypes, gradients, edges, and what wrong input is told."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from scipy import special

from kcore import ops
from kcore.dtypes import result_type
from kcore.graph.op import OPS
from kcore.ops import bitwise
from kcore.ops import special as functions
from kcore.runtime import GradientTape, convert_to_tensor

RNG = np.random.default_rng(3)
X = RNG.uniform(0.1, 0.9, (3, 4)).astype("float32")
WHOLE = np.array([[-7, 4, 0], [12, -9, 5]], "int32")
ONES = np.array([True, False, True])

UNARY = "arcsinh arctanh cbrt deg2rad erfc erfinv exp2 i0 log10 log2 rad2deg sinc trunc".split()


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_tensor(name, agrees):
    agrees(name, X)
    agrees(name, -X if name not in ("log2", "log10") else X + 3)
    if name not in ("arctanh", "rad2deg", "deg2rad"):  # NumPy turns angles of truth values in float16
        agrees(name, ONES)
    agrees(name, np.zeros((0, 2), "float32"))


def test_functions_of_integers_are_floats(agrees):
    for name in ("arcsinh", "cbrt", "deg2rad", "erfc", "exp2", "i0", "rad2deg"):
        agrees(name, WHOLE)
    agrees("arccosh", X + 1)
    agrees("log2", np.array([1, 8, 1000], "int32"))
    agrees("trunc", WHOLE)
    agrees("trunc", np.array([-1.5, -0.2, 2.9, np.inf], "float32"))


@pytest.mark.parametrize("name", ["hypot", "logaddexp2", "fmod", "nextafter"])
def test_functions_of_two_tensors(name, agrees):
    agrees(name, X * 4 - 2, X[:1] * 3 + 0.1)
    agrees(name, WHOLE, WHOLE[:1] + 20)
    agrees(name, X, np.float32(0.5) * np.ones((), "float32"))


def test_fmod_is_c_s(agrees):
    x = np.array([-7.0, 7.0, -7.5, 1e20, -0.3, np.inf, 5.0, np.nan], "float32")
    agrees("fmod", x, np.array([3.0, -3.0, 2.0, 3.0, 1.0, 2.0, np.inf, 1.0], "float32"))
    agrees("fmod", np.array([-7, 7, -7, 6], "int32"), np.array([3, -3, -3, 3], "int32"))
    agrees("fmod", np.array([7, 200], "uint8"), np.array([3, 9], "uint8"))
    agrees("fmod", ONES, ~ONES | True)


def test_ldexp(agrees):
    agrees("ldexp", X, np.array([1, -3, 0, 7], "int32"))
    agrees("ldexp", WHOLE, WHOLE)
    np.testing.assert_array_equal(
        ops.ldexp(np.array([1e-38, 3e38], "float32"), np.array([200, -200])).numpy(),
        np.ldexp(np.array([1e-38, 3e38], "float32"), np.array([200, -200])),
    )
    with pytest.raises(TypeError, match="ldexp: expected the exponents x2 to be integers; received float32"):
        ops.ldexp(X, X)


@pytest.mark.parametrize(("dtype", "near"), [("float32", 6e-7), ("float64", 2e-13)])
def test_erfc_erfinv_and_i0_hold_their_digits_in_the_tails(dtype, near):
    x = np.linspace(-6, 9 if dtype == "float32" else 26, 401).astype(dtype)
    np.testing.assert_allclose(ops.erfc(x).numpy(), special.erfc(x.astype("float64")), rtol=near)
    x = np.concatenate([np.linspace(-0.999, 0.999, 99), 1 - np.logspace(-7 if near > 1e-9 else -15, -2, 99)])
    x = x.astype(dtype)
    np.testing.assert_allclose(ops.erfinv(x).numpy(), special.erfinv(x.astype("float64")), rtol=near, atol=near)
    x = np.linspace(-90, 90, 401).astype(dtype)
    np.testing.assert_allclose(ops.i0(x).numpy(), special.i0(x.astype("float64")), rtol=near)


def test_functions_at_their_edges():
    inf = math.inf
    assert ops.erfc(np.array([inf, -inf, 0.0], "float32")).numpy().tolist() == [0.0, 2.0, 1.0]
    assert ops.erfinv(np.array([1.0, -1.0], "float32")).numpy().tolist() == [inf, -inf]
    assert all(np.isnan(ops.erfinv(np.array([1.5, math.nan], "float32")).numpy()))
    assert np.isnan(ops.erfc(np.array([math.nan], "float32")).numpy()[0])
    assert ops.sinc(np.array([0.0], "float32")).numpy()[0] == 1.0
    pair = np.array([-inf, 1000.0, inf], "float32")
    assert ops.logaddexp2(pair, pair).numpy().tolist() == [-inf, 1001.0, inf]
    assert ops.hypot(np.float32(3e30), np.float32(4e30)).item() == pytest.approx(5e30)


@pytest.mark.parametrize("name", ["erfc", "erfinv", "i0"])
def test_short_floats_are_computed_in_float32(name):
    x = np.array([0.1, 0.5, 0.9], "float16")
    expected = getattr(special, name)(x.astype("float64")).astype("float16")
    np.testing.assert_array_equal(getattr(ops, name)(x).numpy(), expected)


@pytest.mark.parametrize("name", ["i0", "sinc", "deg2rad", "rad2deg"])
def test_gradients_of_functions(name, differentiates):
    differentiates(getattr(ops, name), X * 4 - 2)
    differentiates(getattr(ops, name), X * 20)


def test_gradients_of_pairs(differentiates):
    differentiates(ops.logaddexp2, X * 4 - 2, X[:1] * 3)
    differentiates(ops.fmod, X * 8 - 4, X[:1] + 1)
    differentiates(lambda x: ops.ldexp(x, np.array([1, -3, 0, 7])), X)


def test_the_gradient_of_hypot_at_the_origin_is_a_number():
    x = convert_to_tensor([0.0, 3.0])
    with GradientTape() as tape:
        tape.watch([x])
        y = ops.hypot(x, x * 0 + [0.0, 4.0])
    np.testing.assert_allclose(tape.gradient(y, [x])[0].numpy(), [0.0, 0.6], rtol=1e-6)


# -- bits --------------------------------------------------------------------------------------------------------------

PAIRS = [
    (WHOLE, np.array([3, 1, 6], "int32")),
    (np.array([1, 200, 255], "uint8"), np.array([7, 1, 3], "uint8")),
    (np.array([1, 100], "uint8"), np.array([-3, 7], "int8")),
    (np.array([-1, 2**40], "int64"), np.array([3, 5], "int64")),
]


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"])
def test_bits_and_divisors_of_integers(name, agrees):
    for x, y in PAIRS:
        agrees(name, x, y, dtypes=result_type(x.dtype, y.dtype), expected=getattr(np, name)(x, y))
    if name.startswith("bitwise"):
        agrees(name, ONES, ~ONES)


@pytest.mark.parametrize("name", ["left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift"])
def test_shifts(name, agrees):
    for x, y in (PAIRS[1], PAIRS[3], (WHOLE, np.array([[0], [31]], "int32"))):
        agrees(name, x, y, dtypes=str(x.dtype), expected=getattr(np, name.removeprefix("bitwise_"))(x, y))
    agrees(name, WHOLE, np.array([32, 40, 99], "int32"))
    with pytest.raises(ValueError, match="shift: expected integers; received bool"):
        getattr(ops, name)(ONES, ONES)


@pytest.mark.parametrize("name", ["bitwise_not", "bitwise_invert"])
def test_inverted_bits(name, agrees):
    for x in (WHOLE, ONES, np.array([0, 200], "uint8"), np.array([-5, 7], "int8")):
        agrees(name, x)
    with pytest.raises(TypeError, match="bitwise_not: expected x to hold integers or truth values; received float32"):
        getattr(ops, name)(X)


@pytest.mark.parametrize("name", ["bitwise_and", "gcd"])
def test_floats_have_no_bits(name):
    with pytest.raises(ValueError, match=rf"^{name}: expected integers.*; received float32"):
        getattr(ops, name)(X, X)
    with pytest.raises(TypeError, match="lcm: expected x2 to hold integers or truth values; received float32"):
        ops.lcm(WHOLE, X[0, :3])


def test_nextafter_refuses_short_floats():
    with pytest.raises(ValueError, match=r"^nextafter: expected float32 or float64, .* received float16"):
        ops.nextafter(X.astype("float16"), X.astype("float16"))


@pytest.mark.parametrize("name", [n for n in (*functions.__all__, *bitwise.__all__) if n in OPS])
def test_examples_of_ops_run(name):
    """pytest finds the examples of functions by itself, but not those of ops."""
    if getattr(ops, name) is not OPS[name]:
        return
    test = doctest.DocTestParser().get_doctest(OPS[name].__doc__, dict(vars(ops)), name, None, 0)
    results = doctest.DocTestRunner().run(test)
    assert results.attempted and not results.failed
