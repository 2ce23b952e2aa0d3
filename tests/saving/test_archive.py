"""``.keras`` archives: Keras loads ours, we load Keras's, training goes on exactly, damage is told and harmless."""

from __future__ import annotations

import io
import json
import os
import zipfile

import h5py
import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import load_model, save_model

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


def build(lib, **names):
    inputs = lib.Input((6,), name="x")
    hidden = lib.layers.Dense(8, activation="relu", kernel_regularizer="l2")(inputs)
    hidden = lib.layers.Dropout(0.5, seed=3)(lib.layers.BatchNormalization()(hidden))
    inner = lib.Sequential([lib.layers.Dense(8), lib.layers.LayerNormalization()], name="inner")
    out = lib.layers.Dense(1, activation="sigmoid")(lib.layers.Add()([inner(hidden), hidden]))
    return lib.Model(inputs, out, name="net")


def compiled(model, lib=kcore):
    schedule = lib.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9)
    model.compile(lib.optimizers.Adam(schedule), "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mae"])
    return model


def everything(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path):
    kcore.set_random_seed(1)
    model = compiled(build(kcore))
    model.fit(X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    model.save(tmp_path / "half.keras")
    model.fit(X, Y, epochs=3, batch_size=16, shuffle=False, verbose=0)

    kcore.set_random_seed(99)
    other = load_model(tmp_path / "half.keras")
    log = other.fit(X, Y, epochs=3, batch_size=16, shuffle=False, verbose=0).history
    assert set(log) == {"loss", "accuracy", "mae"}
    for a, b in zip(everything(model), everything(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keras_loads_ours(tmp_path):
    model = compiled(build(kcore))
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    assert theirs.optimizer.iterations.numpy() == model.optimizer.iterations.numpy()
    for a, b in zip(theirs.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b.numpy())


def test_we_load_keras_s(tmp_path):
    theirs = compiled(build(keras), keras)
    theirs.optimizer.build(theirs.trainable_variables)
    rng = np.random.default_rng(0)
    for v in (*theirs.variables, *theirs.optimizer.variables[1:]):
        if "float" in v.dtype:
            v.assign(rng.uniform(0.1, 1, v.shape))
    theirs.save(tmp_path / "theirs.keras")
    ours = load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-5)
    for a, b in zip(theirs.optimizer.variables, ours.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b.numpy())
    assert ours.get_compile_config()["metrics"] == ["accuracy"]
    assert not load_model(tmp_path / "theirs.keras", compile=False).compiled


def test_without_the_optimizer(tmp_path):
    model = compiled(build(kcore))
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "a.keras", include_optimizer=False)
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert "compile_config" not in json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            assert "optimizer" not in file
    assert not load_model(tmp_path / "a.keras").compiled


def test_the_archive_is_a_sound_zip_file(tmp_path):
    build(kcore).save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        assert json.loads(archive.read("metadata.json"))["keras_version"] == keras.__version__


def test_a_compressed_archive_is_read(tmp_path):
    model = build(kcore)
    model.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as source:
        with zipfile.ZipFile(tmp_path / "b.keras", "w", zipfile.ZIP_DEFLATED) as target:
            for name in source.namelist():
                target.writestr(name, source.read(name))
    other = load_model(tmp_path / "b.keras")
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "net.keras"
    save_model(compiled(build(kcore)), path)
    return path


def altered(saved, tmp_path, **changes):
    """A copy of the archive with members replaced (bytes), changed (a function of the bytes) or left out (None)."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(tmp_path / "bad.keras", "w") as target:
        for name in source.namelist():
            change = changes.get(name.split(".")[0], source.read(name))
            content = change(source.read(name)) if callable(change) else change
            if content is not None:
                target.writestr(name, content)
    return tmp_path / "bad.keras"


def declared_differently(content):
    described = json.loads(content)
    described["config"]["layers"][1]["config"]["units"] = 9
    return json.dumps(described)


def declared_larger(content):
    described = json.loads(content)
    described["config"]["layers"][-1]["config"]["units"] = 9
    return json.dumps(described)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": None}, "is not a saved model: it has no config.json"),
        ({"config": b"{"}, "config.json cannot be read: Expecting property name"),
        ({"config": b"[1, 2]"}, "config.json does not describe a model"),
        ({"config": b'{"class_name": "Zeros", "module": "keras.initializers", "config": {}}'}, "which is not a model"),
        (
            {"config": declared_differently},
            r"bad.keras: the model it describes cannot be made: layer 'batch_norm.*got 9",
        ),
        ({"config": b"[" * 100_000}, "config.json cannot be read"),
        ({"model": None}, "is not complete: it has no model.weights.h5"),
        ({"model": b"no hdf5"}, "bad.keras is not a complete HDF5 file"),
        ({"model": lambda c: c[: len(c) // 2]}, "bad.keras is not a complete HDF5 file"),
        (
            {"config": declared_larger},
            r"layer 'dense.*' \(Dense\): variable 'kernel' has shape \(8, 9\), the file has \(8, 1\)",
        ),
    ],
)
def test_damage_is_told(saved, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_model(altered(saved, tmp_path, **changes))
    assert "bad.keras" in str(caught.value)


def test_flipped_bits_in_the_weights_are_noticed(saved, tmp_path):
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        middle = archive.getinfo("model.weights.h5").header_offset + 9000
    content[middle] ^= 1
    (tmp_path / "bad.keras").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad.keras: model.weights.h5 is damaged: its checksum does not match"):
        load_model(tmp_path / "bad.keras")


def test_what_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.keras is not there: no model to load"):
        load_model(tmp_path / "a.keras")
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        load_model(tmp_path)
    for content in (b"", b"PK", b"hello, this is no model"):
        (tmp_path / "a.keras").write_bytes(content)
        with pytest.raises(ValueError, match="a.keras is not a saved model: its content is none of .keras"):
            load_model(tmp_path / "a.keras")


def test_a_name_decides_the_form(tmp_path):
    model = build(kcore)
    with pytest.raises(ValueError, match=r"must end in .*\.keras.*received .*model.txt.*use model.save_weights"):
        model.save(tmp_path / "model.txt")
    with pytest.raises(ValueError, match="save_format='h5' does not agree with the name"):
        save_model(model, tmp_path / "model.keras", save_format="h5")
    model.save(tmp_path / "model.keras", save_format="keras")
    with pytest.raises(FileExistsError, match="model.keras exists; pass overwrite=True"):
        model.save(tmp_path / "model.keras", overwrite=False)
    with pytest.raises(ValueError, match="cannot be saved: it has none yet"):
        kcore.Sequential([layers.Dense(1)]).save(tmp_path / "new.keras")
    assert sorted(os.listdir(tmp_path)) == ["model.keras"]


class Halves(layers.Layer):
    def call(self, inputs):
        return inputs / 2


def test_a_class_of_your_own_must_be_given(tmp_path):
    model = kcore.Sequential([kcore.Input((2,)), Halves()])
    model.save(tmp_path / "a.keras")
    with pytest.raises(
        TypeError, match="a.keras: there is no 'Halves' in .*must be passed in custom_objects, or registered"
    ):
        load_model(tmp_path / "a.keras")
    other = load_model(tmp_path / "a.keras", custom_objects={"Halves": Halves})
    assert other.predict(np.ones((1, 2)), verbose=0).tolist() == [[0.5, 0.5]]
