"""Reductions that pass over NaN, quantiles, running products and differences, beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops

NAN = np.nan
X = np.array([[1.5, NAN, -2.0, 4.0], [NAN, NAN, 3.0, 0.5], [7.0, 1.0, NAN, -1.0]], "float32")
EMPTY_ROW = np.array([[NAN, NAN], [1.0, 2.0]], "float32")
WHOLE = np.array([[3, -1, 4, 1], [5, 9, 2, 6]], "int32")
TRUTH = np.array([[True, False], [False, False]])
PLAIN = np.random.default_rng(5).normal(size=(3, 4, 5)).astype("float32")

REDUCTIONS = "nansum nanprod nanmax nanmin nanmean nanvar nanstd".split()


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.filterwarnings("ignore:.*(empty slice|Degrees of freedom|All-NaN).*")
def test_reductions(name, agrees):
    for axis in (None, 0, -1, (0, 1)):
        agrees(name, X, axis=axis, dtypes="float32")
        agrees(name, X, axis=axis, keepdims=True, dtypes="float32")
        agrees(name, WHOLE, axis=axis)
    agrees(name, EMPTY_ROW[:, :1], axis=1, dtypes="float32")
    agrees(name, TRUTH, axis=0)
    agrees(name, PLAIN, axis=1, near=1e-5)
    agrees(name, X.astype("float16"), axis=1, near=2e-3)


@pytest.mark.parametrize("name", ["nanargmax", "nanargmin"])
def test_places(name, agrees):
    for axis in (None, 0, -1):
        agrees(name, X, axis=axis, dtypes="int32")
        agrees(name, WHOLE, axis=axis, keepdims=True)
    assert getattr(ops, name)(EMPTY_ROW, axis=1).numpy()[0] == -1
    agrees(name, TRUTH, axis=1)


@pytest.mark.parametrize("name", ["nancumsum", "nancumprod", "cumprod"])
def test_running(name, agrees):
    x = PLAIN[0] if name == "cumprod" else X
    for axis in (None, 0, -1):
        agrees(name, x, axis=axis, near=1e-5)
        agrees(name, WHOLE, axis=axis)
    agrees(name, TRUTH, axis=0)
    agrees(name, WHOLE, axis=1, dtype="float32")
    agrees(name, np.array([3, 100], "uint8"))
    agrees(name, np.zeros((0, 3), "float32"), axis=0)


def test_gradients_of_reductions(differentiates):
    for name in REDUCTIONS:
        differentiates(lambda x, name=name: getattr(ops, name)(x, axis=1), PLAIN[0] * 2, near=1e-5)
    differentiates(lambda x: ops.nanmean(ops.where(x > 1, NAN, x), axis=0), PLAIN[0])


def test_cumprod_differentiates_through_zeros(differentiates):
    x = np.array([[1.5, 0.0, -2.0, 0.0, 3.0], [0.5, 2.0, 1.5, -1.0, 2.0]])
    differentiates(lambda x: ops.cumprod(x, axis=1), x)
    differentiates(lambda x: ops.cumprod(x, axis=0), x)
    differentiates(lambda x: ops.nancumprod(x), x)


# -- quantiles ---------------------------------------------------------------------------------------------------------

METHODS = ["linear", "lower", "higher", "midpoint", "nearest"]


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_quantiles(name, method, agrees):
    skip = X if name == "nanquantile" else PLAIN
    for q in (0.0, 0.3, np.array([0.1, 0.5, 1.0], "float32")):
        for axis in (None, 0, -1, (0, 1)):
            agrees(name, skip, q, axis=axis, method=method, dtypes="float32")
    agrees(name, skip, 0.5, axis=1, method=method, keepdims=True, dtypes="float32")
    agrees(name, WHOLE, [0.25, 0.5], axis=0, method=method, dtypes="float32")
    agrees(name, TRUTH, 0.5, axis=0, method=method, dtypes="float32")


@pytest.mark.parametrize("name", ["percentile", "nanpercentile", "median", "nanmedian"])
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_percentiles_and_medians(name, agrees):
    q = () if "median" in name else (35.0,)
    for x in (X, PLAIN, EMPTY_ROW, WHOLE, X.astype("float16")):
        for axis in (None, 0, -1, (0, 1)):
            near = 2e-3 if x.dtype == "float16" else 2e-6
            wanted = "float16" if x.dtype == "float16" else "float32"
            agrees(name, x, *q, axis=axis, dtypes=wanted, near=near)
    agrees(name, PLAIN, *q, axis=1, keepdims=True, dtypes="float32")


def test_quantiles_of_infinities():
    x = np.array([1.0, np.inf, np.inf, np.inf], "float32")
    assert ops.median(x).item() == np.inf
    assert ops.quantile(x, 0.0).item() == 1.0


def test_gradients_of_quantiles(differentiates):
    differentiates(lambda x: ops.quantile(x, [0.2, 0.7], axis=1), PLAIN[0])
    differentiates(lambda x: ops.nanmedian(ops.where(x > 1, NAN, x), axis=0), PLAIN[0])


@pytest.mark.parametrize("name", ["quantile", "nanpercentile"])
def test_messages_of_quantiles(name):
    with pytest.raises(ValueError, match=f"^{name}: expected method to be one of .*; received 'cubic'"):
        getattr(ops, name)(PLAIN, 0.5, method="cubic")
    with pytest.raises(ValueError, match=rf"^{name}: expected q to be a number or a vector; received shape \(1, 2\)"):
        getattr(ops, name)(PLAIN, [[0.1, 0.2]])
    with pytest.raises(ValueError, match=f"^{name}: there are no elements along axis 0"):
        getattr(ops, name)(np.zeros((0, 2)), 0.5, axis=0)


# -- differences and areas ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_diff(n, agrees):
    for x, axis in ((PLAIN, -1), (PLAIN, 0), (WHOLE, 1), (TRUTH, 0), (np.array([3, 250, 1], "uint8"), 0)):
        agrees("diff", x, n=n, axis=axis)


def test_ptp(agrees):
    for axis in (None, 0, (0, 2)):
        agrees("ptp", PLAIN, axis=axis)
        agrees("ptp", PLAIN, axis=axis, keepdims=True)
    agrees("ptp", WHOLE, axis=1)
    with pytest.raises(TypeError, match="ptp: expected numbers; received bool"):
        ops.ptp(TRUTH)
    with pytest.raises(ValueError, match="diff: expected n to be 0 or more; received -1"):
        ops.diff(PLAIN, n=-1)


def test_trapezoid(agrees):
    for axis in (-1, 0, 1):
        agrees("trapezoid", PLAIN, dx=0.5, axis=axis)
        agrees("trapezoid", PLAIN, x=np.cumsum(np.ones(PLAIN.shape[axis], "float32")) ** 2, axis=axis, near=1e-5)
    agrees("trapezoid", PLAIN, x=np.cumsum(PLAIN, 1), axis=1, near=1e-5)
    agrees("trapezoid", WHOLE)


def test_gradients_of_differences(differentiates):
    differentiates(lambda x: ops.diff(x * x, n=2, axis=0), PLAIN[0])
    differentiates(lambda y, x: ops.trapezoid(y, x=x), PLAIN[0], np.arange(5.0) ** 2)
    differentiates(lambda x: ops.ptp(x, axis=1), PLAIN[0])
