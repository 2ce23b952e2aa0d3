"""Plugins: found lazily, namespaced, checked against the contract, and broken ones kept from the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kcore import plugins
from kcore.errors import PluginError


def test_what_a_plugin_brings_is_namespaced(install, plugin_source):
    install("mydist", entries={"mypkg": "mypkg_plugin"}, files={"mypkg_plugin.py": plugin_source})
    item = plugins.provided("layers")["mypkg>MyLayer"]
    assert item.value.__name__ == "MyLayer"
    assert (item.entry.distribution, item.entry.version) == ("mydist", "1.0")
    assert plugins.find("layers", "mypkg>MyLayer") is item.value
    assert plugins.find("layers", "mypkg>Other") is None


def test_a_plugin_is_imported_only_when_something_is_looked_up(install, plugin_source):
    install("mydist", entries={"mypkg": "mypkg_lazy"}, files={"mypkg_lazy.py": plugin_source})
    assert "mypkg_lazy" not in sys.modules
    plugins.provided("layers")
    assert "mypkg_lazy" in sys.modules


def test_importing_kcore_backend_and_plugins_loads_no_pluggy():
    heavy = ("pluggy", "importlib.metadata")
    code = f"import sys, kcore.backend, kcore.plugins; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_broken_plugin_is_reported_and_the_rest_works(install, plugin_source):
    install("bad-dist", entries={"bad": "bad_plugin"}, files={"bad_plugin.py": "import no_such_module_anywhere"})
    install("good-dist", entries={"good": "good_plugin"}, files={"good_plugin.py": plugin_source})
    with pytest.warns(RuntimeWarning, match="bad-dist 1.0 cannot be imported: ModuleNotFoundError: No module named"):
        assert list(plugins.provided("layers")) == ["good>MyLayer"]
    (broken,) = plugins.problems()
    assert broken.entry.distribution == "bad-dist" and isinstance(broken.error.__cause__, ModuleNotFoundError)
    with pytest.raises(PluginError, match="'bad>Layer' is not there because plugin 'bad' of bad-dist 1.0 cannot be"):
        plugins.find("layers", "bad>Layer")


def test_a_hook_that_raises_takes_nothing_else_down(install, plugin_source):
    source = plugin_source + "\n    @hookimpl\n    def kcore_losses():\n        raise OSError('no disk')\n"
    install("half-dist", entries={"half": "half_plugin"}, files={"half_plugin.py": source})
    with pytest.warns(RuntimeWarning, match="half-dist 1.0: its hook kcore_losses failed: OSError: no disk"):
        assert plugins.provided("losses") == {}
    assert list(plugins.provided("layers")) == ["half>MyLayer"]


def test_two_plugins_of_one_name_are_an_error_that_names_both(install, plugin_source):
    install("first-dist", entries={"same": "first_plugin"}, files={"first_plugin.py": plugin_source})
    install("second-dist", entries={"same": "second_plugin"}, files={"second_plugin.py": plugin_source}, version="2.0")
    with pytest.warns(RuntimeWarning, match="two distributions bring a plugin 'same': first-dist 1.0.*second-dist 2.0"):
        assert plugins.provided("layers") == {}
    with pytest.raises(PluginError, match="first-dist 1.0 .first_plugin. and second-dist 2.0 .second_plugin."):
        plugins.find("layers", "same>MyLayer")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            "kcore_contract = 2",
            "written for contract 2 of kcore, this kcore has contract 1; .* --upgrade kcore",
        ),
        ("kcore_contract = 0", "written for contract 0 .* type: pip install --upgrade mydist"),
        ("", "does not say which contract of kcore it was written for; its author should add `kcore_contract = 1`"),
    ],
)
def test_the_contract_is_checked(install, plugin_source, declared, message):
    source = plugin_source.replace("kcore_contract = 1", declared)
    install("mydist", entries={"mypkg": "mypkg_old"}, files={"mypkg_old.py": source})
    with pytest.warns(RuntimeWarning, match=message):
        assert plugins.provided("layers") == {}


def test_a_misspelt_hook_is_an_error_that_shows_the_near_name(install, plugin_source):
    source = plugin_source.replace("def kcore_layers", "def kcore_layer")
    install("mydist", entries={"mypkg": "mypkg_typo"}, files={"mypkg_typo.py": source})
    with pytest.warns(RuntimeWarning, match="implements a hook 'kcore_layer'.*did you mean 'kcore_layers'"):
        assert plugins.plugins() == []


def test_two_objects_of_one_name_in_a_plugin(install, plugin_source):
    source = plugin_source.replace("[MyLayer]", "[MyLayer, type('MyLayer', (), {})]")
    install("mydist", entries={"mypkg": "mypkg_twice"}, files={"mypkg_twice.py": source})
    with pytest.warns(RuntimeWarning, match="'mypkg>MyLayer' comes from mydist 1.0 and from mydist 1.0"):
        assert list(plugins.provided("layers")) == ["mypkg>MyLayer"]


def test_two_commands_of_one_name_name_both_distributions(install):
    source = """
        from kcore.plugins import Command, hookimpl
        kcore_contract = 1

        @hookimpl
        def kcore_commands():
            return [Command("tool", "a tool", lambda args: 0)]
    """
    install("first-dist", entries={"a": "first_cmd"}, files={"first_cmd.py": source})
    install("second-dist", entries={"b": "second_cmd"}, files={"second_cmd.py": source})
    with pytest.warns(RuntimeWarning, match="'tool' comes from first-dist 1.0 and from second-dist 1.0"):
        assert list(plugins.provided("commands")) == ["tool"]


def test_a_hook_that_returns_the_wrong_thing(install, plugin_source):
    source = plugin_source.replace("[MyLayer]", "MyLayer()")
    install("mydist", entries={"mypkg": "mypkg_wrong"}, files={"mypkg_wrong.py": source})
    with pytest.warns(RuntimeWarning, match="its hook kcore_layers should return a list, not <mypkg_wrong.MyLayer"):
        assert plugins.provided("layers") == {}


def test_data_sets_and_models_come_by_name(install):
    source = """
        from kcore.plugins import hookimpl
        kcore_contract = 1

        @hookimpl
        def kcore_datasets():
            return {"digits": lambda: "data"}
    """
    install("mydist", entries={"mypkg": "mypkg_data"}, files={"mypkg_data.py": source})
    assert plugins.find("datasets", "mypkg>digits")() == "data"


def test_ops_carry_their_namespace(install):
    source = """
        from types import SimpleNamespace
        from kcore.plugins import hookimpl
        kcore_contract = 1

        @hookimpl
        def kcore_ops():
            return [SimpleNamespace(name="rotate")]
    """
    install("mydist", entries={"mypkg": "mypkg_ops"}, files={"mypkg_ops.py": source})
    with pytest.warns(RuntimeWarning, match="its op 'rotate' should be called 'mypkg>rotate'"):
        assert plugins.provided("ops") == {}


def test_kernels_are_asked_for_once_per_backend(install):
    source = """
        from kcore.plugins import hookimpl
        kcore_contract = 1
        asked = []

        @hookimpl
        def kcore_kernels(backend):
            asked.append(backend)
    """
    install("mydist", entries={"mypkg": "mypkg_kernels"}, files={"mypkg_kernels.py": source})
    for backend in ("numpy", "opencl", "numpy"):
        plugins.load_kernels(backend)
    assert sys.modules["mypkg_kernels"].asked == ["numpy", "opencl"]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="plugins bring layers, ops, initializers"):
        plugins.provided("layer")


def test_a_configuration_may_name_what_a_plugin_brings(install, plugin_source):
    from kcore.registry import deserialize

    source = plugin_source.replace("class MyLayer:\n        pass", "class MyLayer:\n        from_config = dict")
    install("mydist", entries={"mypkg": "mypkg_saved"}, files={"mypkg_saved.py": source})
    config = {"class_name": "MyLayer", "module": "gone", "config": {"units": 3}, "registered_name": "mypkg>MyLayer"}
    assert deserialize(config) == {"units": 3}


def test_a_plugin_s_callback_is_found_by_its_name(install):
    source = (
        "from kcore.callbacks import Callback\nfrom kcore.plugins import hookimpl\nkcore_contract = 1\n"
        "class Count(Callback):\n    epochs = 0\n    def on_epoch_end(self, epoch, logs=None): self.epochs += 1\n"
        "@hookimpl\ndef kcore_callbacks(): return [Count]\n"
    )
    install("counting", entries={"counter": "counter_plugin"}, files={"counter_plugin.py": source})
    from kcore.callbacks import CallbackList

    callbacks = CallbackList(["counter>Count"])
    callbacks.on_epoch_end(0, {"loss": 1.0})
    assert callbacks.callbacks[0].epochs == 1
    with pytest.raises(ValueError, match="there is no callback called 'counter>Cont'"):
        CallbackList(["counter>Cont"])
