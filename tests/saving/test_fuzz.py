"""Damaged files of every form load, or are refused with an error that names them: no crash, hang, or partial load."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kcore

PROGRAM = Path(__file__).with_name("mutations.py")
FORMS = [".keras", ".h5", ".weights.h5", "only.h5", "shards", ".safetensors", "json"]
FORMS += ["keras-1.2.2", "keras-2.2.4", "keras-2.15.0", "keras-2.15.0-ops"]  # files that these wrote


def run(form, first, last, folder, limit):
    """Load the copies of these numbers in a process of its own; returns how many were loaded and refused."""
    command = [sys.executable, str(PROGRAM), form, str(first), str(last), str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    number = (folder / "number").read_text() if (folder / "number").exists() else "none"
    assert done.returncode == 0, (
        f"the process died ({done.returncode}) at copy {number} of {form}\n{done.stderr[-2000:]}"
    )
    *problems, counts = done.stdout.strip().split("\n")
    assert not problems, "\n".join(problems)
    return json.loads(counts)


@pytest.mark.parametrize("form", FORMS)
def test_damaged_copies(form, tmp_path):
    counts = run(form, 0, 50, tmp_path, 300)
    assert counts["refused"] > 15
    assert counts["loaded"] > 0  # control: copies damaged where it does not matter still load


@pytest.mark.slow
@pytest.mark.parametrize("start", range(50, 1050, 250))
@pytest.mark.parametrize("form", FORMS)
def test_a_thousand_damaged_copies(form, start, tmp_path):
    run(form, start, start + 250, tmp_path, 600)


def test_control_a_crash_a_hang_and_a_flood_are_seen(tmp_path):
    for code, error in (("import os; os.abort()", AssertionError), ("while True: pass", subprocess.TimeoutExpired)):
        program = tmp_path / "program.py"
        program.write_text(code)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(globals(), "PROGRAM", program)
            with pytest.raises(error):
                run(".keras", 0, 1, tmp_path, 2)


@pytest.fixture
def mutations(monkeypatch):
    """The program, as a module."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    return importlib.import_module("mutations")


def loaded(mutations, form, folder):
    for name, content in mutations.originals(form).items():
        (folder / name).write_bytes(content)
    model = mutations.built()
    before = mutations.values_of(model)
    model.load_weights(folder / mutations.NAMES[form])
    return model, before


@pytest.mark.parametrize("form", [".weights.h5", "only.h5", "shards", ".safetensors"])
def test_control_weights_that_are_not_the_file_s_are_seen(form, mutations, tmp_path):
    model, before = loaded(mutations, form, tmp_path)
    assert mutations.wrong_weights(tmp_path, model, before) == ""
    model.weights[2].assign_add(np.float32(1e-6))
    assert "are not in the file" in mutations.wrong_weights(tmp_path, model, before)


def test_control_half_a_state_of_an_optimizer_is_seen(mutations, tmp_path):
    model, before = loaded(mutations, ".weights.h5", tmp_path)
    model.optimizer.variables[4].assign_add(np.float32(0.3))
    assert mutations.wrong_weights(tmp_path, model, before) == "the optimizer's state is loaded in part"


def test_control_a_model_that_its_configuration_does_not_make_is_seen(mutations, tmp_path, monkeypatch):
    model, _ = loaded(mutations, ".weights.h5", tmp_path)
    assert mutations.wrong_model(tmp_path, model, ".weights.h5") == ""
    other = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    monkeypatch.setattr(mutations, "model_from_json", lambda text: other)
    assert "makes another model" in mutations.wrong_model(tmp_path, model, ".weights.h5")
