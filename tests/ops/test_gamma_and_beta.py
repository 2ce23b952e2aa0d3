"""Draws of gamma and beta distributions: their distribution, dtypes, seeds, and messages."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops, random
from kcore.errors import KcoreError

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("alpha", [0.05, 0.7, 1.0, 3.5, 200.0])
def test_gamma_draws_have_that_distribution(alpha, dtype):
    draws = random.gamma((20000,), alpha, dtype=dtype, seed=5)
    assert draws.dtype == dtype
    assert stats.kstest(draws.numpy().astype("float64"), "gamma", args=(alpha,)).pvalue > 0.01


@pytest.mark.parametrize(("alpha", "beta"), [(0.4, 0.3), (2.0, 6.0), (30.0, 1.5)])
def test_beta_draws_have_that_distribution(alpha, beta):
    draws = random.beta((20000,), alpha, beta, seed=6).numpy().astype("float64")
    assert stats.kstest(draws, "beta", args=(alpha, beta)).pvalue > 0.01


def test_parameters_broadcast_and_may_be_traced():
    alpha = np.array([[1.0], [100.0]], "float32")
    draws = random.gamma((2, 500), alpha, seed=1).numpy()
    assert draws[0].mean() == pytest.approx(1, abs=0.2) and draws[1].mean() == pytest.approx(100, abs=2)
    traced = kcore.function(lambda a: random.gamma((2, 500), a, seed=1))
    np.testing.assert_allclose(traced(alpha), draws, rtol=1e-5)
    assert random.beta((2, 500), alpha, ops.convert_to_tensor(1.0), seed=1).shape == (2, 500)


def test_an_integer_seed_repeats_and_a_generator_goes_on():
    assert np.array_equal(random.gamma((9,), 2.0, seed=3), random.gamma((9,), 2.0, seed=3))
    running = kcore.random.SeedGenerator(3)
    assert not np.array_equal(random.beta((9,), 2.0, 2.0, seed=running), random.beta((9,), 2.0, 2.0, seed=running))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_are_drawn_in_float32_and_rounded(dtype):
    wide = random.gamma((99,), 2.0, seed=1)
    short = random.gamma((99,), 2.0, dtype=dtype, seed=1)
    assert short.dtype == dtype and np.array_equal(short, ops.cast(wide, dtype))


def test_draws_on_a_device_are_those_of_numpy_up_to_rounding():
    before = str(kcore.backend.current())
    draws = []
    for place in ("numpy", "opencl:intel"):
        try:
            kcore.use_backend(place)
        except (KcoreError, ValueError) as error:
            kcore.use_backend(before)
            pytest.skip(f"{place} is not here: {error}")
        draws.append((random.gamma((500,), 0.6, seed=2).numpy(), random.beta((500,), 2.0, 3.0, seed=2).numpy()))
    kcore.use_backend(before)
    for a, b in zip(*draws, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random.gamma((2,), 0.0), "requires a positive `alpha`. Received: alpha=0.0"),
        (lambda: random.beta((2,), 1.0, [1.0, -1.0]), r"requires a positive `beta`. Received: beta=\[1.0, -1.0\]"),
        (lambda: random.gamma((2,), "one"), "requires a positive `alpha`. Received: alpha='one'"),
        (lambda: random.gamma((2,), 1.0, dtype="int32"), "requires a floating point `dtype`. Received: dtype=int32"),
        (lambda: random.gamma((-2,), 1.0), r"requires a shape of non-negative ints. Received: shape=\(-2,\)"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()
