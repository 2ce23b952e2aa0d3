"""Every script in examples/ runs, learns something, and uses nothing that Keras lacks."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
IMPORT = "import kcore as keras\n"

#: Script -> arguments that make it small, and what it must have learned by then.
KERAS_SCRIPTS = {
    "character_text": (
        ["--epochs", "2", "--length", "5"],
        lambda r: r["loss"][-1] < r["loss"][0] and len(r["text"]) == 9,
    ),
    "denoising_autoencoder": (["--epochs", "4"], lambda r: r["after"] < r["before"]),
    "digits_cnn": (["--epochs", "3"], lambda r: r["accuracy"] > 0.75),
    "multi_input": (
        ["--epochs", "3", "--samples", "2000"],
        lambda r: r["class weights"]["recall"] > r["plain"]["recall"],
    ),
    "siamese": (["--epochs", "6", "--pairs", "3000"], lambda r: r["near"] > 0.56 and r["weights"] == 6),
    "tabular_regression": (["--epochs", "15"], lambda r: r["mae"] < 58),
    "text_classification": (["--epochs", "4", "--samples", "1000"], lambda r: r["accuracy"] > 0.8),
    "time_series": (["--epochs", "3", "--hours", "9000"], lambda r: r["gru"] < 1.2 * r["naive"]),
    "transfer_learning": (["--epochs", "1"], lambda r: r["frozen"] > 0.4 and r["tuned"] > 0.4),
    "transformer": (["--epochs", "2", "--samples", "1500"], lambda r: r["accuracy"] > 0.6),
    "vae": (["--epochs", "3"], lambda r: r["loss"][-1] < 0.95 * r["loss"][0]),
}
OTHERS = {"digits", "dropout_rate", "learning_rates", "pictures"}  # with what only kcore has


def run(name, arguments):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](arguments)


def test_every_script_is_tested_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*KERAS_SCRIPTS, *OTHERS}


@pytest.mark.parametrize("name", KERAS_SCRIPTS)
def test_a_script_runs_and_learns(name, capsys):
    arguments, learned = KERAS_SCRIPTS[name]
    result = run(name, arguments)
    assert learned(result), result
    assert capsys.readouterr().out.strip(), "it printed nothing"


def test_the_digits_are_watched(tmp_path):
    run("digits_cnn", ["--epochs", "1", "--csv", str(tmp_path / "log.csv"), "--logdir", str(tmp_path / "logs")])
    assert (tmp_path / "log.csv").read_text().startswith("epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n")
    assert {folder.name for folder in (tmp_path / "logs").iterdir()} == {"train", "validation"}


def test_without_a_network_a_script_says_where_to_put_the_data(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(OSError, match=r"california_housing.npz cannot be fetched.*put it at"):
        run("tabular_regression", ["--houses"])


def test_one_model_prefers_the_wrong_rate_and_a_sweep_the_right_one(monkeypatch, tmp_path, caplog):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    result = run("learning_rates", ["--epochs", "8", "--picture", str(tmp_path / "rates.png")])
    fast, slow = result["wrong"]
    assert result["wrong"][slow] < result["wrong"][fast] and result["best"] == fast
    assert "compiled again" in caplog.text
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_a_dropout_rate_of_0_7_costs_accuracy(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    means = run("dropout_rate", ["--epochs", "5", "--seeds", "1"])
    assert means[0.3] > means[0.7] + 0.1


@pytest.mark.parametrize("name", KERAS_SCRIPTS)
def test_a_script_imports_kcore_in_one_line_as_keras(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.count(IMPORT) == 1 and "kcore" not in text.replace(IMPORT, "")


@pytest.mark.parametrize("name", KERAS_SCRIPTS)
def test_every_name_a_script_uses_is_one_of_keras(name):
    import keras

    tree = ast.parse((EXAMPLES / f"{name}.py").read_text())
    short = {"layers": "keras.layers", "ops": "keras.ops", "callbacks": "keras.callbacks"}
    chains = [ast.unparse(node).split(".") for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = [[*short.get(first, first).split("."), *rest] for first, *rest in chains if first in ("keras", *short)]
    assert len(used) > 5
    for _, *names in used:
        found = keras
        for part in names:
            found = getattr(found, part)  # AttributeError names what Keras lacks


#: An interpreter with Keras, JAX and TensorFlow, if this one has not all of them.
PEER = os.environ.get("KERAS_PYTHON", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS_SCRIPTS)
def test_a_script_runs_and_learns_under_keras(name, tmp_path):
    """Needs Keras on JAX, and TensorFlow for the windows of time_series."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(tmp_path)}

    def python(code):
        return subprocess.run([PEER, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)

    text = (EXAMPLES / f"{name}.py").read_text()
    needed = ["jax", *(["sklearn"] if "sklearn" in text else []), *(["tensorflow"] if name == "time_series" else [])]
    missing = f"import importlib.util as u; print([m for m in {needed} if u.find_spec(m) is None])"
    if (lacks := python(missing).stdout.strip()) != "[]":
        pytest.skip(f"{PEER} lacks {lacks}")
    (tmp_path / f"{name}.py").write_text(text.replace(IMPORT, "import keras\n"))
    arguments, learned = KERAS_SCRIPTS[name]
    result = python(f"import {name}; print(); print(repr({name}.main({arguments!r})))")
    assert result.returncode == 0, result.stderr[-3000:]
    values = eval(result.stdout.splitlines()[-1], {"nan": float("nan"), "np": np})
    assert learned(values), values
