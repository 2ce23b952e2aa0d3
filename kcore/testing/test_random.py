"""The random stream, bit for bit against ``numpy.random.Philox``, eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.graph.op import OPS
from kcore.runtime import function
from kcore.testing.cases import load_ops

load_ops()
STATES = [(0, 0), (42, 1), (7, 3), (2**32 - 1, 2**32 - 1)]


def _words(seed: int, call: int, count: int) -> np.ndarray:
    """The 64-bit words of one draw, as ``docs/random.md`` defines them."""
    before = (call * 2**64 - 1) % 2**256
    counter = np.array([before >> 64 * i & 2**64 - 1 for i in range(4)], dtype="uint64")
    return np.random.Philox(key=np.array([seed, 0], dtype="uint64"), counter=counter).random_raw(count)


def _lanes(seed: int, call: int, width: int, count: int) -> np.ndarray:
    words = _words(seed, call, -(-count * width // 64)).astype("<u8")
    return words.view(f"<u{width // 8}")[:count]


def _both(call, *arrays) -> list[np.ndarray]:
    """A result eager and compiled."""
    return [call(*arrays).numpy(), function(call)(*arrays).numpy()]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 15, 16, 17, 255, 1000, 70001])
@pytest.mark.parametrize("width", [16, 32, 64])
def test_bits_are_those_of_philox(width: int, count: int) -> None:
    for seed, call in STATES:
        state = np.array([seed, call], "uint32")
        for result in _both(lambda s: OPS["random_bits"](s, shape=(count,), width=width), state):
            wanted = _lanes(seed, call, width, count)
            assert np.array_equal(result, wanted), f"state {(seed, call)}, width {width}, {count} lanes: other bits"


@pytest.mark.parametrize(("dtype", "width", "shift"), [("float32", 32, 8), ("float64", 64, 11)])
def test_uniform_draws_are_exact(dtype: str, width: int, shift: int) -> None:
    state = np.array([42, 5], "uint32")
    wanted = (_lanes(42, 5, width, 999) >> np.uint64(shift)).astype(dtype) * dtype_of(dtype)(2.0 ** (shift - width))
    for result in _both(lambda s: OPS["random_uniform"](s, shape=(27, 37), dtype=dtype), state):
        assert np.array_equal(result.reshape(-1), wanted)


def dtype_of(name: str) -> type:
    return np.dtype(name).type


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_elements_the_stream_says(rate: float) -> None:
    state, x = np.array([9, 2], "uint32"), np.random.default_rng(1).uniform(1, 2, (33, 65)).astype("float32")
    kept = _lanes(9, 2, 16, x.size).reshape(x.shape) >= round(rate * 65536)
    for result in _both(lambda v, s: OPS["dropout"](v, s, rate=rate)[0], x, state):
        assert np.array_equal(result != 0, kept)
        np.testing.assert_allclose(result[kept], x[kept] / (1 - rate), rtol=1e-6)


def test_a_range_that_is_no_power_of_two_is_the_multiply_and_shift() -> None:
    lanes = _lanes(3, 4, 32, 500).astype("uint64")
    for result in _both(lambda s: OPS["random_integer"](s, shape=(500,), low=-3, high=10), np.array([3, 4], "uint32")):
        assert np.array_equal(result, (lanes * np.uint64(13) >> np.uint64(32)).astype("int64") - 3)
