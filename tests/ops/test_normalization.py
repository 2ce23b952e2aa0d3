"""Normalization functions compared with Keras's, and the gradients through every output of batch_norm_train."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.runtime import GradientTape

keras = pytest.importorskip("keras")


def draw(*shape: int, seed: int = 0, low: float = -1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, 2, shape).astype("float32")


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), [-1, -2], (0, 2)])
def test_layer_normalization_agrees_with_keras(axis):
    x = draw(3, 4, 5)
    shape = [x.shape[a] for a in sorted(a % 3 for a in ([axis] if isinstance(axis, int) else axis))]
    gamma, beta = draw(*shape, seed=1), draw(*shape, seed=2)
    wanted = keras.ops.layer_normalization(x, gamma, beta, axis=axis, epsilon=1e-3)
    np.testing.assert_allclose(ops.layer_normalization(x, gamma, beta, axis=axis, epsilon=1e-3), wanted, atol=1e-5)


def test_layer_normalization_without_parameters():
    x = draw(3, 5)
    np.testing.assert_allclose(ops.layer_normalization(x), keras.ops.layer_normalization(x), atol=1e-5)


@pytest.mark.parametrize("axis", [-1, 1])
def test_rms_normalization_agrees_with_keras(axis):
    x, scale = draw(3, 4, 4), draw(4, seed=1)
    wanted = keras.ops.rms_normalization(np.moveaxis(x, axis, -1), scale, axis=-1, epsilon=1e-6)
    result = ops.rms_normalization(x, scale, axis=axis, epsilon=1e-6)
    np.testing.assert_allclose(np.moveaxis(np.asarray(result), axis, -1), wanted, atol=1e-5)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("given", [(), ("offset",), ("scale",), ("offset", "scale")])
def test_batch_normalization_agrees_with_keras(axis, given):
    x = draw(3, 4, 4, 4)
    mean, variance = draw(4, seed=1), draw(4, seed=2, low=0.5)
    options = {name: draw(4, seed=i + 3) for i, name in enumerate(given)}
    wanted = keras.ops.batch_normalization(x, mean, variance, axis, **options)
    np.testing.assert_allclose(ops.batch_normalization(x, mean, variance, axis, **options), wanted, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3, 7])
@pytest.mark.parametrize("axis", [-1, 0])
def test_normalize_agrees_with_keras(order, axis):
    x = draw(3, 5)
    np.testing.assert_allclose(
        ops.normalize(x, axis=axis, order=order), keras.ops.normalize(x, axis=axis, order=order), atol=1e-6
    )


@pytest.mark.parametrize("keepdims", [False, True])
def test_moments_agree_with_keras(keepdims):
    x = draw(3, 4, 5)
    for result, wanted in zip(ops.moments(x, [0, 2], keepdims), keras.ops.moments(x, [0, 2], keepdims), strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-6)


def test_batch_norm_train_returns_mean_and_biased_variance():
    x = draw(6, 5, 3)
    y, mean, variance = ops.batch_norm_train(x, epsilon=0.0)
    np.testing.assert_allclose(mean, x.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(variance, x.var((0, 1)), atol=1e-6)
    np.testing.assert_allclose(y, (x - x.mean((0, 1))) / x.std((0, 1)), atol=1e-5)


def test_batch_statistics_of_data_far_from_zero_are_accurate():
    x = (draw(512, 3).astype("float64") * 0.01 + 1000).astype("float32")
    _, mean, variance = ops.batch_norm_train(x)
    np.testing.assert_allclose(variance, x.astype("float64").var(0), rtol=1e-4)
    np.testing.assert_allclose(mean, x.astype("float64").mean(0), rtol=1e-7)


@pytest.mark.parametrize("output", [0, 1, 2])
def test_gradients_through_each_output_of_batch_norm_train(output):
    x, gamma, beta = draw(5, 3).astype("float64"), draw(3, seed=1).astype("float64"), draw(3, seed=2).astype("float64")
    weights = np.random.default_rng(3).uniform(-1, 1, (5, 3) if output == 0 else (3,))

    def loss(x):
        return ops.sum(ops.batch_norm_train(x, gamma, beta)[output] * weights)

    variable = kcore.Variable(x, dtype="float64")
    with GradientTape() as tape:
        target = loss(variable)
    grad = np.asarray(tape.gradient(target, [variable])[0])
    step = 1e-6 * np.random.default_rng(4).uniform(-1, 1, x.shape)
    change = (float(loss(x + step)) - float(loss(x - step))) / 2
    np.testing.assert_allclose(np.sum(grad * step), change, rtol=1e-6)


def test_half_precision_is_normalized_in_float32():
    x = (np.arange(300, dtype="float32") * 200).astype("float16").reshape(1, -1)
    y = ops.layer_normalization(x)
    assert y.dtype == "float16"
    np.testing.assert_allclose(np.asarray(y, "float32").std(), 1.0, rtol=1e-2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.layer_normalization(draw(3, 4), axis=2), "out of range"),
        (lambda: ops.batch_normalization(draw(3, 4), draw(3), draw(3), -1), r"expected mean of shape \(4,\)"),
        (lambda: ops.normalize(draw(3, 4), order=0), "order of at least 1"),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
