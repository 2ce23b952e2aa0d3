"""Losses, metrics, their names and their order are Keras's, for the same weights and data."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "numpy")

import kcore

rng = np.random.default_rng(0)
X = rng.random((11, 4), dtype="float32")
Y1 = rng.random((11, 1), dtype="float32")
Y3 = rng.random((11, 3), dtype="float32")
ONE_HOT = np.eye(3, dtype="float32")[rng.integers(0, 3, 11)]
SPARSE = ONE_HOT.argmax(-1)
WEIGHTS = rng.random(11, dtype="float32")


def one(lib, units=3, activation="softmax"):
    return lib.Sequential([lib.Input((4,)), lib.layers.Dense(units, activation=activation)])


def several(lib):
    x = lib.Input((4,), name="x")
    hidden = lib.layers.Dense(5, activation="tanh", name="hidden")(x)
    first, second = lib.layers.Dense(1, name="first")(hidden), lib.layers.Dense(3, name="second")(hidden)
    return lib.Model(x, [first, second])


def keyed(lib):
    x = lib.Input((4,), name="x")
    return lib.Model(x, {"b": lib.layers.Dense(1, name="first")(x), "a": lib.layers.Dense(3, name="second")(x)})


def masked(lib):
    x = lib.Input((6,), dtype="int32", name="x")
    hidden = lib.layers.Embedding(7, 4, mask_zero=True)(x)
    return lib.Model(x, lib.layers.Dense(3)(hidden))


TOKENS = rng.integers(0, 3, (11, 6)).astype("int32")
STEPS = rng.random((11, 6, 3), dtype="float32")

CASES = {
    "masked": (masked, (TOKENS, STEPS), {"loss": "mse", "metrics": ["mae"]}),
    "masked and weighted": (masked, (TOKENS, STEPS, STEPS[:, :, 0]), {"loss": "mse", "weighted_metrics": ["mae"]}),
    "one-hot": (one, (X, ONE_HOT), {"loss": "categorical_crossentropy", "metrics": ["accuracy", "mse"]}),
    "sparse": (one, (X, SPARSE), {"loss": "sparse_categorical_crossentropy", "metrics": ["acc"]}),
    "crossentropy by shape": (one, (X, SPARSE), {"loss": "crossentropy"}),
    "weights": (one, (X, ONE_HOT, WEIGHTS), {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mae", "mse"]}),
    "twice the same metric": (one, (X, ONE_HOT), {"loss": "mse", "metrics": ["mae", "mae"]}),
    "list": (several, (X, [Y1, Y3]), {"loss": ["mse", "mae"], "metrics": ["mse", ["mae", "mse"]]}),
    "one loss for all": (several, (X, [Y1, Y3]), {"loss": "mse"}),
    "dict": (
        several,
        (X, {"first": Y1, "second": Y3}),
        {"loss": {"first": "mse", "second": "mae"}, "metrics": {"second": "mae"}},
    ),
    "weights per output": (
        several,
        (X, [Y1, Y3], [WEIGHTS, WEIGHTS**2]),
        {"loss": "mse", "weighted_metrics": [["mse"], ["mae"]]},
    ),
    "keyed outputs": (
        keyed,
        (X, {"a": Y3, "b": Y1}),
        {"loss": {"a": "mse", "b": "mae"}, "metrics": {"a": ["mae"], "b": ["mse"]}},
    ),
    "keyed, losses in the other order": (
        keyed,
        (X, {"a": Y3, "b": Y1}),
        {"loss": {"b": "mae", "a": "mse"}, "metrics": {"a": ["mae"], "b": ["mse"]}},
    ),
    "keyed, one loss for all": (keyed, (X, {"a": Y3, "b": Y1}), {"loss": "mse"}),
    "keyed, partly": (
        keyed,
        (X, {"a": Y3, "b": Y1}),
        {"loss": {"a": "mse", "b": "mae"}, "loss_weights": {"a": 2.0, "b": 0.5}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_evaluation_is_keras(case):
    import keras

    build, arrays, compiled = CASES[case]
    x, y, *weights = arrays
    options = {"sample_weight": weights[0] if weights else None, "batch_size": 4, "verbose": 0}
    theirs, ours = build(keras), build(kcore)
    ours.set_weights(theirs.get_weights())
    results = []
    for model in (theirs, ours):
        model.compile(**compiled)
        results.append((model.evaluate(x, y, return_dict=True, **options), model.evaluate(x, y, **options)))
    (expected, expected_list), (named, listed) = results
    assert list(named) == sorted(expected)
    assert named == {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()}
    assert listed == pytest.approx(expected_list, rel=1e-4)


def test_predictions_have_keras_structure():
    import keras

    theirs, ours = keyed(keras), keyed(kcore)
    ours.set_weights(theirs.get_weights())
    expected, found = (model.predict(X, batch_size=4, verbose=0) for model in (theirs, ours))
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
