"""Where each fact about old files is in a file of the Keras that wrote it so; ``test_files.py`` loads all of them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from kcore.saving import load_model

FILES = Path(__file__).parent.parent / "files"


def zip_of(version):
    return next(FILES.glob(f"keras-{version}-*.zip" if "-" not in version else f"keras-{version}.zip"))


def read(version, name):
    with zipfile.ZipFile(zip_of(version)) as archive:
        return archive.read(name)


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


@cache
def content(version, name):
    """A file's description, how it was compiled, its attributes, and its weights with their shapes, each as text."""
    data, config, training, attributes = read(version, name), None, None, {}
    if name.endswith(".keras"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            config = json.loads(archive.read("config.json"))
            training, data = config.pop("compile_config", None), archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(data)) as file:
        attributes = {key: text(value) for key, value in file.attrs.items()}
        if config is None:
            config = json.loads(attributes.pop("model_config"))
            training = json.loads(attributes.pop("training_config", "null"))
        weights = []
        file.visititems(lambda key, item: weights.append(f"{key} {getattr(item, 'shape', '')}"))
        listed = [text(n) for g in (file.get("optimizer_weights"),) if g for n in g.attrs["weight_names"]]
    return {
        "config": json.dumps(config),
        "training": json.dumps(training),
        "attributes": json.dumps(attributes),
        "weights": "\n".join(weights),
        "optimizer": "\n".join(listed),
    }


#: fact -> version, file, part of it, what is there.
FACTS = {
    # containers
    "no backend in the attributes": ("1.2.2-theano", "dense_1.h5", "attributes", r'^\{"keras_version": "1.2.2"\}$'),
    "attributes": ("2.2.4-tensorflow", "dense.h5", "attributes", r'"backend": "tensorflow", "keras_version": "2.2.4"'),
    # Sequential
    "a bare list": ("2.0.6", "dense.h5", "config", r'"config": \[\{"class_name": "Dense"'),
    "name and layers": ("2.2.4-tensorflow", "dense.h5", "config", r'"config": \{"name": "sequential_1", "layers": \['),
    "build_input_shape": ("3.15.1", "dense.keras", "config", r'"build_input_shape": \['),
    "dtype and trainable": ("3.3.3", "conv.h5", "config", r'"trainable": true, "dtype": "float32", "layers"'),
    "no InputLayer": ("2.2.4-tensorflow", "dense.h5", "config", r'^(?!.*InputLayer).*"batch_input_shape": \[null, 6\]'),
    "a fixed batch": ("2.2.4-tensorflow", "conv1d.h5", "config", r'"batch_input_shape": \[3, 5, 3\]'),
    # functional models
    "class Model": ("2.2.4-tensorflow", "functional.h5", "config", r'^\{"class_name": "Model"'),
    "class Functional, no module": ("2.4.0", "functional.h5", "config", r'^\{"class_name": "Functional"'),
    "keras.engine": ("2.12.0", "functional.keras", "config", r'"module": "keras.engine.functional"'),
    "keras.src.engine": ("2.15.0", "functional.keras", "config", r'"module": "keras.src.engine.functional"'),
    "keras.src.models": ("3.3.3", "functional.keras", "config", r'"module": "keras.src.models.functional"'),
    "lists of calls": ("2.0.6", "functional.h5", "config", r'"inbound_nodes": \[\[\["dense_\d", 0, 0, \{\}\]'),
    "keywords with tensors": ("2.13.1", "ops.h5", "config", r'\["dense", 0, 0, \{"y": \["input_1", 0, 0\]'),
    "__keras_tensor__": ("3.0.5", "states.keras", "config", r'"class_name": "__keras_tensor__"'),
    "wrapped layers by bare names": ("2.4.0", "words.h5", "config", r'"layer": \{"class_name": "LSTM", "config"'),
    "names with dots": ("2.2.4-tensorflow", "dense.h5", "config", r'"name": "a\.b"'),
    "names with >": (
        "2.15.0",
        "custom_registered.keras",
        "config",
        r'"class_name": "Scale".*"registered_name": "mine>Scale"',
    ),
    "names with > in HDF5": ("2.4.0", "custom_registered.h5", "config", r'"class_name": "mine>Scale"'),
    # keys
    "initializers with dtype": (
        "2.2.4-tf-tensorflow1.15.5",
        "initializers.h5",
        "config",
        r'(?=.*"GlorotNormal", "config": \{"seed": null, "dtype": "float32"\})'
        r'(?=.*"RandomUniform", "config": \{"minval": -0.1, "maxval": 0.1, "seed": 1, "dtype": "float32"\})'
        r'(?=.*"VarianceScaling", "config": \{[^}]*"dtype": "float32"\})',
    ),
    "GRU of TensorFlow 1": (
        "2.2.4-tf-tensorflow1.15.5",
        "recurrent.h5",
        "config",
        r'"class_name": "GRU".*"recurrent_activation": "hard_sigmoid".*"implementation": 1, "reset_after": false',
    ),
    "GRU of TensorFlow 2": (
        "2.2.4-tf-tensorflow2.0.4",
        "recurrent.h5",
        "config",
        r'"class_name": "GRU".*"recurrent_activation": "sigmoid".*"implementation": 2, "reset_after": true',
    ),
    "time_major, True": ("2.12.0", "steps_first.keras", "config", r'"time_major": true'),
    "sparse, True": ("2.12.0", "sparse.keras", "config", r'"sparse": true'),
    "ragged, True": ("2.12.0", "ragged.keras", "config", r'"ragged": true'),
    "time_major": ("2.4.0", "recurrent.h5", "config", r'"time_major": false'),
    "implementation, unroll": ("2.2.4-tensorflow", "recurrent.h5", "config", r'"unroll": false.*"implementation": 1'),
    "groups and depthwise_*": ("2.4.0", "conv.h5", "config", r'"groups": 1.*"depthwise_initializer"'),
    "batch_input_shape, sparse, ragged": (
        "2.4.0",
        "functional.h5",
        "config",
        r'"batch_input_shape": \[null, 6\], "dtype": "float32", "sparse": false, "ragged": false',
    ),
    "input_length": ("2.2.4-tensorflow", "words.h5", "config", r'"input_length": 5'),
    "alpha": ("2.2.4-tensorflow", "dense.h5", "config", r'"class_name": "LeakyReLU", .*"alpha": 0\.1'),
    "ThresholdedReLU": ("2.15.0", "conv.h5", "config", r'"class_name": "ThresholdedReLU"'),
    "p, sigma": ("1.2.2-tensorflow", "dense_1.h5", "config", r'"p": 0\.2.*"sigma": 0\.1'),
    "lr, decay": ("2.2.4-tensorflow", "decay.h5", "training", r'(?=.*"lr": 0\.1)(?=.*"decay": 0\.1)'),
    "functions of TensorFlow": ("2.15.0", "ops.keras", "config", r'"function": "__operators__\.add"'),
    "nodes of TensorFlow": ("2.4.0", "ops.h5", "config", r'"class_name": "TensorFlowOpLayer"'),
    # Keras 1
    "Convolution2D": (
        "1.2.2-tensorflow",
        "conv_1.h5",
        "config",
        r'(?=.*"nb_filter": 3)(?=.*"nb_row": 3)(?=.*"nb_col": 2)(?=.*"border_mode": "same")(?=.*"subsample")'
        r'(?=.*"dim_ordering": "tf")(?=.*"init": "glorot_uniform")(?=.*"bias": true)(?=.*"W_regularizer")(?=.*"b_con)',
    ),
    "mode": ("1.2.2-tensorflow", "signals_1.h5", "config", r'"mode": 2'),
    "running_std": ("1.2.2-tensorflow", "dense_1.h5", "weights", r"batchnormalization_1_running_std:0 \(5,\)"),
    "name_W:0": ("1.2.2-tensorflow", "dense_1.h5", "weights", r"dense_1/dense_1_W:0 "),
    # meaning by age
    "GRU without reset_after": ("2.0.6", "recurrent.h5", "config", r'^(?!.*reset_after).*"class_name": "GRU"'),
    "its bias of 3u": ("2.0.6", "recurrent.h5", "weights", r"gru_1/bias:0 \(9,\)"),
    "hard_sigmoid of Keras 2": ("2.4.0", "dense.h5", "config", r'"activation": "hard_sigmoid"'),
    "hard_sigmoid of Keras 3": ("3.15.1", "dense.keras", "config", r'"activation": "hard_sigmoid"'),
    # layouts of weights
    "lstm_1/kernel:0": ("2.2.4-tensorflow", "lstm.h5", "weights", r"lstm_1/lstm_1/kernel:0 "),
    "lstm/lstm_cell/kernel:0": ("2.4.0", "lstm.h5", "weights", r"lstm/lstm/lstm_cell(_\d+)?/kernel:0 "),
    "forward and backward": ("2.4.0", "words.h5", "weights", r"bidirectional/forward_lstm/lstm_cell_\d/kernel:0 "),
    "no :0": ("3.3.3", "conv.h5", "weights", r"conv2d/(sequential/)?conv2d/kernel \("),
    "nested models in one group": ("2.2.4-tensorflow", "frozen.h5", "weights", r"inner/dense_\d/kernel:0 "),
    "separable": (
        "2.2.4-tensorflow",
        "conv.h5",
        "weights",
        r"depthwise_kernel:0 \(2, 2, 6, 2\)\n.*pointwise_kernel:0 \(1, 1, 12, 2\)",
    ),
    "numbered by class": ("3.3.3", "functional.keras", "weights", r"layers/dense_1/vars/0 "),
    "cell/vars": ("2.15.0", "lstm.keras", "weights", r"layers/lstm/cell/vars/0 "),
    "_layer_checkpoint_dependencies": (
        "2.13.1",
        "lstm.keras",
        "weights",
        r"_layer_checkpoint_dependencies/lstm/cell/vars/0 ",
    ),
    "backslashes": ("2.13.1", "windows.keras", "weights", r"^_layer_checkpoint_dependencies\\functional\\.*/vars/0 "),
    "one layer at two depths": ("3.3.3", "shared_part.keras", "config", r'"shared_object_id": \d+'),
    "adapters": ("3.3.3", "lora.keras", "config", r'"lora_rank": 2'),
    "the scale of a loss": ("2.15.0", "mixed.h5", "training", "LossScaleOptimizerV3"),
    # states of optimizers
    "param_0": ("1.2.2-theano", "lstm_1.h5", "optimizer", r"^param_0$"),
    "Variable_3:0": ("2.0.6", "functional.h5", "optimizer", r"^Variable_3:0$"),
    "training/Adam/Variable_3:0": ("2.2.4-tensorflow", "functional.h5", "optimizer", r"^training/Adam/Variable_3:0$"),
    "training/Adam/<var>/m:0": (
        "2.2.4-tf-tensorflow1.15.5",
        "functional.h5",
        "optimizer",
        r"^training/Adam/dense/kernel/m:0$",
    ),
    "training/Adam/m_0:0": ("2.3.1", "lstm.h5", "optimizer", r"^training/Adam/m_0(_\d)?:0$"),
    "Adam/<var>/m:0": ("2.4.0", "functional.h5", "optimizer", r"^Adam/dense/kernel/m:0$"),
    "Adam/m/<var>:0": ("2.15.0", "functional.h5", "optimizer", r"^Adam/m/dense/kernel:0$"),
    "adam/<path>_momentum": ("3.15.1", "functional.h5", "optimizer", r"^adam/.*dense_kernel_momentum$"),
    "optimizer/vars/0": ("2.15.0", "functional.keras", "weights", r"optimizer/vars/0 "),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_file_has_it(fact):
    version, name, part, pattern = FACTS[fact]
    found = content(version, name)[part]
    assert re.search(pattern, found, re.MULTILINE if part in ("weights", "optimizer") else 0), found[:3000]


# -- containers --------------------------------------------------------------------------------------------------------


def predictions(version, path, name):
    record = np.load(io.BytesIO(read(version, f"{name.split('.')[0]}.npz")))
    return load_model(path).predict(record["x0"], verbose=0), record["y0"]


@pytest.mark.parametrize(
    ("version", "name", "called"), [("2.2.4-tensorflow", "lstm.h5", "a.keras"), ("2.15.0", "lstm.keras", "a.h5")]
)
def test_content_counts_not_the_name(version, name, called, tmp_path):
    (tmp_path / called).write_bytes(read(version, name))
    np.testing.assert_allclose(*predictions(version, tmp_path / called, name), rtol=1e-5)


@pytest.mark.parametrize("kind", [bytes, str, np.bytes_])
def test_attributes_may_be_bytes_or_text(kind, tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(read("2.2.4-tensorflow", "lstm.h5"))
    with h5py.File(path, "r+") as file:
        for key in ("model_config", "keras_version", "backend", "training_config"):
            value = text(file.attrs[key])
            file.attrs[key] = value if kind is str else np.bytes_(value) if kind is np.bytes_ else value.encode()
    np.testing.assert_allclose(*predictions("2.2.4-tensorflow", path, "lstm.h5"), rtol=1e-5)


def test_an_optimizer_without_state_begins_anew(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(read("2.4.0", "lstm.h5"))
    with h5py.File(path, "r+") as file:
        del file["optimizer_weights"]
    model = load_model(path)
    assert model.compiled and int(model.optimizer.iterations) == 0


def test_names_of_weights_may_disagree_with_the_layer_s(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(read("2.2.4-tensorflow", "lstm.h5"))
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm_1"]
        names = [text(name) for name in group.attrs["weight_names"]]
        for number, name in enumerate(names):
            group.move(name, f"other_9/part_{len(names) - number}:0")
        group.attrs["weight_names"] = [f"other_9/part_{len(names) - n}:0".encode() for n in range(len(names))]
    np.testing.assert_allclose(*predictions("2.2.4-tensorflow", path, "lstm.h5"), rtol=1e-5)
