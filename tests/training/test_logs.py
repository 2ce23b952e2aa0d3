"""Logs are read when somebody looks, and hold the values of their step."""

from __future__ import annotations

import copy
import json

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
