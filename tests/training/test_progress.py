"""What is printed: one plain line per epoch in a log, nothing when silent."""

from __future__ import annotations

import re
import subprocess
import sys

from kcore.training.progress import Progbar, format_time


def test_the_line_of_an_epoch_has_kerass_form(capsys):
    bar = Progbar(12, verbose=1)
    for step in range(1, 13):
        bar.update(step, {"loss": 1.0})
    bar.finish(12, {"accuracy": 0.97, "loss": 0.0001})
    line = capsys.readouterr().out
    assert re.fullmatch(r"12/12 - 0s - \d+(us|ms|s)/step - accuracy: 0\.9700 - loss: 1\.0000e-04\n", line)


def test_metrics_are_not_read_where_no_bar_is_redrawn():
    class Untouchable(dict):
        def items(self):
            raise AssertionError("read")

    bar = Progbar(3, verbose=2)
    bar.update(1, Untouchable())
    bar.update(2, Untouchable())


def test_silence(capsys):
    bar = Progbar(1, verbose=0)
    bar.update(1, {})
    bar.finish(1, {})
    assert capsys.readouterr().out == ""


def test_times_are_rounded_as_in_keras():
    assert [format_time(t) for t in (3.2, 0.0123, 0.000045, 0)] == ["3s/step", "12ms/step", "45us/step", "0s/step"]


def test_rich_is_not_imported_for_a_log():
    code = "import sys; from kcore.training.progress import Progbar; Progbar(1).finish(1, {})"
    code += "; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
