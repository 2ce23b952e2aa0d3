"""Logs are read when somebody looks, hold the values of their step, and cost no search for metrics."""

from __future__ import annotations

import copy
import json

import numpy as np

from kcore import Input, Sequential, callbacks, layers, metrics, ops
from kcore.training.logs import LazyLogs, as_floats


def lazy():
    calls = []

    def read():
        calls.append(1)
        return {"loss": 1, "accuracy": 0.5}

    return LazyLogs(read), calls


def test_nothing_is_read_by_or_and_truth():
    logs, calls = lazy()
    assert (logs or {}) is logs
    assert not calls


def test_values_are_read_once_and_sorted():
    logs, calls = lazy()
    assert list(logs.items()) == [("accuracy", 0.5), ("loss", 1.0)]
    assert logs["loss"] == 1.0 and "accuracy" in logs and len(logs) == 2
    assert calls == [1]


def test_copies_merges_and_json_see_the_values():
    for convert in (
        dict,
        copy.copy,
        copy.deepcopy,
        lambda x: {**x},
        lambda x: json.loads(json.dumps(x)),
        lambda x: x | {},
    ):
        assert convert(lazy()[0]) == {"accuracy": 0.5, "loss": 1.0}


def test_nested_logs_are_flattened():
    assert as_floats({"b": {"c": 1}, "a": 2, "text": "x"}) == {"a": 2.0, "c": 1.0, "text": "x"}


class Looks(callbacks.Callback):
    """Reads the logs of every step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(dict(logs))


class Counting(layers.Layer):
    """Makes a metric when it is first called in a step, not before."""

    metric = None

    def call(self, x, training=False):
        if training:
            if self.metric is None:
                self.metric = metrics.Mean(name="largest")
            self.metric.update_state(ops.max(x))
        return x


def fit(model, steps, *more):
    looks, x = Looks(), np.ones((4 * steps, 3), "float32")
    model.fit(x, x, batch_size=4, verbose=0, callbacks=[looks, *more])
    return looks.seen


def test_a_metric_made_while_a_step_is_traced_is_logged_from_that_step_on():
    model = Sequential([Input((3,)), Counting()])
    model.compile("sgd", "mse")
    assert [sorted(logs) for logs in fit(model, 2)] == [["largest", "loss"]] * 2


def test_reading_the_logs_of_a_step_does_not_look_through_the_layers(monkeypatch):
    model = Sequential([Input((3,)), layers.Dense(3)])
    model.compile("sgd", "mse", metrics=["mae"])
    fit(model, 1)
    looked, flatten = [], Sequential._flatten_layers
    monkeypatch.setattr(Sequential, "_flatten_layers", lambda self: looked.append(1) or flatten(self))
    assert len(fit(model, 2)) == 2
    few = len(looked)
    assert len(fit(model, 9)) == 9
    assert len(looked) == 2 * few
