"""How close the NumPy convolution kernels come to the matrix products inside them, layer by layer.

    python benchmarks/convolution.py [--threads 2]

For each layer of the cnn and resnet20 workloads: milliseconds of the equal matrix products (blocks of 1024 rows in
cache, all threads), then of the forward pass and both gradients, each with its ratio to the products. Both are
measured in turn, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from kcore import ops  # noqa: F401  (registers the ops)
from kcore.backend.kernel import Site, kernels_of
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, Spec
from kcore_numpy import NumpyBackend, threads

#: name: (inputs, kernel, stride, (padding before, after), how many such layers resnet20 has)
LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, int], int]] = {
    "cnn 1 -> 32": ((128, 28, 28, 1), (3, 3, 1, 32), 1, (0, 0), 0),
    "cnn 32 -> 64": ((128, 26, 26, 32), (3, 3, 32, 64), 1, (0, 0), 0),
    "resnet 3 -> 16": ((64, 32, 32, 3), (3, 3, 3, 16), 1, (1, 1), 1),
    "resnet 16 -> 16": ((64, 32, 32, 16), (3, 3, 16, 16), 1, (1, 1), 6),
    "resnet 16 -> 32 /2": ((64, 32, 32, 16), (3, 3, 16, 32), 2, (0, 1), 1),
    "resnet 32 -> 32": ((64, 16, 16, 32), (3, 3, 32, 32), 1, (1, 1), 5),
    "resnet 32 -> 64 /2": ((64, 16, 16, 32), (3, 3, 32, 64), 2, (0, 1), 1),
    "resnet 64 -> 64": ((64, 8, 8, 64), (3, 3, 64, 64), 1, (1, 1), 5),
    "resnet 1x1 16 -> 32 /2": ((64, 32, 32, 16), (1, 1, 16, 32), 2, (0, 0), 1),
    "resnet 1x1 32 -> 64 /2": ((64, 16, 16, 32), (1, 1, 32, 64), 2, (0, 0), 1),
}


def bound(name: str, arrays: list[np.ndarray], **attrs: Any) -> tuple[Callable[[], Any], np.ndarray]:
    """The kernel of one op on these arrays, and its output."""
    op = OPS[name]
    (spec,) = op.infer(*[Spec(a.shape, str(a.dtype)) for a in arrays], **attrs)
    node = Node(op, [Value(a.shape, str(a.dtype)) for a in arrays], attrs, [spec])
    kernel = kernels_of("numpy").find(node)
    assert kernel is not None
    wanted = kernel.scratch(node) if kernel.scratch else 0
    raw = np.empty(wanted + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out = np.empty(spec.shape, spec.dtype)
    return kernel.bind(Site(node, tuple(arrays), (out,), raw[start : start + wanted], None)), out


def products(rows: int, depth: int, filters: int) -> tuple[Callable[[], Any], float]:
    """Products of blocks in cache on all threads, and how many times their work the layer has."""
    block, count = min(1024, rows), threads.count()
    rounds = max(1, rows // block // count)
    weights = np.ones((depth, filters), np.float32)
    pairs = [(np.ones((block, depth), np.float32), np.empty((block, filters), np.float32)) for _ in range(count)]

    def work(left: np.ndarray, out: np.ndarray) -> None:
        for _ in range(rounds):
            np.matmul(left, weights, out)

    thunks = [lambda a=a, y=y: work(a, y) for a, y in pairs]
    return threads.team(thunks, blas=True), rows / (rounds * block * count)


def interleaved(calls: list[Callable[[], Any]], rounds: int = 15) -> list[float]:
    """Lower-quartile milliseconds of each, measured in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, kept in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            kept.append(1e3 * (time.perf_counter() - start))
    return [sorted(kept)[len(kept) // 4] for kept in times]


def main() -> None:
    """Measure and print every layer, and the sums over resnet20."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--threads", type=int, default=threads.count())
    threads.set_count(arguments.parse_args().threads)
    NumpyBackend()  # loads the kernels
    print(
        f"{threads.count()} threads\n"
        f"{'layer':24s} {'products':>19s} {'forward':>15s} {'d input':>15s} {'d kernel':>15s}"
    )
    sums = np.zeros(4)
    for name, (shape, window, stride, pad, count) in LAYERS.items():
        rng = np.random.default_rng(0)
        x, weights = (rng.random(s, dtype=np.float32) for s in (shape, window))
        attrs = {"strides": (stride,) * 2, "padding": (pad,) * 2, "dilation": (1, 1), "groups": 1}
        forward, y = bound("conv", [x, weights], **attrs)
        g = rng.random(y.shape, dtype=np.float32)
        d_input, _ = bound("conv_input_grad", [g, weights], input_shape=shape, **attrs)
        d_kernel, _ = bound("conv_kernel_grad", [x, g], kernel_shape=window, **attrs)
        rows, depth, filters = y.size // window[-1], prod(window[:-1]), window[-1]
        pure, share = products(rows, depth, filters)
        times = np.array(interleaved([pure, forward, d_input, d_kernel]))
        times[0] *= share
        sums += count * times
        rate = 2e-6 * rows * depth * filters / times[0]
        ratios = " ".join(f"{t:7.2f} ({t / times[0]:4.2f}x)" for t in times[1:])
        print(f"{name:24s} {times[0]:7.2f} ({rate:4.0f} GF/s) {ratios}", flush=True)
    ratios = " ".join(f"{t:7.2f} ({t / sums[0]:4.2f}x)" for t in sums[1:])
    print(f"{'all of resnet20':24s} {sums[0]:7.2f}             {ratios}")


if __name__ == "__main__":
    main()
