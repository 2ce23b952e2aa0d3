"""What an old file asks for and cannot have is said by name, and the model in hand stays as it was."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import kcore
from kcore.saving import hdf5, load_model
from kcore.saving.datasets import Array
from kcore.saving.legacy.archives import todays_places
from kcore.saving.legacy.layers import LegacyError
from kcore.saving.legacy.models import translate_model
from kcore.saving.legacy.weights import ARRANGE, Source


def sequential(*layers):
    return {"class_name": "Sequential", "config": [*layers]}


def layer(name, **config):
    return {"class_name": name, "config": {"name": name.lower(), **config}}


def functional(step):
    entry = {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [None, 3]}}
    layers = [{**entry, "inbound_nodes": []}, {**step, "name": "f", "inbound_nodes": [["x", 0, 0, {}]]}]
    places = {"input_layers": [["x", 0, 0]], "output_layers": [["f", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "m", "layers": layers, **places}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (sequential(layer("Lambda", function=["4wEAAAA=", None, None])), "'lambda' is a Lambda .* never run.*your own"),
        (sequential(layer("Merge", mode="4wEAAAA=", mode_type="lambda")), "'merge'.* mode .*function is not kept"),
        (functional(layer("ConvLSTM2D", time_major=True)), "'convlstm2d': time_major=True in a layer ConvLSTM2D"),
        (functional({"class_name": "TFOpLambda", "config": {"name": "f", "function": "io.read_file"}}), "io.read_file"),
        (
            functional({"class_name": "TensorFlowOpLayer", "config": {"name": "f", "node_def": {"op": "ReadFile"}}}),
            "'f' calls the TensorFlow function 'ReadFile'",
        ),
    ],
)
def test_what_has_no_meaning_today_is_named(config, message):
    with pytest.raises(LegacyError, match=message):
        translate_model(config, 1 if config["class_name"] == "Sequential" else 2)


def model():
    return kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2, name="a"), kcore.layers.Dense(1, name="b")])


def drop_group(file):
    del file["model_weights/b"]


def drop_weights(file):
    del file["model_weights"]


def another_shape(file):
    name = file["model_weights/a"].attrs["weight_names"][0]
    del file["model_weights/a"][name]
    file["model_weights/a"][name] = np.zeros((4, 2), "float32")


def fewer_weights(file):
    names = file["model_weights/a"].attrs["weight_names"]
    file["model_weights/a"].attrs["weight_names"] = names[:1]


def fewer_layers(file):
    names = file["model_weights"].attrs["layer_names"]
    file["model_weights"].attrs["layer_names"] = names[:-1]


def no_json(file):
    file.attrs["model_config"] = b"{"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_group, "names 'b', which is not in it"),
        (drop_weights, "no group model_weights"),
        (another_shape, r"layer 'a' \(Dense\): weight 'kernel' has shape \(3, 2\), the file has \(4, 2\)"),
        (fewer_weights, r"layer 'a' \(Dense\) has 2 weights, the file has 1 for 'a' \(\(3, 2\)\)"),
        (fewer_layers, "the model has 2 layers with weights .*, the file has 1"),
        (no_json, "model_config is not readable JSON"),
    ],
)
def test_weights_that_do_not_fit_are_told(tmp_path, damage, message):
    path = tmp_path / "model.h5"
    model().save(path)
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(ValueError, match=message) as raised:
        load_model(path)
    assert str(path) in str(raised.value)
    if damage not in (drop_weights, no_json):
        mine = model()
        before = mine.get_weights()
        with pytest.raises(ValueError, match=message):
            hdf5.load_weights(mine, path)
        for a, b in zip(before, mine.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_hdf5_files_have_the_words_of_keras_2(tmp_path):
    inner = kcore.layers.LSTM(2)
    kcore.Sequential([kcore.Input((4, 3)), kcore.layers.Bidirectional(inner), kcore.layers.BatchNormalization()]).save(
        tmp_path / "m.h5"
    )
    with h5py.File(tmp_path / "m.h5") as file:
        text = file.attrs["model_config"]
    written = json.dumps(json.loads(text))
    for word in ("zero_output_for_mask", "renorm", "use_cudnn", "quantization_config", "batch_shape"):
        assert f'"{word}"' not in written


def test_places_of_old_archives():
    old = {"_layer_checkpoint_dependencies\\dense": 0, "_layer_checkpoint_dependencies/dense_2": 1, "optimizer": 2}
    old["_layer_checkpoint_dependencies/conv2d_4/_layer_checkpoint_dependencies/dense"] = 3
    assert todays_places(old, set()) == {
        "layers/dense": 0,
        "layers/dense_1": 1,
        "optimizer": 2,
        "layers/conv2d/layers/dense": 3,
    }


@pytest.mark.parametrize(("name", "gates"), [("CuDNNLSTM", 4), ("CuDNNGRU", 3)])
def test_layout_of_nvidias_library(name, gates):
    """Gate by gate, kernels are kept column by column and recurrent kernels transposed; there are two biases."""
    units, features = 2, 3
    rng = np.random.default_rng(0)
    kernel, recurrent = rng.normal(size=(features, gates * units)), rng.normal(size=(units, gates * units))
    bias = rng.normal(size=(2, gates * units))
    stored = [
        np.hstack([gate.T.reshape(gate.shape) for gate in np.hsplit(kernel, gates)]),
        np.hstack([gate.T for gate in np.hsplit(recurrent, gates)]),
        bias.reshape(-1),
    ]
    lying = [Array(array.shape, lambda array=array: array) for array in stored]
    arranged = ARRANGE[name](None, lying, Source(2, "tensorflow", {}))
    found = [array.read() for array in arranged]
    assert [array.shape for array in arranged] == [array.shape for array in found]
    np.testing.assert_array_equal(found[0], kernel)
    np.testing.assert_array_equal(found[1], recurrent)
    np.testing.assert_allclose(found[2], bias.sum(0) if name == "CuDNNLSTM" else bias)
