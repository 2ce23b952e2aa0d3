"""Kernels of recurrent layers: on CPUs and as a GPU would run them, at the edges of tiles, and as readable text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kcore.ops  # noqa: F401
from kcore.codegen import Code
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS
from kcore.runtime.reference import run_op
from kcore.testing.cases import Case, cases
from kcore.testing.compare import difference, tolerance
from kcore_opencl.launch import Launch
from kcore_opencl.recurrent import backward, forward, lanes
from kcore_opencl.traits import Traits

Emit = Callable[..., Code]
GENERATORS: dict[str, tuple[Emit, Emit]] = {
    "lstm": (forward.emit, lanes.forward),
    "lstm_grad": (backward.emit, lanes.backward),
}


def node_of(op: str, arrays: Sequence[np.ndarray | None], attrs: dict[str, Any]) -> Node:
    """A node over placeholders like the arrays."""
    graph = Graph()
    inputs = [None if a is None else graph.placeholder(a.shape, a.dtype.name) for a in arrays]
    specs = OPS[op].infer(*(None if v is None else v.spec for v in inputs), **attrs)
    return Node(OPS[op], inputs, attrs, list(specs), path="model/lstm")


def run(place: Any, node: Node, code: Code, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """What the kernels compute."""
    inputs = []
    for values in arrays:
        array = None if values is None else place.array(values.shape, values.dtype.name)
        if array is not None:
            place.write(array, values)
        inputs.append(array)
    outputs = [place.array(v.shape, v.dtype) for v in node.outputs]
    Launch(place, code, inputs, outputs, place.array((code.scratch_bytes,), "uint8"))()
    return [place.read(array) for array in outputs]


def check(case: Case, results: Sequence[np.ndarray]) -> None:
    """Compare with the op's reference, within its tolerance."""
    relative, absolute = tolerance(case.op, case.dtype, case.arrays(), case.specs())
    for number, (result, wanted) in enumerate(zip(results, case.reference(), strict=True)):
        wrong = difference(result, wanted, relative, absolute)
        assert wrong is None, f"{case.id}, output {number}: {wrong}"


def as_gpu(traits: Traits) -> Traits:
    """The same device, treated as if it were a GPU."""
    return replace(traits, kind="gpu", vector=1, local=32768)


@pytest.mark.parametrize("op", GENERATORS)
def test_gpu_kernels_compute_what_the_op_says(device: Any, op: str) -> None:
    for case in cases(OPS[op], ("float32", "float64")):
        arrays = case.arrays()
        node = node_of(op, arrays, case.attrs)
        code = GENERATORS[op][1](node, as_gpu(device.place.traits))
        check(case, run(device.place, node, code, arrays))


@pytest.mark.parametrize("op", GENERATORS)
@pytest.mark.parametrize("vector", [4, 8])
def test_kernels_for_narrower_vectors_compute_what_the_op_says(intel: Any, op: str, vector: int) -> None:
    for case in cases(OPS[op], ("float32", "float64")):
        arrays = case.arrays()
        node = node_of(op, arrays, case.attrs)
        code = GENERATORS[op][0](node, replace(intel.place.traits, vector=vector))
        check(case, run(intel.place, node, code, arrays))


def _lstm_inputs(steps: int, batch: int, features: int, units: int) -> list[np.ndarray | None]:
    rng = np.random.default_rng([steps, batch, features, units])
    shapes = [(steps, batch, features), (batch, units), (batch, units), (features, 4 * units), (units, 4 * units)]
    shapes += [(4 * units,)]
    mask = rng.random((steps, batch)) < 0.8
    return [*(rng.uniform(-0.4, 0.4, s).astype("float32") for s in shapes), mask]


#: Steps, batch, features and units on both sides of the edges of tiles, panels and pieces of depth.
EDGES = [(9, 5, 17, 31), (8, 16, 16, 64), (3, 13, 130, 129), (2, 1, 3, 65), (17, 40, 1, 16)]


@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
@pytest.mark.parametrize("shape", EDGES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("reverse", [False, True], ids=["forth", "back"])
def test_edges_of_tiles(intel: Any, shape: tuple[int, int, int, int], reverse: bool, gpu: bool) -> None:
    place = intel.place
    traits = as_gpu(place.traits) if gpu else place.traits
    arrays = _lstm_inputs(*shape)
    node = node_of("lstm", arrays, {"reverse": reverse})
    hidden, h, c, cells, gates = run(place, node, GENERATORS["lstm"][gpu](node, traits), arrays)
    wanted = _lstm([None if a is None else a.astype("float64") for a in arrays[:6]], arrays[6], reverse)
    for result, expected in zip((hidden, h, c, cells), wanted, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    rng = np.random.default_rng(1)
    x, h0, c0, kernel, recurrent, _, mask = arrays
    grads = [rng.uniform(-1, 1, v.shape).astype("float32") for v in (hidden, h, c)]
    given = [*grads, x, h0, c0, kernel, recurrent, mask, hidden, cells, gates]
    node = node_of("lstm_grad", given, {"reverse": reverse})
    results = run(place, node, GENERATORS["lstm_grad"][gpu](node, traits), given)
    wanted = run_op(OPS["lstm_grad"], [_wide(a) for a in given], {"reverse": reverse})
    for number, (result, expected) in enumerate(zip(results, wanted, strict=True)):
        expected = np.asarray(expected)
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


def test_outputs_nobody_reads_are_not_written(intel: Any) -> None:
    arrays = _lstm_inputs(3, 4, 5, 6)
    node = node_of("lstm", arrays, {"reverse": False})
    code = forward.emit(node, intel.place.traits, (False, True, False, False, False))
    written = {a.name for s in code.launches for a in s.arguments if a.kind == "output"}
    assert written == {"last_h"}


def test_sizes_are_arguments(intel: Any) -> None:
    """Two layers that differ in their sizes only are the same programs, where the tiles are the same."""
    keys = []
    for shape in ((80, 32, 128, 128), (33, 32, 77, 128)):
        arrays = _lstm_inputs(*shape)
        code = forward.emit(node_of("lstm", arrays, {"reverse": False}), intel.place.traits)
        keys.append([source.key for source in code.launches])
    assert keys[0] == keys[1]


def test_a_sequence_is_few_launches(intel: Any) -> None:
    arrays = _lstm_inputs(80, 32, 128, 128)
    code = forward.emit(node_of("lstm", arrays, {"reverse": False}), intel.place.traits)
    assert [source.name for source in code.launches] == ["lstm_lstm_pack", "lstm_lstm"]
    assert "// model/lstm: lstm" in code.launches[1].text
