"""Saving and loading take little more memory than the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "saving.py"


def rows(size, *forms):
    """Form -> rate and peak of saving, rate and peak of loading."""
    command = [sys.executable, str(BENCHMARK), "--mb", str(size), "--forms", *forms]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()[2:]]
    return {form: [float(figure) for figure in figures] for form, *figures in lines}


@pytest.mark.slow
def test_the_peak_is_below_1_3_times_the_model():
    found = rows(512, ".keras", ".weights.h5")
    plain = found.pop("h5py")
    for form, (_, saving, _, loading) in found.items():
        assert saving < 1.3, f"saving {form} takes {saving} times the model's memory"
        assert loading < 1.3, f"loading {form} takes {loading} times the model's memory"
    assert plain[1] >= 0.9  # control: the arrays themselves are seen
