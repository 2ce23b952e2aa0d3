"""Our HDF5 files say what Keras 2.2 and Keras 3 both understand, and kcore reads them back as they were."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import load_model

FILES = Path(__file__).parent.parent / "files"
X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")


def described(file):
    with h5py.File(file) as opened:
        text = opened.attrs["model_config"]
    return json.loads(text)


def results(config, reader):
    """What the outputs of a functional model are computed by, as a version of Keras counts calls."""
    found = {layer["name"]: layer for layer in config["layers"]}

    def nested(name):
        return "layers" in found[name]["config"]

    def value(name, call, tensor):
        nodes = found[name]["inbound_nodes"]
        if not nodes:
            return name
        assert 0 <= call < len(nodes)
        return name, tensor, *[result(*place[:3]) for place in nodes[call]]

    def result(name, call, tensor):
        return value(name, call - (reader == 2 and nested(name)), tensor)  # its making was call 0

    def output(name, call, tensor):
        functional = nested(name) and "input_layers" in found[name]["config"]
        return value(name, call - (nested(name) if reader == 2 else functional), tensor)

    return [output(*place) for place in config["output_layers"]]


@pytest.mark.parametrize("name", ["functional.h5", "states.h5"])
def test_a_file_of_keras_2_2_written_again_says_the_same(name, tmp_path):
    with zipfile.ZipFile(FILES / "keras-2.2.4-tensorflow.zip") as archive:
        content = archive.read(name)
    (tmp_path / "old.h5").write_bytes(content)
    load_model(tmp_path / "old.h5").save(tmp_path / "new.h5")
    old, new = described(io.BytesIO(content))["config"], described(tmp_path / "new.h5")["config"]
    assert {layer["name"] for layer in new["layers"]} == {layer["name"] for layer in old["layers"]}
    if name == "states.h5":  # tensors in other arguments, for which Keras 2.2 and 3 have no common words
        assert any("kwargs" in node for layer in new["layers"] for node in layer["inbound_nodes"])
        return
    assert any("layers" in layer["config"] for layer in new["layers"])
    assert results(new, 2) == results(new, 3) == results(old, 2)


def inner(lib, kind, name="inner"):
    if kind == "sequential":
        return lib.Sequential([lib.layers.Dense(6, activation="tanh"), lib.layers.BatchNormalization()], name=name)
    x = lib.Input((6,))
    return lib.Model(x, lib.layers.BatchNormalization()(lib.layers.Dense(6, activation="tanh")(x)), name=name)


def once(kind):
    x = kcore.Input((6,))
    return kcore.Model(x, layers.Dense(2)(layers.Add()([inner(kcore, kind)(x), x])))


def as_output(kind):
    x = kcore.Input((6,))
    return kcore.Model(x, inner(kcore, kind)(x))


def shared(kind):
    x, part = kcore.Input((6,)), inner(kcore, kind)
    return kcore.Model(x, [layers.Add()([part(part(x)), part(x)]), part(x)])


def within_sequential(kind):
    return kcore.Sequential([kcore.Input((6,)), inner(kcore, kind), layers.Dense(2)], name="outer")


def deep(kind):
    x = kcore.Input((6,))
    return kcore.Model(x, kcore.Sequential([kcore.Input((6,)), as_output(kind), layers.Dense(2)], name="c")(x))


def kinds(model):
    """The classes of a model's layers, at any depth."""
    return [(type(layer).__name__, kinds(layer) if hasattr(layer, "layers") else 0) for layer in model.layers]


@pytest.mark.parametrize("kind", ["sequential", "functional"])
@pytest.mark.parametrize("make", [once, as_output, shared, within_sequential, deep])
def test_nested_models_are_read_by_keras_3_and_come_back(make, kind, tmp_path):
    model = make(kind)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.9, w.shape) for w in model.weights])
    model.save(tmp_path / "a.h5")
    expected = model.predict(X, verbose=0)
    config = described(tmp_path / "a.h5")["config"]
    if "output_layers" in config:
        assert results(config, 2) == results(config, 3)
    again, theirs = load_model(tmp_path / "a.h5"), keras.saving.load_model(tmp_path / "a.h5")
    assert kinds(again) == kinds(model) and type(again) is type(model)
    predictions = [again.predict(X, verbose=0), theirs.predict(X, verbose=0), expected]
    for mine, other, want in zip(*[y if isinstance(y, list) else [y] for y in predictions], strict=True):
        np.testing.assert_array_equal(mine, want)
        np.testing.assert_allclose(other, want, rtol=1e-5, atol=1e-6)
    again.save(tmp_path / "b.h5")
    assert described(tmp_path / "b.h5") == described(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("make", "written"),
    [
        (lambda o: o.Adam(), {}),
        (lambda o: o.SGD(), {}),
        (lambda o: o.RMSprop(), {}),
        (lambda o: o.Adam(amsgrad=True), {"amsgrad": True}),
        (lambda o: o.SGD(0.5, momentum=0.9), {"learning_rate": 0.5, "momentum": 0.9}),
    ],
)
def test_optimizers_say_what_is_not_usual_anyhow(make, written, tmp_path):
    """Keras 2.2 knows no learning_rate, but has the same defaults for these three."""
    model = kcore.Sequential([kcore.Input((3,)), layers.Dense(1)])
    model.compile(make(kcore.optimizers), "mse")
    model.save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        config = json.loads(file.attrs["training_config"])["optimizer_config"]["config"]
    assert config == pytest.approx(written)
    again, theirs = load_model(tmp_path / "a.h5"), keras.saving.load_model(tmp_path / "a.h5")
    mine = {k: v for k, v in model.optimizer.get_config().items() if k != "name"}
    assert {k: v for k, v in again.optimizer.get_config().items() if k != "name"} == mine
    assert float(theirs.optimizer.learning_rate) == pytest.approx(mine["learning_rate"])


@pytest.mark.parametrize("layer", [layers.GaussianNoise(0.1), layers.SpatialDropout1D(0.1), layers.LSTM(2)])
def test_seeds_that_nobody_gave_are_not_written(layer, tmp_path):
    """Few layers of Keras 2.2 have the argument."""
    model = kcore.Sequential([kcore.Input((4, 3)), layer])
    model.save(tmp_path / "a.h5")
    entry = described(tmp_path / "a.h5")["config"]["layers"][1]
    assert "seed" not in entry["config"]


@pytest.mark.parametrize(
    ("archive_name", "version"), [("keras-2.0.6-tensorflow.zip", "2.2.4"), ("keras-2.4.0-tensorflow.zip", "2.2.4-tf")]
)
def test_what_meant_something_else_is_written_with_that_meaning(archive_name, version, tmp_path):
    """Masked steps of a `Bidirectional` layer repeat the output before tf.keras, and are zeros since."""
    with zipfile.ZipFile(FILES / archive_name) as archive:
        (tmp_path / "old.h5").write_bytes(archive.read("sentences.h5"))
        record = np.load(io.BytesIO(archive.read("sentences.npz")))
    old = load_model(tmp_path / "old.h5")
    for name in ("new.h5", "new.keras"):
        old.save(tmp_path / name)
        new = load_model(tmp_path / name)
        assert kinds(new) == kinds(old)
        np.testing.assert_allclose(new.predict(record["x0"], verbose=0), record["y0"], rtol=1e-5)
    assert ("OldBidirectional", 0) in kinds(old) if version == "2.2.4" else ("Bidirectional", 0) in kinds(old)
    with h5py.File(tmp_path / "new.h5") as file:
        assert file.attrs["keras_version"] in (version, version.encode())
    assert "kcore>Old" not in json.dumps(described(tmp_path / "new.h5"))
