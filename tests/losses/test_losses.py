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
EMBEDDINGS = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
EMBEDDINGS /= np.linalg.norm(EMBEDDINGS, axis=-1, keepdims=True)
SCORES = PROBABILITIES * 8 - 4
CASES = {
    "MeanSquaredError": [({}, ONE_HOT, PROBABILITIES)],
    "MeanAbsoluteError": [({}, ONE_HOT, PROBABILITIES)],
    "MeanAbsolutePercentageError": [({}, ONE_HOT + 1, PROBABILITIES)],
    "MeanSquaredLogarithmicError": [({}, ONE_HOT, PROBABILITIES)],
    "CosineSimilarity": [({}, ONE_HOT, SCORES), ({"axis": 1}, ONE_HOT, SCORES)],
    "Huber": [({}, ONE_HOT, SCORES), ({"delta": 0.3}, ONE_HOT, SCORES)],
    "LogCosh": [({}, ONE_HOT, SCORES)],
    "Hinge": [({}, ONE_HOT, SCORES), ({}, ONE_HOT * 2 - 1, SCORES)],
    "SquaredHinge": [({}, ONE_HOT, SCORES), ({}, ONE_HOT * 2 - 1, SCORES)],
    "CategoricalHinge": [({}, ONE_HOT, SCORES)],
    "KLDivergence": [({}, PROBABILITIES[::-1], PROBABILITIES), ({}, ONE_HOT, PROBABILITIES)],
    "Poisson": [({}, ONE_HOT * 3, PROBABILITIES)],
    "BinaryCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({"label_smoothing": 0.2}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True}, ONE_HOT, SCORES),
    ],
    "BinaryFocalCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({"apply_class_balancing": True, "alpha": 0.6, "gamma": 1.5}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True, "label_smoothing": 0.2}, ONE_HOT, SCORES),
    ],
    "CategoricalCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({}, ONE_HOT, PROBABILITIES * 3),
        ({"label_smoothing": 0.2}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True}, ONE_HOT, SCORES),
        ({"axis": 1}, ONE_HOT.swapaxes(1, 2), PROBABILITIES.swapaxes(1, 2)),
    ],
    "CategoricalFocalCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES * 3),
        ({"alpha": [0.1, 0.2, 0.3, 0.4], "gamma": 1.5}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True, "label_smoothing": 0.2}, ONE_HOT, SCORES),
        ({"axis": 1}, ONE_HOT.swapaxes(1, 2), PROBABILITIES.swapaxes(1, 2)),
    ],
    "SparseCategoricalCrossentropy": [
        ({}, LABELS, PROBABILITIES),
        ({}, LABELS[..., None], PROBABILITIES),
        ({"from_logits": True}, LABELS, SCORES),
    ],
    "CategoricalGeneralizedCrossEntropy": [({}, LABELS, PROBABILITIES), ({"q": 0.3}, LABELS, PROBABILITIES)],
    "Dice": [({}, ONE_HOT, PROBABILITIES), ({"axis": -1}, ONE_HOT, PROBABILITIES)],
    "Tversky": [({"alpha": 0.3, "beta": 0.9}, ONE_HOT, PROBABILITIES), ({"axis": 2}, ONE_HOT, PROBABILITIES)],
    "Circle": [
        ({}, LABELS.reshape(-1)[:6], EMBEDDINGS),
        ({"gamma": 8.0, "margin": 0.2, "remove_diagonal": False}, LABELS.reshape(-1)[:6], EMBEDDINGS),
    ],
    "CTC": [({}, np.array([[1, 2, 2], [3, 0, 0], [0, 0, 0], [1, 1, 1], [3, 2, 1]]), np.tile(SCORES, (1, 2, 1)))],
}
ALL = [(name, *case) for name, cases in CASES.items() for case in cases]
#: What Keras leaves out of the configuration, so that a model it saved is compiled with the default.
FORGOTTEN = {"CosineSimilarity": {"axis"}, "Huber": {"delta"}, "SparseCategoricalCrossentropy": {"axis"}}
WEIGHTS = [None, np.array([[0.0], [1], [2], [0.5], [1]], "float32"), RNG.random((5, 3)).astype("float32")]


@pytest.mark.parametrize("name, config, y_true, y_pred", ALL)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None])
def test_values_are_those_of_keras(name, config, y_true, y_pred, reduction):
    theirs = getattr(keras.losses, name)(reduction=reduction, **config)
    mine = getattr(losses, name)(reduction=reduction, **config)
    mine_config, forgotten = mine.get_config(), FORGOTTEN.get(name, ())
    assert {key: value for key, value in mine_config.items() if key not in forgotten} == theirs.get_config()
    assert json.loads(json.dumps(mine_config)) == mine_config
    assert type(theirs).from_config(mine_config).get_config() == theirs.get_config()
    assert type(mine).from_config(theirs.get_config()).reduction == mine.reduction
    again = type(mine).from_config(mine_config)
    assert all(getattr(again, key) == value for key, value in config.items())
    shape = np.shape(getattr(keras.losses, name)(reduction=None, **config)(y_true, y_pred))
    per_sample = np.arange(shape[0], dtype="float32") if len(shape) == 1 else np.float32(2)
    for weight in {(5, 3): WEIGHTS, (5, 4): WEIGHTS[:2]}.get(shape, [None, per_sample]):
        expected, got = theirs(y_true, y_pred, weight), mine(y_true, y_pred, weight)
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5, err_msg=f"{config} {weight}")


@pytest.mark.parametrize("name, config, y_true, y_pred", ALL)
def test_functions_are_those_of_keras(name, config, y_true, y_pred):
    function = keras.src.utils.naming.to_snake_case(name)
    if function == "categorical_generalized_cross_entropy":
        config = {"q": 0.5, **config}
    expected = getattr(keras.losses, function)(y_true, y_pred, **config)
    np.testing.assert_allclose(getattr(losses, function)(y_true, y_pred, **config), expected, rtol=2e-5, atol=1e-5)


class Masked(np.ndarray):
    """An array for Keras that can carry a mask."""


def with_mask(array, mask, mine):
    array = convert_to_tensor(array) if mine else np.asarray(array).view(Masked)
    if mask is not None:
        array._keras_mask = convert_to_tensor(mask) if mine else mask
    return array


SHAPES = [((5, 3), (5, 3)), ((4,), (4, 1)), ((4, 1), (4,)), ((4,), (4,)), ((2, 5), (2, 5, 1)), ((2, 5, 3), (2, 5, 3))]


@pytest.mark.parametrize("name", ["MeanSquaredError", "Hinge", "KLDivergence", "BinaryCrossentropy"])
@pytest.mark.parametrize("shapes", [*SHAPES, ((2, 3, 4, 2), (2, 3, 4, 2)), ((0, 3), (0, 3))])
@pytest.mark.parametrize("labels", ["float32", "uint8", "int64", "bool"])
def test_ranks_masks_weights_and_dtypes_meet_as_in_keras(name, shapes, labels):
    y_true, y_pred = (RNG.random(shapes[0]) > 0.5).astype(labels), RNG.random(shapes[1])
    values = np.shape(getattr(keras.losses, name)(reduction=None)(y_true, y_pred))
    weights = [None, RNG.random(values[:1]), RNG.random(values), RNG.random((*values, 1)), np.zeros(values)]
    compared = 0
    for reduction, weight, masked, dtype in itertools.product(
        ["sum_over_batch_size", "sum", "mean_with_sample_weight", None], weights, [False, True], [None, "float64"]
    ):
        if weight is not None and len(weight.shape) < len(values):
            continue  # a weight per sample does not fit values per step; see test_bad_input
        mask = np.arange(max(1, np.prod(values))).reshape(values) % 2 == 0 if masked and 0 not in values else None
        config = {"reduction": reduction, "dtype": dtype}
        expected = getattr(keras.losses, name)(**config)(y_true, with_mask(y_pred, mask, False), weight)
        got = getattr(losses, name)(**config)(y_true, with_mask(y_pred, mask, True), weight)
        assert got.shape == np.shape(expected) and got.dtype == (dtype or "float32")
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6, err_msg=f"{config} {weight} {mask}")
        compared += 1
    assert compared >= 32


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


def test_every_name_of_keras_stands_for_its_loss():
    table = keras.src.losses.ALL_OBJECTS_DICT
    for name, theirs in table.items():
        if name in ("Loss", "LossFunctionWrapper"):
            continue
        mine = losses.get(name)
        found = type(mine) if isinstance(theirs, type) else mine
        assert found.__name__ == theirs.__name__, name
        described = json.loads(json.dumps(keras.losses.serialize(keras.losses.get(name))))
        assert type(losses.deserialize(described)) is type(mine)
        written = losses.serialize(mine)
        for key in FORGOTTEN.get(theirs.__name__, ()) if isinstance(theirs, type) else ():
            del written["config"][key]
        assert written == described
    assert losses.get("logcosh") is losses.log_cosh
    assert {name for name in dir(keras.losses) if not name.startswith("_")} <= set(losses.__all__)


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


def test_a_wrapper_takes_structures():
    wrapped = losses.LossFunctionWrapper(lambda a, b: ops.abs(a["x"] - b["x"]))
    assert float(wrapped({"x": np.zeros(2)}, {"x": np.ones(2)})) == 1.0


def test_references_of_the_circle_loss():
    labels, others = np.array([0, 1, 2, 0]), np.array([0, 1])
    for diagonal in (True, False):
        config = {"ref_labels": others, "ref_embeddings": EMBEDDINGS[4:], "remove_diagonal": diagonal, "gamma": 8.0}
        expected = keras.losses.circle(labels, EMBEDDINGS[:4], **config)
        np.testing.assert_allclose(losses.circle(labels, EMBEDDINGS[:4], **config), expected, rtol=2e-5)


def test_a_wrong_reduction_is_named():
    with pytest.raises(
        ValueError, match="MeanSquaredError: argument reduction='men': expected one of .*did you mean 'mean'"
    ):
        losses.MeanSquaredError(reduction="men")
