"""Draws of a binomial distribution: its probabilities, dtypes, seeds, and messages."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops, random
from kcore.errors import KcoreError

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("count", "probability"),
    [(1, 0.3), (7, 0.5), (20, 0.04), (30, 0.9), (40, 0.3), (1000, 0.009), (1000, 0.5), (100000, 0.7), (25, 0.97)],
)
def test_draws_have_the_probabilities_of_the_distribution(count, probability, dtype):
    size = 20000
    draws = random.binomial((size,), count, probability, dtype=dtype, seed=7)
    assert draws.dtype == dtype
    values = draws.numpy().astype("int64")
    assert np.array_equal(values, draws.numpy()) and values.min() >= 0 and values.max() <= count
    wanted = stats.binom(count, probability)
    edges = np.unique(wanted.ppf(np.linspace(0, 1, 21)[1:-1])) if count > 1 else np.array([0])
    seen = np.histogram(values, [-np.inf, *(edges + 0.5), np.inf])[0]
    expected = np.diff([0, *wanted.cdf(edges), 1]) * size
    assert stats.chisquare(seen[expected > 5], expected[expected > 5] * seen[expected > 5].sum()
                           / expected[expected > 5].sum()).pvalue > 0.01  # fmt: skip


@pytest.mark.parametrize(("probability", "all_of_them"), [(0.0, 0), (1.0, 12)])
def test_what_is_certain_happens(probability, all_of_them):
    assert set(random.binomial((50,), 12, probability, seed=1).numpy()) == {all_of_them}
    assert set(random.binomial((50,), 0, 0.4, seed=1).numpy()) == {0}


def test_parameters_broadcast_and_may_be_traced():
    counts, probabilities = np.array([[3.0], [400.0]], "float32"), np.array([0.2, 0.8, 0.5], "float32")
    draws = random.binomial((2, 3), counts, probabilities, seed=1).numpy()
    assert draws[0].max() <= 3 and draws[1].min() > 40
    traced = kcore.function(lambda n, p: random.binomial((2, 3), n, p, seed=1))
    assert np.array_equal(traced(counts, probabilities), draws)
    assert random.binomial((2, 3), ops.convert_to_tensor(5.0), 0.1, seed=1).shape == (2, 3)


def test_one_call_is_the_same_whatever_shares_it():
    alone = random.binomial((3,), 5, 0.2, seed=4).numpy()
    together = random.binomial((3,), np.array([5, 5, 900]), 0.2, seed=4).numpy()
    assert np.array_equal(alone[:2], together[:2])


def test_an_integer_seed_repeats_and_a_generator_goes_on():
    assert np.array_equal(random.binomial((50,), 50, 0.4, seed=3), random.binomial((50,), 50, 0.4, seed=3))
    running = kcore.random.SeedGenerator(3)
    first, second = (random.binomial((50,), 50, 0.4, seed=running).numpy() for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_hold_the_same_draws(dtype):
    short = random.binomial((99,), 100, 0.4, dtype=dtype, seed=1)
    assert short.dtype == dtype
    assert np.array_equal(short, ops.cast(random.binomial((99,), 100, 0.4, seed=1), dtype))


def test_draws_on_a_device_are_those_of_numpy():
    before = str(kcore.backend.current())
    draws = []
    for place in ("numpy", "opencl:intel"):
        try:
            kcore.use_backend(place)
        except (KcoreError, ValueError) as error:
            kcore.use_backend(before)
            pytest.skip(f"{place} is not here: {error}")
        draws.append([random.binomial((400,), n, 0.3, seed=2).numpy() for n in (9, 70)])
    kcore.use_backend(before)
    for mine, theirs in zip(*draws, strict=True):
        assert (mine == theirs).mean() > 0.99, "but for roundings at a bound"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": -1, "probabilities": 0.5}, "`keras.random.binomial` requires `counts` of 0 or more"),
        ({"counts": 3, "probabilities": 1.5}, r"requires `probabilities` in \[0, 1\]. Received: probabilities=1.5"),
        ({"counts": 3, "probabilities": 0.5, "dtype": "int32"}, "requires a floating point `dtype`"),
        ({"counts": "a", "probabilities": 0.5}, "requires `counts`"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        random.binomial((2,), **arguments)
