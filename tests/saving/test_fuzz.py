"""Damaged files of every form load, or are refused with an error that names them: no crash, hang, or partial load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("mutations.py")
FORMS = [".keras", ".h5", ".weights.h5", "json"]


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
    counts = run(form, 0, 100, tmp_path, 300)
    assert counts["refused"] > 30
    assert counts["loaded"] > 0  # control: copies damaged where it does not matter still load


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 1100, 250))
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
