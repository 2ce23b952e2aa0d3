"""The random stream against numpy.random.Philox, the distributions, and the rules of seeds."""

from __future__ import annotations

import random as python_random
import re
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from kcore import random
from kcore.ops import random as random_ops
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime import seeds as s

STATES = [(0, 0), (42, 0), (42, 1), (2**32 - 1, 2**32 - 1)]


def philox(seed: int, call: int, words: int) -> np.ndarray:
    before = (call * 2**64 - 1) % 2**256
    counter = np.array([before >> 64 * i & 2**64 - 1 for i in range(4)], dtype=np.uint64)
    return np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=counter).random_raw(words)


def bits(state, **attrs) -> np.ndarray:
    return random_ops.random_bits(np.array(state, np.uint32), **attrs).numpy()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("count", [1, 15, 17, 61441, 300001])
def test_bits_are_numpys_philox_stream(state, width, count):
    expected = philox(*state, -(-count * width // 64)).view(f"<u{width // 8}")[:count]
    np.testing.assert_array_equal(bits(state, shape=(count,), width=width), expected)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("width, below", [(16, 300), (32, 10), (32, 1 << 24), (32, 2**32 - 5), (64, 1 << 53)])
def test_reference_and_kernel_scale_lanes_alike(state, width, below):
    attrs = {"shape": (7, 9), "width": width, "below": below}
    expected = [int(x) * below >> width for x in bits(state, shape=(63,), width=width)]
    reference = random_ops.random_bits.fn(np.array(state, np.uint32), **attrs)
    assert reference.reshape(-1).tolist() == expected
    assert bits(state, **attrs).reshape(-1).tolist() == expected


def test_the_page_states_what_is_computed():
    page = (Path(__file__).parents[2] / "docs" / "random.md").read_text()
    rows = re.findall(r"\| (\d+) \| (\d+) \| `([0-9a-f ]+)` \|", page)
    assert len(rows) == 4
    for seed, call, words in rows:
        assert " ".join(f"{int(w):016x}" for w in s.host_lanes(4, 64, (int(seed), int(call)))) == words

    vectors = page[page.index("State (42, 0):") :]

    def stated(row):
        return re.search(rf"\| {re.escape(row)} \| (.*) \|", vectors).group(1)

    assert stated("32-bit lanes").strip("`") == " ".join(f"{x:08x}" for x in s.host_lanes(4, 32, 42))
    assert stated("16-bit lanes").strip("`") == " ".join(f"{x:04x}" for x in s.host_lanes(4, 16, 42))
    numbers = {
        "uniform float32": random.uniform((4,), seed=42),
        "uniform float64": random.uniform((2,), dtype="float64", seed=42),
        "integers from [0, 10)": random.randint((6,), 0, 10, seed=42),
        "permutation of 6": random.shuffle(np.arange(6), seed=42),
        "normal float32": random.normal((4,), seed=42),
        "truncated normal float32": random.truncated_normal((4,), seed=42),
    }
    for row, got in numbers.items():
        expected = [float(x) for x in stated(row).split(", ")]
        exact = "normal" not in row
        np.testing.assert_allclose(got.numpy(), expected, rtol=0 if exact else 2e-6, err_msg=row)
    kept = [int(x) for x in stated("dropout at rate 0.5, kept").split(", ")]
    assert (random.dropout(np.ones(8, "float32"), 0.5, seed=42).numpy() > 0).astype(int).tolist() == kept


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [3, (3, 5)])
def test_host_draws_are_the_ops_draws(dtype, seed):
    state = np.array(seed if isinstance(seed, tuple) else (seed, 0), np.uint32)
    shape = (3, 7)
    uniform = random_ops.random_uniform(state, shape=shape, dtype=dtype).numpy()
    np.testing.assert_array_equal(s.host_uniform(shape, dtype=dtype, seed=seed), uniform)
    normal = random_ops.random_normal(state, shape=shape, dtype=dtype).numpy()
    np.testing.assert_allclose(s.host_normal(shape, dtype=dtype, seed=seed), normal, rtol=1e-5, atol=1e-6)
    truncated = random_ops.random_truncated_normal(state, shape=shape, dtype=dtype).numpy()
    np.testing.assert_allclose(s.host_truncated_normal(shape, dtype=dtype, seed=seed), truncated, rtol=1e-5, atol=1e-6)
    integers = random_ops.random_integer(state, shape=shape, low=-4, high=9).numpy()
    np.testing.assert_array_equal(s.host_integers(shape, -4, 9, seed=seed), integers)


def test_host_and_keras_random_agree_on_ranges():
    got = random.uniform((5,), minval=-1.5, maxval=2.5, seed=9).numpy()
    np.testing.assert_array_equal(got, s.host_uniform((5,), -1.5, 2.5, seed=9))
    np.testing.assert_array_equal(random.shuffle(np.arange(50), seed=4).numpy(), s.host_permutation(50, seed=4))


def test_inverse_normal_agrees_with_the_standard_library():
    q = (np.linspace(0.0005, 0.9995, 1999) - 0.5) * s.TRUNCATED_SHARE
    expected = [NormalDist().inv_cdf(0.5 + x) for x in q]
    np.testing.assert_allclose(s.inverse_normal(q), expected, rtol=1e-14, atol=1e-15)
    assert s.TRUNCATED_SHARE == pytest.approx(NormalDist().cdf(2) - NormalDist().cdf(-2), rel=1e-15)


def test_distributions_have_their_moments():
    count = 400_000
    uniform = random.uniform((count,), seed=1).numpy()
    assert 0 <= uniform.min() and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 3e-3 and abs(uniform.var() - 1 / 12) < 1e-3
    normal = random.normal((count,), mean=2.0, stddev=3.0, seed=1).numpy()
    assert abs(normal.mean() - 2) < 2e-2 and abs(normal.std() - 3) < 2e-2 and np.isfinite(normal).all()
    truncated = random.truncated_normal((count,), seed=1).numpy()
    assert abs(truncated).max() <= 2 and abs(truncated.std() - 0.8796) < 3e-3
    counts = np.bincount(random.randint((count,), 0, 7, seed=1).numpy(), minlength=7)
    assert abs(counts / count - 1 / 7).max() < 3e-3
    logits = np.log(np.array([[0.1, 0.2, 0.7]], "float32"))
    drawn = random.categorical(logits, count, seed=1).numpy()
    assert abs(np.bincount(drawn[0], minlength=3) / count - [0.1, 0.2, 0.7]).max() < 3e-3


def test_an_int_seed_repeats_and_a_generator_advances():
    np.testing.assert_array_equal(random.uniform((4,), seed=5).numpy(), random.uniform((4,), seed=5).numpy())
    generator = random.SeedGenerator(5)
    first, second = (random.uniform((4,), seed=generator).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, random.uniform((4,), seed=5).numpy())
    assert (first != second).any()
    assert generator.state.numpy().tolist() == [5, 2]
    assert generator.state.dtype == "uint32" and not generator.state.trainable


def test_set_random_seed_makes_unseeded_draws_repeat():
    def draws():
        s.set_random_seed(11)
        return [
            random.normal((3,)).numpy().tolist(),
            random.normal((3,)).numpy().tolist(),
            random.SeedGenerator().state.numpy().tolist(),
            python_random.random(),
            np.random.rand(),
            s.host_permutation(9).tolist(),
        ]

    first = draws()
    assert first == draws()
    assert first[0] != first[1]


def test_call_numbers_advance_at_each_run_of_a_compiled_function_and_not_by_tracing():
    generator = random.SeedGenerator(8)
    draw = function(lambda x: random.dropout(x, 0.5, seed=generator))
    x = np.ones(64, "float32")
    outputs = [draw(x).numpy() for _ in range(3)]
    assert generator.state.numpy().tolist() == [8, 3]
    other = random.SeedGenerator(8)
    for got in outputs:
        np.testing.assert_array_equal(got, random.dropout(x, 0.5, seed=other).numpy())


def test_dropout_clears_even_what_is_not_finite_and_its_gradient_uses_the_same_mask():
    x = np.full((40, 41), np.inf, "float32")
    y = random.dropout(x, 0.25, seed=2).numpy()
    assert set(np.unique(y)) == {0.0, np.inf}
    assert abs((y == 0).mean() - 0.25) < 0.03
    tensor = convert_to_tensor(np.ones((40, 41), "float32"))
    with GradientTape() as tape:
        tape.watch(tensor)
        dropped = random.dropout(tensor, 0.25, seed=2)
    np.testing.assert_array_equal(tape.gradient(dropped, tensor).numpy(), dropped.numpy())


def test_dropout_with_a_noise_shape_drops_whole_rows():
    y = random.dropout(np.ones((30, 6), "float32"), 0.5, noise_shape=(None, 1), seed=2).numpy()
    assert ((y == 0).all(1) | (y == 2).all(1)).all() and 0 < (y == 0).mean() < 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: random.uniform((2,), dtype="int32"), "floating point `dtype`. Received: dtype=int32"),
        (lambda: random.randint((2,), 0, 3, dtype="float32"), "integer `dtype`. Received: dtype=float32"),
        (lambda: random.randint((2,), 3, 3), "minval < maxval"),
        (lambda: random.uniform((2,), seed="a"), "Argument `seed` must be either an integer"),
        (lambda: random.categorical(np.ones(3, "float32"), 2), "2-D tensor"),
        (lambda: random.dropout(np.ones(3, "float32"), 1.0, seed=1), r"rate in \[0, 1\); received rate=1.0"),
        (lambda: random.dropout(np.ones((3, 2), "float32"), 0.5, noise_shape=(2, 1), seed=1), "does not broadcast"),
        (lambda: s.set_random_seed(1.5), "Expected `seed` argument to be an integer"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
