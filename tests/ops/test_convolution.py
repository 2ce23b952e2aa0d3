"""Convolution functions compared with Keras's, their gradients with the bilinear form, and their error messages."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.runtime import GradientTape

keras = pytest.importorskip("keras")


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


CASES = [
    ((2, 9, 8, 3), (3, 3, 3, 4), {}),
    ((2, 9, 8, 3), (3, 2, 3, 4), {"padding": "same"}),
    ((2, 9, 8, 3), (3, 3, 3, 4), {"padding": "same", "strides": 2}),
    ((2, 9, 8, 3), (2, 3, 3, 4), {"strides": (3, 1)}),
    ((2, 9, 8, 3), (3, 3, 3, 4), {"dilation_rate": 2, "padding": "same"}),
    ((2, 9, 8, 4), (3, 3, 2, 6), {"padding": "same"}),
    ((2, 9, 8, 3), (1, 1, 3, 5), {"strides": 2}),
    ((2, 11, 3), (4, 3, 2), {"padding": "same", "strides": 2}),
    ((2, 5, 6, 4, 2), (3, 2, 2, 2, 3), {"padding": "same"}),
]


@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_conv_agrees_with_keras(shape, kernel, options):
    x, k = draw(*shape), draw(*kernel, seed=1)
    np.testing.assert_allclose(ops.conv(x, k, **options), keras.ops.conv(x, k, **options), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_channels_first_is_the_same_convolution_of_transposed_inputs(shape, kernel, options):
    x, k = draw(*shape), draw(*kernel, seed=1)
    first = np.moveaxis(x, -1, 1)
    y = np.asarray(ops.conv(first, k, data_format="channels_first", **options))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), ops.conv(x, k, **options), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"padding": "same"}, {"padding": "same", "strides": 2}])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_conv_agrees_with_keras(multiplier, options):
    x, k = draw(2, 9, 8, 5), draw(3, 3, 5, multiplier, seed=1)
    wanted = keras.ops.depthwise_conv(x, k, **options)
    np.testing.assert_allclose(ops.depthwise_conv(x, k, **options), wanted, atol=2e-5, rtol=2e-5)


def test_separable_conv_agrees_with_keras():
    x, depthwise, pointwise = draw(2, 9, 8, 5), draw(3, 3, 5, 2, seed=1), draw(1, 1, 10, 7, seed=2)
    wanted = keras.ops.separable_conv(x, depthwise, pointwise, padding="same")
    np.testing.assert_allclose(
        ops.separable_conv(x, depthwise, pointwise, padding="same"), wanted, atol=3e-5, rtol=2e-5
    )


@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_gradients_are_the_transpose_of_the_convolution(shape, kernel, options):
    """For a bilinear y(x, k): <g, y(dx, k)> = <dx, grad_x>, and the same for the kernel."""
    x, k = (kcore.Variable(draw(*s, seed=i).astype("float64"), dtype="float64") for i, s in enumerate((shape, kernel)))
    dx, dk = draw(*shape, seed=3).astype("float64"), draw(*kernel, seed=4).astype("float64")
    with GradientTape() as tape:
        y = ops.conv(x, k, **options)
        g = draw(*y.shape, seed=5).astype("float64")
        target = ops.sum(y * g)
    grad_x, grad_k = tape.gradient(target, [x, k])
    along_x = np.sum(g * np.asarray(ops.conv(dx, k, **options)))
    along_k = np.sum(g * np.asarray(ops.conv(x, dk, **options)))
    np.testing.assert_allclose(np.sum(np.asarray(grad_x) * dx), along_x, rtol=1e-10)
    np.testing.assert_allclose(np.sum(np.asarray(grad_k) * dk), along_k, rtol=1e-10)


def test_symbolic_shapes_keep_unknown_dimensions():
    x = kcore.KerasTensor((None, None, 8, 3))
    assert ops.conv(x, np.ones((3, 3, 3, 4), "float32"), padding="same", strides=2).shape == (None, None, 4, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.conv(draw(1, 5, 5, 3), draw(3, 3, 2, 4)), "number of input channels must be a multiple"),
        (lambda: ops.conv(draw(1, 5, 5), draw(3, 3, 2, 4)), "of one rank"),
        (lambda: ops.conv(draw(1, 2, 5, 3), draw(3, 3, 3, 4)), "the window does not fit: it covers 3 elements"),
        (lambda: ops.conv(draw(1, 5, 5, 3), draw(3, 3, 3, 4), padding="full"), "'valid' or 'same'"),
        (lambda: ops.conv(draw(1, 5, 5, 3), draw(3, 3, 3, 4), strides=(1, 2, 3)), "strides"),
        (lambda: ops.conv(draw(1, 5, 5, 4), draw(3, 3, 2, 3)), "cannot be divided into groups=2"),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
