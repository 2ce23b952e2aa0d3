"""Seeds, sessions and the determinism switch: the same script gives the same bits, in this process and in another."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest

import kcore
from kcore import config, layers, utils
from kcore.backend import current, devices, is_backend_available, use_backend
from kcore.errors import DeterminismError
from kcore.runtime import seeds

SCRIPT = """
import hashlib
import numpy as np
import kcore
from kcore import layers

{start}
model = kcore.Sequential([layers.Input((8, 8, 3)), {first} layers.Flatten(), layers.Dropout(0.3),
                          layers.Dense(128, activation="relu"), layers.Dense(4)])
model.compile("adam", "mse")
x = np.random.normal(size=(256, 8, 8, 3)).astype("float32")
model.fit(x, x[:, 0, 0, :1] * np.ones((1, 4), "float32"), epochs=2, batch_size=64, verbose=0)
found = hashlib.sha256(model.predict(x, verbose=0).tobytes())
for weight in model.get_weights():
    found.update(weight.tobytes())
print(found.hexdigest())
"""


CONVOLUTION = 'layers.Conv2D(8, 3, activation="relu"), layers.BatchNormalization(),'


def bits(start, backend="numpy", **environment):
    """What another process prints that trains a small model."""
    first = CONVOLUTION if backend == "numpy" else ""  # OpenCL compiles its programs anew, which takes long
    variables = {**os.environ, "KERAS_BACKEND": backend, **environment}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(start=start, first=first)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


@pytest.fixture(autouse=True)
def as_before():
    """The seed, the switch, the backend and its threads are as they were, afterwards."""
    before, place = seeds._explicit_seed, str(current())
    yield
    config.disable_op_determinism()
    use_backend(place)
    current().backend.set_threads(None)
    seeds._explicit_seed = before


@pytest.mark.parametrize("backend", ["numpy", "opencl:intel"])
def test_two_processes_give_the_same_bits(backend):
    if not is_backend_available(backend):
        pytest.skip(f"{backend} does not answer")
    start = "kcore.utils.enable_op_determinism(); kcore.utils.set_random_seed(7)"
    first, second = (bits(start, backend, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second


def test_a_session_with_a_seed_does_not_depend_on_the_number_of_processors():
    start = "kcore.utils.use_session_with_seed(7)"
    assert bits(start, KCORE_NUM_THREADS="1") == bits(start, KCORE_NUM_THREADS="2")


def test_other_seeds_give_other_bits():
    runs = []
    for seed in (1, 2, 1):
        utils.set_random_seed(seed)
        dense = layers.Dense(2)
        dense.build((None, 3))
        draws = (random.random(), np.random.random(), kcore.random.uniform(()).item())
        runs.append((*draws, dense.kernel.numpy().tobytes()))
    assert runs[0] == runs[2] and not set(runs[0]) & set(runs[1])


def test_a_session_starts_names_and_seeds_again_and_says_so(capsys):
    utils.use_session_with_seed(3)
    said = capsys.readouterr().out
    assert "the session starts with seed 3, on" in said and "one thread" in said
    first = layers.Dense(1).name, random.random(), kcore.random.uniform(()).item()
    utils.use_session_with_seed(3, quiet=True)
    assert (layers.Dense(1).name, random.random(), kcore.random.uniform(()).item()) == first
    assert first[0] == "dense" and os.environ["PYTHONHASHSEED"] == "0" and capsys.readouterr().out == ""


def test_a_session_takes_one_thread_and_gives_them_back():
    from kcore_numpy import threads

    use_backend("numpy")
    before = threads.count()
    utils.use_session_with_seed(3, quiet=True)
    assert threads.count() == 1
    utils.use_session_with_seed(3, disable_parallel_cpu=False, quiet=True)
    assert threads.count() == before


def test_a_session_leaves_a_gpu_for_a_cpu(monkeypatch):
    class Gpu:
        kind = "gpu"

    class Place:
        device, backend = Gpu, current().backend

    chosen = []
    monkeypatch.setattr("kcore.runtime.session.current", lambda: Place)
    monkeypatch.setattr("kcore.runtime.session.use_backend", chosen.append)
    utils.use_session_with_seed(3, disable_gpu=False, quiet=True)
    assert chosen == []
    utils.use_session_with_seed(3, quiet=True)
    assert chosen == [str(next(d for d in devices() if d.kind == "cpu"))]


@pytest.mark.parametrize("function", [utils.set_random_seed, utils.use_session_with_seed])
@pytest.mark.parametrize("seed", [-1, 1 << 32, 1.5, True, "7", None])
def test_a_wrong_seed_is_refused(function, seed):
    with pytest.raises(ValueError, match=r"an integer in \[0, 2\*\*32\)\. Received: seed="):
        function(seed)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: kcore.random.normal((2,)),
        lambda: layers.Dense(1).build((None, 2)),
        lambda: layers.Dropout(0.5),
        lambda: kcore.random.SeedGenerator(),
    ],
    ids=["op", "weights", "dropout", "generator"],
)
def test_determinism_refuses_randomness_without_a_seed(draw):
    seeds._explicit_seed = None
    seeds.forget_global_generator()
    draw()
    seeds.forget_global_generator()
    utils.enable_op_determinism()
    with pytest.raises(DeterminismError, match=r"without a seed, .* call kcore.utils.set_random_seed\(seed\) first"):
        draw()
    layers.Dropout(0.5, seed=1)
    layers.Dense(1, kernel_initializer=kcore.initializers.GlorotUniform(seed=1)).build((None, 2))
    utils.set_random_seed(0)
    draw()


def test_determinism_refuses_a_shuffle_without_a_seed():
    model = kcore.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 2), "float32")
    seeds._explicit_seed = None
    utils.enable_op_determinism()
    model.fit(x, x[:, :1], shuffle=False, verbose=0)
    with pytest.raises(RuntimeError, match="random numbers are drawn without a seed"):
        model.fit(x, x[:, :1], verbose=0)
