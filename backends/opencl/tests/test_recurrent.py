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
from kcore.kernels.recurrent import backward, forward, lanes
from kcore.kernels.recurrent.cells import CELLS, OPERATIONS
from kcore.runtime.reference import run_op
from kcore.testing.cases import Case, cases
from kcore.testing.compare import difference, tolerance

Emit = Callable[..., Code]
GENERATORS: dict[str, tuple[Emit, Emit]] = {
    name + end: emits
    for name in OPERATIONS
    for end, emits in (("", (forward.emit, lanes.forward)), ("_grad", (backward.emit, lanes.backward)))
}


def check(case: Case, results: Sequence[np.ndarray]) -> None:
    """Compare with the op's reference, within its tolerance."""
    relative, absolute = tolerance(case.op, case.dtype, case.arrays(), case.specs())
    for number, (result, wanted) in enumerate(zip(results, case.reference(), strict=True)):
        wrong = difference(result, wanted, relative, absolute)
        assert wrong is None, f"{case.id}, output {number}: {wrong}"


@pytest.mark.parametrize("op", GENERATORS)
def test_gpu_kernels_compute_what_the_op_says(device, op, gpu, node, compute, together):
    # the large ones take PoCL long to compile
    tried = [case for case in cases(OPS[op], ("float32", "float64")) if case.sample.grad]
    nodes = [node(op, *case.arrays(), **case.attrs) for case in tried]
    codes = [GENERATORS[op][1](made, gpu) for made in nodes]
    together(device, codes)
    for case, made, code in zip(tried, nodes, codes, strict=True):
        check(case, compute(device, made, code, *case.arrays()))


@pytest.mark.parametrize("op", GENERATORS)
@pytest.mark.parametrize("vector", [4, 8])
def test_kernels_for_narrower_vectors_compute_what_the_op_says(intel, op, vector, node, compute, together):
    traits = replace(intel.place.traits, vector=vector)
    tried = list(cases(OPS[op], ("float32", "float64")))
    nodes = [node(op, *case.arrays(), **case.attrs) for case in tried]
    codes = [GENERATORS[op][0](made, traits) for made in nodes]
    together(intel, codes)
    for case, made, code in zip(tried, nodes, codes, strict=True):
        check(case, compute(intel, made, code, *case.arrays()))


def _form(name: str) -> tuple[str, dict[str, Any]]:
    """The op of a kind of cell, and the attributes that make it that kind."""
    op = name.removesuffix("_reset_before")
    return op, ({"reset_after": op == name} if op == "gru" else {})


def _inputs(name: str, steps: int, batch: int, features: int, units: int) -> list[np.ndarray | None]:
    """Arrays of a forward node: x, states, weights, bias and mask."""
    rng = np.random.default_rng([steps, batch, features, units])
    cell = CELLS[name]
    columns = cell.blocks * units
    bias = (cell.bias_size * units,) if cell.bias_size == cell.blocks else (2, columns)
    states = [(batch, units)] * (2 if cell.has_cell else 1)
    shapes = [(steps, batch, features), *states, (features, columns), (units, columns), bias]
    mask = rng.random((steps, batch)) < 0.8
    return [*(rng.uniform(-0.4, 0.4, s).astype("float32") for s in shapes), mask]


#: Steps, batch, features and units on both sides of the edges of tiles, panels and pieces of depth.
EDGES = [(9, 5, 17, 31), (8, 16, 16, 64), (3, 13, 130, 129), (2, 1, 3, 65), (17, 40, 1, 16)]


@pytest.fixture(params=["cpu", "gpu"])
def traits(request, intel, gpu):
    return intel.place.traits if request.param == "cpu" else gpu


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    ("shape", "reverse"),
    [*((s, False) for s in EDGES), *((s, True) for s in EDGES[:2])],  # the way back changes only which step is next
    ids=lambda x: "x".join(map(str, x)) if isinstance(x, tuple) else "back" if x else "forth",
)
def test_edges_of_tiles(intel, traits, name, shape, reverse, node, compute):
    arrays = _inputs(name, *shape)
    op, form = _form(name)
    made = node(op, *arrays, reverse=reverse, **form)
    results = compute(intel, made, GENERATORS[op][not traits.cpu](made, traits), *arrays)
    plain = {"lstm": _lstm, "gru": _gru, "gru_reset_before": _reset_before, "simple_rnn": _simple_rnn}[name]
    wanted = plain([_wide(a) for a in arrays[:-1]], arrays[-1], reverse)
    for result, expected in zip(results, wanted, strict=False):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    cell, rng = CELLS[name], np.random.default_rng(1)
    known = dict(zip((*cell.inputs, *cell.outputs), (*arrays, *results), strict=True))
    for g, output in (("g_hidden", "hidden"), ("g_h", "last_h"), ("g_c", "last_c")):
        if output in known:
            known[g] = rng.uniform(-1, 1, known[output].shape).astype("float32")
    given = [known[operand] for operand in cell.grad_inputs]
    made = node(op + "_grad", *given, reverse=reverse, **form)
    results = compute(intel, made, GENERATORS[op + "_grad"][not traits.cpu](made, traits), *given)
    wanted = run_op(made.op, [_wide(a) for a in given], {"reverse": reverse, **form})
    for operand, result, expected in zip(cell.grad_outputs, results, wanted, strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(result / scale, expected / scale, rtol=1e-4, atol=2e-5, err_msg=operand)


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


def _gru(arrays: list[Any], mask: np.ndarray, reverse: bool) -> tuple[np.ndarray, ...]:
    """GRU as one would write it in NumPy."""
    x, h, kernel, recurrent, bias = arrays
    hidden = np.empty((*x.shape[:2], h.shape[1]))
    for t in range(len(x))[:: -1 if reverse else 1]:
        x_z, x_r, x_g = np.split(x[t] @ kernel + bias[0], 3, axis=1)
        h_z, h_r, a = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = 1 / (1 + np.exp(-x_z - h_z)), 1 / (1 + np.exp(-x_r - h_r))
        h = hidden[t] = np.where(mask[t][:, None], z * h + (1 - z) * np.tanh(x_g + r * a), h)
    return hidden, h


def _reset_before(arrays: list[Any], mask: np.ndarray, reverse: bool) -> tuple[np.ndarray, ...]:
    """GRU with the reset gate before the product, as one would write it in NumPy."""
    x, h, kernel, recurrent, bias = arrays
    hidden, units = np.empty((*x.shape[:2], h.shape[1])), h.shape[1]
    for t in range(len(x))[:: -1 if reverse else 1]:
        x_z, x_r, x_g = np.split(x[t] @ kernel + bias, 3, axis=1)
        h_z, h_r = np.split(h @ recurrent[:, : 2 * units], 2, axis=1)
        z, r = 1 / (1 + np.exp(-x_z - h_z)), 1 / (1 + np.exp(-x_r - h_r))
        g = np.tanh(x_g + (r * h) @ recurrent[:, 2 * units :])
        h = hidden[t] = np.where(mask[t][:, None], z * h + (1 - z) * g, h)
    return hidden, h


def _simple_rnn(arrays: list[Any], mask: np.ndarray, reverse: bool) -> tuple[np.ndarray, ...]:
    """A simple recurrent network as one would write it in NumPy."""
    x, h, kernel, recurrent, bias = arrays
    hidden = np.empty((*x.shape[:2], h.shape[1]))
    for t in range(len(x))[:: -1 if reverse else 1]:
        h = hidden[t] = np.where(mask[t][:, None], np.tanh(x[t] @ kernel + h @ recurrent + bias), h)
    return hidden, h


def test_outputs_nobody_reads_are_not_written(intel, node, compute):
    arrays = _inputs("lstm", 3, 4, 5, 6)
    made, wanted = node("lstm", *arrays, reverse=False), (False, True, False, False, False)
    all_of_them = compute(intel, made, forward.emit(made, intel.place.traits), *arrays)
    code = forward.emit(made, intel.place.traits, wanted)
    assert {a.name for s in code.launches for a in s.arguments if a.kind == "output"} == {"last_h"}
    np.testing.assert_array_equal(compute(intel, made, code, *arrays, wanted=wanted)[1], all_of_them[1])


def test_sizes_are_arguments(intel, node):
    """Two layers that differ in their sizes only are the same programs, where the tiles are the same."""
    keys = []
    for shape in ((80, 32, 128, 128), (33, 32, 77, 128)):
        code = forward.emit(node("lstm", *_inputs("lstm", *shape), reverse=False), intel.place.traits)
        keys.append([source.key for source in code.launches])
    assert keys[0] == keys[1]


def test_generated_text(intel, gpu, node, golden):
    """A whole sequence is two launches; its gradient four."""
    for name, cell in CELLS.items():
        arrays = _inputs(name, 80, 32, 128, 128)
        op, form = _form(name)
        made = node(op, *arrays, reverse=False, **form)
        code = forward.emit(made, intel.place.traits)
        assert len(code.launches) == 2
        golden(f"{name}.cl", code)
        sequence = np.zeros((80, 32, 128), "float32")
        known = dict(zip(cell.inputs, arrays, strict=True))
        known |= {"g_hidden": sequence, "hidden": sequence, "cells": sequence}
        known["gates"] = np.zeros((80, 32, cell.count * 128), "float32")
        back = node(op + "_grad", *(known.get(operand) for operand in cell.grad_inputs), reverse=False, **form)
        code = backward.emit(back, intel.place.traits)
        assert len(code.launches) == 4
        golden(f"{name}_grad.cl", code)
        if name != "simple_rnn":  # its GPU kernels are those of the others with fewer lines
            golden(f"{name}_gpu.cl", lanes.forward(made, gpu))
            golden(f"{name}_grad_gpu.cl", lanes.backward(back, gpu))
