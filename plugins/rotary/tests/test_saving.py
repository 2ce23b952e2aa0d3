"""A model with a layer of this plugin is saved with the plugin's name, which is told where the plugin is missing."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import kcore
from kcore_rotary import RotaryEmbedding

WITHOUT = """
import importlib.metadata, sys
installed = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **wanted: [
    e for e in installed(**wanted) if not (wanted.get("group") == "kcore.plugins" and e.name == "kcore_rotary")]
import kcore
try:
    kcore.models.load_model(sys.argv[1])
except kcore.registry.UnknownObjectError as error:
    print(error)
assert "kcore_rotary" not in sys.modules
"""


@pytest.fixture(params=["keras", "h5"])
def saved(request, tmp_path):
    model = kcore.Sequential([kcore.Input((4, 6)), RotaryEmbedding(), kcore.layers.Dense(2)])
    model.save(tmp_path / f"a.{request.param}")
    return model, tmp_path / f"a.{request.param}"


def test_it_is_saved_by_its_package_and_distribution_and_loaded(saved):
    model, path = saved
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            assert json.loads(archive.read("metadata.json"))["kcore_packages"] == {"kcore_rotary": "kcore-rotary"}
            layer = json.loads(archive.read("config.json"))["config"]["layers"][1]
            assert layer["registered_name"] == "kcore_rotary>RotaryEmbedding"
    other = kcore.models.load_model(path)
    x = np.ones((1, 4, 6), "float32")
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_without_the_plugin_its_distribution_is_named_and_nothing_imported(saved):
    path = str(saved[1])
    told = subprocess.run([sys.executable, "-c", WITHOUT, path], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert path in told.stdout
    assert "'kcore_rotary>RotaryEmbedding' comes with the plugin 'kcore-rotary', which is not installed" in told.stdout
    assert told.stdout.rstrip().endswith("pip install kcore-rotary")


@pytest.mark.parametrize("name", ["evil; rm -rf ~", "--index-url=http://x", 3, ["a"], ""])
def test_a_name_that_is_none_is_not_repeated(name):
    from kcore.saving.packages import missing

    assert missing({"class_name": "L", "registered_name": "nobody>L"}, {"nobody": name}) == ""
    assert "pip install good" in missing({"class_name": "L", "registered_name": "nobody>L"}, {"nobody": "good"})
