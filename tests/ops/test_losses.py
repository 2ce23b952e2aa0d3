"""Cross-entropies against Keras, at the clipping bounds, and with labels out of range."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kcore import ops
from kcore.ops.losses import softmax_cross_entropy, sparse_softmax_cross_entropy
from kcore.runtime import GradientTape, convert_to_tensor, function

rng = np.random.default_rng(1)
LOGITS = rng.standard_normal((4, 6)).astype("float32") * 3
TARGET = rng.random((4, 6)).astype("float32")
TARGET /= TARGET.sum(-1, keepdims=True)
LABELS = np.array([0, 5, 2, 2])
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("axis", [-1, 0])
def test_categorical_crossentropy_is_keras(from_logits, axis):
    output = LOGITS if from_logits else SHARES
    expected = keras.ops.categorical_crossentropy(TARGET, output, from_logits=from_logits, axis=axis)
    got = ops.categorical_crossentropy(TARGET, output, from_logits=from_logits, axis=axis)
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-6)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("float32")])
def test_sparse_categorical_crossentropy_is_keras(from_logits, labels):
    output = LOGITS if from_logits else SHARES
    expected = keras.ops.sparse_categorical_crossentropy(labels, output, from_logits=from_logits)
    got = ops.sparse_categorical_crossentropy(labels, output, from_logits=from_logits)
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-6)


def test_binary_crossentropy_is_keras_and_exact_far_out_on_logits():
    shares = rng.random((3, 4)).astype("float32")
    target = rng.integers(0, 2, (3, 4)).astype("float32")
    expected = keras.ops.binary_crossentropy(target, shares)
    np.testing.assert_allclose(ops.binary_crossentropy(target, shares).numpy(), expected, rtol=2e-6)
    far = np.array([-100.0, 100.0, 0.0], "float32")
    got = ops.binary_crossentropy(np.array([1.0, 1.0, 0.0], "float32"), far, from_logits=True).numpy()
    np.testing.assert_allclose(got, [100.0, 0.0, np.log(2)], rtol=1e-6, atol=1e-30)


def test_probabilities_are_clipped_so_that_the_worst_loss_is_16_118():
    certain = np.array([[0.0, 1.0]], "float32")
    wrong = np.array([[1.0, 0.0]], "float32")
    assert ops.categorical_crossentropy(wrong, certain).numpy()[0] == pytest.approx(16.118, abs=1e-3)
    assert ops.sparse_categorical_crossentropy(np.array([0]), certain).numpy()[0] == pytest.approx(16.118, abs=1e-3)
    assert ops.binary_crossentropy(wrong, certain).numpy().max() == pytest.approx(16.118, abs=2.0)


def test_where_a_probability_is_clipped_no_gradient_passes():
    share = convert_to_tensor(np.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]], "float32"))
    with GradientTape() as tape:
        tape.watch(share)
        loss = ops.sparse_categorical_crossentropy(np.array([0, 0]), share)
    grad = tape.gradient(loss, share).numpy()
    np.testing.assert_array_equal(grad[0], 0)
    np.testing.assert_allclose(grad[1], [-1 / 0.2 + 1, 1, 1], rtol=1e-5)


def test_logits_of_any_size_give_finite_losses():
    logits = np.array([[1e4, -1e4], [-1e37, 1e37]], "float32")
    dense, _ = softmax_cross_entropy(logits, np.array([[1, 0], [0, 1]], "float32"))
    sparse, _ = sparse_softmax_cross_entropy(logits, np.array([1, 1]))
    np.testing.assert_array_equal(dense.numpy(), [0, 0])
    np.testing.assert_array_equal(sparse.numpy(), [2e4, 0])


@pytest.mark.parametrize("shape", [(128, 10), (4096, 65), (3, 2, 40000)])
def test_gradients_over_many_rows_are_softmax_minus_target(shape):
    logits = convert_to_tensor(rng.standard_normal(shape).astype("float32"))
    labels = rng.integers(0, shape[-1], shape[:-1])
    with GradientTape() as tape:
        tape.watch(logits)
        loss = ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    expected = np.exp(logits.numpy().astype("float64"))
    expected /= expected.sum(-1, keepdims=True)
    np.put_along_axis(expected, labels[..., None], np.take_along_axis(expected, labels[..., None], -1) - 1, -1)
    expected /= labels.size
    np.testing.assert_allclose(tape.gradient(loss, logits).numpy(), expected, rtol=1e-4, atol=1e-9)


def test_a_label_out_of_range_is_an_error_that_names_it():
    loss = function(lambda y, x: ops.sparse_categorical_crossentropy(y, x))
    with pytest.raises(ValueError, match=r"6.*0 to 5"):
        loss(np.array([0, 1, 2, 6]), SHARES)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.categorical_crossentropy(TARGET[:3], SHARES), "must have the same shape"),
        (lambda: ops.binary_crossentropy(TARGET[:, :2], SHARES), "must have the same shape"),
        (lambda: ops.sparse_categorical_crossentropy(LABELS[:3], SHARES), "up until the last dimension"),
        (lambda: ops.categorical_crossentropy(np.float32(1), np.float32(1)), "at least rank 1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
