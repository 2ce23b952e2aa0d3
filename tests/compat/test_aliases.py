"""`import keras` after `install`, and scripts of three kinds by `kcore run`."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kcore
from kcore.compat import NAMES, install, uninstall
from kcore.testing import skip_if_no_backend

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def forgotten(monkeypatch):
    """A process that has not imported Keras or TensorFlow yet, and is left as it was."""
    for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
        monkeypatch.delitem(sys.modules, name)
    yield
    uninstall()


def run(script, *arguments, backend="numpy"):
    command = [sys.executable, "-m", "kcore", "run", "--backend", backend, str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "default"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_for_keras_2():
    assert run("keras2.py", "--epochs", "3").splitlines()[-1] == "arguments ['--epochs', '3'] 3.15.1+kcore"


def test_a_script_for_tf_keras():
    assert "trained with 3.15.1+kcore" in run("tf_keras.py")


def test_a_script_that_augments_images(tmp_path):
    pytest.importorskip("PIL")
    assert float(run("augmented.py", str(tmp_path)).split("right")[1]) > 0.8


def test_a_script_for_plaidml():
    skip_if_no_backend("opencl")
    assert "device opencl" in run("from_plaidml.py")


def test_a_script_that_fails_fails_as_it_would_alone(tmp_path):
    (tmp_path / "bad.py").write_text("import helper_of_bad\nimport keras\nraise SystemExit(7)")
    (tmp_path / "helper_of_bad.py").write_text("")
    done = subprocess.run([sys.executable, "-m", "kcore", "run", tmp_path / "bad.py"], capture_output=True, text=True)
    assert done.returncode == 7 and not done.stderr
    (tmp_path / "worse.py").write_text(
        "import keras, warnings\nwarnings.warn('look')\nkeras.backend.use_backend('none')"
    )
    done = subprocess.run([sys.executable, "-m", "kcore", "run", tmp_path / "worse.py"], capture_output=True, text=True)
    assert done.returncode == 1 and "worse.py:2: UserWarning: look" in done.stderr and "line 3, in" in done.stderr
    done = subprocess.run([sys.executable, "-m", "kcore", "run", "none.py"], capture_output=True, text=True)
    assert done.returncode == 1 and "there is no file 'none.py' to run" in done.stderr


@pytest.mark.parametrize(
    ("place", "name", "expected"),
    [
        ("keras.layers", "Dense", "kcore.layers:Dense"),
        ("keras.layers.core", "Dense", "kcore.layers:Dense"),
        ("keras.layers", "CuDNNLSTM", "kcore.layers:LSTM"),
        ("keras.engine.topology", "Layer", "kcore.layers:Layer"),
        ("keras.engine.training", "Model", "kcore.models:Model"),
        ("keras.utils.vis_utils", "plot_model", "kcore.utils:plot_model"),
        ("keras.objectives", "mse", "kcore.losses:mse"),
        ("keras.optimizers.legacy", "SGD", "kcore.optimizers:SGD"),
        ("keras.optimizers.schedules", "CosineDecay", "kcore.optimizers.schedules:CosineDecay"),
        ("keras.datasets.mnist", "load_data", "kcore.datasets.mnist:load_data"),
        ("tf_keras.models", "load_model", "kcore.models:load_model"),
        ("tensorflow.keras.layers.experimental.preprocessing", "Rescaling", "kcore.layers:Rescaling"),
        ("tensorflow", "GradientTape", "kcore:GradientTape"),
        ("keras.backend", "epsilon", "kcore.config:epsilon"),
        ("keras.preprocessing.image", "ImageDataGenerator", "kcore.compat.image:ImageDataGenerator"),
        ("tensorflow.keras.preprocessing.image", "load_img", "kcore.utils:load_img"),
    ],
)
def test_names_are_those_of_kcore(forgotten, place, name, expected):
    install()
    module, _, there = expected.partition(":")
    assert getattr(importlib.import_module(place), name) is getattr(importlib.import_module(module), there)


def test_a_star_import_and_modules_as_attributes(forgotten):
    install("keras")
    names: dict[str, object] = {}
    exec("from keras.layers import *\nimport keras\nfrom keras import backend as K", names)  # noqa: S102
    assert names["Dense"] is kcore.layers.Dense and "LSTM" in names
    assert names["keras"].backend is names["K"] and names["keras"].layers.__name__ == "keras.layers"
    assert "Dense" in dir(names["keras"].layers) and names["keras"].Sequential is kcore.Sequential


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("from keras.layers import Densee", "cannot import name 'Densee' from 'keras.layers'"),
        ("import keras; keras.layers.Densee", "keras.layers is kcore here, which has no 'Densee' there"),
        ("import keras.nonsense", r"keras is kcore here, which has no module 'keras.nonsense'; see dir\(keras\)"),
        (
            "import tensorflow as tf; tf.data",
            "tensorflow is kcore here, .* 'data' there; of TensorFlow itself kcore has",
        ),
        ("import tensorflow.data", "which has no module 'tensorflow.data'; of TensorFlow itself kcore has keras, Grad"),
        ("import keras; keras.backend.gradients", "keras.backend.gradients is not in kcore: use kcore.GradientTape"),
    ],
)
def test_what_is_missing_is_told(forgotten, statement, message):
    install()
    with pytest.raises((ImportError, AttributeError), match=message):
        exec(statement, {})  # noqa: S102


def test_installing_too_late_or_an_unknown_name(forgotten):
    import keras  # the real one

    with pytest.raises(ImportError, match="keras was imported already: call kcore.compat.install"):
        install("keras")
    with pytest.raises(ValueError, match="knows keras, tf_keras, tensorflow, plaidml, received 'theano'"):
        install(["theano"])
    assert keras.__name__ == "keras"


def test_uninstalling_gives_back_what_is_installed(forgotten):
    install("keras")
    assert importlib.import_module("keras").__version__ == "3.15.1+kcore"
    install("keras")  # twice is once
    uninstall()
    assert "kcore" not in importlib.import_module("keras").__version__
