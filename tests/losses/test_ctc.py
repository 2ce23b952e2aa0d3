"""CTC against Keras, against its gradient on JAX, against all alignments counted one by one, and at its edges."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

import kcore
from kcore import losses, ops
from kcore.runtime import convert_to_tensor

LABELS = np.array([[1, 2, 2], [3, 3, 0], [2, 0, 0], [0, 0, 0]], "int32")
LABEL_LENGTHS = np.array([3, 2, 1, 0], "int32")
LENGTHS = np.array([6, 4, 2, 1], "int32")
LOGITS = np.cos(np.arange(4 * 6 * 4)).reshape(4, 6, 4).astype("float32")

# KERAS_BACKEND=jax python -c "import numpy as np, jax, keras
# x = np.cos(np.arange(4 * 6 * 4)).reshape(4, 6, 4).astype('float32')
# y = np.array([[1, 2, 2], [3, 3, 0], [2, 0, 0], [0, 0, 0]], 'int32')
# f = lambda x: keras.ops.ctc_loss(y, x, np.array([3, 2, 1, 0]), np.array([6, 4, 2, 1])).sum()
# print(np.round(np.array(jax.grad(f)(x), 'f8')[:, ::2, :2], 6).tolist())"
GRADIENT = [
    [[0.346033, -0.534684], [-0.229819, 0.143858], [-0.011964, 0.131702]],
    [[-0.408625, 0.391689], [-0.427529, 0.239347], [0.0, 0.0]],
    [[0.016035, 0.204551], [0.0, 0.0], [0.0, 0.0]],
    [[-0.916641, 0.105027], [0.0, 0.0], [0.0, 0.0]],
]


def brute_force(logits, labels, blank=0):
    """Minus the logarithm of the probability of all paths that spell the labels."""
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(shares.shape[1]), repeat=len(shares)):
        merged = [c for c, _ in itertools.groupby(path)]
        if [c for c in merged if c != blank] == list(labels):
            total += np.prod(shares[np.arange(len(path)), path])
    return -np.log(total)


@pytest.mark.parametrize("labels", [[], [1], [2, 1], [1, 1], [1, 2, 1]])
@pytest.mark.parametrize("blank", [0, 2])
def test_the_loss_counts_all_alignments(labels, blank):
    logits = np.random.default_rng(len(labels)).normal(size=(1, 5, 3)).astype("float32")
    labels = [2 - c if blank == 2 else c for c in labels]  # the blank is none of them
    target = np.array([labels], "int32").reshape(1, len(labels))
    got = ops.ctc_loss(target, logits, np.array([len(labels)]), np.array([5]), mask_index=blank)
    assert float(got[0]) == pytest.approx(brute_force(logits[0], labels, blank), rel=1e-5)


def test_values_are_those_of_keras():
    expected = keras.ops.ctc_loss(LABELS, LOGITS, LABEL_LENGTHS, LENGTHS)
    got = ops.ctc_loss(LABELS, LOGITS, LABEL_LENGTHS, LENGTHS)
    assert got.dtype == "float32"
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(losses.ctc(LABELS, LOGITS), keras.losses.ctc(LABELS, LOGITS), rtol=1e-6)
    short = np.array([3, 2, 0, 0])
    expected = keras.ops.ctc_loss(LABELS, LOGITS, LABEL_LENGTHS, short)
    np.testing.assert_allclose(ops.ctc_loss(LABELS, LOGITS, LABEL_LENGTHS, short), expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_keras_on_jax():
    gradient = kcore.grad(lambda x: ops.sum(ops.ctc_loss(LABELS, x, LABEL_LENGTHS, LENGTHS)))
    for run in (gradient, kcore.function(gradient)):
        got = run(convert_to_tensor(LOGITS)).numpy()
        np.testing.assert_allclose(got[:, ::2, :2], GRADIENT, atol=2e-6)
        assert not got[1, 4:].any()  # beyond its length


@pytest.mark.parametrize("dtype, expected", [("float16", "float32"), ("bfloat16", "float32"), ("float64", "float64")])
def test_half_precision_is_computed_in_float32(dtype, expected):
    x = ops.cast(LOGITS, dtype)
    got = ops.ctc_loss(LABELS, x, LABEL_LENGTHS, LENGTHS)
    assert got.dtype == expected
    gradient = kcore.grad(lambda x: ops.sum(ops.ctc_loss(LABELS, x, LABEL_LENGTHS, LENGTHS)))(x)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(np.asarray(gradient, "float32")[:, ::2, :2], GRADIENT, atol=2e-2)


def test_what_cannot_be_has_a_large_loss_and_a_gradient():
    gradient = kcore.grad(lambda x: ops.sum(ops.ctc_loss([[1, 1, 1]], x, [3], [4])))(LOGITS[:1, :4])
    assert np.isfinite(gradient.numpy()).all()
    assert 9e4 < float(ops.ctc_loss([[1, 1, 1]], LOGITS[:1, :4], [3], [4])[0]) < 2e5


def test_a_sequence_model_learns_its_labels():
    kcore.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 6, 5)).astype("float32")
    y = np.random.default_rng(1).integers(1, 4, (8, 3))
    model = kcore.Sequential([kcore.Input((6, 5)), kcore.layers.LSTM(16, return_sequences=True), kcore.layers.Dense(4)])
    model.compile(kcore.optimizers.Adam(0.05), "ctc")
    history = model.fit(x, y, epochs=30, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < 0.2 * history[0]


@pytest.mark.parametrize(
    "target, shape, message",
    [
        ([1, 2], (2, 4, 3), r"ctc: expected y_true of shape \(batch, labels\), got \(2,\)"),
        ([[1, 2]], (1, 4), r"ctc: expected y_pred of shape \(batch, time, classes\), got \(1, 4\)"),
        (
            [[1, 2]],
            (3, 4, 3),
            r"ctc_loss: batch sizes differ: received target int32\[1, 2\], output float32\[3, 4, 3\]",
        ),
        ([[1, 3]], (1, 4, 3), "argument 'labels' holds 3 in row 0, but .* takes classes 0 to 2"),
    ],
)
def test_what_does_not_fit_is_named(target, shape, message):
    with pytest.raises(ValueError, match=message):
        losses.ctc(np.array(target), np.zeros(shape, "float32"))


def test_a_blank_that_is_no_class_is_named():
    with pytest.raises(ValueError, match="mask_index 4 is none of the 4 classes"):
        ops.ctc_loss(LABELS, LOGITS, LABEL_LENGTHS, LENGTHS, mask_index=4)
