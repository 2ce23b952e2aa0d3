"""Blocks, windows, rearranged axes, traces and views beside Keras's; traced, symbolic, gradients, messages."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(13)
X = rng.standard_normal((2, 4, 6, 8)).astype("float32")
COLUMNS = rng.standard_normal((2, 12, 6)).astype("float32")

CASES = [
    ("depth_to_space", (X, 2), {}),
    ("depth_to_space", (X, 2), {"data_format": "channels_first"}),
    ("space_to_depth", (X, 2), {}),
    ("space_to_depth", (X, 2), {"data_format": "channels_first"}),
    ("unfold", (X, 2), {}),
    ("unfold", (X, (3, 2)), {"dilation": (1, 2), "padding": (1, 0), "stride": 2}),
    ("fold", (COLUMNS, (3, 4), 2), {}),
    ("fold", (COLUMNS, (5, 4), (3, 1)), {"padding": (0, 1), "stride": (2, 2)}),
    ("fold", (COLUMNS, (5, 4), 2), {"stride": (2, 1), "dilation": (2, 1)}),
    ("rearrange", (X, "b h w c -> b c h w"), {}),
    ("rearrange", (X, "b (h1 h) (w1 w) c -> (b h1 w1) h w c"), {"h1": 2, "w1": 3}),
    ("rearrange", (X, "b h w c -> (h b) (c w)"), {}),
    ("trace", (X,), {}),
    ("trace", (X,), {"offset": 2, "axis1": 1, "axis2": -1}),
    ("trace", (X,), {"offset": -3, "axis1": 3, "axis2": 2}),
    ("trace", (X.astype("int8"),), {"axis1": 1, "axis2": 2}),
    ("trace", (X,), {"offset": 9, "axis1": 1, "axis2": 2}),
    ("psnr", (X, X * 0.9, 2.0), {}),
    ("view", (X, "int32"), {}),
    ("view", (X, "uint8"), {}),
    ("view", (X.astype("float16"), "int32"), {}),
]


@pytest.mark.parametrize("name, arguments, config", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_blocks_are_keras_s_eager_traced_and_symbolic(name, arguments, config):
    wanted = np.asarray(getattr(keras.ops, name)(*arguments, **config))
    call = getattr(ops, name)
    arrays = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]

    def traced(*given):
        values = list(arguments)
        for i, x in zip(arrays, given, strict=True):
            values[i] = x
        return call(*values, **config)

    for got in (call(*arguments, **config), function(traced)(*(arguments[i] for i in arrays))):
        assert (tuple(got.shape), got.dtype) == (wanted.shape, wanted.dtype.name)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-5, atol=1e-5)
    symbol = traced(*(KerasTensor(arguments[i].shape, arguments[i].dtype.name) for i in arrays))
    assert (tuple(symbol.shape), symbol.dtype) == (wanted.shape, wanted.dtype.name)


def test_sizes_that_are_not_known_stay_unknown():
    x = KerasTensor((None, None, 6, 8), "float32")
    assert tuple(ops.depth_to_space(x, 2).shape) == (None, None, 12, 2)
    assert tuple(ops.space_to_depth(x, 2).shape) == (None, None, 3, 32)
    assert tuple(ops.rearrange(x, "b h w c -> (b h) w c").shape) == (None, 6, 8)
    assert tuple(ops.unfold(KerasTensor((None, 2, 6, 8), "float32"), 2).shape) == (None, 8, 35)


def test_depth_to_space_undoes_space_to_depth_and_fold_is_the_transpose_of_unfold():
    np.testing.assert_array_equal(ops.depth_to_space(ops.space_to_depth(X, 2), 2).numpy(), X)
    config = {"dilation": 2, "padding": 1, "stride": (1, 2)}
    columns = ops.unfold(X, (2, 3), **config)
    other = rng.standard_normal(columns.shape)
    with GradientTape() as tape:
        x = convert_to_tensor(X.astype("float64"))
        tape.watch(x)
        y = ops.sum(ops.unfold(x, (2, 3), **config) * other)
    wanted = ops.fold(other, (6, 8), (2, 3), **config).numpy()
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), wanted, atol=1e-12)


def test_psnr_of_equal_signals_is_infinite_and_has_a_gradient_elsewhere():
    assert float(ops.psnr(X, X, 1.0)) == np.inf
    with GradientTape() as tape:
        x = convert_to_tensor(X.astype("float64"))
        tape.watch(x)
        y = ops.psnr(x, X * 0.5, 1.0)
    difference = X * 0.5
    wanted = -20 / np.log(10) * difference / np.square(difference, dtype="float64").sum()
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.depth_to_space(X, 1), "depth_to_space: expected block_size to be an integer of at least 2"),
        (lambda: ops.depth_to_space(X, 3), "depth_to_space: expected the channels to be a multiple of 9"),
        (
            lambda: ops.space_to_depth(X[0], 2),
            r"space_to_depth: expected a tensor of rank 4; .* \(4, 6, 8\)",
        ),
        (lambda: ops.space_to_depth(X, 4), "space_to_depth: expected height and width to be a multiple of 4"),
        (lambda: ops.unfold(X, 7), "unfold: the window does not fit"),
        (lambda: ops.unfold(X, 2, padding=-1), "unfold: expected padding to be one or 2 non-negative integers"),
        (lambda: ops.fold(COLUMNS, 5, 2), r"fold: expected x \(batch, a multiple of 4, 16\)"),
        (lambda: ops.rearrange(X, "b h w c -> b h w"), "rearrange: expected the same names, each once, on both sides"),
        (lambda: ops.rearrange(X, "b ... c -> b c"), "rearrange: expected names of axes and groups"),
        (lambda: ops.rearrange(X, "b h w -> h w b"), r"does not fit a tensor of shape \(2, 4, 6, 8\)"),
        (lambda: ops.rearrange(X, "b (a h) w c -> b a h w c", a=3), r"size 4 cannot be taken apart as \(a h\)"),
        (lambda: ops.rearrange(X, "b (a h) w c -> b a h w c"), r"size 4 cannot be taken apart as \(a h\)"),
        (lambda: ops.trace(X, axis1=1, axis2=-3), "trace: expected two axes"),
        (lambda: ops.trace(X, axis1=4), "trace: axis 4 is out of range"),
        (lambda: ops.psnr(X, X[0], 1.0), "psnr: expected two tensors of one shape"),
        (
            lambda: ops.view(np.zeros(3, "uint8"), "int32"),
            "view: the last axis of .* 3 bytes, is no multiple of the 4",
        ),
        (lambda: ops.view(np.float32(1), "uint8"), "view: a scalar"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
