"""Sorting, searching, running sums and extremes, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.graph.op import OPS
from kcore.kernels.scans import extreme_code, scan_code
from kcore.kernels.sorting import argsort_code, searchsorted_code


def _values(shape, dtype):
    rng = np.random.default_rng([*shape, len(dtype)])
    values = rng.integers(-20, 20, shape)  # many are equal
    if dtype == "bool":
        return values > 0
    values = values.astype(dtype)
    if dtype.startswith("float"):
        values[rng.random(shape) < 0.1] = np.nan
        values[rng.random(shape) < 0.1] = -np.inf
    return values


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 16), (3, 17), (1, 1000), (3, 4, 65)], ids=str)
def test_order_is_stable_and_nan_is_last(device, shape, dtype, descending, node, compute):
    x = _values(shape, dtype)
    made = node("argsort", x, descending=descending)
    order = compute(device, made, argsort_code(made, device.place.traits), x)[0]
    np.testing.assert_array_equal(order, OPS["argsort"].fn(x, descending=descending))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((128, 10), 1), ((7, 33, 5), 1), ((5, 70), 0), ((3, 5000), 1), ((1500, 2), 0)], ids=str
)
def test_the_first_extreme_element_or_nan_is_found(device, name, shape, axis, dtype, node, compute):
    x = _values(shape, dtype)
    made = node(name, x, axis=axis, keepdims=False)
    result = compute(device, made, extreme_code(made, device.place.traits), x)[0]
    np.testing.assert_array_equal(result, OPS[name].fn(x, axis=axis, keepdims=False))


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool"])
@pytest.mark.parametrize(("shape", "axis"), [((3, 5), 0), ((2, 33, 4), 1), ((2, 3001), 1), ((2000, 3), 0)], ids=str)
def test_running_sums(device, shape, axis, dtype, node, compute):
    x = np.nan_to_num(_values(shape, dtype), neginf=1) if dtype == "float64" else _values(shape, dtype)
    made = node("cumsum", x, axis=axis)
    result = compute(device, made, scan_code(made, device.place.traits), x)[0]
    np.testing.assert_allclose(result, OPS["cumsum"].fn(x, axis=axis), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (4, 1), (2, 1500)], ids=str)
def test_running_products_of_what_comes_before(device, shape, node, compute):
    x = np.random.default_rng(0).uniform(0.9, 1.1, shape)
    made = node("cumprod_exclusive", x)
    np.testing.assert_allclose(
        compute(device, made, scan_code(made, device.place.traits), x)[0], OPS["cumprod_exclusive"].fn(x), rtol=1e-11
    )


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_search_finds_where_numpy_would(device, side, dtype, node, compute):
    sequence, values = np.sort(_values((37,), dtype)), _values((4, 50), dtype)
    made = node("searchsorted", sequence, values, side=side)
    result = compute(device, made, searchsorted_code(made, device.place.traits), sequence, values)[0]
    np.testing.assert_array_equal(result, np.searchsorted(sequence, values, side))


def test_generated_text(node, golden, gpu):
    made = node("argsort", np.zeros((4, 100), "float32"), descending=False)
    code = argsort_code(made, gpu)
    assert len(code.launches) == 4, "runs of 16, then merges to 32, 64 and 128"
    golden("argsort.cl", type(code)(code.launches[:2], 0))
    golden("argmax.cl", extreme_code(node("argmax", np.zeros((128, 10), "float32"), axis=1, keepdims=False), gpu))
