"""Elementwise ops as the backend cuts them, on CPUs and as GPUs get them; dtypes, and the refusal of float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kcore as k
from kcore.codegen import OPENCL, SpanTile, Tile, emit
from kcore.dtypes import numpy_dtype
from kcore.errors import DtypeError
from kcore.graph.op import OPS
from kcore.kernels.elementwise import tile_of

UNARY = ["exp", "log1p", "tanh", "erf", "sqrt", "sign", "abs", "negative", "floor", "round", "isnan", "logical_not"]
BINARY = [
    "add", "multiply", "divide", "maximum", "minimum", "power", "mod", "floor_divide", "arctan2", "greater", "equal",
    "logical_and", "logical_xor",
]  # fmt: skip
#: More than a vector, with a rest.
SHAPE = (5, 37)


@pytest.fixture
def check(target, node, compute):
    """``check(name, *arrays)``: the op computes what NumPy does."""

    def check(name, *arrays, rtol=3e-6, **attrs):
        made = node(name, *arrays, **attrs)
        (got,) = compute(target[0], made, emit(made, OPENCL, tile_of(made, target[1]), starts=True), *arrays)
        with np.errstate(all="ignore"):
            want = np.asarray(OPS[name].fn(*arrays, **attrs)).astype(got.dtype)
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=rtol)
        return got

    return check


@pytest.fixture
def draw():
    return np.random.default_rng(5)


@pytest.mark.parametrize(
    ("name", "dtype"), [*((n, "float32") for n in UNARY), ("tanh", "float64"), ("sign", "float64")]
)
def test_functions(name, dtype, check, draw):
    x = draw.uniform(0.1, 2.0, SHAPE).astype(dtype)
    if name in ("abs", "sign", "negative", "floor", "round", "erf", "isnan"):
        x[::2] *= -1
        x[0, :9] = [0.0, -0.0, np.inf, -np.inf, 0.5, 1.5, -2.5, 1e-30, 3.0]
    if name in ("isnan", "sign", "logical_not"):
        x[1, 20:] = np.nan
    check(name, x, rtol=3e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(
    ("name", "other"), [*((n, (37,)) for n in BINARY), ("add", SHAPE), ("maximum", (5, 1)), ("divide", ())]
)
def test_broadcasts(name, other, check, draw):
    x, y = (draw.uniform(0.5, 3.0, s).astype(np.float32) for s in (SHAPE, other))
    check(name, x, y)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("add", "int8"), ("multiply", "bool"), ("maximum", "uint8"), ("minimum", "int64"), ("greater", "uint32"),
     ("greater", "int8"), ("mod", "int32"), ("floor_divide", "int16")],
)  # fmt: skip
def test_integers(name, dtype, check, draw):
    least, most = (0 if dtype[0] in "ub" else -5), (2 if dtype == "bool" else 9)
    x, y = (draw.integers(least, most, SHAPE).astype(dtype) for _ in "xy")
    if name in ("mod", "floor_divide"):
        y[y == 0] = 3
    check(name, x, y)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_wins(name, check, draw):
    x, y = draw.standard_normal((2, *SHAPE)).astype(np.float32)
    x[0], y[1] = np.nan, np.nan
    assert np.isnan(check(name, x, y)[:2]).all()


@pytest.mark.parametrize(
    ("source", "to"),
    [("bool", "float32"), ("float32", "bool"), ("int64", "bool"), ("uint8", "float32"), ("float32", "int32"),
     ("float64", "uint64"), ("float16", "bfloat16"), ("bfloat16", "float32"), ("float32", "float16"),
     ("float64", "float32"), ("int32", "int8"), ("float16", "float64")],
)  # fmt: skip
def test_casts(source, to, check, draw):
    x = draw.integers(0, 2 if source == "bool" else 90, SHAPE).astype(numpy_dtype(source))
    if source in ("float32", "float64") and "float" in to:
        x = x + np.float32(0.123)
    check("cast", x, dtype=to, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int64"])
def test_where(dtype, check, draw):
    c = draw.integers(0, 2, SHAPE).astype(bool)
    x, y = draw.integers(0, 9, (2, *SHAPE)).astype(dtype)
    check("where", c, x, y)


def test_small_work_stays_together_and_large_work_is_cut(intel, gpu, node):
    small = node("exp", np.zeros(500, np.float32))
    large = node("exp", np.zeros((4096, 1024), np.float32))
    traits = intel.place.traits
    assert isinstance(tile_of(small, gpu), Tile)
    assert emit(small, OPENCL, tile_of(small, traits)).launches[0].groups == 1
    cut = tile_of(large, traits)
    assert isinstance(cut, SpanTile) and emit(large, OPENCL, cut).launches[0].groups >= 4 * traits.units


@pytest.fixture
def chosen(device):
    """The device, chosen; and NumPy again behind."""
    k.use_backend(str(device.device))
    yield device
    k.use_backend("numpy")


def test_float64_is_refused_where_the_device_has_none(chosen, monkeypatch):
    monkeypatch.setattr(chosen.place, "traits", replace(chosen.place.traits, fp64=False))
    doubles = k.ops.convert_to_tensor(np.arange(3.0), dtype="float64")
    with pytest.raises(DtypeError, match=r"op 'exp' needs float64, which device 'opencl:\d' .*cannot compute"):
        k.ops.exp(doubles)
    assert k.ops.exp(k.ops.convert_to_tensor(np.arange(3.0), dtype="float32")).shape == (3,)
    np.testing.assert_array_equal(k.ops.flip(doubles).numpy(), [2.0, 1.0, 0.0])  # moved, not computed with
