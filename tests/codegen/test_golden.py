"""The generated text itself: golden files in both dialects, CUDA C compiled by NVRTC where it is installed.

After a wanted change: ``KCORE_UPDATE_GOLDEN=1 pytest tests/codegen/test_golden.py``, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pyopencl as cl
import pytest

from kcore.codegen import CUDA, OPENCL, ReductionTile, SpanReductionTile, SpanTile, Tile, emit
from kcore.graph.fuse import fuse_elementwise, fuse_segments

GOLDEN = Path(__file__).parent / "golden"


def bias_relu(build):
    x, b = build.input(32, 10), build.input(10)
    build.path = "model/dense"
    y = build("add", x, b)
    build.path = "model/activation"
    return build.fused(build("maximum", y, 0.0), build("greater", y, 0.0)), Tile(64, 2), {}


def gelu_vectors(build):
    x, g = build.input(1000), build.input(1000)
    build.path = "model/gelu"
    return build.fused(build("multiply", build("erf", x), g)), Tile(128, 1, 4), {}


def transposed(build):
    node = build.fused(build("subtract", build.input(6, 5, 4), build.input(5, 1)))
    return node, Tile(64), {"strides": [(1, 24, 6), None], "starts": True}


def mixed_dtypes(build):
    x, i = build.input(50, dtype="float16"), build.input(50, dtype="int64")
    y = build("cast", x, dtype="float64")
    day = build("mod", i, 7)
    kept = build("where", build("equal", day, 0), y, -1.5)
    return build.fused(build("cast", kept, dtype="bfloat16"), day), Tile(64), {}


class Weight:
    shape, dtype = (4, 5), "float32"


def momentum_update(build):
    graph, rate = build.graph, build.input()
    build.path = "optimizer"
    for _ in range(2):
        weight, velocity = Weight(), Weight()
        moved = build("subtract", graph.variable(velocity), build("multiply", build.input(4, 5), rate))
        graph.updates[velocity], graph.updates[weight] = moved, build("add", graph.variable(weight), moved)
    fuse_elementwise(graph, lambda n: n.op.elementwise)
    fuse_segments(graph)
    return graph.nodes[0], Tile(64, 2), {"bases": 2}


def softmax_sum(build):
    x, top = build.input(64, 100), build.input(64, 1)
    build.path = "model/softmax"
    e = build("exp", build("subtract", x, top))
    return build.fused(e, build("sum", e, axis=(1,), keepdims=True), reductions=True), ReductionTile(8, 8, 2), {}


def channel_mean(build):
    x = build.input(8, 9, 16)
    build.path = "model/batch_normalization"
    total = build("sum", x, axis=(0, 1), keepdims=False)
    return build.fused(build("multiply", total, 1 / 72), reductions=True), ReductionTile(4, 16, 1), {}


def split_max(build):
    x = build.input(10_000)
    top = build("max", build("abs", x), axis=(0,), keepdims=False)
    return build.fused(build("add", top, 1e-7), reductions=True), ReductionTile(64, 1, 2, 8), {}


CASES = [
    bias_relu, gelu_vectors, transposed, mixed_dtypes, momentum_update, softmax_sum, channel_mean, split_max,
]  # fmt: skip


def along(case, tile):
    """The case cut for devices whose work-items are cores; OpenCL only."""

    def wide(build):
        node, _, options = case(build)
        return node, tile, options

    wide.__name__ = f"wide_{case.__name__}"
    return wide


def conditions(build):
    """Every way a truth value is made and used."""
    x, c = build.input(40, 30), build.input(30, dtype="bool")
    build.path = "model/mask"
    large = build("logical_and", build("greater", x, 0.5), build("logical_not", build("isnan", x)))
    kept = build("logical_xor", large, c)
    y = build("where", kept, x, 0.0)
    return build.fused(kept, y, build("cast", y, dtype="bool")), SpanTile(), {}


WIDE = [
    *(along(c, SpanTile()) for c in (bias_relu, gelu_vectors, transposed, mixed_dtypes, momentum_update)),
    *(along(c, SpanReductionTile(16, 2, 8)) for c in (softmax_sum, channel_mean)),
    along(split_max, SpanReductionTile(16, 2, 1, 8)), conditions,
]  # fmt: skip
BOTH = [*((c, d) for c in CASES for d in (OPENCL, CUDA)), *((c, OPENCL) for c in WIDE)]
SUFFIX = {"opencl": "cl", "cuda": "cu"}


def sources_of(case, dialect, build):
    node, tile, options = case(build)
    return emit(node, dialect, tile, **options).launches


@pytest.mark.parametrize(("case", "dialect"), BOTH, ids=[f"{c.__name__}-{d.name}" for c, d in BOTH])
def test_generated_text(case, dialect, build):
    text = "\n".join(s.text for s in sources_of(case, dialect, build))
    file = GOLDEN / f"{case.__name__}.{SUFFIX[dialect.name]}"
    if os.environ.get("KCORE_UPDATE_GOLDEN"):
        file.write_text(text)
    assert file.exists(), f"{file.name} is missing: run with KCORE_UPDATE_GOLDEN=1"
    assert text == file.read_text(), f"{file.name} differs: if that is wanted, run with KCORE_UPDATE_GOLDEN=1"


@pytest.mark.parametrize("case", [*CASES, *WIDE], ids=lambda c: c.__name__)
def test_generated_opencl_compiles_without_warnings(case, device, build):
    for source in sources_of(case, OPENCL, build):
        program = cl.Program(device.context, source.text).build(["-Werror"])
        assert program.kernel_names == source.name


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_generated_cuda_compiles(case, build, compile_cuda):
    for source in sources_of(case, CUDA, build):
        compile_cuda(source.text)
