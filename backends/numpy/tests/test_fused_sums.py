"""Scaled sums in fused chains: one pass of BLAS instead of several of NumPy, and the same numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore_numpy import chains
from kcore_numpy.blas import combines
from kcore_numpy.kernels import fused

pytestmark = pytest.mark.skipif(not combines("float32"), reason="NumPy stands on another BLAS")

RATE = kcore.Variable(0.3, name="rate")

#: What becomes of (m, g, w): the new m, in ops and in NumPy, and how many scaled sums it takes.
CHAINS = {
    "average": (lambda m, g, w: m + (g - m) * 0.1, 1),
    "average, written the other way": (lambda m, g, w: 0.1 * (g - m) + m, 1),
    "average of two products": (lambda m, g, w: m * 0.9 + 0.1 * (g * g), 1),
    "step": (lambda m, g, w: w - g * RATE, 1),
    "step along a quotient": (lambda m, g, w: w - (g * RATE) / (abs(m) + 1.0), 1),
    "momentum": (lambda m, g, w: m * 0.9 - g * RATE, 1),
    "two rates of which one would have to be a number": (lambda m, g, w: m * RATE + g * RATE, 0),
    "the change is read again": (lambda m, g, w: (m + (g - m) * 0.1) * (g - m), 1),
    "not an average": (lambda m, g, w: m + (g - w) * 0.1, 1),
    "the scaled value is read again": (lambda m, g, w: (w - g * RATE) / (g * RATE), 0),
    "a quotient that is scaled below": (lambda m, g, w: w - g / (abs(m) * RATE + 1.0), 0),
    "no number but an array": (lambda m, g, w: w - g * m, 0),
}


def step(chain, *variables):
    """A compiled step that puts the chain into the first variable, and the chain's instructions."""

    def update():
        m, g, w = (v.value for v in variables)
        variables[0].assign(chain(m, g, w))

    function = kcore.function(update)
    executable = function.concrete()
    nodes = [s.node for s in executable.plan.steps if s.node.op.name == "fused"]
    kinds = Counter(type(i).__name__ for n in nodes for i in chains.instructions(n.attrs["body"], True))
    return function, kinds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (33, 5), (fused.CHUNK + 3,)])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_gives_what_numpy_gives(name, shape, dtype):
    chain, sums = CHAINS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for _ in range(3)]
    variables = [kcore.Variable(a, dtype=dtype) for a in arrays]
    function, kinds = step(chain, *variables)
    if dtype == "float32":  # the rate is one: in float64 it is cast within the chain
        assert kinds["Sum"] == sums
    wide = [a.astype("float64") for a in arrays]
    for _ in range(3):  # in place, over its own result
        function()
        wide[0] = np.asarray(chain(*[ops.convert_to_tensor(a) for a in wide]))
    error = np.abs(variables[0].numpy() - wide[0]) / (1 + np.abs(wide[0]))
    assert error.max() < (3e-6 if dtype == "float32" else 1e-7)  # the rate is a float32


def test_infinity_and_nan_stay_where_they_are():
    m = kcore.Variable(np.array([0.0, 2.0, np.nan, 1.0], "float32"))
    g = kcore.Variable(np.array([np.nan, np.inf, 1.0, -np.inf], "float32"))
    function, kinds = step(lambda m, g, w: m + (g - m) * 0.1, m, g, g)
    function()
    assert kinds["Sum"] == 1
    np.testing.assert_array_equal(m.numpy(), np.array([np.nan, np.inf, np.nan, -np.inf], "float32"))
