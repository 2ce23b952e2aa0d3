"""Row programs in CUDA C: what composites become there compiles."""

from __future__ import annotations

import pytest

import kcore.ops  # noqa: F401  (registers the ops)
from kcore.codegen import CUDA
from kcore.codegen.row_kernels import choose_row_tile, emit_rows
from kcore.codegen.row_program import row_program
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS
from kcore.testing.cases import cases


@pytest.mark.parametrize(
    "name",
    [
        "softmax", "softmax_grad", "log_softmax", "layer_norm", "layer_norm_grad", "rms_norm",
        "softmax_cross_entropy", "sparse_softmax_cross_entropy", "cross_entropy", "cross_entropy_grad",
    ],
)  # fmt: skip
def test_a_composite_compiles_as_a_row_program(name, compile_cuda):
    compiled = 0
    for case in cases(OPS[name], ("float32", "float64")):
        graph = Graph()
        inputs = [None if a is None else graph.placeholder(a.shape, a.dtype.name) for a in case.arrays()]
        specs = OPS[name].infer(*[None if v is None else v.spec for v in inputs], **case.attrs)
        node = Node(OPS[name], inputs, case.attrs, specs)
        program = row_program(node)
        if program is None or compiled == 4:
            continue
        for source in emit_rows(program, node, CUDA, choose_row_tile(program), starts=False).launches:
            compile_cuda(source.text)
        compiled += 1
    assert compiled, "no sample is a row program"
