"""What the emitter's tests share: graphs in a few words, their value by NumPy, and a device that runs OpenCL C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyopencl as cl
import pytest

import kcore.ops  # noqa: F401  (registers the ops)
from kcore.codegen import OPENCL, can_emit, emit
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED, fuse_elementwise
from kcore.graph.fuse_reduction import FUSED_REDUCTION, fuse_reductions
from kcore.graph.op import OPS
from kcore_opencl import drivers


class Builder:
    """Builds a graph op by op; Python numbers become scalar constants of the other operand's dtype."""

    def __init__(self):
        self.graph = Graph()
        self.path = ""

    def input(self, *shape, dtype="float32"):
        return self.graph.placeholder(shape, dtype)

    def __call__(self, name, *operands, **attrs):
        dtype = next(v.dtype for v in reversed(operands) if isinstance(v, Value))
        values = [
            v if isinstance(v, Value) else self.graph.constant(np.asarray(v, numpy_dtype(dtype)), dtype)
            for v in operands
        ]
        op = OPS[name]
        node = Node(op, values, attrs, op.infer(*[v.spec for v in values], **attrs), self.path)
        return self.graph.add(node)[0]

    def fused(self, *outputs, reductions=False):
        """The one node the graph becomes when it computes the outputs."""
        graph = self.graph
        graph.outputs = list(outputs)
        fuse_elementwise(graph, lambda n: n.op.elementwise)
        if reductions:
            fuse_reductions(graph, lambda n: n.op.elementwise, can_emit)
        assert len(graph.nodes) == 1, graph
        node = graph.nodes[0]
        # the node's inputs and outputs in the order of the graph's
        order = [node.inputs.index(v) for v in graph.inputs]
        assert order == sorted(order), "name the inputs in the order the ops read them"
        return node


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def new():
    """The builder itself, for tests that need several."""
    return Builder


def evaluate(node, arrays):
    """The node's outputs by the ops' NumPy references."""
    if node.op not in (FUSED, FUSED_REDUCTION):
        remaining = iter(arrays)
        operands = [v.constant if v.constant is not None and v.size == 1 else next(remaining) for v in node.inputs]
        return [np.asarray(node.op.fn(*operands, **node.attrs)).astype(numpy_dtype(node.outputs[0].dtype))]
    body = node.attrs["body"]
    segments, shared = node.attrs.get("segments", 1), node.attrs.get("shared", 0)
    own = (len(arrays) - shared) // segments
    results = []
    with np.errstate(all="ignore"):
        for s in range(segments):
            inputs = [*arrays[:shared], *arrays[shared + s * own : shared + (s + 1) * own]]
            known = dict(zip(body.inputs, inputs, strict=True))
            for n in body.nodes:
                operands = [known[v] if v in known else v.constant for v in n.inputs]
                known[n.outputs[0]] = np.asarray(n.op.fn(*operands, **n.attrs)).astype(numpy_dtype(n.outputs[0].dtype))
            results += [known[v] for v in body.outputs]
    return results


GUARD = 64


class Device:
    """Runs emitted code on PoCL or else the first OpenCL device; checks that nothing is written outside the outputs."""

    def __init__(self):
        # PyOpenCL looks for drivers once in a process: those that only kcore makes visible must be there by then
        platforms = sorted(drivers.load().platforms, key=lambda p: "Portable" not in p.name)
        devices = [d for p in platforms for d in p.get_devices()]
        assert devices, "no OpenCL device answers: install pyopencl[pocl]"
        self.context = cl.Context(devices[:1])
        self.queue = cl.CommandQueue(self.context)
        self._kernels = {}

    def kernel(self, source):
        known = self._kernels.get(source.key)
        if known is None:
            if len(self._kernels) >= 32:  # hardly one is asked for by two tests, and a program takes a megabyte or two
                self._kernels.clear()
            program = cl.Program(self.context, source.text).build()
            known = self._kernels[source.key] = getattr(program, source.name)
        return known

    def buffer(self, array, start=0):
        """A buffer that holds the array from element `start` on, and bytes that must stay as they are behind it."""
        raw = np.full(start * array.itemsize + array.nbytes + GUARD, 0xA5, np.uint8)
        raw[start * array.itemsize : start * array.itemsize + array.nbytes] = array.reshape(-1).view(np.uint8)
        return cl.Buffer(self.context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=raw)

    def fetch(self, buffer, shape, dtype, start=0):
        raw = np.empty(buffer.size, np.uint8)
        cl.enqueue_copy(self.queue, raw, buffer)
        assert (raw[-GUARD:] == 0xA5).all(), "a kernel wrote past the end of its output"
        first = start * np.dtype(dtype).itemsize
        assert (raw[:first] == 0xA5).all(), "a kernel wrote before the beginning of its output"
        return raw[first:-GUARD].view(dtype).reshape(shape).copy()

    def run(self, node, arrays, tile=None, starts=0, **options):
        """The node's outputs as the emitted kernels compute them."""
        code = emit(node, OPENCL, tile, starts=bool(starts), **options)
        outputs = [np.zeros(v.shape, numpy_dtype(v.dtype)) for v in node.outputs]
        inputs = [None if a is None else self.buffer(a, starts) for a in arrays]
        written = [self.buffer(a, starts) for a in outputs]
        scratch = self.buffer(np.zeros(code.scratch_bytes + 8 * starts, np.uint8))
        for source in code.launches:
            tables = [a for a in source.arguments if a.kind == "table"]
            bases = {}
            if tables:
                bases = self._placed(source, inputs, written)
            if source.groups:
                arguments = [self._argument(a, inputs, written, scratch, bases, starts) for a in source.arguments]
                self.kernel(source)(self.queue, (source.global_size,), (source.local,), *arguments)
            if tables and source.groups:
                self._unplaced(bases, source, written)
        return [self.fetch(b, a.shape, a.dtype, starts) for b, a in zip(written, outputs, strict=True)]

    def _argument(self, argument, inputs, outputs, scratch, bases, starts):
        match argument.kind:
            case "input":
                return inputs[argument.index]
            case "output":
                return outputs[argument.index]
            case "scratch":
                return scratch
            case "base":
                return bases["buffers"][argument.index]
            case "table":
                return bases["table"]
            case "start":
                return np.int64(starts)
            case "size":
                return np.dtype(argument.dtype).type(argument.value)
        raise AssertionError(argument)

    def _placed(self, source, inputs, outputs):
        """The segments' arrays packed into base buffers, turn by turn, at odd but aligned offsets."""
        count = sum(a.kind == "base" for a in source.arguments)
        sizes = [0] * count
        places, moves = [], []
        turn = 0
        for row in source.operands:
            found = []
            for kind, index in row:
                buffer = (inputs if kind == "input" else outputs)[index]
                slot, turn = turn % count, turn + 1
                found.append((slot, sizes[slot]))
                moves.append((kind, index, slot, sizes[slot], buffer))
                sizes[slot] += -(-buffer.size // 8) * 8
            places.append(found)
        flags = cl.mem_flags.READ_WRITE
        buffers = [cl.Buffer(self.context, flags, max(s, 8)) for s in sizes]
        for _, _, slot, offset, buffer in moves:
            cl.enqueue_copy(self.queue, buffers[slot], buffer, byte_count=buffer.size, dst_offset=offset)
        table = source.table(places)
        table = cl.Buffer(self.context, flags | cl.mem_flags.COPY_HOST_PTR, hostbuf=table)
        return {"buffers": buffers, "table": table, "moves": moves}

    def _unplaced(self, bases, source, outputs):
        for kind, _, slot, offset, buffer in bases["moves"]:
            if kind == "output":
                cl.enqueue_copy(self.queue, buffer, bases["buffers"][slot], byte_count=buffer.size, src_offset=offset)


@pytest.fixture(scope="session")
def device():
    return Device()


@pytest.fixture
def agree(device):
    """``agree(node, arrays, tile)``: the emitted kernels compute what NumPy does."""

    def agree(node, arrays, tile=None, rtol=2e-6, atol=2e-6, **options):
        strides = options.pop("arrays_by_strides", None)
        expected = evaluate(node, strides or arrays)
        found = device.run(node, arrays, tile, **options)
        for i, (got, want) in enumerate(zip(found, expected, strict=True)):
            assert got.shape == want.shape
            if want.dtype.kind in "bui":
                np.testing.assert_array_equal(got, want, err_msg=f"output {i}")
            else:
                if want.dtype == np.float64:
                    rtol, atol = min(rtol, 1e-12), min(atol, 1e-12)
                np.testing.assert_allclose(
                    got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol, err_msg=f"output {i}"
                )
        return found

    return agree


@pytest.fixture
def draw():
    """``draw(shape, dtype)``: arbitrary but fixed numbers."""
    generator = np.random.default_rng(7)

    def draw(*shape, dtype="float32", low=-2.0, high=2.0):
        kind = numpy_dtype(dtype)
        if dtype == "bool":
            return generator.integers(0, 2, shape).astype(kind)
        if "int" in dtype:
            low = max(low, 0) if dtype.startswith("u") else low
            return generator.integers(int(low), int(high) + 1, shape).astype(kind)
        return generator.uniform(low, high, shape).astype(kind)

    return draw


@pytest.fixture
def operand():
    """``operand(op, sample input, dtype)``: one input of a conformance sample."""
    generator = np.random.default_rng(11)

    def operand(given, dtype):
        shape, low, high, kind = given, -2.0, 2.0, dtype
        if not isinstance(given, tuple):
            if given.value is not None:
                return np.asarray(given.value, numpy_dtype(given.dtype or dtype)), given.dtype or dtype
            shape, low, high, kind = given.shape, given.low, given.high, given.dtype or dtype
        return generator.uniform(low, high, shape).astype(numpy_dtype(kind)), kind

    return operand


@pytest.fixture
def compile_cuda():
    """``compile_cuda(text)``: compile by NVRTC for sm_90; skips where NVRTC is not installed."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings and nvidia-cuda-nvrtc are not installed")
    import nvidia

    headers = [h.parent for root in nvidia.__path__ for h in Path(root).glob("*/include/cuda_fp16.h")]
    options = [b"--gpu-architecture=sm_90", *[f"--include-path={folder}".encode() for folder in headers]]

    def compile_cuda(text):
        try:
            _, program = nvrtc.nvrtcCreateProgram(text.encode(), b"kernel.cu", 0, [], [])
        except RuntimeError as error:
            pytest.skip(f"NVRTC does not load: {error}")
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        log = bytes(size + 1)  # written into: never one of the single bytes that Python shares
        nvrtc.nvrtcGetProgramLog(program, log)
        assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode()

    return compile_cuda
