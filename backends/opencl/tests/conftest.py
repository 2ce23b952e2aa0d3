"""What the tests of the OpenCL backend share: the devices that install without a GPU, one test run on each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import kcore.ops  # noqa: F401  (registers the ops)
from kcore.backend import Device, backend_of, installed
from kcore.codegen import Code
from kcore.dtypes import numpy_dtype
from kcore.errors import BackendNotFoundError
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS, Spec
from kcore.kernels.traits import Traits
from kcore_opencl.launch import Launch
from kcore_opencl.memory import Array
from kcore_opencl.place import Place, place_of

#: What chooses each driver, and the extra of kcore that installs it.
DRIVERS = {"intel-cpu": "opencl-intel", "pocl": "opencl"}


class Found(NamedTuple):
    """A device as the core knows it, and its state in the backend."""

    device: Device
    place: Place


def find(wanted: str) -> Found:
    """The device of a driver; skips the test where the driver is not installed."""
    try:
        device = installed.pick_device(backend_of("opencl"), wanted)
    except BackendNotFoundError as error:
        pytest.skip(f'no device {wanted!r}; to install it, type: pip install "kcore[{DRIVERS[wanted]}]" ({error})')
    return Found(device, place_of(device))


@pytest.fixture(params=DRIVERS)
def device(request: pytest.FixtureRequest) -> Found:
    """Each CPU driver in turn: `device.device` is kcore's device, whose `str` chooses it, `device.place` its state."""
    return find(request.param)


@pytest.fixture
def intel() -> Found:
    """Intel's CPU runtime."""
    return find("intel-cpu")


@pytest.fixture
def pocl() -> Found:
    """PoCL."""
    return find("pocl")


@pytest.fixture
def node() -> Callable[..., Node]:
    """``node("add", x, y, axis=0)``: an op applied to arrays of those shapes and dtypes, in a graph of its own."""

    def make(name: str, *arrays: np.ndarray | None, **attrs: object) -> Node:
        graph, op = Graph(), OPS[name]
        values = [None if a is None else graph.placeholder(a.shape, a.dtype.name) for a in arrays]
        specs = op.infer(*[None if v is None else v.spec for v in values], **attrs)
        return Node(op, values, attrs, [specs] if isinstance(specs, Spec) else specs, f"model/{name}_layer")

    return make


@pytest.fixture
def compute() -> Callable[..., list[np.ndarray | None]]:
    """``compute(device, node, code, *arrays)``: the node's outputs as generated code makes them, nothing beside them.

    Arrays begin somewhere inside of their memory. `wanted` says which outputs there are; the others are None.
    """

    def run(
        device: Found, node: Node, code: Code, *arrays: np.ndarray | None, wanted: Sequence[bool] | None = None
    ) -> list[np.ndarray | None]:
        place = device.place
        guards: list[tuple[Array, Array, int]] = []

        def put(values: np.ndarray, guard: int = 128) -> Array:
            whole = place.array((2 * guard + values.nbytes,), "uint8")
            raw = np.full(2 * guard + values.nbytes, 0xA5, np.uint8)
            raw[guard : guard + values.nbytes] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            place.write(whole, raw)
            part = Array(whole.block, guard, values.shape, values.dtype.name)
            guards.append((whole, part, guard))
            return part

        flags = wanted or [True] * len(node.outputs)
        inputs = [None if a is None else put(a) for a in arrays]
        outputs = [
            put(np.zeros(v.shape, numpy_dtype(v.dtype))) if flag else None
            for v, flag in zip(node.outputs, flags, strict=True)
        ]
        scratch = place.array((code.scratch_bytes,), "uint8") if code.scratch_bytes else None
        before = [None if a is None else place.read(a).tobytes() for a in inputs]
        Launch(place, code, inputs, outputs, scratch)()
        for whole, part, guard in guards:
            raw = place.read(whole)
            assert (raw[:guard] == 0xA5).all(), f"something was written before {part}"
            assert (raw[guard + part.nbytes :] == 0xA5).all(), f"something was written behind {part}"
        for array, values in zip(inputs, before, strict=True):
            assert array is None or place.read(array).tobytes() == values, f"the input {array} was changed"
        return [None if a is None else place.read(a) for a in outputs]

    return run


@pytest.fixture
def together() -> Callable[[Found, Iterable[Code]], None]:
    """``together(device, codes)``: compile what a test is about to run, many kernels as one program.

    One by one they take several times as long.
    """

    def build(device: Found, codes: Iterable[Code]) -> None:
        device.place.programs.build(source for code in codes for source in code.launches)

    return build


@pytest.fixture
def gpu() -> Traits:
    """Traits of a GPU, for kernels that a CPU device then runs: what is written for GPUs must be right anywhere."""
    return Traits(
        kind="gpu",
        maker="amd",
        units=4,
        vector=1,
        local=1 << 15,
        group=256,
        alignment=128,
        largest=1 << 30,
        memory=1 << 32,
    )


@pytest.fixture(params=[*DRIVERS, "gpu"])
def target(request: pytest.FixtureRequest, gpu: Traits) -> tuple[Found, Traits]:
    """A device and the traits to generate for: each CPU driver with its own, and one that is given a GPU's kernels."""
    if request.param == "gpu":
        return find("intel-cpu"), gpu
    found = find(request.param)
    return found, found.place.traits


@pytest.fixture
def golden() -> Callable[[str, Code], None]:
    """``golden(name, code)``: the generated text is that of a file, so that a changed kernel shows in review.

    After a wanted change run the tests with ``KCORE_UPDATE_GOLDEN=1``, then read the difference.
    """

    def compare(name: str, code: Code) -> None:
        text = "\n".join(source.text for source in code.launches)
        file = Path(__file__).parent / "golden" / name
        if os.environ.get("KCORE_UPDATE_GOLDEN"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"{name} is missing: run with KCORE_UPDATE_GOLDEN=1"
        assert text == file.read_text(), f"{name} differs: if that is wanted, run with KCORE_UPDATE_GOLDEN=1"

    return compare
