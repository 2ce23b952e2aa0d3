"""Saving and loading take little more memory than the model, and not much longer than plain h5py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "saving.py"


def rows(size, *forms):
    """Form -> rate, rate by the processor's time and peak of saving, the same of loading."""
    command = [sys.executable, str(BENCHMARK), "--mb", str(size), "--forms", *forms]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()[2:]]
    return {form: [float(figure) for figure in figures] for form, *figures in lines}


FORMS = (".keras", ".h5", ".weights.h5", "only.h5", ".weights.json", ".safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_two_gigabytes_take_little_more_memory_and_at_least_half_of_h5py_s_rate(form):
    found = rows(2048, form)
    plain_saving, _, peak, plain_loading, _, _ = found.pop("h5py")
    assert peak >= 0.9  # control: the arrays themselves are seen
    saving_rate, _, saving, loading_rate, _, loading = found.pop(form)
    assert saving < 1.3, f"saving {form} takes {saving} times the model's memory"
    assert loading < 1.3, f"loading {form} takes {loading} times the model's memory"
    assert saving_rate > plain_saving / 2, f"saving {form}: {saving_rate} MB a second, h5py {plain_saving}"
    assert loading_rate > plain_loading / 2, f"loading {form}: {loading_rate} MB a second, h5py {plain_loading}"
