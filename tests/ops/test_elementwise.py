"""Elementwise ops at the edges that samples do not reach: infinities, ties, NaN."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.runtime import GradientTape, convert_to_tensor

INF = float("inf")
#: Pairs of logarithms: far apart, equal, infinite.
PAIRS = [(0.0, 0.0), (1000.0, 999.0), (-1000.0, 3.0), (-INF, -INF), (-INF, 2.0), (INF, INF), (INF, -INF)]


def test_logaddexp_is_numpys():
    x, y = np.array([*PAIRS, (np.nan, 1.0)], "float32").T
    np.testing.assert_allclose(ops.logaddexp(x, y).numpy(), np.logaddexp(x, y), rtol=1e-6)
    assert ops.logaddexp(np.array([1, 2]), np.array([1, 2])).dtype == "float32"


def test_logaddexp_shares_its_gradient_even_between_infinities():
    x, y = map(convert_to_tensor, np.array(PAIRS, "float32").T)
    with GradientTape() as tape:
        tape.watch([x, y])
        z = ops.logaddexp(x, y)
    dx, dy = tape.gradient(z, [x, y])
    np.testing.assert_allclose(dx.numpy(), [0.5, 0.731059, 0, 0.5, 0, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(dx.numpy() + dy.numpy(), 1.0, atol=1e-6)
