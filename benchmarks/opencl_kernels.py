"""How close generated OpenCL kernels come to what the device can do: bare multiply-adds, and a bare copy of 256 MB.

    python benchmarks/opencl_kernels.py [--device opencl:intel] [--only matmul] [--seconds 0.2] [--mkl PYTHON]

Each line is the best of several runs, taken in turn with those of the bare kernels, and with those of Intel's MKL on as
many cores where `--mkl` names a Python that has it (`pip install mkl numpy`). A family of kernels is a function that is
given a `Bench` and yields `Case`s; `@family` registers it.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
import pyopencl.array

from kcore import ops  # noqa: F401  (registers the ops)
from kcore.backend import backend_of, selection
from kcore.codegen import Code
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS, Spec
from kcore.kernels import convolutions, products
from kcore.kernels.convolutions.winograd_tiles import Tiles
from kcore.ops import windows
from kcore_opencl.launch import Launch
from kcore_opencl.place import Place, place_of

_FMA = """
__kernel __attribute__((reqd_work_group_size({local}, 1, 1)))
void multiply_add(__global float *y, const int turns) {{
    const {vector} x = ({vector})(y[0]), z = ({vector})(y[1]);
    {start}
    for (int i = 0; i < turns; ++i) {{
        {step}
    }}
    const {vector} all = {total};
    y[2 + get_global_id(0)] = {first};
}}
"""

_COPY = """
__kernel __attribute__((reqd_work_group_size({local}, 1, 1)))
void copy(const __global float16 *x, __global float16 *y, const int each) {{
    const int start = get_group_id(0) * each * {local} + get_local_id(0);
    for (int i = 0; i < each; ++i)
        y[start + i * {local}] = x[start + i * {local}];
}}
"""

Thunk = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        name: what is measured.
        run: enqueues it once.
        flops: multiplications and additions of one run; compared with the bare multiply-adds.
        nbytes: bytes it must read and write; compared with the bare copy.
        peer: seconds of the same by another library, given how often to repeat it; None if it does not do it.
    """

    name: str
    run: Thunk
    flops: int = 0
    nbytes: int = 0
    peer: Callable[[int], float] | None = None


class Mkl:
    """Matrix products by MKL, in a process of its own (`mkl_products.py`).

    Args:
        python: of an environment with the packages ``mkl`` and ``numpy``.
    """

    def __init__(self, python: str):
        script = Path(__file__).with_name("mkl_products.py")
        self._process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._products = 0

    def product(self, sizes: tuple[int, int, int], transposed: tuple[bool, bool]) -> Callable[[int], float]:
        """What multiplies operands of those rows, columns and terms so often, and returns the seconds of once."""
        self._ask("product " + " ".join(str(int(n)) for n in (*sizes, *transposed)))
        number, self._products = self._products, self._products + 1
        return lambda often: float(self._ask(f"run {number} {often}"))

    def _ask(self, order: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(order, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"MKL's process ended at {order!r}, exit code {self._process.wait()}")
        return answer


class Bench:
    """A device, and what it can do at most; `mkl` measures the same products, if it is there."""

    def __init__(self, place: Place, mkl: Mkl | None = None):
        self.place = place
        self.mkl = mkl
        self._kept: list[Any] = []

    def node(self, name: str, *specs: tuple[Sequence[int], str], **attrs: Any) -> Node:
        """An op applied to arrays of those shapes and dtypes."""
        graph, op = Graph(), OPS[name]
        values = [graph.placeholder(tuple(shape), dtype) for shape, dtype in specs]
        found = op.infer(*[v.spec for v in values], **attrs)
        return Node(op, values, attrs, [found] if isinstance(found, Spec) else found)

    def launch(self, node: Node, code: Code) -> Thunk:
        """The code bound to arrays of random numbers; enqueues it."""
        rng = np.random.default_rng(0)
        inputs = [self.place.array(v.shape, v.dtype) for v in node.sources]
        for array in inputs:
            self.place.write(array, rng.standard_normal(array.shape).astype(numpy_dtype(array.dtype)))
        outputs = [self.place.array(v.shape, v.dtype) for v in node.outputs]
        scratch = self.place.array((code.scratch_bytes,), "uint8") if code.scratch_bytes else None
        launch = Launch(self.place, code, inputs, outputs, scratch)
        launch()
        return launch

    def multiply_add(self) -> Case:
        """Nothing but multiply-adds in registers."""
        traits, turns, sums = self.place.traits, 20000, 24
        lanes = min(traits.vector, 16)
        vector = f"float{lanes}" if lanes > 1 else "float"
        local, groups = (1, 4 * traits.units) if traits.cpu else (256, 8 * traits.units)
        text = _FMA.format(
            local=local,
            vector=vector,
            start=" ".join(f"{vector} a{i} = ({vector})(y[{i}]);" for i in range(sums)),
            step=" ".join(f"a{i} = {traits.fma.format(a=f'a{i}', b='x', c='z')};" for i in range(sums)),
            total=" + ".join(f"a{i}" for i in range(sums)),
            first="all.s0" if lanes > 1 else "all",
        )
        y = self._buffer(4 * max(sums, groups * local + 2))
        kernel = self._kernel(text, "multiply_add", y, np.int32(turns))
        run = self._run(kernel, groups * local, local)
        return Case("bare multiply-adds", run, flops=2 * turns * sums * lanes * groups * local)

    def copy(self, nbytes: int = 1 << 28) -> Case:
        """Nothing but a copy."""
        traits = self.place.traits
        local, groups = (1, 8 * traits.units) if traits.cpu else (256, 32 * traits.units)
        each = nbytes // 64 // (groups * local)
        text = _COPY.format(local=local)
        kernel = self._kernel(text, "copy", self._buffer(nbytes), self._buffer(nbytes), np.int32(each))
        return Case(
            f"bare copy of {nbytes >> 20} MB",
            self._run(kernel, groups * local, local),
            nbytes=2 * each * groups * local * 64,
        )

    def seconds(self, cases: Iterable[Case], total: float) -> list[float]:
        """The best time of each, measured in turn for about `total` seconds each."""
        return [own for own, _ in self.both(cases, total)]

    def both(self, cases: Iterable[Case], total: float) -> list[tuple[float, float]]:
        """The best time of each and of its peer, infinite if there is none, as `seconds` measures it."""
        runs = [(case, peer) for case in cases for peer in (False, True) if not peer or case.peer]
        best = dict.fromkeys(runs, float("inf"))
        often = dict.fromkeys(runs, 1)
        for turn in range(2):
            for run in runs:
                often[run] = max(1, int(0.01 / self._time(*run, 1))) if turn else 1
        start = time.perf_counter()
        turns = 0
        while turns < 3 or time.perf_counter() - start < total * len(runs):
            turns += 1
            for run in runs:
                best[run] = min(best[run], self._time(*run, often[run]))
        return [(best[case, False], best.get((case, True), float("inf"))) for case, peer in runs if not peer]

    def _time(self, case: Case, peer: bool, often: int) -> float:
        if peer and case.peer:
            return case.peer(often)
        queue = self.place.queue
        if self.mkl:
            case.run()  # as MKL does, after the other's turn
        queue.finish()
        start = time.perf_counter()
        for _ in range(often):
            case.run()
        queue.finish()
        return (time.perf_counter() - start) / often

    def _buffer(self, nbytes: int) -> Any:
        return cl.array.zeros(self.place.queue, max(nbytes // 4, 1), np.float32).data

    def _kernel(self, text: str, name: str, *arguments: Any) -> Any:
        kernel = cl.Kernel(cl.Program(self.place.context, text).build(["-cl-std=CL1.2"]), name)
        kernel.set_args(*arguments)
        self._kept.append(arguments)
        return kernel

    def _run(self, kernel: Any, size: int, local: int) -> Thunk:
        queue = self.place.queue
        return lambda: cl.enqueue_nd_range_kernel(queue, kernel, (size,), (local,))


Family = Callable[[Bench], Iterator[Case]]
FAMILIES: dict[str, Family] = {}


def family(name: str) -> Callable[[Family], Family]:
    """Register a function that yields the cases of a family of kernels."""

    def register(cases: Family) -> Family:
        FAMILIES[name] = cases
        return cases

    return register


#: name: (a, b, whether each is transposed)
_PRODUCTS: dict[str, tuple[tuple[int, ...], tuple[int, ...], bool, bool]] = {
    "256 x 256 x 256": ((256, 256), (256, 256), False, False),
    "512 x 512 x 512": ((512, 512), (512, 512), False, False),
    "1024 x 1024 x 1024": ((1024, 1024), (1024, 1024), False, False),
    "512 x 512 x 512, second transposed": ((512, 512), (512, 512), False, True),
    "512 x 512 x 512, first transposed": ((512, 512), (512, 512), True, False),
    "1024 x 1024 x 1024, second transposed": ((1024, 1024), (1024, 1024), False, True),
    "1024 x 1024 x 1024, first transposed": ((1024, 1024), (1024, 1024), True, False),
    "768 x 768 x 768": ((768, 768), (768, 768), False, False),
    "2048 x 2048 x 2048": ((2048, 2048), (2048, 2048), False, False),
    "mlp dense 1": ((128, 784), (784, 256), False, False),
    "mlp dense 1, kernel's gradient": ((128, 784), (128, 256), True, False),
    "mlp dense 2": ((128, 256), (256, 128), False, False),
    "mlp dense 2, input's gradient": ((128, 128), (256, 128), False, True),
    "mlp dense 2, kernel's gradient": ((128, 256), (128, 128), True, False),
    "mlp dense 3": ((128, 128), (128, 10), False, False),
    "mlp4 dense 2": ((100, 256), (256, 256), False, False),
    "mlp4 dense 2, input's gradient": ((100, 256), (256, 256), False, True),
    "mlp4 dense 2, kernel's gradient": ((100, 256), (100, 256), True, False),
    "cnn dense 1": ((128, 9216), (9216, 128), False, False),
    "cnn dense 1, input's gradient": ((128, 128), (9216, 128), False, True),
    "cnn dense 1, kernel's gradient": ((128, 9216), (128, 128), True, False),
    "transformer projection": ((4096, 128), (128, 128), False, False),
    "transformer dense 1": ((4096, 128), (128, 512), False, False),
    "transformer dense 2": ((4096, 512), (512, 128), False, False),
    "transformer dense 2, input's gradient": ((4096, 128), (512, 128), False, True),
    "transformer dense 1, kernel's gradient": ((4096, 128), (4096, 512), True, False),
    "lstm step": ((32, 128), (128, 512), False, False),
}


@family("matmul")
def matmul(bench: Bench) -> Iterator[Case]:
    """Matrix products of the workloads in float32."""
    for name, (a, b, transpose_a, transpose_b) in _PRODUCTS.items():
        node = bench.node("matmul", (a, "float32"), (b, "float32"), transpose_a=transpose_a, transpose_b=transpose_b)
        code = products.emit(node, bench.place.traits)
        (rows, columns), inner = node.outputs[0].shape, a[-2] if transpose_a else a[-1]
        peer = bench.mkl.product((rows, columns, inner), (transpose_a, transpose_b)) if bench.mkl else None
        yield Case(name, bench.launch(node, code), flops=2 * rows * columns * inner, peer=peer)


#: name: (input, kernel, stride, whether the result is as large as the input)
_CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, bool]] = {
    "32x32, 64 channels": ((32, 32, 32, 64), (3, 3, 64, 64), 1, True),
    "cnn 1": ((128, 28, 28, 1), (3, 3, 1, 32), 1, False),
    "cnn 2": ((128, 26, 26, 32), (3, 3, 32, 64), 1, False),
    "resnet20 first": ((64, 32, 32, 3), (3, 3, 3, 16), 1, True),
    "resnet20 16": ((64, 32, 32, 16), (3, 3, 16, 16), 1, True),
    "resnet20 16 to 32": ((64, 32, 32, 16), (3, 3, 16, 32), 2, True),
    "resnet20 16 to 32, shortcut": ((64, 32, 32, 16), (1, 1, 16, 32), 2, True),
    "resnet20 32": ((64, 16, 16, 32), (3, 3, 32, 32), 1, True),
    "resnet20 32 to 64": ((64, 16, 16, 32), (3, 3, 32, 64), 2, True),
    "resnet20 64": ((64, 8, 8, 64), (3, 3, 64, 64), 1, True),
}


@family("conv")
def conv(bench: Bench) -> Iterator[Case]:
    """Convolutions of the workloads and both gradients, in float32; those by Winograd's tiles directly, too.

    Whichever way they go, the multiplications and additions of the direct way are counted.
    """
    for name, (x, kernel, stride, same) in _CONVOLUTIONS.items():
        padding = windows.pairs("same" if same else "valid", x[1:3], kernel[:2], (stride,) * 2, (1, 1), "conv")
        attrs = {"strides": (stride,) * 2, "padding": padding, "dilation": (1, 1), "groups": 1}
        forward = bench.node("conv", (x, "float32"), (kernel, "float32"), **attrs)
        y = forward.outputs[0].shape
        nodes = {
            "": forward,
            ", input's gradient": bench.node(
                "conv_input_grad", (y, "float32"), (kernel, "float32"), input_shape=x, **attrs
            ),
            ", kernel's gradient": bench.node(
                "conv_kernel_grad", (x, "float32"), (y, "float32"), kernel_shape=kernel, **attrs
            ),
        }
        for what, node in nodes.items():
            ways = convolutions.candidates(node, bench.place.traits)
            flops = 2 * prod(y) * prod(kernel[:-1])
            yield Case(name + what, bench.launch(node, convolutions.emit(node, bench.place.traits)), flops=flops)
            if isinstance(ways[0][0], Tiles):
                direct = next(w for w in ways if not isinstance(w[0], Tiles))
                code = convolutions.emit(node, bench.place.traits, direct)
                yield Case(f"{name}{what}, direct", bench.launch(node, code), flops=flops)


def _families(text: str) -> list[str]:
    """Names of families, with commas between them."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in FAMILIES:
            raise argparse.ArgumentTypeError(f"no family {name!r}, there are {', '.join(FAMILIES)}")
    return names or list(FAMILIES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--only", type=_families, default=list(FAMILIES), help=f"with commas: {', '.join(FAMILIES)}")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each case")
    parser.add_argument("--mkl", metavar="PYTHON", help="measure MKL too, which this Python has")
    arguments = parser.parse_args()
    selection.use_backend(arguments.device)
    backend_of("opencl")
    bench = Bench(place_of(selection.current().device), Mkl(arguments.mkl) if arguments.mkl else None)
    print(bench.place.device.name.strip(), "through", bench.place.device.platform.name)
    for name in arguments.only:
        bare = [bench.multiply_add(), bench.copy()]
        cases = list(FAMILIES[name](bench))
        (peak, _), (copy, _), *times = bench.both([*bare, *cases], arguments.seconds)
        rate, speed = bare[0].flops / peak, bare[1].nbytes / copy
        print(f"\n{name}: bare multiply-adds {rate / 1e9:.0f} GFLOP/s, bare copy {speed / 1e9:.1f} GB/s")
        for case, (seconds, peer) in zip(cases, times, strict=True):
            if case.flops:
                got, share = f"{case.flops / seconds / 1e9:7.0f} GFLOP/s", case.flops / seconds / rate
            else:
                got, share = f"{case.nbytes / seconds / 1e9:7.1f} GB/s", case.nbytes / seconds / speed
            beside = f", MKL {case.flops / peer / 1e9:4.0f} GFLOP/s, {peer / seconds:.2f} of it" if case.peer else ""
            print(f"{case.name:40s} {seconds * 1e6:10.1f} us {got} {share:6.0%}{beside}")


if __name__ == "__main__":
    main()
