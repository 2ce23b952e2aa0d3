"""Gradients of the losses against central differences in float64, and where a naive formula would give NaN."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import losses, ops
from kcore.runtime import GradientTape, convert_to_tensor, function

RNG = np.random.default_rng(3)
PROBABILITIES = RNG.dirichlet(np.ones(4), 3)
ONE_HOT = np.eye(4)[[2, 0, 3]]
SCORES = RNG.normal(size=(3, 4))
UNIT = SCORES / np.linalg.norm(SCORES, axis=-1, keepdims=True)
CASES = [
    ("MeanSquaredError", {}, ONE_HOT, SCORES),
    ("MeanAbsoluteError", {}, ONE_HOT, SCORES),
    ("MeanAbsolutePercentageError", {}, ONE_HOT + 1, SCORES),
    ("MeanSquaredLogarithmicError", {}, ONE_HOT, PROBABILITIES),
    ("CosineSimilarity", {}, ONE_HOT, SCORES),
    ("Huber", {"delta": 0.7}, ONE_HOT, SCORES),
    ("LogCosh", {}, ONE_HOT, SCORES),
    ("Hinge", {}, ONE_HOT, SCORES),
    ("SquaredHinge", {}, ONE_HOT, SCORES),
    ("CategoricalHinge", {}, ONE_HOT, SCORES),
    ("KLDivergence", {}, PROBABILITIES[::-1].copy(), PROBABILITIES),
    ("Poisson", {}, ONE_HOT, PROBABILITIES),
    ("BinaryCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, SCORES),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}, ONE_HOT, PROBABILITIES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, ONE_HOT, SCORES),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, SCORES),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, ONE_HOT, SCORES),
    ("SparseCategoricalCrossentropy", {}, np.array([2, 0, 3]), PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 0}, np.array([2, 0, 3]), SCORES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.4}, np.array([2, 0, 3]), PROBABILITIES),
    ("Dice", {}, ONE_HOT, PROBABILITIES),
    ("Tversky", {"alpha": 0.3, "beta": 0.9, "axis": -1}, ONE_HOT, PROBABILITIES),
    ("Circle", {"gamma": 4.0}, np.array([0, 1, 0]), UNIT),
    ("CTC", {}, np.array([[1, 2], [3, 3], [1, 0]]), RNG.normal(size=(3, 5, 4))),
]


def gradient(loss, y_true, y_pred):
    x = convert_to_tensor(y_pred)
    with GradientTape() as tape:
        tape.watch([x])
        value = loss(y_true, x)
    return tape.gradient(value, x).numpy()


@pytest.mark.parametrize("name, config, y_true, y_pred", CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_gradients_are_central_differences(name, config, y_true, y_pred):
    loss = getattr(losses, name)(dtype="float64", **config)
    expected, h = np.zeros_like(y_pred), 1e-6
    for at in np.ndindex(*y_pred.shape):
        near = np.zeros_like(y_pred)
        near[at] = h
        expected[at] = (float(loss(y_true, y_pred + near)) - float(loss(y_true, y_pred - near))) / (2 * h)
    np.testing.assert_allclose(gradient(loss, y_true, y_pred), expected, rtol=1e-5, atol=1e-8)
    traced = function(lambda y, p: gradient_in_trace(loss, y, p))
    np.testing.assert_allclose(traced(y_true, y_pred), expected, rtol=1e-5, atol=1e-8)


def gradient_in_trace(loss, y_true, y_pred):
    with GradientTape() as tape:
        tape.watch([y_pred])
        value = loss(y_true, y_pred)
    return tape.gradient(value, y_pred)


@pytest.mark.parametrize("name", ["CosineSimilarity", "LogCosh", "Huber", "KLDivergence", "BinaryCrossentropy", "Dice"])
def test_gradients_at_zero_are_numbers(name):
    got = gradient(getattr(losses, name)(), np.zeros((2, 3), "float32"), np.zeros((2, 3), "float32"))
    assert np.isfinite(got).all()


def test_the_circle_loss_of_a_class_of_one_has_no_gradient():
    got = gradient(losses.Circle(), np.array([0, 1, 2]), UNIT.astype("float32"))
    np.testing.assert_array_equal(got, np.zeros((3, 4), "float32"))


def test_far_out_the_log_cosh_is_the_distance():
    got = losses.log_cosh(np.zeros((1, 2), "float32"), np.array([[1e4, -1e4]], "float32"))
    assert float(got[0]) == pytest.approx(1e4 - np.log(2))
    assert float(ops.sum(got)) < 1e5
