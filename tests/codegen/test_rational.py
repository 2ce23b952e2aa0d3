"""tanh and erf of generated kernels: near the exact ones over all of float32, as scalars and as vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kcore.codegen import SpanTile, Tile
from kcore.codegen.rational import RATIONAL, rational

EXACT = {"tanh": np.tanh, "erf": np.vectorize(math.erf)}
#: Units in the last place, as the module says.
UNITS = {"tanh": 5, "erf": 6}


def numbers() -> np.ndarray:
    """Float32 of every exponent up to 64, closer where both functions bend."""
    sweep = np.arange(0, 0x42800000, 52361, dtype=np.uint32).view(np.float32)
    bend = np.linspace(0.25, 9.5, 30011, dtype=np.float32)
    positive = np.concatenate([sweep, bend])
    return np.concatenate([positive, -positive])


@pytest.mark.parametrize("tile", [Tile(64), SpanTile()], ids=["scalars", "vectors"])
@pytest.mark.parametrize("name", sorted(RATIONAL))
def test_it_is_near_the_exact_function_and_never_beyond_one(name, tile, device, build):
    x = numbers()
    node = build.fused(build(name, build.input(x.size)))
    (y,) = device.run(node, [x], tile)
    exact = EXACT[name](x.astype(np.float64))
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    normal = np.abs(x) > 1e-35
    assert (np.abs(y - exact) / unit)[normal].max() <= UNITS[name]
    assert np.abs(y).max() == 1.0
    half = x.size // 2
    np.testing.assert_array_equal(y[:half], -y[half:])


@pytest.mark.parametrize("tile", [Tile(64), SpanTile()], ids=["scalars", "vectors"])
@pytest.mark.parametrize("name", sorted(RATIONAL))
def test_ends_and_nan(name, tile, device, build):
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 3e38, -3e38, 1e-45] + [0.0] * 24, np.float32)
    (y,) = device.run(build.fused(build(name, build.input(x.size))), [x], tile)
    np.testing.assert_array_equal(y[:3], [np.nan, 1, -1])
    assert np.signbit(y[3]) and not np.signbit(y[4]) and not y[3:5].any()
    np.testing.assert_array_equal(y[5:7], [1, -1])


def test_other_functions_are_the_languages_own():
    assert rational("exp") is None


def test_float64_keeps_the_drivers_function(device, build):
    x = np.linspace(-4, 4, 33)
    (y,) = device.run(build.fused(build("tanh", build.input(33, dtype="float64"))), [x])
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-14)
