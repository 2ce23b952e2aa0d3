"""How close fused elementwise chains and reductions on OpenCL come to a bare copy of as many bytes.

    python benchmarks/opencl_chains.py [--device opencl:intel] [--only tanh] [--seconds 1]

Each row is a compiled step over arrays of 8192 by 4096 numbers, the best of several runs, taken in turn with those of
the bare copy of 256 MB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from opencl_kernels import Bench, Case

import kcore
from kcore import ops
from kcore.backend import selection
from kcore.runtime import function
from kcore_opencl.place import place_of

WHOLE, ROW, COLUMN = (8192, 4096), (4096,), (8192, 1)

#: name: (what is computed, shapes of its operands, their dtype)
CHAINS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], str]] = {
    "relu of a sum": (lambda a, b: ops.relu(a + b), (WHOLE, WHOLE), "float32"),
    "relu with a bias": (lambda a, b: ops.relu(a + b), (WHOLE, ROW), "float32"),
    "scaled by rows": (lambda a, b: a * b + 1.0, (WHOLE, COLUMN), "float32"),
    "a polynomial of two": (lambda a, b: ((a * b + a) * b + a) * b - a * 0.5, (WHOLE, WHOLE), "float32"),
    "exp": (lambda a: ops.exp(a), (WHOLE,), "float32"),
    "sigmoid": (lambda a: ops.sigmoid(a), (WHOLE,), "float32"),
    "tanh": (lambda a: ops.tanh(a), (WHOLE,), "float32"),
    "gelu, exact": (lambda a: ops.gelu(a, approximate=False), (WHOLE,), "float32"),
    "float16 to float32": (lambda a: ops.cast(a, "float32"), (WHOLE,), "float16"),
    "sums over the last axis": (lambda a: ops.sum(a, axis=-1), (WHOLE,), "float32"),
    "sums over the first axis": (lambda a: ops.sum(a, axis=0), (WHOLE,), "float32"),
    "sum of squares": (lambda a: ops.sum(a * a), (WHOLE,), "float32"),
    "softmax": (lambda a: ops.softmax(a), (WHOLE,), "float32"),
}  # fmt: skip


def case(name: str) -> Case:
    """A compiled step on the device in use; it counts each operand and result once."""
    compute, shapes, dtype = CHAINS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, "float32").astype(dtype) for shape in shapes]
    executable = function(compute).concrete(*arrays)
    executable.run(arrays)
    (result,) = executable.plan.graph.outputs
    nbytes = sum(a.nbytes for a in arrays) + int(np.prod(result.shape)) * 4
    bound, kept = executable._bound, executable

    def run() -> None:
        bound.run()
        assert kept

    return Case(name, run, nbytes=nbytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row")
    options = parser.parse_args()
    kcore.use_backend(options.device)
    bench = Bench(place_of(selection.current().device))
    print(bench.place.device.name.strip(), "through", bench.place.device.platform.name)
    for name in [n for n in CHAINS if options.only in n]:
        bare, chain = bench.copy(), case(name)
        copy, seconds = bench.seconds([bare, chain], options.seconds)
        speed, got = bare.nbytes / copy, chain.nbytes / seconds
        print(
            f"{name:40s} {seconds * 1e3:8.2f} ms {got / 1e9:6.1f} GB/s, copy {speed / 1e9:6.1f} {got / speed:6.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
