"""Files that old versions of Keras wrote predict what those predicted, and train on as those would have.

The files lie in ``tests/saving/files``, with the script that made them and how it was called.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.saving import hdf5, load_model

FILES = Path(__file__).parent.parent / "files"

#: Models that hold code, or what kcore does not have.
REFUSED = "function|foreign|quantized|samples_turned"


@cache
def archive(name):
    return zipfile.ZipFile(FILES / name)


def listed(ending, zips="*", names=""):
    """(zip, file) of the files whose name is ``<model><ending>``."""
    return [
        pytest.param(path.name, name, id=f"{path.stem}-{name}")
        for path in sorted(FILES.glob(f"{zips}.zip"))
        for name in archive(path.name).namelist()
        if re.fullmatch(rf"(?:{names or '[^.]*'})(?:{ending})", name)
    ]


def version(archive_name):
    return tuple(int(part) for part in archive_name.split("-")[1].split("."))


def record_of(archive_name, name):
    return dict(np.load(io.BytesIO(archive(archive_name).read(f"{name.split('.')[0]}.npz"))))


def arrays(record, kind):
    return [record[f"{kind}{i}"] for i in range(len(record)) if f"{kind}{i}" in record]


def single(values):
    return values[0] if len(values) == 1 else values


def predicted(model, record):
    y = model.predict(single(arrays(record, "x")), verbose=0)
    return y if isinstance(y, list) else [y]


def assert_equal(found, expected, tolerance=1e-5):
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


class Scale(kcore.layers.Layer):
    """As in ``make_more.py``."""

    def __init__(self, power=1, **keywords):
        super().__init__(**keywords)
        self.power = power

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.factor**self.power


def shifted(x):
    return x - 0.5


def cubed(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred) ** 3)


OWN = {"Scale": Scale, "mine>Scale": Scale, "shifted": shifted, "cubed": cubed}


def load(tmp_path, archive_name, name):
    """The model, and the messages of warnings."""
    path = tmp_path / name
    path.write_bytes(archive(archive_name).read(name))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load_model(path, custom_objects=OWN if name.startswith("custom") else None)
    return model, [str(warning.message) for warning in caught]


#: Computed in half precision, which no two engines round alike.
HALF = ("mixed",)

#: What is said on loading, where not all could be had: archive, file -> message.
SAID = {
    # Keras 2.2.4 does not write that a nested model is frozen, and so cannot load this state itself
    (r".*2\.2\.4-tensorflow", r"frozen\.h5"): "the optimizer's state was not loaded",
    (r".*", r"newer_adafactor\..*"): "the optimizer's state .*was not loaded",  # has other kinds of state in Keras 3
    # Keras 1 kept kernels, and so what its optimizers have for them, in an order of axes of its own
    (r".*1\.2\.2-.*", r"mnist_1\.h5"): "the optimizer's state was not loaded",
    # HDF5 has the shared part twice
    (r".*", r"shared_part\.h5"): "the optimizer's state was not loaded",
    (r".*", r"sparse\..*"): "'x' took sparse tensors and takes dense ones now$",
    (r".*", r"ragged\..*"): "'x' took ragged tensors and takes dense ones now, sequences of one length",
    (r".*3\.3\.3-jax", r"lora\..*"): "'dense' was trained with an adapter of rank 2",
}

#: Optimizers that Keras 2 called legacy: its archives do not have their state.
STATELESS = r"legacy_.*\.keras"


def said(archive_name, name):
    return next((v for (a, n), v in SAID.items() if re.match(a, archive_name) and re.fullmatch(n, name)), None)


@pytest.mark.parametrize(("archive_name", "name"), listed(r"\.h5|\.keras", names=f"(?!{REFUSED})[^.]*"))
def test_files_of_old_versions(tmp_path, archive_name, name):
    record = record_of(archive_name, name)
    model, messages = load(tmp_path, archive_name, name)
    assert_equal(predicted(model, record), arrays(record, "y"), 3e-3 if name.startswith(HALF) else 1e-5)

    trained = "iterations" in record or any(key.startswith("slot_") for key in record)
    assert model.compiled == trained
    if expected := said(archive_name, name):
        assert len(messages) == 1 and re.search(expected, messages[0])
        return
    assert messages == []
    if re.fullmatch(STATELESS, name):
        assert int(model.optimizer.iterations) == 0
    elif trained:
        _check_optimizer(model, record)
        _check_going_on(model, record, archive_name, name)


def _check_optimizer(model, record):
    optimizer = model.optimizer
    assert int(optimizer.iterations) == record.get("iterations", 0)
    slots = [key for key in record if key.startswith("slot_")]
    compared = 0
    for key in slots:
        kind, _, number = key.removeprefix("slot_").rpartition("_")
        if kind in optimizer._slots:
            mine = optimizer.slot(model.trainable_variables[int(number)], kind)
            np.testing.assert_array_equal(mine.numpy(), record[key])
            compared += 1
    unused = type(optimizer).__name__ == "SGD" and not optimizer.momentum
    assert compared == (0 if unused else len(slots))


#: Models whose next step is another in Keras 3, by at most this: archive, file -> tolerance.
OTHERWISE = {
    # Theano draws the dropout and the noise
    (r".*theano", r"dense_1\.h5"): None,
    # Theano changes moving statistics once where a layer is called twice, and divides by one less
    (r".*theano", r"two_outputs_1\.h5"): 1e-2,
    # TensorFlow's and Theano's Nadam count its product of momenta by a number that compiling freezes
    (r".*-[12]\..*", r"(legacy_)?nadam\..*"): 1e-3,
    # TensorFlow's moving variance of images divides by one less
    (r".*-2\..*", r"transfer\..*"): 2e-3,
    # TensorFlow 1 normalizes by the batch where the layer is frozen
    (r".*tensorflow1\.15.*", r"frozen\..*"): 1e-2,
    # TensorFlow 1 seems to change the moving statistics of a layer that is called twice by their old values both times
    (r".*tensorflow1\.15.*", r"two_outputs\..*"): 1e-4,
    # TensorFlow 2.0 trains without clipnorm
    (r".*tensorflow2\.0.*", r"amsgrad\..*"): 1e-3,
    (r".*", rf"({'|'.join(HALF)})\..*"): 1e-2,
}


def _check_going_on(model, record, archive_name, name):
    """One more step gives what it gave there, where that was certain: see ``make.py``."""
    tolerance = next((t for (a, n), t in OTHERWISE.items() if re.match(a, archive_name) and re.match(n, name)), 1e-5)
    if (
        "next0" in record
        and tolerance is not None
        and (version(archive_name) >= (2, 4) or re.search("theano|-tf-", archive_name))
    ):
        model.train_on_batch(single(arrays(record, "x")), single(arrays(record, "t")))
        assert_equal(predicted(model, record), arrays(record, "next"), tolerance)


@pytest.mark.parametrize(("archive_name", "name"), listed(r"\.h5|\.keras", names=REFUSED))
def test_what_cannot_be_loaded_is_named(tmp_path, archive_name, name):
    message = {
        "function": "(?s)lambda.*(never run|never runs)",
        "foreign": "there is no 'LocallyConnected1D'",
        "quantized": "int8",
        "samples_turned": "'bidirectional'.*time_major=True.*TensorFlow 1.15 to 2.1 turned samples round",
    }[name.split(".")[0]]
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        load(tmp_path, archive_name, name)
    assert name in str(raised.value)


MANY_SIDED = "signals_1|stateful_1|sentences|shared_part|math|mixed|"
MANY_SIDED += "conv|recurrent|words|functional|frozen|ops|dense_1|conv_1|words_1|merged_1"


@pytest.mark.parametrize(
    ("archive_name", "name"),
    listed(r"\.h5", "*1.2.2-tensorflow", MANY_SIDED)
    + listed(r"\.h5", "*2.0.6*", "sentences|stateful")
    + listed(r"\.h5|\.keras", "*2.15.0*", MANY_SIDED)
    + listed(r"\.keras", "*2.12.0*", "steps_first|steps_first_both|initializers|ragged|functional"),
)
def test_they_can_be_saved_again(tmp_path, archive_name, name):
    model, _ = load(tmp_path, archive_name, name)
    model.save(tmp_path / "again.keras")
    again = load_model(tmp_path / "again.keras")
    record = record_of(archive_name, name)
    for mine, theirs in zip(predicted(again, record), predicted(model, record), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert model.compiled == again.compiled
    if model.compiled:
        for mine, theirs in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


@pytest.mark.parametrize(("archive_name", "name"), listed(r"\.weights\.h5"))
def test_files_of_weights(tmp_path, archive_name, name):
    whole = next(n for n in archive(archive_name).namelist() if n == name.replace(".weights.h5", ".h5"))
    model, _ = load(tmp_path, archive_name, whole)
    record = record_of(archive_name, name)
    for weight in model.weights:
        weight.assign(weight.numpy() * 0 + 0.3)
    path = tmp_path / name
    path.write_bytes(archive(archive_name).read(name))
    if hdf5.is_legacy(path):
        hdf5.load_weights(model, path)
    else:
        model.load_weights(path)
    assert_equal(predicted(model, record), arrays(record, "y"))


def test_every_version_is_there():
    found = {path.stem for path in FILES.glob("*.zip")}
    assert {f"keras-{v}-tensorflow" for v in ("1.2.2", "2.0.6", "2.2.4", "2.3.1", "2.4.0", "2.13.1", "2.15.0")} <= found
    assert "keras-2.12.0-tensorflow" in found
    assert {"keras-2.2.4-tf-tensorflow1.15.5", "keras-2.2.4-tf-tensorflow2.0.4"} <= found
    assert {"keras-1.2.2-theano", "keras-2.2.4-theano"} <= found
    assert {f"keras-{v}-jax" for v in ("3.0.5", "3.3.3", "3.15.1")} <= found
