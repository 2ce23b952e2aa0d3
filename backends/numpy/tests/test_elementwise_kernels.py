"""Elementwise kernels at infinities, at NaN, and where they write over an input."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops

INF = float("inf")


@pytest.fixture(autouse=True)
def _numpy():
    kcore.use_backend("numpy")


def test_logaddexp_takes_infinities_and_writes_over_an_input():
    x = np.array([0, 1000, -INF, -INF, INF, INF, np.nan], "float32")
    y = np.array([0, 999, -INF, 2, INF, -INF, 1], "float32")
    run = kcore.function(lambda a, b: ops.logaddexp(ops.negative(ops.stop_gradient(a)), b))
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp(x, y)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(run(-x, y).numpy(), expected, rtol=1e-6)
        np.testing.assert_allclose(ops.logaddexp(x, y).numpy(), expected, rtol=1e-6)
    assert "kcore-numpy:logaddexp" in str(kcore.function(ops.logaddexp).concrete(x, y).plan)
