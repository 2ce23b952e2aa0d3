"""Whole models with their products and convolutions on the acted libraries, on the fake GPU, through CUDA graphs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import library_stage
import lt_stage
import numpy as np
import pytest

import kcore
from kcore import testing
from kcore.backend.kernel import kernels_of
from kcore.graph.op import OPS
from kcore.testing.runner import run_check
from kcore.testing.trainings import train
from kcore_cuda import libraries
from kcore_cuda.kernels import attention, contraction, convolution, normalization  # noqa: F401  (registers them)
from kcore_cuda.libraries import cublas, cublaslt, cudnn

OURS = [k for k in kernels_of("cuda") if k.priority > 0]
#: The first submits, the second records, the third replays.
STEPS = 3


@pytest.fixture
def acted(computing, monkeypatch):
    """The fake GPU whose streams the acted libraries submit to; their calls are in `calls`."""
    table = kernels_of("cuda")
    library, lt = library_stage.Cublas(computing.submit), lt_stage.Lt(computing.submit)
    monkeypatch.setattr(cublas, "library", lambda: library)
    monkeypatch.setattr(cublaslt, "library", lambda: lt)
    monkeypatch.setattr(cudnn, "library", lambda: SimpleNamespace())
    monkeypatch.setattr(cudnn, "Cudnn", partial(library_stage.Cudnn, submit=computing.submit))
    monkeypatch.setattr(contraction, "SMALL", 0)
    libraries._made.clear()
    for kernel in OURS:
        table.add(kernel)
    yield library
    for kernel in OURS:
        table.remove(kernel)
    libraries._made.clear()


@pytest.mark.parametrize("name", ["matmul", "conv_kernel_grad"])
def test_the_kit_s_checks_of_compiled_ops_hold(acted, monkeypatch, name):
    """Contiguous and strided inputs, guards around every buffer, memory that others used before."""
    monkeypatch.setattr(testing.options, "dtypes", ("float32",))
    assert run_check(OPS[name], "compiled") > 10
    assert acted.calls or name != "matmul"


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "transformer"])
def test_a_model_trains_as_on_numpy(computing, acted, name):
    losses, weights = train(name, STEPS)
    assert "graph" in computing.calls
    kcore.use_backend("numpy")
    wanted, wanted_weights = train(name, STEPS)
    np.testing.assert_allclose(losses, wanted, rtol=1e-4, atol=1e-5)
    for mine, other in zip(weights, wanted_weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=2e-4)
    assert ("gemm", 68, 1) in acted.calls, "at least one product was cuBLAS's"


def test_the_plan_says_which_library_s_kernel_runs(acted):
    layers = kcore.layers
    model = kcore.Sequential([kcore.Input((6, 6, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(8, "relu")])
    step = kcore.function(lambda x: model(x)).concrete(np.zeros((2, 6, 6, 3), "float32"))
    ours = {k.bind for k in OURS}
    chosen = [s.kernel for s in step.plan.steps]
    assert sum(k.bind in ours for k in chosen) == 2, step.plan


def _encoder():
    layers = kcore.layers
    tokens = kcore.Input((6,), dtype="int32")
    x = layers.Embedding(20, 16)(tokens)
    x = layers.Add()([x, layers.MultiHeadAttention(num_heads=2, key_dim=8)(x, x)])
    model = kcore.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", "mse")
    return model


def test_attention_in_bfloat16_trains_as_on_numpy(computing, acted, monkeypatch):
    run = []
    monkeypatch.setitem(
        library_stage.ACTS, "Attention", lambda d, a: run.append(d.backward) or library_stage.attend(d, a)
    )
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 20, (4, 6)).astype("int32"), rng.normal(size=(4, 2)).astype("float32")
    losses = []
    kcore.config.set_dtype_policy("mixed_bfloat16")
    try:
        for backend in ("cuda", "numpy"):
            kcore.use_backend(backend)
            kcore.set_random_seed(1)
            model = _encoder()
            losses.append([float(model.train_on_batch(x, y)) for _ in range(STEPS)])
    finally:
        kcore.config.set_dtype_policy("float32")
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-2)
    assert run == [False, True] * STEPS


def _residual():
    layers = kcore.layers
    image = kcore.Input((6, 6, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(image))
    h = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
    model = kcore.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Add()([h, x]))))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 2e-2)])
def test_batch_normalization_on_cudnn_trains_as_on_numpy(computing, acted, monkeypatch, policy, tolerance):
    monkeypatch.setenv("KCORE_CUDA_CUDNN_BATCH_NORM", "1")
    run = []
    act = library_stage.normalize
    monkeypatch.setitem(library_stage.ACTS, "BatchNorm", lambda d, a: run.append((d.backward, d.dtype)) or act(d, a))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 6, 6, 3)).astype("float32"), rng.normal(size=(4, 2)).astype("float32")
    losses, moving = [], []
    kcore.config.set_dtype_policy(policy)
    try:
        for backend in ("cuda", "numpy"):
            kcore.use_backend(backend)
            kcore.set_random_seed(1)
            model = _residual()
            losses.append([float(model.train_on_batch(x, y)) for _ in range(STEPS)])
            moving.append([w.numpy() for w in model.non_trainable_variables])
    finally:
        kcore.config.set_dtype_policy("float32")
    np.testing.assert_allclose(losses[0], losses[1], rtol=tolerance)
    for mine, other in zip(*moving, strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance * 0.1)
    dtype = "float32" if policy == "float32" else "bfloat16"
    assert run == [(False, dtype), (False, dtype), (True, dtype), (True, dtype)] * STEPS


def test_the_benchmark_calls_the_libraries_as_the_backend_does(acted, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4] / "benchmarks"))
    import cuda_bench

    monkeypatch.setattr(cuda_bench, "PRODUCTS", [(4, 8, 16)])
    monkeypatch.setattr(cuda_bench, "IMAGES", [(1, 4, 8, 3), (1, 4, 8, 1)])

    def once(step, wait, *given):
        step()
        wait()
        return 1e12

    monkeypatch.setattr(cuda_bench, "rate", once)
    ours, direct = {}, {}
    cuda_bench.measure_calls(ours.__setitem__, direct.__setitem__)
    assert len(ours) == 6
    assert set(direct) == set(ours)
    assert ours == direct
    assert ours["product 4 x 8 x 16, bfloat16"] == 2 * 4 * 8 * 16
