"""Short floats: what would lose its digits is computed in float32 and rounded once."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.runtime import GradientTape

SHORT = ["float16", "bfloat16"]


def _short(array, dtype):
    return ops.cast(ops.convert_to_tensor(np.asarray(array, "float32")), dtype)


def _run(fn, *arrays):
    return np.asarray(ops.cast(kcore.function(fn)(*arrays), "float32"))


@pytest.mark.parametrize("dtype", SHORT)
def test_a_certain_mistake_costs_what_it_costs_in_float32(dtype):
    sure = _short([[0.0, 1.0, 0.0]], dtype)
    wrong = _run(lambda p: ops.sparse_categorical_crossentropy(np.array([0]), p), sure)
    np.testing.assert_allclose(wrong, 16.118, rtol=4e-3)
    right = _run(lambda p: ops.categorical_crossentropy(_short([[0.0, 1.0, 0.0]], dtype), p), sure)
    np.testing.assert_allclose(right, 0.0, atol=1e-3)


@pytest.mark.parametrize("dtype", SHORT)
def test_a_clipped_probability_has_no_slope(dtype):
    def slope(p):
        with GradientTape() as tape:
            tape.watch(p)
            loss = ops.sum(ops.sparse_categorical_crossentropy(np.array([1]), p))
        return tape.gradient(loss, p)

    assert not _run(slope, _short([[0.0, 1.0, 0.0]], dtype)).any()


@pytest.mark.parametrize("dtype", SHORT)
def test_a_query_that_sees_nothing_attends_to_all_alike(dtype):
    values = np.linspace(-1, 1, 12).reshape(1, 3, 2, 2)
    mask = np.zeros((1, 1, 3, 3), bool)
    out = _run(lambda x: ops.dot_product_attention(x * 100, x, x, mask=mask), _short(values, dtype))
    np.testing.assert_allclose(out, np.broadcast_to(values.mean(1, keepdims=True), out.shape), atol=1e-2)


@pytest.mark.parametrize("approximate", [True, False])
def test_the_slope_of_gelu_far_out_is_not_lost(approximate):
    def slope(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.gelu(x, approximate=approximate)
        return tape.gradient(y, x)

    x = np.array([-4.0, -3.5, -3.0], "float32")
    np.testing.assert_allclose(_run(slope, _short(x, "float16")), _run(slope, x), rtol=5e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", SHORT)
@pytest.mark.parametrize("shape", [(), (1,), (5,)])
def test_a_function_that_has_no_short_form_is_fused_in_any_shape(shape, dtype):
    x = np.full(shape, 0.5, "float32")
    np.testing.assert_allclose(_run(lambda x: ops.erf(x) * 2.0 + x, _short(x, dtype)), x + 1.041, rtol=1e-2)
