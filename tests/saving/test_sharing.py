"""A layer that stands in a model at two depths is one layer again in what is loaded, which Keras 3 does not manage."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import load_model

X = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")


def inner_and_around():
    x, inner_x, around_x = kcore.Input((6,)), kcore.Input((6,)), kcore.Input((6,))
    inner = kcore.Model(inner_x, layers.BatchNormalization()(layers.Dense(6)(inner_x)), name="inner")
    around = kcore.Model(around_x, layers.Dense(6)(inner(around_x)), name="around")
    return kcore.Model(x, layers.Add()([around(x), inner(inner(x))]))


def one_layer_in_two_models():
    shared, x = layers.Dense(6, name="shared"), kcore.Input((6,))
    first = kcore.Sequential([kcore.Input((6,)), shared, layers.Dropout(0.5)], name="first")
    second = kcore.Sequential([kcore.Input((6,)), layers.Dense(6, "tanh"), shared], name="second")
    return kcore.Model(x, layers.Add()([first(x), second(x)]))


@pytest.mark.parametrize("make", [inner_and_around, one_layer_in_two_models])
def test_it_is_one_layer_again_and_trains_on(make, tmp_path):
    model = make()
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0, shuffle=False)
    model.save(tmp_path / "a.keras")
    other = load_model(tmp_path / "a.keras")
    assert len(other.weights) == len(model.weights)
    for one in (model, other):
        one.fit(X, X, verbose=0, shuffle=False)
    for mine, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_a_number_stands_for_layers_of_its_class_alone(tmp_path):
    kcore.Sequential([kcore.Input((6,)), layers.Dense(6), layers.Dropout(0.5)]).save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config, weights = json.loads(archive.read("config.json")), archive.read("model.weights.h5")
    for layer in config["config"]["layers"]:
        layer["shared_object_id"] = 1
        for argument in layer["config"].values():
            if isinstance(argument, dict):
                argument["shared_object_id"] = 1
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    model = load_model(tmp_path / "b.keras")
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dropout"]
    assert type(model.layers[0].bias_initializer).__name__ == "Zeros"
