"""Rotary position embedding by its kernel and by its decomposition.

    python benchmarks/rotary.py [--backends numpy,opencl:intel,opencl:pocl] [--repeat 15]

A step turns 8.4 MB ten times; each figure is the median time of one turn. The two steps of a row take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np

import kcore
from kcore.backend.compile import primitives_only
from kcore.runtime import function
from kcore_rotary import rotate

TURNS = 10
SHAPES = {"(8, 512, 8, 64)": ((8, 512, 8, 64), (512, 1, 32)), "(16, 512, 256)": ((16, 512, 256), (512, 128))}


def turned(x: kcore.Tensor, cosine: kcore.Tensor, sine: kcore.Tensor) -> kcore.Tensor:
    for _ in range(TURNS):
        x = rotate(x, cosine, sine)
    return x


def step(fn: Callable, *arrays: np.ndarray, apart: bool = False) -> Callable[[], None]:
    """The compiled step alone, to its end: inputs lie on the device, results stay there."""
    with primitives_only() if apart else nullcontext():
        executable = function(fn).concrete(*arrays)
    executable.run(arrays)
    backend, device, run = executable.backend, executable.device, executable._bound.run

    def once() -> None:
        with backend.session():
            run()
        backend.synchronize(device)

    return once


def microseconds(steps: list[Callable[[], None]], repeat: int) -> list[float]:
    """The median time of one turn of each, the steps taking turns."""
    samples: list[list[float]] = [[] for _ in steps]
    for _ in range(repeat):
        for once, found in zip(steps, samples, strict=True):
            start = time.perf_counter()
            once()
            found.append((time.perf_counter() - start) / TURNS * 1e6)
    return [statistics.median(found) for found in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", default="numpy,opencl:intel,opencl:pocl")
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print("| shape | device | decomposition | kernel | GB/s |\n|---|---|---|---|---|")
    for name, (shape, angles) in SHAPES.items():
        x, angle = rng.standard_normal(shape, "float32"), rng.random(angles, "float32")
        for backend in options.backends.split(","):
            kcore.use_backend(backend)
            steps = [step(turned, x, np.cos(angle), np.sin(angle), apart=apart) for apart in (True, False)]
            apart, whole = microseconds(steps, options.repeat)
            print(
                f"| {name} | `{backend}` | {apart:,.0f} us | {whole:,.0f} us | {2e-3 * x.nbytes / whole:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
