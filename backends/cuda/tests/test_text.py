"""The CUDA text of every generated kernel is the OpenCL text that was checked numerically, but for the dialects' table.

What kernels for GPUs compute in OpenCL C is compared with NumPy on CPU drivers. Here each text in OpenCL C is put into
CUDA C by the table, word for word, and must be the text that the generator writes for CUDA.
"""

from __future__ import annotations

import dataclasses
import re

import pytest

from kcore.codegen import CUDA, OPENCL, Source
from kcore.graph.core import Graph, Node
from kcore.kernels.table import code_of
from kcore.kernels.traits import Traits
from kcore.testing.cases import Case, all_ops, cases
from kcore.testing.trainings import MODELS, train

GPU = Traits("gpu", "nvidia", 40, 1, 48 << 10, 1024, 256, 1 << 34, 1 << 34, fp16=True, subgroup=32)
#: OpenCL C without the vectors that CUDA C does not have: where one is wanted the generator goes element by element.
_OPENCL = dataclasses.replace(OPENCL, vectors={key: OPENCL.vectors[key] for key in CUDA.vectors})

#: Words of the table that stand for each other as they are, longest first.
_PHRASES = sorted(
    (
        (getattr(OPENCL, field), getattr(CUDA, field))
        for field in (
            "function", "shared", "constant", "group", "lane", "item", "barrier", "wide_barrier", "atomic_or",
            "infinity", "nan",
        )
    ),
    key=lambda pair: -len(pair[0]),
)  # fmt: skip
_TYPES = {OPENCL.types[d]: CUDA.types[d] for d in OPENCL.types if OPENCL.types[d] != CUDA.types[d]}
_TYPE = re.compile(rf"\b({'|'.join(_TYPES)})\b")


def to_cuda(source: Source) -> str:
    """A text in OpenCL C in CUDA's words."""
    text = source.text.replace(
        OPENCL.kernel.format(name=source.name, local=source.local),
        CUDA.kernel.format(name=source.name, local=source.local),
    )
    for prelude in OPENCL.preludes.values():
        text = text.replace(prelude.rstrip("\n") + "\n", "")
    # in CUDA a pointer does not say which memory it points to
    text = re.sub(rf"{OPENCL.shared} (const \w+ \*)", r"\1", text)
    for word, other in _PHRASES:
        text = text.replace(word, other)
    text = text.replace(f"{OPENCL.memory} ", f"{CUDA.memory} ".lstrip())
    text = re.sub(r"\b(\d+u?|0x[0-9A-Fa-f]+u?)(U?)L\b", r"\1\2LL", text)
    text = _calls(text, "vload_half", lambda i, p: CUDA.loads["float16"].format(p=p, i=i))
    text = _calls(text, "vstore_half_rte", lambda v, i, p: CUDA.stores["float16"].format(p=p, i=i, v=v))
    # a helper's name ends with its type
    text = re.sub(rf"(?<!_)_({'|'.join(_TYPES)})(?=\w*\()", lambda m: "_" + _TYPES[m[1]].replace(" ", "_"), text)
    text = re.sub(r"const (\w+) (\w+) = vload(\d)\(0, (.*?)\);", _loaded, text)
    text = re.sub(r"vstore(\d)\(\((\w+)\)\((.*)\), 0, (.*?)\);", _stored, text)
    return _TYPE.sub(lambda m: _TYPES[m[1]], text)


def _loaded(found: re.Match[str]) -> str:
    load = CUDA.vector_load.format(t=found[1], w=found[3], p="", i="").replace("( + )", f"({found[4]})")
    return f"const {found[1]} {found[2]} = {load};"


def _stored(found: re.Match[str]) -> str:
    return CUDA.vector_store.format(t=found[2], w=found[1], p="", i="", v=found[3]).replace("( + )", f"({found[4]})")


def _calls(text: str, name: str, other: object) -> str:
    """Each call of a function with its arguments put into another form."""
    while (begin := text.find(f"{name}(")) >= 0:
        depth, arguments, at = 1, [""], begin + len(name) + 1
        while depth:
            mark = text[at]
            depth += (mark == "(") + (mark == "[") - (mark == ")") - (mark == "]")
            if mark == "," and depth == 1:
                arguments.append("")
            elif depth:
                arguments[-1] += mark
            at += 1
        text = text[:begin] + other(*[a.strip() for a in arguments]) + text[at:]  # type: ignore[operator]
    return text


def words(text: str) -> list[str]:
    """A CUDA text word by word, without comments and what stands before kernels of some dtypes."""
    for prelude in CUDA.preludes.values():
        text = text.replace(prelude.rstrip("\n") + "\n", "")
    return re.findall(r"\w+|[^\w\s]", re.sub(r"//[^\n]*", "", text))


def difference(opencl: Source, cuda: Source) -> str:
    """Where a text is not the other one by the table, or ""."""
    mine, other = words(to_cuda(opencl)), words(cuda.text)
    for i, (a, b) in enumerate(zip(mine, other, strict=False)):
        same = a == b or a + CUDA.suffix == b or (a == "mul_hi" and b in ("__umulhi", "__umul64hi"))
        if not same:
            return f"{' '.join(mine[max(i - 8, 0) : i + 8])!r} is {' '.join(other[max(i - 8, 0) : i + 8])!r}"
    return "" if len(mine) == len(other) else f"one has {len(mine)} words, the other {len(other)}"


def compare(node: Node) -> int:
    """How many sources of a node were compared; both dialects cut the work alike."""
    codes = [code_of(node, dataclasses.replace(GPU, dialect=dialect)) for dialect in (_OPENCL, CUDA)]
    if codes[0] is None or codes[1] is None:
        assert codes == [None, None]
        return 0
    opencl, cuda = codes[0].launches, codes[1].launches
    assert codes[0].scratch_bytes == codes[1].scratch_bytes and len(opencl) == len(cuda)
    for mine, other in zip(opencl, cuda, strict=True):
        assert (mine.name, mine.local, mine.groups) == (other.name, other.local, other.groups)
        if mine.segments:
            compare_segmented(mine, other)
            continue
        assert mine.arguments == other.arguments
        assert not (found := difference(mine, other)), f"{other.name}: {found}"
    return len(opencl)


def compare_segmented(opencl: Source, cuda: Source) -> None:
    """A segmented kernel: where CUDA keeps addresses in the table, OpenCL keeps numbers of buffers and offsets."""

    def without(source: Source) -> Source:
        lines = source.text.splitlines()
        kept = [line for line in lines if not re.search(r"\bbase\d|row\[([2-9]|\d\d)|table", line)]
        return dataclasses.replace(source, text="\n".join(kept))

    assert (opencl.segments, opencl.operands) == (cuda.segments, cuda.operands)
    assert not (found := difference(without(opencl), without(cuda))), f"{cuda.name}: {found}"


def node_of(case: Case) -> Node:
    """A case of the conformance kit as a node."""
    from kcore.testing.cases import _wanted

    graph = Graph()
    values = [None if s is None else graph.placeholder(s.shape, s.dtype) for s in _wanted(case.op, case.arrays())]
    return Node(case.op, values, case.attrs, case.specs(), "model/layer")


FAMILIES = sorted({op.family for op in all_ops()})


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_of_ops_differ_by_the_table_only(machine, family):
    from collecting import DTYPES, is_computed_somewhere

    count = 0
    for case in (case for op in all_ops() if op.family == family for case in cases(op, DTYPES)):
        try:
            count += compare(node_of(case))
        except ValueError:
            if is_computed_somewhere(case):
                raise
    assert count or family not in ("elementwise", "reduction", "shape", "contraction", "convolution", "pooling")


@pytest.mark.parametrize("name", MODELS)
def test_texts_of_a_training_step_differ_by_the_table_only(machine, monkeypatch, name):
    nodes = []
    monkeypatch.setattr("kcore_cuda.backend.CUDABackend.arrange", lambda self, launches: _noted(launches, nodes))
    train(name, 1)
    assert sum(compare(node) for node in nodes) > 10


def _noted(launches: list, nodes: list[Node]) -> list:
    nodes += [site.node for site, _ in launches]
    return []
