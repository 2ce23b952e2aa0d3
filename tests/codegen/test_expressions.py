"""Every elementwise op's C expression, over its own samples, against its NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest

import kcore.ops  # noqa: F401  (registers the ops)
from kcore.codegen import CUDA, emit
from kcore.dtypes import is_float, numpy_dtype
from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED
from kcore.graph.op import OPS, In

EXPRESSED = sorted(op.name for op in OPS if op.elementwise and op.expr is not None)


def joined(calls):
    """One fused node for many calls (op name, input dtypes, attributes) on 1-D inputs: one kernel instead of many."""
    graph = Graph()
    graph.outputs = []
    size = max(len(arrays[0]) for _, arrays, _, _ in calls)
    inputs = []
    for name, arrays, dtypes, attrs in calls:
        op = OPS[name]
        values = [graph.placeholder((size,), dtype) for dtype in dtypes]
        inputs += [np.resize(a, size) for a in arrays]
        graph.outputs += graph.add(Node(op, values, attrs, op.infer(*[v.spec for v in values], **attrs)))
    specs = [v.spec for v in graph.outputs]
    attrs = {"body": graph, "segments": 1, "shared": 0}
    return Node(FUSED, [Value(v.shape, v.dtype) for v in graph.inputs], attrs, specs), inputs


def compare(device, calls, check):
    """Run the calls as one kernel; `check(call, arrays, result)` each; name all ops that are wrong."""
    node, inputs = joined(calls)
    results = device.run(node, inputs)
    wrong, at = [], 0
    for call, got in zip(calls, results, strict=True):
        arrays, at = inputs[at : at + len(call[1])], at + len(call[1])
        try:
            check(call, arrays, got)
        except AssertionError as error:
            wrong.append(f"{call[0]}{call[2]} as {OPS[call[0]].expr!r}: {error}")
    assert not wrong, "\n".join(wrong)


def test_every_elementwise_primitive_has_an_expression():
    missing = [op.name for op in OPS if op.elementwise and op.primitive and op.expr is None]
    assert not missing, f"a device backend cannot fuse {missing}"


#: Ops per kernel: OpenCL promises no more than 1024 bytes of arguments.
CHUNK = 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("first", range(0, len(EXPRESSED), CHUNK))
def test_expressions_agree_with_the_references_on_the_samples(first, dtype, device, operand):
    calls = []
    for name in EXPRESSED[first : first + CHUNK]:
        op = OPS[name]
        attrs = dict(op.samples[0].attrs)
        columns, dtypes = [], []
        for sample in op.samples:
            drawn = [operand(given, dtype) for given in sample.inputs]
            kinds = [d for _, d in drawn]
            if dict(sample.attrs) == attrs and kinds == (dtypes or kinds):  # one kernel call has one set of dtypes
                columns.append([a.reshape(-1) for a in np.broadcast_arrays(*[a for a, _ in drawn])])
                dtypes = kinds
        calls.append((name, [np.concatenate(c) for c in zip(*columns, strict=True)], dtypes, attrs))

    def check(call, arrays, got):
        name, _, dtypes, attrs = call
        op = OPS[name]
        wide = [a.astype(np.float64) if is_float(d) else a for a, d in zip(arrays, dtypes, strict=True)]
        want = np.asarray(op.fn(*wide, **attrs))
        if got.dtype.kind == "f":
            rtol, atol = op.tolerance["float32" if np.float32 in (got.dtype, arrays[-1].dtype) else dtype]
            np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)
        else:
            np.testing.assert_array_equal(got, want)

    compare(device, calls, check)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_expressions_compile_as_cuda(dtype, compile_cuda):
    """All ops a dtype has, in one kernel."""
    calls = []
    for name in EXPRESSED if is_float(dtype) else INTEGER_OPS:
        op = OPS[name]
        dtypes = [given.dtype if isinstance(given, In) and given.dtype else dtype for given in op.samples[0].inputs]
        calls.append((name, [np.zeros(4)] * len(dtypes), dtypes, dict(op.samples[0].attrs)))
    compile_cuda(emit(joined(calls)[0], CUDA).launches[0].text)


HARD = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, np.inf, -np.inf, np.nan]
HARD_OPS = """maximum minimum mod floor_divide sign round isnan isinf isfinite equal less not_equal logical_and
logical_not divide multiply abs negative floor ceil""".split()


def exactly(call, arrays, got):
    with np.errstate(all="ignore"):
        want = OPS[call[0]].fn(*arrays)
    np.testing.assert_array_equal(got, want)
    if call[0] in ("mod", "negative", "round", "floor", "ceil", "multiply"):
        np.testing.assert_array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(want[~np.isnan(want)]))


def test_infinities_nans_and_signs_of_zero_are_as_in_numpy(device):
    pair = [np.array(a, np.float32).reshape(-1) for a in np.meshgrid(HARD, HARD)]
    counts = {name: len(OPS[name].inputs) for name in HARD_OPS}
    compare(device, [(name, pair[:n], ["float32"] * n, {}) for name, n in counts.items()], exactly)


INTEGER_OPS = """add subtract multiply maximum minimum mod floor_divide power negative abs sign equal less_equal greater
logical_and logical_xor logical_not where""".split()


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8"])
def test_integers_divide_and_compare_as_in_numpy(dtype, device):
    numbers = np.arange(0, 9) if dtype.startswith("u") else np.arange(-4, 5)
    first, second = (np.ascontiguousarray(a.reshape(-1)).astype(dtype) for a in np.meshgrid(numbers, numbers))
    calls = []
    for name in INTEGER_OPS:
        arrays = [first, second][: len(OPS[name].inputs)]
        dtypes = [dtype] * len(arrays)
        if name == "power":
            arrays[1] = np.abs(second)  # NumPy refuses negative integer powers
        if name == "where":
            arrays, dtypes = [first > 1, first, second], ["bool", dtype, dtype]
        calls.append((name, arrays, dtypes, {}))
    compare(device, calls, exactly)


CASTS = """float32:int32 float32:bool float64:float32 int64:float32 bool:float32 float32:float16 float16:float32
float32:bfloat16 bfloat16:float32 int32:uint8 bool:int64 uint8:float64 int32:bool""".split()


def test_casts_between_all_kinds_of_dtypes(device, draw):
    calls = []
    for source, target in (c.split(":") for c in CASTS):
        array = draw(300, dtype=source, low=0 if target.startswith("u") else -9, high=9)
        array[:3] = 0, 1, 0
        calls.append(("cast", [array], [source], {"dtype": target}))

    def check(call, arrays, got):
        want = arrays[0].astype(numpy_dtype(call[3]["dtype"]))
        np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))

    compare(device, calls, check)
