"""Every published way to make Keras's loader run a stranger's code or read a stranger's files, tried on ours.

Each attack has a control that shows the payload doing its harm where nobody guards.
"""

from __future__ import annotations

import ast
import base64
import importlib
import io
import json
import os
import pathlib
import pickle
import sys
import zipfile
from contextlib import contextmanager

os.environ.setdefault("KERAS_BACKEND", "numpy")

import h5py
import keras
import numpy as np
import pytest

import kcore
import kcore.callbacks
import kcore.visualization
from kcore import layers, models
from kcore.datasets.reading import ArrayUnpickler
from kcore.saving import load_model, register_keras_serializable, save_model
from kcore.saving.model_files import FORMS
from kcore.utils import get_file

WATCHED = ("open", "marshal.loads", "pickle.find_class", "socket.connect", "subprocess.Popen")
SEEN: list[tuple[str, str]] | None = None


def _note(event, arguments):
    if SEEN is not None and event in WATCHED:
        SEEN.append((event, str(arguments[0]) if arguments else ""))


sys.addaudithook(_note)


@contextmanager
def watched():
    """What Python opens, unmarshals, unpickles, connects to and starts meanwhile."""
    global SEEN
    SEEN = seen = []
    try:
        yield seen
    finally:
        SEEN = None


def own_model():
    return kcore.Sequential([kcore.Input((2,)), layers.Dense(3, name="dense")], name="net")


def archive_of(path, config, weights=None):
    """A ``.keras`` file of a configuration and the bytes of its weights."""
    if weights is None:
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            file.create_group("vars")
        weights = memory.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    return path


def h5_of(path, config):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    return path


def sequential(*entries):
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 2]}}
    config = {"name": "net", "layers": [first, *entries]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def layer(class_name, config, module="keras.layers", **more):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None, **more}


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


def lambda_of(fn, **arguments):
    return layer("Lambda", {"name": "lambda", "function": fn, "arguments": arguments})


def touching(canary):
    """A lambda of Keras's that leaves a file behind when it is called."""
    return eval(f"lambda x: (open({str(canary)!r}, 'w').close(), x)[1]")


# -- code in the file (CVE-2024-3660, CVE-2025-9905) -----------------------------------------------------------------


@pytest.fixture(params=[".keras", ".h5"])
def with_bytecode(request, tmp_path):
    canary = tmp_path / "canary"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(touching(canary))])
    canary.unlink(missing_ok=True)
    path = tmp_path / f"model{request.param}"
    model.save(path)
    return path, canary


def test_control_keras_runs_the_bytecode_of_a_lambda(with_bytecode):
    path, canary = with_bytecode
    with watched() as seen:
        keras.saving.load_model(path, safe_mode=False)
    assert canary.exists()
    assert "marshal.loads" in [event for event, _ in seen]


@pytest.mark.parametrize("safe_mode", [True, False])
def test_bytecode_is_refused_whatever_safe_mode_is(with_bytecode, safe_mode):
    path, canary = with_bytecode
    importlib.import_module("kcore.saving.hdf5")  # Python unmarshals modules too
    with watched() as seen, pytest.raises(ValueError, match=r"model\..*(code of a Python lambda|holds as code)"):
        load_model(path, safe_mode=safe_mode)
    assert not canary.exists()
    assert not [target for event, target in seen if event in ("pickle.find_class", "socket.connect")]


# -- names of modules, classes and functions (CVE-2025-1550, CVE-2025-8747, CVE-2025-9906, CVE-2025-49655, ...) ------


class Touch:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def by_name(module, name, *args, **kwargs):
    """What an unguarded loader does with a name in a file."""
    return getattr(importlib.import_module(module), name)(*args, **kwargs)


def _get_file(canary):
    source = canary.parent / "source"
    source.write_text("fetched")
    return {"fname": canary.name, "origin": source.as_uri(), "cache_dir": str(canary.parent), "cache_subdir": "."}


def _pickled(canary):
    return base64.b64encode(pickle.dumps(Touch(canary))).decode()


def _evil_module(canary):
    (canary.parent / "evil_module.py").write_text(f"open({str(canary)!r}, 'w').close()\n")


def _nested(canary):
    path = canary.parent / "inner.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(touching(canary))]).save(path)
    canary.unlink(missing_ok=True)
    return str(path)


def _unsafe(canary):
    keras.config.enable_unsafe_deserialization()
    try:
        keras.saving.load_model(_nested(canary))
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


def _import_evil(canary):
    _evil_module(canary)
    sys.path.insert(0, str(canary.parent))
    try:
        by_name("evil_module", "open", str(canary))
    except AttributeError:
        pass  # importing it was enough
    finally:
        sys.path.remove(str(canary.parent))
        sys.modules.pop("evil_module", None)


#: What the file names -> (the layers that name it, the harm it does where it is obeyed).
GADGETS = {
    "os.system": (
        lambda c: lambda_of(function("os", "system"), command=f"touch {c}"),
        lambda c: by_name("os", "system", f"touch {c}"),
    ),
    "subprocess.Popen": (
        lambda c: layer("Popen", {"args": ["touch", str(c)]}, "subprocess"),
        lambda c: by_name("subprocess", "Popen", args=["touch", str(c)]).wait(),
    ),
    "builtins.exec": (
        lambda c: lambda_of(function("builtins", "exec")),
        lambda c: by_name("builtins", "exec", f"open({str(c)!r}, 'w')"),
    ),
    "a module beside the script": (
        lambda c: (_evil_module(c), layer("Anything", {}, "evil_module", registered_name="Anything"))[1],
        _import_evil,
    ),
    "get_file as a function": (
        lambda c: lambda_of(function("keras.utils", "get_file"), **_get_file(c)),
        lambda c: get_file(**_get_file(c)),
    ),
    "get_file as a class": (
        lambda c: layer("get_file", _get_file(c), "keras.utils"),
        lambda c: get_file(**_get_file(c)),
    ),
    "plot_model, which kcore publishes": (
        lambda c: lambda_of(function("keras.utils", "plot_model"), to_file=str(c)),
        lambda c: c.write_bytes(b"as plot_model would"),
    ),
    "save_model": (
        lambda c: lambda_of(function("keras.models", "save_model"), filepath=str(c)),
        lambda c: (save_model(own_model(), c.with_suffix(".keras")), c.with_suffix(".keras").rename(c)),
    ),
    "load_model within load_model": (
        lambda c: lambda_of(function("keras.models", "load_model"), filepath=_nested(c), safe_mode=False),
        lambda c: keras.saving.load_model(_nested(c), safe_mode=False),
    ),
    "load_model as a layer": (
        lambda c: layer("load_model", {"filepath": _nested(c)}, "keras.models"),
        lambda c: keras.saving.load_model(_nested(c), safe_mode=False),
    ),
    "safe mode switched off": (
        lambda c: lambda_of(function("keras.config", "enable_unsafe_deserialization")),
        _unsafe,
    ),
    "a wrapper that unpickles": (
        lambda c: layer("TorchModuleWrapper", {"module": _pickled(c), "name": "t"}),
        lambda c: pickle.loads(base64.b64decode(_pickled(c))),
    ),
}


@pytest.mark.parametrize("gadget", GADGETS)
def test_control_the_gadget_works_where_it_is_obeyed(gadget, tmp_path):
    GADGETS[gadget][1](tmp_path / "canary")
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("form", [archive_of, h5_of])
@pytest.mark.parametrize("gadget", GADGETS)
def test_a_file_cannot_name_it(gadget, form, tmp_path, monkeypatch):
    canary = tmp_path / "canary"
    monkeypatch.syspath_prepend(str(tmp_path))
    path = form(tmp_path / "hostile.model", sequential(GADGETS[gadget][0](canary)))
    for safe_mode in (True, False):
        with pytest.raises((ValueError, TypeError), match=r"hostile.model: .*(there is no|may not name|holds as code)"):
            load_model(path, safe_mode=safe_mode)
    assert not canary.exists()
    assert "evil_module" not in sys.modules


#: Where a layer's arguments take classes or functions.
PLACES = {
    "initializer": lambda what: layer("Dense", {"units": 2, "kernel_initializer": what}),
    "regularizer": lambda what: layer("Dense", {"units": 2, "kernel_regularizer": what}),
    "constraint": lambda what: layer("Dense", {"units": 2, "kernel_constraint": what}),
    "activation": lambda what: layer("Dense", {"units": 2, "activation": what}),
    "wrapped layer": lambda what: layer("TimeDistributed", {"layer": what}),
    "cell": lambda what: layer("RNN", {"cell": what}),
    "layer": lambda what: what,
}
STRANGERS = {
    "keras.models.load_model": function("keras.models", "load_model"),
    "keras.utils.plot_model": function("keras.utils", "plot_model"),
    "keras.layers.Input": function("keras.layers", "Input"),
    "keras.callbacks.CSVLogger": layer("CSVLogger", {"filename": "log.csv"}, "keras.callbacks"),
    "keras.optimizers.Adam": layer("Adam", {}, "keras.optimizers"),
}


@pytest.mark.parametrize("what", STRANGERS)
@pytest.mark.parametrize("place", PLACES)
def test_every_place_takes_its_own_kind_alone(place, what, tmp_path):
    path = archive_of(tmp_path / "a.keras", sequential(PLACES[place](STRANGERS[what])))
    with pytest.raises(ValueError, match=rf"a.keras: .*may not name (the function )?{what}"):
        load_model(path)


def test_control_each_stranger_is_there_to_be_found():
    for what in STRANGERS:
        assert kcore.registry.REGISTRY.public(what) is not None


def test_an_op_must_be_one_of_the_public_ones_and_have_an_input(tmp_path):
    def model_with(entry):
        first = {**layer("InputLayer", {"batch_shape": [None, 2], "name": "x"}), "name": "x", "inbound_nodes": []}
        ends = {"input_layers": [["x", 0, 0]], "output_layers": [["op", 0, 0]]}
        config = {"name": "net", "layers": [first, entry], **ends}
        return {"module": "keras.models", "class_name": "Functional", "config": config}

    def op(name, args, module="keras.src.ops.numpy"):
        entry = {"module": module, "class_name": name, "config": {"name": "op"}, "name": "op"}
        return {**entry, "inbound_nodes": [{"args": args, "kwargs": {}}]}

    assert hasattr(kcore.ops, "_record_functions")  # control: it is there
    path = archive_of(tmp_path / "a.keras", model_with(op("_record_functions", [[1]], "kcore.ops")))
    with pytest.raises(ValueError, match="a.keras: .*op '_record_functions' that kcore.ops does not have"):
        load_model(path)
    with pytest.raises(MemoryError):
        np.ones((1 << 20, 1 << 20))  # control: what the next one would do
    path = archive_of(tmp_path / "a.keras", model_with(op("Ones", [[1 << 20, 1 << 20]])))
    with pytest.raises(ValueError, match="a.keras: .*calls 'op' on nothing that the model computes"):
        load_model(path)


def test_a_registered_name_must_be_that_of_the_class(tmp_path):
    @register_keras_serializable("attacked", "Cheap")
    class Cheap(layers.Layer):
        pass

    good = layer("Cheap", {}, None, registered_name="attacked>Cheap")
    assert isinstance(kcore.layers.deserialize(good), Cheap)  # control: by its own names it is found
    path = archive_of(tmp_path / "a.keras", sequential({**good, "class_name": "Dense", "module": "keras.layers"}))
    with pytest.raises(ValueError, match=r"a.keras: .*'Dense' what is registered as 'attacked>Cheap'.*do not match"):
        load_model(path)


# -- files that a configuration names (CVE-2025-12058) ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization", "TFSMLayer"])
def test_no_layer_reads_a_file_that_its_configuration_names(name, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("key\n")
    with watched() as seen:
        secret.read_text()
    assert ("open", str(secret)) in seen  # control: reading it would be seen
    arguments = {"filepath": str(secret)} if name == "TFSMLayer" else {"vocabulary": str(secret)}
    path = archive_of(tmp_path / "a.keras", sequential(layer(name, {"name": "lookup", **arguments})))
    with watched() as seen, pytest.raises((ValueError, TypeError), match="a.keras: "):
        load_model(path)
    assert str(secret) not in [target for _, target in seen]
    assert not [target for event, target in seen if event in ("socket.connect", "subprocess.Popen")]


# -- HDF5 that refers to other files (CVE-2026-1669) -----------------------------------------------------------------


def _external_link(group, name, secret):
    group[name] = h5py.ExternalLink(str(secret), "/secret")


def _soft_link(group, name, secret):
    group.file["elsewhere"] = np.full((2, 3), 42, "float32")
    group[name] = h5py.SoftLink("/elsewhere")


def _external_storage(group, name, secret):
    with h5py.File(secret, "r") as file:
        offset = file["secret"].id.get_offset()
    group.create_dataset(name, (2, 3), "float32", external=[(str(secret), offset, 24)])


def _virtual(group, name, secret):
    layout = h5py.VirtualLayout((2, 3), "float32")
    layout[:] = h5py.VirtualSource(str(secret), "secret", (2, 3))
    group.create_virtual_dataset(name, layout)


REFERENCES = [_external_link, _soft_link, _external_storage, _virtual]


@pytest.fixture
def secret(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.full((2, 3), 42, "float32")
    return tmp_path / "secret.h5"


def _replaced(file, refer, secret):
    places = []
    file.visititems(lambda name, item: places.append(name) if getattr(item, "shape", None) == (2, 3) else None)
    for place in places:
        group, _, name = place.rpartition("/")
        group = file[group] if group else file
        del group[name]
        refer(group, name, secret)
    assert (file[places[0]][()] == 42).all()  # control: h5py follows it
    return places[0]


@pytest.mark.parametrize("refer", REFERENCES)
@pytest.mark.parametrize("form", [".keras", ".h5", ".weights.h5"])
def test_what_lies_in_another_file_is_not_read(form, refer, secret, tmp_path):
    model, path = own_model(), tmp_path / f"hostile{form}"
    if form == ".keras":
        weights = tmp_path / "inner.h5"
        save_model(model, tmp_path / "good.keras")
        with zipfile.ZipFile(tmp_path / "good.keras") as archive:
            config = json.loads(archive.read("config.json"))
            weights.write_bytes(archive.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            _replaced(file, refer, secret)
        archive_of(path, config, weights.read_bytes())
    else:
        (model.save_weights if form == ".weights.h5" else model.save)(path)
        with h5py.File(path, "r+") as file:
            _replaced(file, refer, secret)
    before = model.get_weights()
    message = rf"hostile{form}: .*(is a link|refers to another file), which is not followed"
    with pytest.raises(ValueError, match=message):
        model.load_weights(path) if form == ".weights.h5" else load_model(path)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


# -- more declared than stored (CVE-2026-0897) -----------------------------------------------------------------------

GIANT = 1 << 20


@pytest.mark.parametrize("form", [archive_of, h5_of])
def test_a_giant_model_is_refused_before_it_is_made(form, tmp_path):
    config = sequential(layer("Dense", {"units": GIANT}), layer("Dense", {"units": GIANT}))
    with pytest.raises(MemoryError):
        np.empty((GIANT, GIANT), "float64").fill(0)  # control: what its second layer needs
    with pytest.raises(ValueError, match=r"hostile.model: .*\(1048576, 1048576\) is refused: .*more than .* can fill"):
        load_model(form(tmp_path / "hostile.model", config))


def test_many_layers_that_are_giant_together_are_refused(tmp_path):
    dense = layer("Dense", {"units": 1024})
    with pytest.raises(ValueError, match="is refused: with it the model described has"):
        load_model(archive_of(tmp_path / "a.keras", sequential(*[dense] * 200)))


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"chunks": (1024, 1024)}])
def test_a_dataset_that_declares_more_than_it_stores_is_refused(options, tmp_path):
    model, path = own_model(), tmp_path / "a.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        vars_ = file["layers/dense/vars"]
        del vars_["0"]
        vars_.create_dataset("0", (GIANT, GIANT), "float32", **options)
    with h5py.File(path) as file, pytest.raises(MemoryError):
        file["layers/dense/vars/0"][()]  # control: a reader that believes it
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"a.weights.h5: dataset .*declares 4398046511104 bytes"):
        model.load_weights(path)


def test_a_dataset_in_pieces_larger_than_itself_is_refused(tmp_path):
    model, path = own_model(), tmp_path / "a.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        vars_ = file["layers/dense/vars"]
        del vars_["0"]
        made = vars_.create_dataset("0", (2, 3), "f", maxshape=(None, 3), chunks=(1 << 24, 3), compression="gzip")
        made.id.write_direct_chunk((0, 0), b"no 200 MB")
        assert made.chunks == (1 << 24, 3)  # control: reading would make room for it
    with pytest.raises(ValueError, match="a.weights.h5: dataset .*of 24 bytes is in pieces of 201326592 bytes"):
        model.load_weights(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_to_far_more_is_refused(method, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("config.json", b'{"class_name": "Sequential", "config": "' + b" " * (1 << 26) + b'"}')
    assert path.stat().st_size < 100_000  # control: a reader would unpack 64 MB
    with pytest.raises(ValueError, match=r"a.keras: config.json (declares 67108906|is packed)"):
        load_model(path)


def test_groups_that_multiply_are_refused(tmp_path):
    model, path = own_model(), tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers")
        for _ in range(40):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner

    def paths(group):
        return 1 + sum(paths(group[name]) for name in group)

    with h5py.File(path) as file:
        deep = file
        for name in ["layers", *["a"] * 30]:
            deep = deep[name]
        assert paths(deep) == 2**11 - 1  # control: from the tenth level up; 2^40 from the first
    with pytest.raises(ValueError, match="a.weights.h5: the group .* is in the file a second time"):
        model.load_weights(path)


def test_an_array_named_a_thousand_times_is_read_once(tmp_path):
    path = tmp_path / "a.h5"
    own_model().save(path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/dense"]
        names = group.attrs["weight_names"]
        group.attrs["weight_names"] = np.repeat(names[:1], 1000)
    with pytest.raises(ValueError, match="a.h5: .*names an array twice"):
        load_model(path)


# -- pickles, YAML ---------------------------------------------------------------------------------------------------


def test_pickled_arrays_are_not_read(tmp_path):
    canary = tmp_path / "canary"
    array = np.array([Touch(canary)], dtype=object)
    np.savez(tmp_path / "model.weights.npz", array)
    with np.load(tmp_path / "model.weights.npz", allow_pickle=True) as file:
        file["arr_0"]
    assert canary.exists()  # control
    canary.unlink()
    content = (tmp_path / "model.weights.npz").read_bytes()
    with pytest.raises(ValueError, match="a.keras is not a complete HDF5 file"):
        load_model(archive_of(tmp_path / "a.keras", sequential(), content))
    (tmp_path / "a.weights.h5").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.weights\.h5"):
        own_model().load_weights(tmp_path / "a.weights.h5")
    assert not canary.exists()


def test_objects_in_hdf5_are_not_read(tmp_path):
    model, path = own_model(), tmp_path / "a.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        vars_ = file["layers/dense/vars"]
        del vars_["0"]
        vars_.create_dataset("0", (2, 3), h5py.string_dtype(), data=[["x"] * 3] * 2)
        assert vars_["0"][()].dtype == object  # control
    with pytest.raises(ValueError, match=r"a.weights.h5: dataset .*holds no numbers"):
        model.load_weights(path)


def test_pickles_of_data_sets_hold_arrays_alone(tmp_path):
    content = pickle.dumps(Touch(tmp_path / "canary"))
    pickle.loads(content)
    assert (tmp_path / "canary").exists()  # control
    (tmp_path / "canary").unlink()
    with pytest.raises(ValueError, match="asks for .*open, which no data set needs"):
        ArrayUnpickler(io.BytesIO(content)).load()
    assert not (tmp_path / "canary").exists()


@pytest.mark.skipif(not hasattr(models, "model_from_yaml"), reason="YAML is not read")
def test_yaml_tags_are_refused(tmp_path):
    yaml = pytest.importorskip("yaml")
    canary = tmp_path / "canary"
    text = f"!!python/object/apply:os.system ['touch {canary}']"
    yaml.unsafe_load(text)
    assert canary.exists()  # control
    canary.unlink()
    with pytest.raises(ValueError, match="YAML|yaml"):
        models.model_from_yaml(text)
    assert not canary.exists()


# -- in the source ---------------------------------------------------------------------------------------------------

#: Where something of the kind is used, and why that is no danger.
EXCEPTIONS = {
    ("datasets/reading.py", "pickle"),  # an unpickler that knows arrays alone
    ("saving/architecture.py", "yaml.load"),  # with a safe loader that follows no aliases either
}


UNPICKLERS = {"pickle", "marshal", "dill", "cloudpickle", "joblib", "shelve"}


def uses(source):
    """Names in Python source that run or unpack what they are given."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from {n.split(".")[0] for n in names} & UNPICKLERS
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load"):
                yield name
            if any(k.arg == "allow_pickle" and getattr(k.value, "value", True) for k in node.keywords):
                yield "allow_pickle"


def test_nothing_in_the_source_unpickles():
    assert set(uses("import pickle\nnp.load(f, allow_pickle=True)\nyaml.load(f)")) == {  # control
        "pickle",
        "allow_pickle",
        "yaml.load",
    }
    root = pathlib.Path(kcore.__file__).parent
    found = {
        (str(path.relative_to(root)), name)
        for path in root.rglob("*.py")
        if not path.name.startswith("test_")
        for name in uses(path.read_text())
    }
    assert found <= EXCEPTIONS, found - EXCEPTIONS


def test_every_form_is_attacked_here():
    assert set(FORMS) <= {".keras", ".h5", ".hdf5"}, "attack the new form too"
