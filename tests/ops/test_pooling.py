"""Pooling functions compared with Keras's: windows, padding, ties, gradients and error messages."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.runtime import GradientTape

keras = pytest.importorskip("keras")

CASES = [
    ((2, 8, 6, 3), {"pool_size": (2, 2), "strides": (2, 2)}),
    ((2, 9, 7, 3), {"pool_size": (2, 2), "strides": (2, 2), "padding": "same"}),
    ((2, 9, 7, 3), {"pool_size": (3, 2), "strides": (2, 1)}),
    ((2, 9, 7, 3), {"pool_size": 3, "strides": 1, "padding": "same"}),
    ((2, 9, 7, 3), {"pool_size": 2, "strides": 3}),
    ((2, 9, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ((2, 5, 6, 4, 3), {"pool_size": 2, "strides": (1, 2, 2)}),
]


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize(("shape", "options"), CASES)
@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_pooling_agrees_with_keras(name, shape, options):
    x = draw(*shape)
    wanted = getattr(keras.ops, name)(x, **options)
    np.testing.assert_allclose(getattr(ops, name)(x, **options), wanted, atol=1e-6)


def test_strides_are_the_pool_size_unless_given():
    x = draw(2, 9, 8, 3)
    np.testing.assert_array_equal(ops.max_pool(x, 2), ops.max_pool(x, (2, 2), strides=(2, 2)))


def test_channels_first():
    x = draw(2, 3, 8, 6)
    wanted = np.moveaxis(np.asarray(ops.max_pool(np.moveaxis(x, 1, -1), 2)), -1, 1)
    np.testing.assert_array_equal(ops.max_pool(x, 2, data_format="channels_first"), wanted)


def test_padding_is_never_the_largest():
    x = np.full((1, 3, 3, 1), -7, "float32")
    np.testing.assert_array_equal(ops.max_pool(x, 2, strides=1, padding="same"), x)


def test_integers_are_pooled_as_integers():
    y = ops.max_pool(np.arange(-16, 0, dtype="int32").reshape(1, 4, 4, 1), 3, strides=2, padding="same")
    assert y.dtype == "int32"
    np.testing.assert_array_equal(np.asarray(y).ravel(), [-6, -5, -2, -1])


def test_the_first_of_equal_elements_gets_the_gradient():
    x = kcore.Variable(np.zeros((1, 2, 4, 1), "float32"))
    with GradientTape() as tape:
        y = ops.sum(ops.max_pool(x, 2))
    np.testing.assert_array_equal(np.asarray(tape.gradient(y, [x])[0])[0, :, :, 0], [[1, 0, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(("shape", "options"), CASES)
@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_gradient_is_the_transpose_of_the_pooling(name, shape, options):
    """Near x, pooling is linear: a small step changes y by the step's product with the gradient."""
    pool = getattr(ops, name)
    start, step = draw(*shape).astype("float64"), 1e-7 * np.random.default_rng(1).uniform(-1, 1, shape)
    x = kcore.Variable(start, dtype="float64")
    with GradientTape() as tape:
        y = pool(x, **options)
        g = np.random.default_rng(2).uniform(-1, 1, y.shape)
        target = ops.sum(y * g)
    grad = np.asarray(tape.gradient(target, [x])[0])
    change = np.sum(g * (np.asarray(pool(start + step, **options)) - np.asarray(y)))
    np.testing.assert_allclose(np.sum(grad * step), change, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.max_pool(draw(1, 3, 3, 1), 4), "the window does not fit"),
        (lambda: ops.max_pool(draw(3, 3), 2), "rank 3 or more"),
        (lambda: ops.average_pool(draw(1, 3, 3, 1), (2, 2, 2)), "pool_size"),
        (lambda: ops.max_pool(draw(1, 3, 3, 1), 0), "at least 1"),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
