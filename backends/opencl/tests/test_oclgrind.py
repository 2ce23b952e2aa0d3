"""Every family of kernels under Oclgrind, a simulator that reports invalid accesses, races and diverging barriers.

``make oclgrind`` runs it; elsewhere it is skipped. Each array has a buffer of its own that ends where the array ends,
so that a read or a write beyond it is one beyond the buffer, which the simulator sees. No report is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
import pytest

import kcore
from kcore.backend import backend_of, installed
from kcore.backend.compile import Bound, Program
from kcore.errors import BackendNotFoundError
from kcore.graph import fuse_columns
from kcore.graph.op import OPS
from kcore.kernels import convolutions, products
from kcore.kernels.convolutions import winograd_tiles
from kcore.runtime import GradientTape
from kcore.testing.cases import all_ops, cases
from kcore.testing.checks import gradient_inputs
from kcore.testing.guarded import FILL, spread
from kcore.testing.trainings import MODELS
from kcore_opencl import memory
from kcore_opencl.memory import Array
from kcore_opencl.place import Place, place_of

pytestmark = pytest.mark.oclgrind

LOG = os.environ.get("OCLGRIND_LOG")
if not LOG:
    pytest.skip("make oclgrind runs these", allow_module_level=True)

#: Most elements of the inputs of a sample, and most samples of an op: the simulator is slow.
SMALL, SAMPLES = 3000, 6
#: Elementwise ops share one generator: these stand for all.
ELEMENTWISE = ("add", "cast", "clip", "erf", "floor_divide", "gelu", "greater", "logical_not", "power", "where")


class Apart:
    """Storage whose arrays, NaN at first, lie in buffers of their own: every other one begins inside, all end there."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[Any, int]] = {}

    def view(self, place: Place, offset: int, shape: tuple[int, ...], dtype: str) -> Array:
        if offset not in self.blocks:
            gap = 128 * (len(self.blocks) % 2)
            nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(kcore.dtypes.numpy_dtype(dtype)).itemsize
            block = place.allocate(nbytes + gap)
            place.write(Array(block, 0, (nbytes + gap,), "uint8"), np.full(nbytes + gap, FILL, np.uint8))
            self.blocks[offset] = block, gap
        block, gap = self.blocks[offset]
        return Array(block, gap, shape, dtype)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The simulator's device; every buffer is as large as its array."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "LARGE", 0)
        patch.setattr(fuse_columns, "LEAST", 1)
        backend = backend_of("opencl")
        try:
            device = installed.pick_device(backend, "oclgrind")
        except BackendNotFoundError as error:
            pytest.skip(str(error))
        found, view = place_of(device), backend.view

        def view_apart(storage: Any, offset: int, shape: tuple[int, ...], dtype: str) -> Array:
            if isinstance(storage, Apart):
                return storage.view(found, offset, shape, dtype)
            return view(storage, offset, shape, dtype)

        def bind_apart(program: Program, storage: Any, base: int = 0, places: Any = None) -> Bound:
            if program.device == device:
                return Bound(spread(program), Apart(), 0, places)
            return Bound(program, storage, base, places)

        patch.setattr(backend, "view", view_apart)
        patch.setattr(Program, "bind", bind_apart)
        yield found


@pytest.fixture(params=["cpu", "gpu"])
def simulator(request: pytest.FixtureRequest, place: Place, gpu: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What chooses the simulator, which is given kernels for CPUs or for GPUs; where it reports, the test fails."""
    own = replace(place.traits, vector=16)
    monkeypatch.setattr(place, "traits", own if request.param == "cpu" else replace(gpu, group=64))
    before = len(report())
    kcore.use_backend("opencl:oclgrind")
    yield "opencl:oclgrind"
    kcore.use_backend("numpy")
    said = report()[before:]
    assert not said, f"Oclgrind reports:\n{said[:6000]}"


def report() -> str:
    """What Oclgrind has reported so far."""
    file = Path(LOG or "")
    return file.read_text(errors="replace") if file.exists() else ""


def check(run: Callable[..., Sequence[Any]], *arrays: np.ndarray) -> None:
    """Run a function, compiled, on the backend in use, which is the simulator, and on NumPy."""
    results = [t.numpy() for t in kcore.function(run)(*arrays)]
    kcore.use_backend("numpy")
    for i, (result, wanted) in enumerate(zip(results, kcore.function(run)(*arrays), strict=True)):
        np.testing.assert_allclose(
            result.astype("float64"), wanted.numpy().astype("float64"), rtol=2e-4, atol=2e-4, err_msg=f"result {i}"
        )


def small(name: str) -> list[Any]:
    """The samples of an op that run in the simulator."""
    found = [c for c in cases(OPS[name], ("float32",)) if sum(a.size for a in c.arrays() if a is not None) <= SMALL]
    return sorted(found, key=lambda c: -sum(a.size for a in c.arrays() if a is not None))[:SAMPLES]


def simulated() -> list[str]:
    """The ops that are run: those that have samples, of the elementwise ones a few."""
    return [o.name for o in all_ops() if o.samples and (not o.elementwise or o.name in ELEMENTWISE)]


@pytest.mark.parametrize("name", simulated())
def test_ops_and_their_gradients(simulator: str, name: str) -> None:
    for case in small(name):
        wrt = [i for i in gradient_inputs(case) if case.sample.grad and case.op.differentiable]

        def run(*given: Any, case: Any = case, wrt: Sequence[int] = wrt) -> list[Any]:
            values = iter(given)
            inputs = [None if a is None else next(values) for a in case.arrays()]
            with GradientTape() as tape:
                tape.watch([inputs[i] for i in wrt])
                found = case.op(*inputs, **case.sample.attrs)
                outputs = list(found) if isinstance(found, tuple | list) else [found]
            floats = [o for o in outputs[: len(outputs) - case.op.residuals] if "float" in o.dtype]
            grads = tape.gradient(floats, [inputs[i] for i in wrt]) if wrt and floats else []
            return [*outputs, *[g for g in grads if g is not None]]

        check(run, *[a for a in case.arrays() if a is not None])


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Arrays of numbers in [-1, 1), the same in every run."""
    rng = np.random.default_rng(5)
    return [rng.uniform(-1, 1, s).astype("float32") for s in shapes]


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("sizes", [(35, 19, 37), (65, 40, 17), (1, 130, 1)], ids=str)
def test_products_with_epilogues(simulator: str, sizes: tuple, transpose_a: bool, transpose_b: bool) -> None:
    rows, inner, columns = sizes
    a, b, bias = draw((rows, inner), (inner, columns), (columns,))

    def run(a: Any, b: Any, bias: Any) -> list[Any]:
        y = OPS["matmul"](a, b, transpose_a=transpose_a, transpose_b=transpose_b)
        return [OPS["relu"](OPS["add"](y, bias)), OPS["tanh"](y)]

    check(run, a.T.copy() if transpose_a else a, b.T.copy() if transpose_b else b, bias)


def test_batches_of_products(simulator: str) -> None:
    a, b = draw((3, 1, 9, 18), (2, 18, 33))
    check(lambda a, b: [kcore.ops.matmul(a, b) * 2.0], a, b)


#: Shapes of an image and a kernel, strides, dilation, groups.
CONVOLUTIONS = [
    ((2, 7, 6, 5), (3, 3, 5, 19), 1, 1, 1),
    ((1, 9, 8, 17), (3, 2, 17, 35), 2, 1, 1),
    ((2, 8, 7, 4), (2, 3, 4, 6), 1, 2, 1),
    ((1, 6, 6, 6), (3, 3, 3, 8), 1, 1, 2),
    ((2, 6, 5, 18), (3, 3, 1, 18), 2, 1, 18),
    ((1, 6, 5, 33), (1, 1, 33, 20), 1, 1, 1),
    ((2, 30, 3), (5, 3, 17), 3, 1, 1),
    ((1, 4, 5, 4, 3), (2, 2, 3, 3, 16), 1, 1, 1),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_and_both_gradients(simulator: str, case: tuple) -> None:
    image, kernel, step, dilation, groups = case
    rank = len(image) - 2
    attrs = {"strides": (step,) * rank, "dilation": (dilation,) * rank, "groups": groups, "padding": ((1, 0),) * rank}

    def run(x: Any, w: Any) -> list[Any]:
        with GradientTape() as tape:
            tape.watch([x, w])
            y = OPS["relu"](OPS["conv"](x, w, **attrs))
        return [y, *tape.gradient(y, [x, w])]

    check(run, *draw(image, kernel))


def test_winograds_tiles(simulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for least in ("LEAST", "CHANNELS"):  # taken by default only where there are many
        monkeypatch.setattr(winograd_tiles, least, 1)
    attrs = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": ((1, 1), (0, 2))}

    def run(x: Any, w: Any, bias: Any) -> list[Any]:
        with GradientTape() as tape:
            tape.watch([x, w])
            y = OPS["relu"](OPS["add"](OPS["conv"](x, w, **attrs), bias))
        return [y, *tape.gradient(y, [x, w])]

    check(run, *draw((2, 5, 6, 16), (3, 3, 16, 16), (16,)))


@pytest.mark.parametrize("way", [0.2, 0.4, 0.6, 0.8, 1.0])
def test_other_ways_to_cut_products_and_convolutions(simulator: str, way: float, monkeypatch: Any) -> None:
    """Those the tuner may choose on some device."""

    def chosen(node: Any, traits: Any, candidates: Callable, emit: Callable) -> Any:
        found = candidates(node, traits)
        return found[round(way * (len(found) - 1))]

    for generators in (products, convolutions):
        monkeypatch.setattr(generators, "chosen", chosen)
    attrs = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": ((1, 1), (0, 2))}

    def run(x: Any, w: Any, a: Any, b: Any) -> list[Any]:
        with GradientTape() as tape:
            tape.watch([x, w, a, b])
            y = OPS["relu"](OPS["conv"](x, w, **attrs))
            z = OPS["matmul"](a, b, transpose_b=True)
        return [y, z, *tape.gradient([y, z], [x, w, a, b])]

    check(run, *draw((2, 5, 7, 3), (3, 3, 3, 18), (33, 20), (37, 20)))


@pytest.mark.parametrize("shape", [(3, 300), (300, 3), (2, 70, 5), (1, 33), (130,), (4, 9, 17)], ids=str)
def test_reductions_scans_and_sorting(simulator: str, shape: tuple[int, ...]) -> None:
    ops = kcore.ops

    def run(x: Any) -> list[Any]:
        found = []
        for axis in (*range(len(shape)), None):
            found += [ops.sum(ops.square(x), axis=axis), ops.max(x, axis=axis), ops.argmax(x, axis=axis)]
        return [*found, ops.tanh(ops.mean(x, axis=0)) * 2.0, ops.cumsum(x, axis=-1), ops.sort(x, axis=-1)]

    check(run, *draw(shape))


@pytest.mark.parametrize("shape", [(3, 130), (2, 5, 33), (1, 1), (9, 16)], ids=str)
def test_rows(simulator: str, shape: tuple[int, ...]) -> None:
    ops = kcore.ops

    def run(x: Any, gamma: Any) -> list[Any]:
        with GradientTape() as tape:
            tape.watch([x, gamma])
            y = ops.softmax(x, axis=-1) + OPS["layer_norm"](x, gamma, gamma, epsilon=1e-3)[0]
            z = ops.log_softmax(x, axis=0)
        return [y, z, *tape.gradient([y, z], [x, gamma])]

    check(run, *draw(shape, shape[-1:]))


@pytest.mark.parametrize("shape", [(40, 5, 19), (70, 33), (3, 3)], ids=str)
def test_batch_normalization(simulator: str, shape: tuple[int, ...]) -> None:
    def run(x: Any, gamma: Any, beta: Any) -> list[Any]:
        with GradientTape() as tape:
            tape.watch([x, gamma, beta])
            y, mean, variance, *_ = OPS["batch_norm_train"](x, gamma, beta, epsilon=1e-3)
            z = OPS["square"](OPS["relu"](y))
        return [z, mean, variance, *tape.gradient(z, [x, gamma, beta])]

    check(run, *draw(shape, shape[-1:], shape[-1:]))


@pytest.mark.parametrize("shape", [(33, 35), (2, 17, 16), (3, 4, 5, 6)], ids=str)
def test_movement(simulator: str, shape: tuple[int, ...]) -> None:
    ops = kcore.ops

    def run(x: Any) -> list[Any]:
        turned = ops.transpose(x)
        parts = OPS["slice"](turned, start=(1,) * len(shape), stop=turned.shape, step=(2,) * len(shape))
        joined = ops.concatenate([x, ops.flip(x, axis=0), x], axis=-1)
        return [turned, parts, joined, ops.pad(x, 2), ops.repeat(x, 3, axis=0), ops.tile(x, (2,) * len(shape))]

    check(run, *draw(shape))


def test_attention_over_several_blocks(simulator: str) -> None:
    q, k, v = draw((1, 20, 2, 9), (1, 37, 2, 9), (1, 37, 2, 5))
    mask = np.random.default_rng(0).random((1, 1, 20, 37)) < 0.7

    def run(q: Any, k: Any, v: Any, mask: Any) -> list[Any]:
        with GradientTape() as tape:
            tape.watch([q, k, v])
            y = OPS["attention"](q, k, v, None, mask, scale=0.3, causal=False)
            y = y[0] if isinstance(y, tuple | list) else y
        return [y, *tape.gradient(y, [q, k, v])]

    check(run, q, k, v, mask)


@pytest.mark.parametrize("name", MODELS)
def test_training_steps(simulator: str, name: str) -> None:
    """Feeding of shuffled batches, forward and backward passes, one update of all variables, metrics, prediction."""
    losses = []
    for backend in (simulator, "numpy"):
        kcore.use_backend(backend)
        kcore.set_random_seed(1)
        model, x, y = MODELS[name]()
        losses.append(model.fit(x, y, batch_size=4, verbose=0).history["loss"])
        assert np.isfinite(model.predict(x, batch_size=4, verbose=0)).all()
    np.testing.assert_allclose(*losses, rtol=1e-3)


# -- what the simulator is relied on for -----------------------------------------------------------------------------

FAULTS = {
    "a write beyond a buffer": ("x[get_global_id(0) + 1] = 1;", "Invalid write"),
    "a read beyond a buffer": ("x[0] = x[get_global_size(0)];", "Invalid read"),
    "a race in local memory": (
        "local int shared[4]; shared[get_local_id(0)] = x[get_global_id(0)]; "
        "x[get_global_id(0)] = shared[3 - get_local_id(0)];",
        "data race",
    ),
    "a race in global memory": ("x[0] += x[get_global_id(0)];", "data race"),
    "a barrier that not all reach": ("if (get_local_id(0) < 2) barrier(CLK_LOCAL_MEM_FENCE);", "divergence"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_simulator_reports(place: Place, fault: str) -> None:
    statement, wanted = FAULTS[fault]
    program = cl.Program(place.context, f"kernel void faulty(global int* x) {{ {statement} }}").build()
    before = len(report())
    cl.Kernel(program, "faulty")(place.queue, (4,), (4,), cl.Buffer(place.context, cl.mem_flags.READ_WRITE, 16))
    place.queue.finish()
    assert wanted in report()[before:]
