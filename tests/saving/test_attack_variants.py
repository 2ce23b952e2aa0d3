"""The attacks of ``test_attacks.py`` once more, from places and under names where nobody looks first.

Every payload leaves a file behind where it is obeyed, as the controls show; none may when kcore loads it.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import kcore
import kcore.callbacks
from kcore import layers, models
from kcore.saving import load_model


def model():
    net = kcore.Sequential([kcore.Input((2,)), layers.Dense(3, name="dense")], name="net")
    net.compile("adam", "mse")
    net.optimizer.build(net.trainable_variables)
    return net


def changed(path, change):
    """A file of a sound model, ``.keras`` or ``.h5``, whose description went through a function."""
    model().save(path)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            found = {key: json.loads(file.attrs[key]) for key in ("model_config", "training_config")}
            change(found["model_config"], found["training_config"])
            for key, value in found.items():
                file.attrs[key] = json.dumps(value)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config, config["compile_config"])
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def named(module, name, registered=None, class_name="function", config=None):
    return {"module": module, "class_name": class_name, "config": config or name, "registered_name": registered or name}


def dense(config):
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")


def setting(*keys):
    """A place in the description of the model: the arguments of its layer."""

    def put(config, compiled, what):
        inner = dense(config)["config"]
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = what

    return put


def compiling(*keys):
    """A place among the arguments of compile, which the two forms call otherwise."""

    def put(config, compiled, what):
        inner = compiled
        for key in keys[:-1]:
            inner = inner["optimizer_config" if key == "optimizer" and "optimizer_config" in inner else key]
        key = keys[-1]
        inner["optimizer_config" if key == "optimizer" and "optimizer_config" in inner else key] = what

    return put


def wrapped(times):
    """The layer of a wrapper of a wrapper ..."""

    def put(config, compiled, what):
        layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "deep", "function": what}}
        for _ in range(times):
            layer = {"class_name": "TimeDistributed", "module": "keras.layers", "config": {"layer": layer}}
        config["config"]["layers"].append(layer)

    return put


def inner_model(config, compiled, what):
    layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "deep", "function": what}}
    nested = {"class_name": "Sequential", "module": "keras", "config": {"name": "inner", "layers": [layer]}}
    config["config"]["layers"].append(nested)


#: Places that take a function, an object, or the configuration of one.
PLACES = {
    "activation": setting("activation"),
    "initializer": setting("kernel_initializer"),
    "an argument of an initializer": setting("kernel_initializer", "config", "seed"),
    "regularizer": setting("activity_regularizer"),
    "constraint": setting("bias_constraint"),
    "policy": setting("dtype"),
    "the name of a policy": lambda c, t, what: setting("dtype")(
        c, t, {"class_name": "DTypePolicy", "module": "keras", "config": {"name": what}}
    ),
    "an argument that is none": setting("quantization_config"),
    "wrapped three times": wrapped(3),
    "a model within": inner_model,
    "loss": compiling("loss"),
    "losses by name": lambda c, t, what: t.update(loss={"dense": what}),
    "metrics": lambda c, t, what: t.update(metrics=[[what]]),
    "weighted metrics": lambda c, t, what: t.update(weighted_metrics={"dense": [what]}),
    "the function of a metric": lambda c, t, what: t.update(
        metrics=[{"class_name": "MeanMetricWrapper", "module": "keras.metrics", "config": {"fn": what, "name": "m"}}]
    ),
    "optimizer": compiling("optimizer"),
    "learning rate": compiling("optimizer", "config", "learning_rate"),
    "an argument of a schedule": lambda c, t, what: compiling("optimizer", "config", "learning_rate")(
        c,
        t,
        {
            "class_name": "ExponentialDecay",
            "module": "keras.optimizers.schedules",
            "config": {"initial_learning_rate": what, "decay_steps": 1, "decay_rate": 0.5},
        },
    ),
    "the optimizer within one": lambda c, t, what: compiling("optimizer")(
        c,
        t,
        {"class_name": "LossScaleOptimizer", "module": "keras.optimizers", "config": {"inner_optimizer": what}},
    ),
}


def touch(canary):
    return {"command": f"touch {canary}"}


#: What is named there, under aliases of modules, with names that do not match, and in pieces.
NAMES = {
    "os.system": named("os", "system"),
    "a dotted name": named(None, "os.system"),
    "posix": named("posix", "system"),
    "a class": named("subprocess", "Popen", class_name="Popen", config={"args": ["touch", "CANARY"]}),
    "a registered name": named("keras.layers", "Dense", registered="os>system"),
    "builtins": named("builtins", "eval"),
    "numpy's": named("numpy.testing._private.utils", "runstring"),
    "get_file": named("keras.utils", "get_file", registered="keras.utils>get_file"),
    "get_file where it is defined": named("keras.src.utils.file_utils", "get_file"),
    "our get_file": named("kcore.utils", "get_file"),
    "tf.keras": named("tensorflow.keras.utils", "get_file"),
    "load_model": named("keras.src.saving.saving_api", "load_model"),
    "our load_model": named("kcore.saving", "load_model"),
    "a published load_model": named("keras.saving", "load_model"),
    "safe mode": named("keras.src.saving.serialization_lib", "enable_unsafe_deserialization"),
    "our safe mode": named("kcore.config", "enable_unsafe_deserialization"),
    "a published safe mode": named("keras.config", "enable_unsafe_deserialization"),
    "torch": named("keras.src.utils.torch_utils", "W", class_name="TorchModuleWrapper", config={"module": "gASVAA=="}),
    "flax": named("keras.layers", "F", class_name="FlaxLayer", config={"module": "gASVAA=="}),
    "jax": named("keras.layers", "J", class_name="JaxLayer", config={"call_fn": named("os", "system")}),
    "a module beside": named("beside", "anything", class_name="anything", config={}),
    "a package beside": named("beside.deeper", "anything"),
    "a plugin of that name": named("beside>anything", "beside>anything", class_name="beside>anything", config={}),
    "code": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}},
    "code as a list": ["4wEAAAAAAAAAAAAAAAAAAA==", None, None],
    "callbacks": named("keras.callbacks", "C", class_name="CSVLogger", config={"filename": "CANARY"}),
    "an address": named("keras.layers", "S", class_name="StringLookup", config={"vocabulary": "CANARY.txt"}),
}


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_runs_wherever_it_stands(place, form, tmp_path, monkeypatch):
    canary = tmp_path / "canary"
    (tmp_path / "beside.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    reached = []
    for owner, name in ((os, "system"), (subprocess, "Popen"), (kcore.utils, "get_file"), (models, "load_model")):
        monkeypatch.setattr(owner, name, lambda *args, name=name, **kwargs: reached.append(name))
    os.system("true")
    assert reached == ["system"]  # control: what is reached is noted
    reached.clear()
    before = set(sys.modules)
    for what, payload in NAMES.items():
        payload = json.loads(json.dumps(payload).replace("CANARY", str(canary)))
        path = changed(tmp_path / f"hostile{form}", lambda c, t, payload=payload: PLACES[place](c, t, payload))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                made = load_model(path, safe_mode=False)
            except (ValueError, TypeError) as error:
                assert path.name in str(error), (what, error)
            else:
                assert harmless(made, said, path), f"{what}: loaded without a word"
        assert not reached and not canary.exists(), what
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] in ("beside", "torch", "jax", "flax")}


def harmless(made, said, path):
    """Whether a model that was loaded all the same has the payload nowhere: kcore said so, or it is plain data."""
    if any(path.name in str(warning.message) for warning in said):
        return not made.compiled or made.optimizer is not None
    text = made.to_json()
    return not any(word in text for word in ("system", "Popen", "get_file", "load_model", "unsafe", "__lambda__"))


def test_control_a_module_beside_runs_when_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("beside")
    sys.modules.pop("beside")
    assert (tmp_path / "canary").exists()


def test_control_the_places_are_read(tmp_path):
    """What belongs there is taken from there."""
    good = {
        "activation": ("tanh", lambda m: m.layers[0].activation.__name__ == "tanh"),
        "initializer": ("ones", lambda m: type(m.layers[0].kernel_initializer).__name__ == "Ones"),
        "loss": ("mae", lambda m: "absolute" in str(m.loss) or m.loss == "mae"),
    }
    for place, (value, holds) in good.items():
        path = changed(tmp_path / "a.keras", lambda c, t, place=place, value=value: PLACES[place](c, t, value))
        assert holds(load_model(path)), place


# -- HDF5 that refers to other files: whole groups, chains, the optimizer's state and our own --------------------------


@pytest.fixture
def secret(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["vars/0"] = np.full((2, 3), 42, "float32")
        file["vars/1"] = np.full((3,), 42, "float32")
        for number in range(8):
            file[f"state/{number}"] = np.zeros((), "int32") if number == 0 else np.full((), 42, "float32")
    return tmp_path / "secret.h5"


def group_elsewhere(file, secret):
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = h5py.ExternalLink(str(secret), "/vars")
    return file["layers/dense/vars/0"]


def chain(file, secret):
    file["elsewhere"] = h5py.ExternalLink(str(secret), "/vars")
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = h5py.SoftLink("/elsewhere")
    return file["layers/dense/vars/0"]


def state_of_the_optimizer(file, secret):
    del file["optimizer/vars/2"]
    file["optimizer/vars/2"] = h5py.ExternalLink(str(secret), "/vars/0")
    return file["optimizer/vars/2"]


def our_own(file, secret):
    file["kcore/seed_generators"] = h5py.ExternalLink(str(secret), "/state")
    return file["kcore/seed_generators/1"]


@pytest.mark.parametrize("refer", [group_elsewhere, chain, state_of_the_optimizer, our_own])
def test_other_files_are_not_read_by_any_way(refer, secret, tmp_path):
    mine, path = model(), tmp_path / "hostile.weights.h5"
    mine.save_weights(path)
    with h5py.File(path, "r+") as file:
        if "kcore" in file:
            del file["kcore"]
        assert (refer(file, secret)[()] == 42).all()  # control: h5py follows it
    before = [v.numpy() for v in (*mine.weights, *mine.optimizer.variables)]
    with pytest.raises(ValueError, match=r"hostile\.weights\.h5: .* is a link, which is not followed"):
        mine.load_weights(path)
    after = [v.numpy() for v in (*mine.weights, *mine.optimizer.variables)]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


# -- more declared than stored -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["optimizer/vars/2", "layers/dense/vars/1"])
@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20, 1 << 20), (1,) * 20 + (1 << 40,)])
def test_giant_datasets_are_refused_wherever_they_are(place, shape, tmp_path):
    mine, path = model(), tmp_path / "a.weights.h5"
    mine.save_weights(path)
    with h5py.File(path, "r+") as file:
        del file[place]
        made = file.create_dataset(place, shape, "float32")
        with pytest.raises(MemoryError):
            made[()]  # control: a reader that believes it
    with pytest.raises(ValueError, match=r"a.weights.h5: dataset .*declares"):
        mine.load_weights(path)


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Embedding", "config": {"input_dim": 1 << 34, "output_dim": 64}},
        {"class_name": "LSTM", "config": {"units": 1 << 20}},
        {
            "class_name": "Bidirectional",
            "config": {"layer": {"class_name": "GRU", "module": "keras.layers", "config": {"units": 1 << 20}}},
        },
    ],
)
def test_giant_layers_are_refused_however_they_are_wrapped(layer, tmp_path):
    def change(config, compiled):
        config["config"]["layers"][1:] = [
            {"class_name": "RepeatVector", "module": "keras.layers", "config": {"n": 2}},
            {"module": "keras.layers", **layer},
        ][layer["class_name"] == "Embedding" :]

    path = changed(tmp_path / "a.keras", change)
    with pytest.raises(ValueError, match=r"a\.keras: .*is refused"):
        load_model(path)


# -- arrays in the description, YAML -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["object", "O", "U9"])
def test_arrays_in_a_description_are_numbers(dtype, tmp_path):
    array = {"class_name": "__numpy__", "config": {"value": [1], "dtype": dtype}}
    np.array([1], dtype=dtype)  # control: NumPy makes it
    path = changed(tmp_path / "a.keras", lambda config, compiled: setting("bias_initializer")(config, compiled, array))
    with pytest.raises((ValueError, TypeError), match=r"a\.keras"):
        load_model(path)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/new:os.system [touch CANARY]",
        "class_name: Sequential\nconfig: !!python/object/apply:subprocess.Popen [[touch, CANARY]]",
        "? !!python/object/apply:os.system ['touch CANARY']\n: 1",
        "a: !!python/module:beside\n",
        "base: &b {class_name: Sequential}\n<<: *b\nconfig: []",
    ],
)
def test_yaml_is_plain_wherever_a_tag_stands(text, tmp_path):
    yaml = pytest.importorskip("yaml")
    text = text.replace("CANARY", str(tmp_path / "canary"))
    with pytest.raises(ValueError, match="YAML|yaml"):
        models.model_from_yaml(text)
    assert not (tmp_path / "canary").exists()
    if "touch" in text:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess, "Popen", lambda command: pathlib.Path(command[1]).touch())
            try:
                yaml.unsafe_load(text)
            except (TypeError, yaml.YAMLError):
                pass  # it ran, and its result is no key
        assert (tmp_path / "canary").exists()  # control


def test_members_of_an_archive_are_never_unpacked(tmp_path):
    """No name of a member is a path that anything is written to."""
    model().save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras", "a") as archive:
        for name in ("../outside", "/tmp/kcore-outside", "assets/../../outside", "..\\outside"):
            archive.writestr(name, b"x")
    before = set(tmp_path.rglob("*"))
    load_model(tmp_path / "a.keras")
    assert set(tmp_path.rglob("*")) == before and not pathlib.Path("/tmp/kcore-outside").exists()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../outside", b"x")
    assert zipfile.ZipFile(content).namelist() == ["../outside"]  # control: the name is kept as it is
