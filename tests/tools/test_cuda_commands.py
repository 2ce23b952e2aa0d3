"""The three commands for a machine with a GPU: what they say where there is none, and their parts that need none."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kcore
from kcore.backend import is_backend_available
from kcore.testing import options

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "cuda-check": "tools/cuda_check.py",
    "cuda-sanitize": "tools/cuda_sanitize.py",
    "cuda-bench": "benchmarks/cuda_bench.py",
}
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "benchmarks")]

import cuda_bench as bench  # noqa: E402
import cuda_check  # noqa: E402
import cuda_gpu  # noqa: E402
import cuda_sanitize  # noqa: E402
import large_models  # noqa: E402


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("KCORE_RESULTS", str(tmp_path))
    yield
    kcore.config.set_dtype_policy("float32")
    kcore.config.set_floatx("float32")
    kcore.use_backend("numpy")


@pytest.mark.skipif(is_backend_available("cuda"), reason="there is a GPU")
@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_gpu_a_command_says_so_in_one_line_and_fails(name):
    told = subprocess.run(
        [sys.executable, ROOT / COMMANDS[name]], capture_output=True, text=True, timeout=60,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )  # fmt: skip
    assert told.returncode == 1
    assert not told.stdout
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"{name}: no GPU to run on: ")
    assert "driver" in line or "pip install" in line, "what to do about it"


@pytest.mark.parametrize("name", COMMANDS)
def test_make_knows_each_command_and_asks_for_a_gpu_before_it_fetches_anything(name):
    told = subprocess.run(["make", "-n", name], cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = [line for line in told.stdout.splitlines() if "python" in line]
    assert lines[-1].split()[-1] == COMMANDS[name], told
    first = next(i for i, line in enumerate(lines) if f"cuda_gpu.py {name}" in line)
    assert not any("requirements-gpu" in line for line in lines[:first])
    assert f"make {name} " in subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout


def test_the_check_trains_beside_numpy_on_any_device(capsys):
    held = cuda_check.agreements("numpy", ["mlp"])
    assert held == {"mlp": True}
    assert "holds" in capsys.readouterr().out


def test_a_training_that_ends_elsewhere_fails(monkeypatch, capsys):
    from kcore.testing import trainings

    monkeypatch.setattr(trainings, "agreement", lambda *given: trainings.Agreement(True, 1.0, 1e-3, 1e-3))
    assert cuda_check.agreements("numpy", ["mlp"]) == {"mlp": False}
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "failed"), [(0, 0), (1, 1), (None, 1)])
def test_the_check_fails_where_conformance_does_or_is_not_over(monkeypatch, capsys, tmp_path, status, failed):
    commands, settings = [], []

    def run(self, command, share, log, **environment):
        commands.append(command)
        settings.append(environment)
        return status

    monkeypatch.setattr(cuda_gpu.Clock, "run", run)
    assert cuda_check.main(["--device", "numpy", "--model", "none"]) == failed
    assert [c[1:3] for c in commands] == [["test-backend", "numpy"]] * 3
    assert "float16,bfloat16" in commands[1]
    assert settings == [{}, {}, {"KCORE_CUDA_CUDNN_BATCH_NORM": "1"}]
    said = capsys.readouterr().out
    assert ("not over in time" in said) == (status is None)
    assert (tmp_path / "cuda-check.txt").read_text().splitlines()[-1] == said.splitlines()[-1]


def test_a_model_that_raises_fails_and_the_others_train_all_the_same(monkeypatch, tmp_path):
    from kcore.testing import trainings

    def agreement(name, device, steps):
        if name == "mlp":
            raise RuntimeError("the GPU is gone")
        return trainings.Agreement(True, 1e-5, 1e-3, 1e-3)

    monkeypatch.setattr(trainings, "agreement", agreement)
    log = tmp_path / "log"
    assert cuda_check.agreements("numpy", ["mlp", "cnn"], log) == {"mlp": False, "cnn": True}
    assert "FAILED: RuntimeError: the GPU is gone" in log.read_text()


def test_what_a_command_printed_is_kept_even_if_it_was_not_over(tmp_path):
    log = tmp_path / "log"
    code = "import os, subprocess, sys, time; print('so far', flush=True); subprocess.run(['sleep', '60'])"
    assert cuda_gpu.Clock(3.0).run([sys.executable, "-c", code], log=log) is None
    assert log.read_text().splitlines()[1:] == ["so far"]


@pytest.mark.parametrize(("version", "major"), [(0, 13), (12080, 12), (13020, 13)])
def test_the_toolkit_is_that_of_the_driver(monkeypatch, version, major):
    from kcore_cuda import gpus

    monkeypatch.setattr(gpus, "listing", lambda: gpus.Listing(version))
    assert cuda_gpu.toolkit() == major


def test_what_is_fetched_first_wants_a_driver_and_nothing_that_is_installed(monkeypatch):
    from kcore_cuda import gpus, installation

    gpu = gpus.Gpu(0, "GPU", (9, 0), 1 << 30)
    monkeypatch.setattr(gpus, "listing", lambda: gpus.Listing(13000, (gpu,)))
    monkeypatch.setattr(installation, "wheels", dict)
    cuda_gpu.require("cuda-check", driver_only=True)
    monkeypatch.setattr(gpus, "listing", lambda: gpus.Listing(error="library", detail="libcuda.so.1 is missing"))
    with pytest.raises(SystemExit):
        cuda_gpu.require("cuda-check", driver_only=True)


def test_the_sanitizer_s_program_runs_every_family(monkeypatch):
    for name in ("dtypes", "case"):  # which it sets, as it runs in a process of its own
        monkeypatch.setattr(options, name, getattr(options, name))
    families = cuda_sanitize.families()
    assert {"contraction", "convolution", "attention", "recurrent", "elementwise", "random", "rotary"} <= set(families)
    assert cuda_sanitize.run_family("numpy", "contraction") == 4


def test_a_program_that_is_not_over_in_time_is_none():
    clock = cuda_gpu.Clock(2.0)
    assert clock.run([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert cuda_gpu.Clock(0.0).run([sys.executable, "-c", "import time; time.sleep(30)"]) is None


def _count(model):
    return sum(math.prod(w.shape) for w in model.trainable_weights)


def test_resnet_50_is_the_one_everybody_measures():
    model = large_models.resnet50(kcore)
    assert _count(model) == 25_557_032
    assert model.output_shape == (None, 1000)


def test_the_encoder_has_what_bert_s_blocks_have():
    width, words, depth = 16, 50, 3
    model = large_models.encoder(kcore, depth, width, 2, 8, words)
    attention, hidden, norms = 4 * (width * width + width), 8 * width * width + 5 * width, 4 * width
    assert _count(model) == words * width + depth * (attention + hidden + norms) + 2 * width + 2 * width + 2


def test_the_large_models_train_in_bfloat16():
    found = {}
    bench.measure_large("kcore", False, True, found.__setitem__)
    assert set(found) == {"resnet50, batch 2, bfloat16", "encoder, batch 2, bfloat16"}
    assert all(value > 0 for value in found.values())


def test_host_times_are_measured_on_any_device():
    found = {}
    bench.measure_host("numpy", found.__setitem__)
    assert set(found) == {"executable of 30 products, 8 x 8", "step of fit, 16-16-4, batch 8"}
    assert all(0 < value < 1e6 for value in found.values())


RECORDED = [
    bench.Row("workloads", "mlp, batch 128", "kcore", 2000.0),
    bench.Row("workloads", "mlp, batch 128", "Keras on JAX", 1600.0),
    bench.Row("workloads", "cnn, batch 128", "kcore", 900.0),
    bench.Row("workloads", "cnn, batch 128", "Keras on JAX", 1000.0),
    bench.Row("workloads", "lstm, batch 128", "kcore", 900.0),
    bench.Row("large", "resnet50, batch 128, bfloat16", "kcore", 20.0),
    bench.Row("large", "resnet50, batch 128, bfloat16", "torch.compile", 19.0),
    bench.Row("large", "resnet50, batch 128, bfloat16", "torch", 15.0),
    bench.Row("calls", "product 4096", "kcore", 600.0),
    bench.Row("calls", "product 4096", "direct", 620.0),
    bench.Row("calls", "convolution 64", "kcore", 300.0),
    bench.Row("calls", "convolution 64", "direct", 400.0),
    bench.Row("host", "executable of 30 products", "kcore", 41.0),
    bench.Row("host", "step of fit, 16-16-4", "kcore", 163.0),
    bench.Row("large", "", "Keras on torch.compile", None, "not over in 40 s"),
]


def test_the_tables_hold_what_was_found_beside_what_is_aimed_at():
    text = bench.tables(RECORDED)
    for line in (
        "| mlp, batch 128 | 2,000.0 | 1,600.0 | 1.25 (reached) |",
        "| cnn, batch 128 | 900.0 | 1,000.0 | 0.90 (missed) |",
        "| lstm, batch 128 | 900.0 | - | - |",
        "| Training steps per second, bfloat16 | kcore | torch | torch.compile | kcore against the best |",
        "| resnet50, batch 128, bfloat16 | 20.0 | 15.0 | 19.0 | 1.05 (reached) |",
        "| product 4096 | 600.0 | 620.0 | 97% (reached) |",
        "| convolution 64 | 300.0 | 400.0 | 75% (missed) |",
        "| executable of 30 products | 41 | 50 (reached) |",
        "| step of fit, 16-16-4 | 163 | 150 (missed) |",
        "- Keras on torch.compile, large: not over in 40 s",
    ):
        assert line in text.splitlines(), text


def test_a_side_that_fails_is_a_row_that_says_why():
    rows = bench.run("large", "torch", sys.executable, 60.0)
    assert [r.value for r in rows] == [None]
    assert "torch" in rows[0].note


def test_all_parts_together_stay_within_ten_minutes():
    assert sum(bench.SHARES.values()) <= cuda_gpu.BUDGET
