"""The choice of backend: precedence, aliases, other engines' names, late choices, and errors that say what to type."""

from __future__ import annotations

import json
import threading
import warnings

import pytest

from kcore import config
from kcore.backend import selection
from kcore.errors import BackendNotFoundError, ConfigError, PluginError

#: A backend that is nothing but its devices.
SOURCE = """
    import numpy as np
    from kcore.backend.base import Backend, Device, Problem

    class {cls}(Backend):
        name = "{name}"
        rank = {rank}
        aliases = {aliases}
        kcore_contract = {contract}

        def devices(self):
            return [Device("{name}", i, n, "gpu", default={default}) for i, n in enumerate({devices})]

        def problems(self):
            return [] if {devices} else [Problem("{name}", "no driver answers", "install the driver")]

        def allocate(self, nbytes, device):
            return bytearray(nbytes)

        def view(self, storage, offset, shape, dtype):
            return np.ndarray(shape, dtype, storage, offset)

        def upload(self, array, values):
            array[...] = values

        def download(self, array):
            return array.copy()

        def copy(self, dst, src):
            dst[...] = src
"""


@pytest.fixture
def backend(install, fresh):
    """``backend("cl", dist=..., devices=[...])``: install a backend."""

    def make(name, dist=None, module=None, **options):
        settings = {"rank": 50, "aliases": (), "contract": 1, "default": True, "devices": ["AMD gfx1100", "Intel Arc"]}
        module = module or f"fake_{name}"
        source = options.pop("source", SOURCE).format(cls="Fake", name=name, **{**settings, **options})
        install(dist or f"dist-{name}", "kcore.backends", {name: f"{module}:Fake"}, {f"{module}.py": source})

    return make


def keras_json(home, **content):
    path = home / "keras.json"
    path.write_text(json.dumps(content))
    config.reload()
    return path


def test_without_a_wish_the_best_ranked_one_is_chosen_and_said_once(backend, capsys):
    backend("opencl")
    assert str(selection.current()) == "opencl:0"
    assert selection.current().name == config.backend() == "opencl"
    assert capsys.readouterr().err.count("using opencl:0 (AMD gfx1100); installed as well: numpy") == 1


def test_with_one_backend_nothing_is_said(fresh, capsys):
    assert selection.current().name == "numpy"
    assert capsys.readouterr().err == ""


def test_a_device_that_did_not_earn_it_ranks_below(backend):
    backend("opencl", default=False)
    assert selection.current().name == "numpy"
    assert selection.is_backend_available("opencl")


def test_a_backend_without_devices_is_passed_over(backend):
    backend("opencl", devices=[])
    assert selection.current().name == "numpy"
    assert not selection.is_backend_available("opencl")
    with pytest.raises(BackendNotFoundError, match="none of its devices answers\n.*no driver answers; install"):
        selection.use_backend("opencl")


def test_keras_json_comes_before_the_best(backend, fresh):
    backend("opencl")
    path = keras_json(fresh, backend="numpy")
    assert selection.current().name == "numpy"
    assert selection.reason() == str(path)
    assert json.loads(path.read_text()) == {"backend": "numpy"}, "nobody's keras.json is rewritten"


def test_the_environment_comes_before_keras_json(backend, fresh, monkeypatch):
    backend("opencl")
    keras_json(fresh, backend="numpy")
    monkeypatch.setenv("KERAS_BACKEND", "opencl:1")
    assert str(selection.current()) == "opencl:1"
    assert selection.reason() == "KERAS_BACKEND=opencl:1"


def test_a_call_comes_before_the_environment(backend, monkeypatch):
    backend("opencl")
    monkeypatch.setenv("KERAS_BACKEND", "opencl")
    selection.use_backend("numpy")
    assert selection.current().name == "numpy"


def test_an_empty_variable_is_no_wish(fresh, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", " ")
    assert selection.current().name == "numpy"


def test_plaidml_means_opencl(backend, fresh, monkeypatch):
    backend("opencl", rank=1)
    monkeypatch.setenv("KERAS_BACKEND", "plaidml.keras.backend")
    assert selection.current().name == "opencl"
    assert selection.use_backend("plaidml:1").device.index == 1


def test_a_backend_has_aliases_of_its_own(backend):
    backend("opencl", aliases=("cl",), rank=1)
    assert str(selection.use_backend("cl:1")) == "opencl:1"


@pytest.mark.parametrize("name", ["tensorflow", "jax", "torch", "theano", "cntk"])
def test_other_engines_are_noted_once_and_skipped(fresh, monkeypatch, name):
    path = keras_json(fresh, backend=name)
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.warns(UserWarning, match="another engine and no backend of kcore: skipped") as notes:
        assert selection.current().name == "numpy"
        selection.current()
    assert [str(n.message).split(" names")[0] for n in notes] == ["the environment variable KERAS_BACKEND", str(path)]
    assert json.loads(path.read_text())["backend"] == name


def test_an_installed_backend_so_named_is_no_other_engine(backend, monkeypatch):
    backend("torch", rank=1)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert selection.current().name == "torch"


def test_choosing_another_engine_by_call_is_refused(fresh):
    with pytest.raises(BackendNotFoundError, match="'jax', which is another engine"):
        selection.use_backend("jax")


def test_a_backend_that_is_not_installed_lists_the_others_and_the_pip_command(fresh):
    with pytest.raises(BackendNotFoundError) as error:
        selection.use_backend("opencl")
    message = str(error.value)
    assert "use_backend() asks for backend 'opencl', which is not installed" in message
    assert "installed: numpy (numpy:0 " in message
    assert 'pip install "kcore[opencl]"' in message


def test_the_error_says_where_the_name_came_from(fresh, monkeypatch):
    path = keras_json(fresh, backend="opencl")
    with pytest.raises(BackendNotFoundError, match=f"{path} asks for backend 'opencl'"):
        selection.current()
    monkeypatch.setenv("KERAS_BACKEND", "nunpy")
    with pytest.raises(BackendNotFoundError, match="KERAS_BACKEND asks for .* did you mean 'numpy'"):
        selection.current()


def test_malformed_keras_json_is_an_error_unless_nobody_needs_it(fresh):
    (fresh / "keras.json").write_text("{")
    config.reload()
    with pytest.raises(ConfigError, match="keras.json, line 1"):
        selection.current()
    assert selection.use_backend("numpy").name == "numpy"


def test_devices_are_chosen_by_number_or_part_of_the_name(backend):
    backend("opencl")
    assert selection.use_backend("opencl").device.index == 0
    assert selection.use_backend("opencl:1").device.name == "Intel Arc"
    assert selection.use_backend("opencl:intel").device.index == 1
    assert selection.use_backend("opencl:amd").device.index == 0
    assert selection.use_backend("opencl:gpu").device.index == 0
    for wrong in ("opencl:2", "opencl:nvidia", "opencl:0.1"):
        with pytest.raises(BackendNotFoundError, match=r"it has opencl:0 AMD gfx1100 \(gpu\), opencl:1 Intel Arc"):
            selection.use_backend(wrong)


def test_whole_names_go_before_parts(backend):
    backend("opencl", devices=["Intel Xeon", "intel"])
    assert selection.use_backend("opencl:intel").device.index == 1
    assert selection.use_backend("opencl:inte").device.index == 0


def test_a_wrong_device_name_lists_the_near_ones(backend):
    backend("opencl")
    with pytest.raises(BackendNotFoundError, match="has no device 'gfx1101'; did you mean 'gfx1100'"):
        selection.use_backend("opencl:gfx1101")
    with pytest.raises(BackendNotFoundError, match="did you mean 'intel'"):
        selection.use_backend("opencl:intle")


def test_a_device_is_chosen_alike_by_call_environment_and_file(backend, fresh, monkeypatch):
    backend("opencl")
    keras_json(fresh, backend="opencl:arc")
    assert str(selection.current()) == "opencl:1"
    selection.reset()
    monkeypatch.setenv("KERAS_BACKEND", "opencl:amd")
    assert str(selection.current()) == "opencl:0"
    assert str(selection.use_backend("opencl:arc")) == "opencl:1"


def test_where_nobody_chose_the_first_device_that_earned_it_is_used(backend):
    backend("opencl", default="n == 'Intel Arc'")
    assert str(selection.current()) == "opencl:1"
    assert str(selection.use_backend("opencl")) == "opencl:0"


def test_a_device_that_cannot_be_used_says_why(backend):
    unused = """
        def unused(self):
            return [(Device("opencl", 2, "Old Radeon", "gpu"), "it offers OpenCL 1.1")]

        def allocate"""
    backend("opencl", source=SOURCE.replace("\n        def allocate", unused, 1))
    with pytest.raises(BackendNotFoundError, match="Old Radeon is not used: it offers OpenCL 1.1"):
        selection.use_backend("opencl:radeon")


def test_a_backend_resolves_wishes_its_list_does_not_hold(backend):
    pieces = """
        def find_device(self, wanted):
            if wanted == "0.1":
                return Device("opencl", 0, "half of AMD gfx1100", "gpu", part=".1")
            return super().find_device(wanted)

        def allocate"""
    backend("opencl", source=SOURCE.replace("\n        def allocate", pieces, 1))
    assert str(selection.use_backend("opencl:0.1")) == "opencl:0.1"
    assert str(selection.use_backend("opencl:0")) == "opencl:0"
    with pytest.raises(BackendNotFoundError, match=r"has no device '0\.7'"):
        selection.use_backend("opencl:0.7")


def test_all_devices_are_listed(backend):
    backend("opencl")
    assert [str(d) for d in selection.devices()] == ["opencl:0", "opencl:1", "numpy:0"]
    assert [str(d) for d in selection.devices("numpy")] == ["numpy:0"]


def test_every_change_raises_the_generation(backend):
    backend("opencl")
    selection.use_backend("numpy")
    before = selection.generation()
    selection.use_backend("numpy")
    assert selection.generation() == before
    selection.use_backend("opencl:1")
    assert selection.generation() == before + 1
    assert selection.current_device().index == 1


def test_changing_the_variable_too_late_is_said_once_for_each_value(backend, monkeypatch):
    backend("opencl")
    selection.use_backend("numpy")
    monkeypatch.setenv("KERAS_BACKEND", "opencl")
    with pytest.warns(RuntimeWarning, match="'opencl' after kcore had chosen numpy:0.*use_backend\\('opencl'\\)"):
        assert selection.current().name == "numpy"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selection.current()
        monkeypatch.setenv("KERAS_BACKEND", "numpy")
        selection.current()
    monkeypatch.setenv("KERAS_BACKEND", "opencl:1")
    with pytest.warns(RuntimeWarning, match="opencl:1"):
        selection.current()


def test_two_distributions_with_one_backend_are_an_error_that_names_both(backend):
    backend("opencl", dist="first-cl", module="fake_first")
    backend("opencl", dist="second-cl", module="fake_second")
    with pytest.raises(PluginError, match="two distributions bring a backend 'opencl': first-cl 1.0.*second-cl 1.0"):
        selection.use_backend("opencl")
    with pytest.warns(RuntimeWarning, match="first-cl"):
        assert selection.current().name == "numpy", "the rest works"


def test_a_backend_for_another_contract_is_refused(backend):
    backend("opencl", contract=2)
    with pytest.raises(PluginError, match="backend 'opencl' of dist-opencl 1.0 was written for contract 2 of kcore"):
        selection.use_backend("opencl")


def test_a_backend_that_cannot_be_imported_takes_nothing_down(install, fresh):
    install("bad-dist", "kcore.backends", {"bad": "bad_backend:Bad"}, {"bad_backend.py": "import no_such_driver"})
    with pytest.warns(RuntimeWarning, match="backend 'bad' of bad-dist 1.0 cannot be imported.*no_such_driver"):
        assert selection.current().name == "numpy"
    assert not selection.is_backend_available("bad")
    with pytest.raises(PluginError, match="no_such_driver"):
        selection.use_backend("bad")


def test_a_backend_that_cannot_start_says_why(install, fresh):
    source = SOURCE.format(cls="Fake", name="cl", rank=1, aliases=(), contract=1, default=True, devices="1/0")
    install("cl-dist", "kcore.backends", {"cl": "fake_cl:Fake"}, {"fake_cl.py": source})
    with pytest.raises(PluginError, match="backend 'cl' of cl-dist 1.0 cannot start: ZeroDivisionError"):
        selection.use_backend("cl")


def test_threads_agree_on_one_choice(fresh):
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(selection.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(place is found[0] for place in found)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_wanted(name):
    with pytest.raises(TypeError, match="wants a name like 'numpy' or 'opencl:1'"):
        selection.use_backend(name)
