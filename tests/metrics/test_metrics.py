"""Metrics beside Keras's: results over several batches, weights, masks, names, snapshots."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kcore import metrics, ops
from kcore.runtime import convert_to_tensor, function

keras = pytest.importorskip("keras")
RNG = np.random.default_rng(0)
SCORES = RNG.dirichlet(np.ones(6), (2, 8)).astype("float32")  # two batches
LABELS = RNG.integers(0, 6, (2, 8))
ONE_HOT = np.eye(6, dtype="float32")[LABELS]
BINARY = (RNG.random((2, 8, 1)) > 0.5).astype("float32")
CASES = [
    ("Accuracy", {}, BINARY, BINARY[::-1]),
    ("BinaryAccuracy", {}, BINARY, SCORES[..., :1] * 2),
    ("BinaryAccuracy", {"threshold": 0.1}, BINARY, SCORES[..., :1]),
    ("CategoricalAccuracy", {}, ONE_HOT, SCORES),
    ("SparseCategoricalAccuracy", {}, LABELS, SCORES),
    ("SparseCategoricalAccuracy", {}, LABELS[..., None], SCORES),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, SCORES),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, LABELS, SCORES),
    ("MeanSquaredError", {}, ONE_HOT, SCORES),
    ("MeanAbsoluteError", {}, ONE_HOT, SCORES),
    ("RootMeanSquaredError", {}, ONE_HOT, SCORES),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, ONE_HOT, SCORES),
    ("CategoricalCrossentropy", {}, ONE_HOT, SCORES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, SCORES),
]


@pytest.mark.parametrize("name, config, y_true, y_pred", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_results_are_those_of_keras(name, config, y_true, y_pred, weighted):
    theirs, mine = getattr(keras.metrics, name)(**config), getattr(metrics, name)(**config)
    assert json.dumps(mine.get_config()) == json.dumps(theirs.get_config())
    assert mine.name == theirs.name
    weights = RNG.random((2, 8)).astype("float32") if weighted else [None, None]
    for y, p, w in zip(y_true, y_pred, weights, strict=True):
        theirs.update_state(y, p, w)
        mine.update_state(y, p, w)
        assert float(mine.result()) == pytest.approx(float(theirs.result()), rel=2e-5)
    mine.reset_state()
    assert float(mine.result()) == 0.0


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize("weight", [None, np.array([1.0, 0, 2]), np.array([[1.0, 0], [0, 2], [1, 1]]), np.array(2.0)])
def test_mean_and_sum(name, weight):
    theirs, mine = getattr(keras.metrics, name)(), getattr(metrics, name)()
    values = np.arange(6, dtype="float32").reshape(3, 2)
    theirs.update_state(values, weight)
    mine.update_state(values, weight)
    assert float(mine.result()) == pytest.approx(float(theirs.result()))
    assert [v.name for v in mine.variables] == [v.name for v in theirs.variables]
    assert [v.path for v in mine.variables] == [v.path for v in theirs.variables]


def test_a_scalar_is_one_value():
    mean = metrics.Mean()
    mean.update_state(4.0)
    mean.update_state(2.0)
    assert float(mean.result()) == 3.0


def test_masks_of_predictions_leave_entries_out():
    y_pred = convert_to_tensor(np.array([[1.0], [0.0], [0.0]], "float32"))
    y_pred._keras_mask = convert_to_tensor(np.array([True, True, False]))
    metric = metrics.BinaryAccuracy()
    assert float(metric(np.ones((3, 1)), y_pred)) == 0.5


def test_results_are_snapshots():
    class Last(metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.value = self.add_variable((), "zeros", name="value")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(ops.max(y_pred))

        def result(self):
            return self.value

    metric = Last()
    first = metric([0.0], [3.0])
    metric([0.0], [5.0])
    assert float(first) == 3.0


def test_a_metric_updates_within_a_traced_step():
    metric = metrics.SparseCategoricalAccuracy()

    @function
    def step(y, p):
        metric.update_state(y, p)
        return metric.result()

    for y, p in zip(LABELS, SCORES, strict=True):
        result = step(y, p)
    assert float(result) == pytest.approx((SCORES.argmax(-1) == LABELS).mean())
    assert float(metric.count.numpy()) == 16


def test_get_knows_names_aliases_configurations_and_callables():
    assert isinstance(metrics.get("binary_accuracy"), metrics.BinaryAccuracy)
    assert isinstance(metrics.get("mse"), metrics.MeanSquaredError)
    assert isinstance(metrics.get("Accuracy"), metrics.Accuracy)
    assert metrics.get(None) is None
    assert metrics.get(metrics.serialize(metrics.TopKCategoricalAccuracy(k=3))).k == 3
    assert metrics.get(metrics.binary_accuracy) is metrics.binary_accuracy
    with pytest.raises(ValueError, match="there is no metric called 'ce'"):
        metrics.get("ce")


def test_metrics_within_metrics_share_their_state():
    class Pair(metrics.Metric):
        def __init__(self):
            super().__init__(name="pair")
            self.mean = metrics.Mean()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.mean.update_state(y_pred)

        def result(self):
            return {"mean": self.mean.result()}

    pair = Pair()
    assert float(pair([0.0], [2.0])["mean"]) == 2.0
    assert len(pair.variables) == 2


def test_super_init_must_come_first():
    class Forgetful(metrics.Metric):
        def __init__(self):
            self.inner = metrics.Mean()

    with pytest.raises(RuntimeError, match=r"metric Forgetful: call super\(\).__init__\(\) first"):
        Forgetful()
