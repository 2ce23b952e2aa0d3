"""Architecture alone, as JSON and YAML: Keras reads ours, we read Keras's of any age, and nothing but plain values."""

from __future__ import annotations

import json
import sys

import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.models import model_from_json, model_from_yaml


def build(lib=kcore):
    inputs = lib.Input((6,), name="x")
    inner = lib.Sequential([lib.Input((4,)), lib.layers.Dense(4, activation="relu")], name="inner")
    hidden = lib.layers.Dense(4, kernel_regularizer="l2", name="a")(inputs)
    return lib.Model(inputs, lib.layers.Add(name="sum")([inner(hidden), hidden]), name="net")


def test_keras_reads_our_json_and_we_keras_s():
    theirs = keras.models.model_from_json(build().to_json())
    ours = model_from_json(build(keras).to_json())
    for model in (theirs, ours):
        assert [layer.name for layer in model.layers] == ["x", "a", "inner", "sum"]
        assert model.count_params() == build().count_params()
    ours.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5)


def test_json_of_a_compiled_model_is_compiled():
    model = build()
    model.compile(kcore.optimizers.SGD(0.25), "mse", metrics=["mae"])
    other = model_from_json(model.to_json(indent=2))
    assert other.compiled and float(other.optimizer.learning_rate) == 0.25


KERAS_2 = {
    "class_name": "Sequential",
    "keras_version": "2.2.4",
    "backend": "tensorflow",
    "config": {
        "name": "sequential_1",
        "layers": [
            {
                "class_name": "Dense",
                "config": {
                    "name": "dense_1",
                    "trainable": True,
                    "batch_input_shape": [None, 3],
                    "dtype": "float32",
                    "units": 2,
                    "activation": "relu",
                    "use_bias": True,
                },
            }
        ],
    },
}


@pytest.mark.parametrize("text_of", [json.dumps, pytest.importorskip("yaml").safe_dump], ids=["json", "yaml"])
@pytest.mark.parametrize("bare", [False, True])
def test_text_of_keras_2(text_of, bare):
    described = {**KERAS_2, "config": KERAS_2["config"]["layers"]} if bare else KERAS_2
    read = model_from_json if text_of is json.dumps else model_from_yaml
    model = read(text_of(described))
    assert model.output_shape == (None, 2) and model.layers[0].activation.__name__ == "relu"


def test_yaml_is_for_people_and_comes_back():
    model = build()
    text = model.to_yaml()
    assert "      units: 4\n" in text and "!" not in text and "class_name: Functional" in text
    assert model_from_yaml(text).to_json() == model.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor for the tag"),
        ("class_name: !!python/name:os.system\nconfig: {}", "could not determine a constructor"),
        ("a: &x [1]\nclass_name: *x", "an alias, 'x', which is not followed"),
        ("[1, 2", "takes what to_yaml"),
        ("[1, 2]", "the text does not describe a model"),
        ("class_name: Dense\nmodule: keras.layers\nconfig: {units: 1}", "which is not a model"),
        ("[" * 20000, "takes what to_yaml"),
    ],
)
def test_yaml_that_is_no_model_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        model_from_yaml(text)


def test_yaml_tags_do_harm_where_they_are_followed(tmp_path):
    import yaml

    text = f"!!python/object/apply:os.mkdir ['{tmp_path / 'harm'}']"
    with pytest.raises(ValueError, match="could not determine a constructor"):
        model_from_yaml(text)
    assert not (tmp_path / "harm").exists()
    yaml.unsafe_load(text)
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("text", ["{", "", "[1]", '{"class_name": "Dense"}', "[" * 100_000])
def test_json_that_is_no_model_is_refused(text):
    with pytest.raises(ValueError, match=r"model_from_json\(\)"):
        model_from_json(text)


def test_yaml_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    model = kcore.Sequential([kcore.Input((3,)), layers.Dense(1)])
    with pytest.raises(ImportError, match=r"to_yaml\(\) needs 'yaml'.*kcore\[yaml\]"):
        model.to_yaml()
