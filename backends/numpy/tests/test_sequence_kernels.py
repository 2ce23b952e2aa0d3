"""Kernels for sequences: erf to the last bits, and no large allocation in any thunk."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.ops import random as random_ops
from kcore.ops.indexing import gather, scatter_add
from kcore.ops.recurrent import lstm
from kcore.runtime import GradientTape, function
from kcore_numpy import schedule
from kcore_numpy.kernels import recurrent

rng = np.random.default_rng(4)


@pytest.fixture(autouse=True)
def numpy_backend():
    kcore.use_backend("numpy")


@pytest.mark.parametrize("dtype, bound", [("float32", 3e-7), ("float64", 1e-15)])
def test_erf_has_the_digits_of_its_dtype(dtype, bound):
    x = np.linspace(-7, 7, 40001).astype(dtype)
    expected = np.array([math.erf(v) for v in x.tolist()])
    error = np.abs(ops.erf(x).numpy() - expected) / np.where(expected == 0, 1, np.abs(expected))
    assert error.max() < bound


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf_and_gelu_of_what_is_not_finite(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, -0.0], dtype)
    with np.errstate(all="raise", invalid="ignore"):
        np.testing.assert_array_equal(ops.erf(x).numpy(), [np.nan, 1, -1, 1, -1, 0, -0.0])
        np.testing.assert_array_equal(ops.gelu(x[3:], approximate=False).numpy(), [x[3], 0, 0, 0])


def test_gelu_and_its_gradient_are_exact_to_float32():
    x = rng.uniform(-8, 8, 300_001).astype("float32")
    phi = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.tolist()])
    np.testing.assert_allclose(ops.gelu(x, approximate=False).numpy(), x * phi, rtol=2e-6, atol=1e-6)
    tensor = kcore.runtime.convert_to_tensor(x)
    with GradientTape() as tape:
        tape.watch(tensor)
        y = ops.gelu(tensor, approximate=False)
    slope = phi + x * np.exp(-(x.astype("float64") ** 2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(tape.gradient(y, tensor).numpy(), slope, rtol=2e-6, atol=2e-6)


def _random(state):
    return random_ops.random_bits(state, shape=(400_000,), width=32), random_ops.random_uniform(state, shape=(90_000,))


def _dropout(x):
    return random_ops.dropout(x, np.array([1, 2], np.uint32), rate=0.3)


def _embedding(table, indices, updates):
    return gather(table, indices), scatter_add(indices, updates, size=5000)


def _labels(labels, logits):
    with GradientTape() as tape:
        tape.watch(logits)
        loss = ops.sum(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    return tape.gradient(loss, logits)


def _attention(x, mask):
    with GradientTape() as tape:
        tape.watch(x)
        loss = ops.sum(ops.dot_product_attention(x, x, x, mask=mask, is_causal=True))
    return tape.gradient(loss, x)


def _lstm(x, kernel, recurrent, bias):
    with GradientTape() as tape:
        tape.watch([kernel, recurrent, bias])
        loss = ops.sum(lstm(x, None, None, kernel, recurrent, bias)[0])
    return tape.gradient(loss, [kernel, recurrent, bias])


def _gru(x, kernel, recurrent, bias):
    with GradientTape() as tape:
        tape.watch([kernel, recurrent, bias])
        loss = ops.sum(ops.gru(x, None, kernel, recurrent, bias)[0])
    return tape.gradient(loss, [kernel, recurrent, bias])


def _simple_rnn(x, kernel, recurrent, bias):
    with GradientTape() as tape:
        tape.watch([kernel, recurrent, bias])
        loss = ops.sum(ops.simple_rnn(x, None, kernel, recurrent, bias)[0])
    return tape.gradient(loss, [kernel, recurrent, bias])


def _floats(*shape):
    return rng.standard_normal(shape).astype("float32")


CASES = {
    "random": (_random, [np.array([1, 2], np.uint32)]),
    "dropout": (_dropout, [_floats(128, 4096)]),
    "gelu": (lambda x: ops.gelu(x, approximate=False), [_floats(512, 1024)]),
    "embedding": (_embedding, [_floats(5000, 64), rng.integers(0, 5000, (20000,)).astype("int32"), _floats(20000, 64)]),
    "labels": (_labels, [rng.integers(0, 65, 4096), _floats(4096, 65)]),
    "attention": (_attention, [_floats(8, 100, 4, 32), rng.random((8, 1, 1, 100)) > 0.2]),
    "gru": (_gru, [_floats(32, 40, 64), _floats(64, 384), _floats(128, 384), _floats(2, 384)]),
    "simple_rnn": (_simple_rnn, [_floats(32, 40, 64), _floats(64, 128), _floats(128, 128), _floats(128)]),
    "lstm": (_lstm, [_floats(32, 40, 64), _floats(64, 512), _floats(128, 512), _floats(512)]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_replay_allocates_only_a_few_arrays_below_128_kb(name):
    fn, arrays = CASES[name]
    step = function(fn)
    step(*arrays)
    executable = step.concrete(*arrays)
    executable.run(arrays)
    steps = executable.plan.steps
    tracemalloc.start()
    try:
        for planned, thunk in zip(steps, executable._bound.thunks, strict=True):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            thunk()
            peak = tracemalloc.get_traced_memory()[1] - before
            assert peak <= 4 * 128 * 1024, f"{planned.node.op.name} allocates {peak} bytes"
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_an_lstm_whose_steps_are_cut_into_pieces_gives_what_one_piece_gives(reverse, masked, monkeypatch):
    draw = np.random.default_rng(0)
    steps, batch, features, units = 23, 9, 40, 48
    shapes = [(batch, steps, features), (batch, units), (features, 4 * units), (units, 4 * units), (4 * units,)]
    arrays = [draw.standard_normal(shape).astype("float32") / 7 for shape in shapes]
    mask = draw.integers(0, 2, (batch, steps)).astype(bool) if masked else None

    def step(x, h0, kernel, recurrent, bias):
        given = (x, h0, kernel, recurrent, bias)
        with GradientTape() as tape:
            for tensor in given:
                tape.watch(tensor)
            y, h, c = lstm(x, h0, h0, kernel, recurrent, bias, mask=mask, reverse=reverse)
            loss = ops.sum(y * y) + ops.sum(h) + ops.sum(c)
        return [y, h, c, *tape.gradient(loss, given)]

    def results():
        return [part.numpy() for part in function(step)(*arrays)]

    whole = results()
    monkeypatch.setattr(recurrent, "PIECE", 1000)
    monkeypatch.setattr(recurrent, "FEW", 0)
    built = []
    monkeypatch.setattr(recurrent, "pipeline", lambda jobs: built.append(len(jobs)) or schedule.pipeline(jobs))
    for one, other in zip(whole, results(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)
    assert [number > recurrent.PIECES for number in built] == [True, True]
