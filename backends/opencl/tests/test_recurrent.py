"""Kernels of recurrent layers: on CPUs and as a GPU would run them, at the edges of tiles, and as readable text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kcore.ops  # noqa: F401
from kcore.codegen import Code
from kcore.graph.op import OPS
from kcore.runtime.reference import run_op
from kcore.testing.cases import Case, cases
from kcore.testing.compare import difference, tolerance
from kcore_opencl.recurrent import backward, forward, lanes

Emit = Callable[..., Code]
GENERATORS: dict[str, tuple[Emit, Emit]] = {
    "lstm": (forward.emit, lanes.forward),
    "lstm_grad": (backward.emit, lanes.backward),
}


def check(case: Case, results: Sequence[np.ndarray]) -> None:
    """Compare with the op's reference, within its tolerance."""
    relative, absolute = tolerance(case.op, case.dtype, case.arrays(), case.specs())
    for number, (result, wanted) in enumerate(zip(results, case.reference(), strict=True)):
        wrong = difference(result, wanted, relative, absolute)
        assert wrong is None, f"{case.id}, output {number}: {wrong}"


@pytest.mark.parametrize("op", GENERATORS)
def test_gpu_kernels_compute_what_the_op_says(device, op, gpu, node, compute):
    for case in cases(OPS[op], ("float32", "float64")):
        if not case.sample.grad:  # the large ones take PoCL long to compile
            continue
        made = node(op, *case.arrays(), **case.attrs)
        check(case, compute(device, made, GENERATORS[op][1](made, gpu), *case.arrays()))


@pytest.mark.parametrize("op", GENERATORS)
@pytest.mark.parametrize("vector", [4, 8])
def test_kernels_for_narrower_vectors_compute_what_the_op_says(intel, op, vector, node, compute):
    traits = replace(intel.place.traits, vector=vector)
    for case in cases(OPS[op], ("float32", "float64")):
        made = node(op, *case.arrays(), **case.attrs)
        check(case, compute(intel, made, GENERATORS[op][0](made, traits), *case.arrays()))


def _lstm_inputs(steps: int, batch: int, features: int, units: int) -> list[np.ndarray | None]:
    rng = np.random.default_rng([steps, batch, features, units])
    shapes = [(steps, batch, features), (batch, units), (batch, units), (features, 4 * units), (units, 4 * units)]
    shapes += [(4 * units,)]
    mask = rng.random((steps, batch)) < 0.8
    return [*(rng.uniform(-0.4, 0.4, s).astype("float32") for s in shapes), mask]


#: Steps, batch, features and units on both sides of the edges of tiles, panels and pieces of depth.
EDGES = [(9, 5, 17, 31), (8, 16, 16, 64), (3, 13, 130, 129), (2, 1, 3, 65), (17, 40, 1, 16)]


@pytest.fixture(params=["cpu", "gpu"])
def traits(request, intel, gpu):
    return intel.place.traits if request.param == "cpu" else gpu


@pytest.mark.parametrize("shape", EDGES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("reverse", [False, True], ids=["forth", "back"])
def test_edges_of_tiles(intel, traits, shape, reverse, node, compute):
    arrays = _lstm_inputs(*shape)
    made = node("lstm", *arrays, reverse=reverse)
    hidden, h, c, cells, gates = compute(intel, made, GENERATORS["lstm"][not traits.cpu](made, traits), *arrays)
    wanted = _lstm([_wide(a) for a in arrays[:6]], arrays[6], reverse)
    for result, expected in zip((hidden, h, c, cells), wanted, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    rng = np.random.default_rng(1)
    x, h0, c0, kernel, recurrent, _, mask = arrays
    grads = [rng.uniform(-1, 1, v.shape).astype("float32") for v in (hidden, h, c)]
    given = [*grads, x, h0, c0, kernel, recurrent, mask, hidden, cells, gates]
    made = node("lstm_grad", *given, reverse=reverse)
    results = compute(intel, made, GENERATORS["lstm_grad"][not traits.cpu](made, traits), *given)
    wanted = run_op(made.op, [_wide(a) for a in given], {"reverse": reverse})
    for number, (result, expected) in enumerate(zip(results, wanted, strict=True)):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(result / scale, expected / scale, rtol=1e-4, atol=2e-5, err_msg=f"output {number}")


def _wide(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == bool else array.astype("float64")


def _lstm(arrays: list[Any], mask: np.ndarray, reverse: bool) -> tuple[np.ndarray, ...]:
    """LSTM as one would write it in NumPy."""
    x, h, c, kernel, recurrent, bias = arrays
    hidden, cells = np.empty((*x.shape[:2], h.shape[1])), np.empty((*x.shape[:2], h.shape[1]))
    for t in range(len(x))[:: -1 if reverse else 1]:
        i, f, g, o = np.split(x[t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, g, o = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))
        valid = mask[t][:, None]
        new = f * c + i * g
        h, c = np.where(valid, o * np.tanh(new), h), np.where(valid, new, c)
        hidden[t], cells[t] = h, c
    return hidden, h, c, cells


def test_outputs_nobody_reads_are_not_written(intel, node, compute):
    arrays = _lstm_inputs(3, 4, 5, 6)
    made, wanted = node("lstm", *arrays, reverse=False), (False, True, False, False, False)
    all_of_them = compute(intel, made, forward.emit(made, intel.place.traits), *arrays)
    code = forward.emit(made, intel.place.traits, wanted)
    assert {a.name for s in code.launches for a in s.arguments if a.kind == "output"} == {"last_h"}
    np.testing.assert_array_equal(compute(intel, made, code, *arrays, wanted=wanted)[1], all_of_them[1])


def test_sizes_are_arguments(intel, node):
    """Two layers that differ in their sizes only are the same programs, where the tiles are the same."""
    keys = []
    for shape in ((80, 32, 128, 128), (33, 32, 77, 128)):
        code = forward.emit(node("lstm", *_lstm_inputs(*shape), reverse=False), intel.place.traits)
        keys.append([source.key for source in code.launches])
    assert keys[0] == keys[1]


def test_generated_text(intel, gpu, node, golden):
    """A whole sequence is two launches; its gradient four."""
    arrays = _lstm_inputs(80, 32, 128, 128)
    made = node("lstm", *arrays, reverse=False)
    golden("lstm.cl", forward.emit(made, intel.place.traits))
    golden("lstm_gpu.cl", lanes.forward(made, gpu))
    x, h0, c0, kernel, recurrent, _, mask = arrays
    sequence, gates = np.zeros((80, 32, 128), "float32"), np.zeros((80, 32, 512), "float32")
    given = [sequence, None, None, x, h0, c0, kernel, recurrent, mask, sequence, sequence, gates]
    made = node("lstm_grad", *given, reverse=False)
    golden("lstm_grad.cl", backward.emit(made, intel.place.traits))
    golden("lstm_grad_gpu.cl", lanes.backward(made, gpu))
