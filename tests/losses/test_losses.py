"""Losses beside Keras's: values, reductions, weights, masks, names."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from kcore import losses, ops
from kcore.runtime import convert_to_tensor

keras = pytest.importorskip("keras")
RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(4), (5, 3)).astype("float32")
LABELS = RNG.integers(0, 4, (5, 3))
ONE_HOT = np.eye(4, dtype="float32")[LABELS]
CASES = {
    "MeanSquaredError": [({}, ONE_HOT, PROBABILITIES)],
    "MeanAbsoluteError": [({}, ONE_HOT, PROBABILITIES)],
    "MeanAbsolutePercentageError": [({}, ONE_HOT + 1, PROBABILITIES)],
    "MeanSquaredLogarithmicError": [({}, ONE_HOT, PROBABILITIES)],
    "BinaryCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({"label_smoothing": 0.2}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True}, ONE_HOT, PROBABILITIES * 8 - 4),
    ],
    "CategoricalCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({}, ONE_HOT, PROBABILITIES * 3),
        ({"label_smoothing": 0.2}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True}, ONE_HOT, PROBABILITIES * 8 - 4),
        ({"axis": 1}, ONE_HOT.swapaxes(1, 2), PROBABILITIES.swapaxes(1, 2)),
    ],
    "SparseCategoricalCrossentropy": [
        ({}, LABELS, PROBABILITIES),
        ({}, LABELS[..., None], PROBABILITIES),
        ({"from_logits": True}, LABELS, PROBABILITIES * 8 - 4),
    ],
}
ALL = [(name, *case) for name, cases in CASES.items() for case in cases]
WEIGHTS = [None, np.array([[0.0], [1], [2], [0.5], [1]], "float32"), RNG.random((5, 3)).astype("float32")]


@pytest.mark.parametrize("name, config, y_true, y_pred", ALL)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None])
def test_values_are_those_of_keras(name, config, y_true, y_pred, reduction):
    theirs = getattr(keras.losses, name)(reduction=reduction, **config)
    mine = getattr(losses, name)(reduction=reduction, **config)
    assert json.dumps(mine.get_config()) == json.dumps(theirs.get_config())
    for weight in WEIGHTS[: 3 if config.get("axis") is None else 2]:
        expected, got = theirs(y_true, y_pred, weight), mine(y_true, y_pred, weight)
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5, err_msg=f"{config} {weight}")


@pytest.mark.parametrize("name, config, y_true, y_pred", ALL)
def test_functions_are_those_of_keras(name, config, y_true, y_pred):
    function = keras.src.utils.naming.to_snake_case(name)
    expected = getattr(keras.losses, function)(y_true, y_pred, **config)
    np.testing.assert_allclose(getattr(losses, function)(y_true, y_pred, **config), expected, rtol=2e-5, atol=1e-5)


def test_the_mean_divides_by_the_number_of_values_not_by_the_weights():
    loss = losses.MeanSquaredError()
    assert float(loss([[1.0], [1.0]], [[0.0], [0.0]], sample_weight=[1.0, 0.0])) == 0.5
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    assert float(loss([[1.0], [1.0]], [[0.0], [0.0]], sample_weight=[1.0, 0.0])) == 1.0


@pytest.mark.parametrize(
    "reduction, expected", [("sum_over_batch_size", 2.5), ("sum", 5.0), ("mean_with_sample_weight", 2.5)]
)
def test_masks_of_predictions_leave_entries_out(reduction, expected):
    y_pred = convert_to_tensor(np.array([[1.0], [2.0], [9.0]], "float32"))
    y_pred._keras_mask = convert_to_tensor(np.array([True, True, False]))
    assert float(losses.MeanSquaredError(reduction=reduction)(np.zeros((3, 1)), y_pred)) == expected


def test_masks_and_weights_multiply():
    y_pred = convert_to_tensor(np.array([[1.0], [2.0], [9.0]], "float32"))
    y_pred._keras_mask = convert_to_tensor(np.array([True, True, False]))
    # each valid entry weighs 3 / 2, as the mean divides by three
    assert float(losses.MeanSquaredError()(np.zeros((3, 1)), y_pred, sample_weight=[2.0, 1.0, 5.0])) == (2 + 4) / 2


def test_an_all_masked_batch_costs_nothing():
    y_pred = convert_to_tensor(np.ones((2, 1), "float32"))
    y_pred._keras_mask = convert_to_tensor(np.array([False, False]))
    assert float(losses.MeanSquaredError()(np.zeros((2, 1)), y_pred)) == 0.0


@pytest.mark.parametrize("shapes", list(itertools.product([(4,), (4, 1)], repeat=2)))
def test_ranks_n_and_n_1_are_aligned(shapes):
    a, b = np.arange(4.0).reshape(shapes[0]), np.ones(4).reshape(shapes[1])
    expected = keras.losses.MeanSquaredError()(a, b)
    assert float(losses.MeanSquaredError()(a, b)) == pytest.approx(float(expected))


def test_probabilities_are_clipped():
    assert float(losses.CategoricalCrossentropy()([[1.0, 0.0]], [[0.0, 1.0]])) == pytest.approx(16.118, abs=1e-3)
    assert float(losses.SparseCategoricalCrossentropy()([0], [[0.0, 1.0]])) == pytest.approx(16.118, abs=1e-3)


def test_an_ignored_class_counts_nothing():
    labels = np.array([[0, -1, 2], [-1, -1, 1]])
    y_pred = PROBABILITIES[:2]
    values = losses.sparse_categorical_crossentropy(labels, y_pred, ignore_class=-1)
    expected = keras.losses.sparse_categorical_crossentropy(labels, y_pred, ignore_class=-1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    kept = losses.sparse_categorical_crossentropy(labels[labels >= 0], y_pred[labels >= 0])
    mean = losses.SparseCategoricalCrossentropy(ignore_class=-1)(labels, y_pred)
    assert float(mean) == pytest.approx(kept.numpy().mean(), rel=1e-5)


def test_get_knows_names_aliases_configurations_and_callables():
    assert losses.get("mse") is losses.mean_squared_error is losses.get("MSE")
    assert losses.get("binary_crossentropy") is losses.binary_crossentropy
    assert isinstance(losses.get("CategoricalCrossentropy"), losses.CategoricalCrossentropy)
    assert losses.get(None) is None
    described = losses.serialize(losses.BinaryCrossentropy(label_smoothing=0.1))
    assert losses.get(described).label_smoothing == 0.1
    assert losses.get(losses.serialize(losses.mean_absolute_error)) is losses.mean_absolute_error

    def mine(y_true, y_pred):
        return ops.abs(y_true - y_pred)

    assert losses.get(mine) is mine
    with pytest.raises(
        ValueError, match="there is no loss called 'mean_squred_error'; did you mean 'mean_squared_error'"
    ):
        losses.get("mean_squred_error")


def test_a_wrapper_takes_any_function():
    wrapped = losses.LossFunctionWrapper(lambda a, b, power: ops.abs(a - b) ** power, power=3.0)
    assert float(wrapped([0.0], [2.0])) == 8.0


def test_a_wrong_reduction_is_named():
    with pytest.raises(
        ValueError, match="MeanSquaredError: argument reduction='men': expected one of .*did you mean 'mean'"
    ):
        losses.MeanSquaredError(reduction="men")
