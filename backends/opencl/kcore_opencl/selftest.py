"""The self-test of a device: a kernel of each family against NumPy, once per device and driver, and how fast it is.

It runs when a device is first used for work, takes a second or two, and its good result is remembered on disk under the
device, its driver and the version of kcore. A device that computes wrong numbers is refused; what is not remembered is
tested again by the next process, so that a new driver needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kcore.backend.base import Backend, Device
from kcore.backend.host import HOST
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS
from kcore_opencl import cache
from kcore_opencl.disk_cache import identity
from kcore_opencl.errors import DeviceRefusedError, OpenCLError

#: Set to 1 it makes kcore use devices without testing them.
TRUST = "KCORE_OPENCL_TRUST"

#: Form of the remembered results; others are ignored.
FORM = 1


@dataclass(frozen=True)
class Result:
    """How fast a device is whose numbers are right.

    Attributes:
        gflops: float32 matrix products of 512 by 512.
        speedup: how much faster than kcore-numpy it ran a product, a convolution and elementwise work: geometric mean.
    """

    gflops: float = 0.0
    speedup: float = 0.0


@dataclass(frozen=True)
class Trial:
    """One op of the test, its inputs, and how far a float32 result may be off, relative to the largest value."""

    op: str
    inputs: tuple[np.ndarray, ...]
    attrs: dict[str, Any]
    tolerance: float = 1e-5

    def __str__(self) -> str:
        return f"{self.op} of {', '.join(f'{a.dtype}{list(a.shape)}' for a in self.inputs)}"


def trials() -> list[Trial]:
    """The test: every family, at sizes that no work-group divides."""
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    window: dict[str, Any] = {"strides": (1, 1), "padding": ((1, 1), (0, 1))}
    conv = {**window, "dilation": (1, 1), "groups": 1}
    image, kernel, outward = normal(2, 19, 17, 5), normal(3, 3, 5, 11), normal(2, 19, 16, 11)
    rows = rng.integers(0, 101, 257).astype(np.int32)
    return [
        Trial("exp", (normal(100_003),), {}),
        Trial("tanh", (normal(33, 1021),), {}),
        Trial("divide", (normal(33, 1021), np.abs(normal(1021)) + 0.5), {}),
        Trial("sum", (normal(251, 1031),), {"axis": (1,), "keepdims": False}, 1e-4),
        Trial("sum", (normal(1031, 251),), {"axis": (0,), "keepdims": False}, 1e-4),
        Trial("max", (normal(100_003),), {"axis": (0,), "keepdims": True}),
        Trial("argmax", (normal(67, 129),), {"axis": 1, "keepdims": False}),
        Trial("matmul", (normal(131, 257), normal(257, 67)), {"transpose_a": False, "transpose_b": False}, 1e-4),
        Trial("matmul", (normal(257, 131), normal(67, 257)), {"transpose_a": True, "transpose_b": True}, 1e-4),
        Trial("conv", (image, kernel), conv, 1e-4),
        Trial("conv_input_grad", (outward, kernel), {**conv, "input_shape": image.shape}, 1e-4),
        Trial("conv_kernel_grad", (image, outward), {**conv, "kernel_shape": kernel.shape}, 1e-4),
        Trial("average_pool", (image,), {**window, "pool_size": (2, 2)}),
        Trial("transpose", (normal(37, 41, 29),), {"axes": (2, 0, 1)}),
        Trial("gather", (normal(101, 33), rows), {"axis": 0}),
        Trial("scatter_add", (rows, normal(257, 33)), {"axis": 0, "size": 101}, 1e-4),
        Trial("argsort", (rng.permutation(1009).astype(np.float32),), {"descending": False}),
        Trial("random_bits", (np.array([1, 2], np.uint32),), {"shape": (10_007,), "width": 32, "below": None}),
    ]


def check(device: Device, driver: Any, backend: Backend) -> None:
    """Test a device unless a good result of it is remembered; simulators, which take minutes for it, are not tested.

    Args:
        device: kcore's device.
        driver: PyOpenCL's.
        backend: the backend that computes on it.

    Raises:
        DeviceRefusedError: it computes wrong numbers.
    """
    trusted = os.environ.get(TRUST, "0") not in ("", "0") or device.details.get("maker") == "oclgrind"
    if trusted or remembered(driver) is not None:
        return
    wrong = complaints(backend, device, trials())
    if wrong:
        raise DeviceRefusedError(_refusal(device, wrong, backend))
    remember(driver, measured(backend, device))


def _refusal(device: Device, wrong: Sequence[str], backend: Backend) -> str:
    others = [str(d) for d in backend.devices() if d.index != device.index]
    other = f"KERAS_BACKEND={others[0]}, or " if others else ""
    lines = [
        f"{device} ({device.name}, {device.details.get('platform')}, driver {device.details.get('driver')}) computes "
        "wrong numbers and is not used:",
        *(f"  {line}" for line in wrong),
        f"update its driver, or use another device: {other}KERAS_BACKEND={HOST}",
        f"{TRUST}=1 uses it all the same, without a test",
    ]
    return "\n  ".join(lines)


# -- right numbers ---------------------------------------------------------------------------------------------------


def complaints(backend: Backend, device: Device, tested: Sequence[Trial]) -> list[str]:
    """A line for each trial whose result is wrong; trials of ops that the backend has no kernel for are left out."""
    tested = [t for t in tested if t.op in backend.kernels]
    graph = Graph("self-test")
    for trial in tested:
        _add(graph, trial)
    try:
        arrays = _run(backend, device, graph, [a for t in tested for a in t.inputs])
    except OpenCLError as error:
        return str(error).splitlines()
    found = []
    for trial, array in zip(tested, arrays, strict=True):
        wrong = difference(trial, array)
        if wrong:
            found.append(f"{trial}: {wrong}")
    return found


def difference(trial: Trial, result: np.ndarray) -> str:
    """What is wrong with a result, or ""."""
    inputs = [a.astype(np.float64) if a.dtype == np.float32 else a for a in trial.inputs]
    wanted = np.asarray(OPS[trial.op].fn(*inputs, **trial.attrs))
    if result.dtype.kind != "f":
        count = int((result != wanted).sum())
        return f"{count} of {result.size} elements are wrong" if count else ""
    scale = float(np.abs(wanted).max())
    error = np.abs(result - wanted)
    largest = float(np.where(np.isfinite(error), error, np.inf).max())
    if largest <= trial.tolerance * scale:
        return ""
    return f"off by up to {largest:.3g} where values are up to {scale:.3g}"


def _add(graph: Graph, trial: Trial) -> None:
    op = OPS[trial.op]
    values = [graph.placeholder(a.shape, a.dtype.name) for a in trial.inputs]
    specs = op.infer(*(v.spec for v in values), **trial.attrs)
    graph.outputs += graph.add(Node(op, values, trial.attrs, specs))


def _run(backend: Backend, device: Device, graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [backend.download(a) for a in backend.compile(graph, device).run(inputs)]


# -- speed -----------------------------------------------------------------------------------------------------------


def measured(backend: Backend, device: Device) -> Result:
    """How fast a device is, beside kcore-numpy."""
    from kcore.backend.selection import backend_of

    host = backend_of(HOST)
    rng = np.random.default_rng(7)
    images = (rng.standard_normal((8, 26, 26, 32), np.float32), rng.standard_normal((3, 3, 32, 64), np.float32))
    attrs = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    square = rng.standard_normal((512, 512), np.float32)
    tests = [
        Trial("matmul", (square, square), {"transpose_a": False, "transpose_b": False}),
        Trial("conv", images, attrs),
        Trial("exp", (rng.standard_normal(1 << 20, np.float32),), {}),
    ]
    ratios, gflops = [], 0.0
    for trial in tests:
        if trial.op not in backend.kernels:
            continue
        mine, other = (_seconds(b, d, trial) for b, d in ((backend, device), (host, host.devices()[0])))
        ratios.append(other / mine)
        if trial.op == "matmul":
            gflops = 2e-9 * square.shape[0] ** 3 / mine
    return Result(gflops, float(np.exp(np.mean(np.log(ratios)))) if ratios else 0.0)


def _seconds(backend: Backend, device: Device, trial: Trial) -> float:
    """The shortest time of one run among those that fit in a tenth of a second."""
    graph = Graph("self-test")
    _add(graph, trial)
    program = backend.compile(graph, device)
    arrays = [backend.empty(a.shape, a.dtype.name, device) for a in trial.inputs]
    for array, values in zip(arrays, trial.inputs, strict=True):
        backend.upload(array, values)

    def once() -> float:
        start = time.perf_counter()
        program.run(arrays)
        backend.synchronize(device)
        return time.perf_counter() - start

    return best_of(once, 0.1)


def best_of(once: Callable[[], float], budget: float) -> float:
    """The shortest of several measurements, as many as `budget` seconds allow and at least three, after a first one."""
    once()
    end = time.perf_counter() + budget
    times = [once() for _ in range(3)]
    while time.perf_counter() < end:
        times.append(once())
    return min(times)


# -- memory of it ----------------------------------------------------------------------------------------------------


def key(driver: Any) -> str:
    """Name of the file with the result of a PyOpenCL device: another driver or version of kcore has another."""
    about = json.dumps(identity(driver), sort_keys=True)
    return f"selftest/{hashlib.sha256(about.encode()).hexdigest()[:20]}.json"


def remembered(driver: Any) -> Result | None:
    """The good result of a PyOpenCL device, or None if it has not been tested or its file is of no use."""
    content = cache.read(key(driver))
    if content is None:
        return None
    try:
        known = json.loads(content)
        if known["form"] != FORM:
            return None
        return Result(float(known["gflops"]), float(known["speedup"]))
    except (ValueError, KeyError, TypeError):  # a file of another version, or half of one
        return None


def remember(driver: Any, result: Result) -> None:
    """Keep a good result on disk."""
    cache.write(key(driver), json.dumps({"form": FORM, "device": driver.name, **asdict(result)}).encode())
