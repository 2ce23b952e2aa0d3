"""Patterns: found in any order of commutative operands, never where an inner value is read elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.backend.kernel import Kernel
from kcore.graph.match import Pattern, fuse_patterns, term
from kcore.graph.op import sample
from kcore.testing.compare import ConformanceError
from kcore.testing.patterns import check_pattern, twins

PLAIN = {"matmul": ("matmul", {"transpose_a": False, "transpose_b": False})}
DENSE = Pattern(
    "test_dense_tanh",
    term(("tanh", "exp"), term("add", term("matmul", "x", "w"), "b"), label="act"),
    samples=[sample((4, 6), (6, 8), (8,), **PLAIN), sample((4, 6), (6, 8), (8,), act=("exp", {}), **PLAIN)],
)


def dense(site):
    act = {"tanh": np.tanh, "exp": np.exp}[site.attrs["act"][0]]
    x, w, b = site.inputs
    out = site.outputs[0]

    def run():
        np.matmul(x, w, out=out)
        np.add(out, b, out=out)
        act(out, out=out)

    return run


def plain(node):
    attrs = node.attrs["matmul"][1]
    return not attrs["transpose_a"] and not attrs["transpose_b"] and all(len(v.shape) < 3 for v in node.inputs)


def _kernel(**options):
    return Kernel(
        "test_dense_tanh",
        "numpy",
        **{"bind": dense, "supports": plain, "pattern": DENSE, "package": "tests", "priority": 5, **options},
    )


@pytest.fixture
def kernel():
    """The pattern's kernel, registered for NumPy during one test."""
    table = kcore.use_backend("numpy").backend.kernels
    added = table.add(_kernel())
    yield added
    table.remove(added)


SHAPES = ((2, 3), (3, 4), (4,))


def _names(graph):
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize(
    ("f", "fused"),
    [
        (lambda x, w, b: ops.tanh(ops.matmul(x, w) + b), True),
        (lambda x, w, b: ops.tanh(b + ops.matmul(x, w)), True),
        (lambda x, w, b: ops.exp(ops.matmul(x, w) + b), True),
        (lambda x, w, b: ops.sin(ops.matmul(x, w) + b), False),
        (lambda x, w, b: ops.tanh(ops.matmul(x, w) - b), False),
        (lambda x, w, b: ops.tanh(ops.matmul(x, w) + ops.matmul(x, w)), False),
    ],
    ids=["as written", "exchanged", "other activation", "no activation of its", "no sum", "the same product twice"],
)
def test_a_match_is_a_match_of_the_whole_tree(traced, kernel, f, fused):
    from kcore.graph.passes import rewrite
    from kcore.runtime.trace import decompose

    graph = rewrite(traced(f, *SHAPES), None, decompose)
    fuse_patterns(graph, [kernel])
    assert ("test_dense_tanh" in _names(graph)) is fused


def test_an_inner_value_read_elsewhere_prevents_it(traced, kernel):
    def f(x, w, b):
        inner = ops.matmul(x, w) + b
        return ops.tanh(inner), ops.sum(inner)

    graph = traced(f, *SHAPES)
    assert fuse_patterns(graph, [kernel]) == 0


def test_an_inner_value_that_is_a_result_prevents_it(traced, kernel):
    def f(x, w, b):
        inner = ops.matmul(x, w)
        return ops.tanh(inner + b), inner

    assert fuse_patterns(traced(f, *SHAPES), [kernel]) == 0


def test_supports_and_accepts_have_the_last_word(traced):
    f = lambda x, w, b: ops.tanh(ops.matmul(x, w) + b)  # noqa: E731
    assert fuse_patterns(traced(f, *SHAPES), [_kernel(supports=lambda node: False)]) == 0
    picky = Pattern("test_picky", DENSE.root, accepts=lambda captured, matched: captured["x"].shape[0] == 9)
    assert fuse_patterns(traced(f, *SHAPES), [_kernel(pattern=picky)]) == 0
    assert fuse_patterns(traced(f, (9, 3), *SHAPES[1:]), [_kernel(pattern=picky)]) == 1


def test_attributes_in_a_term_must_be_equal(traced):
    flipped = Pattern("test_flipped", term("matmul", "x", "w", transpose_b=True))
    kernel = _kernel(pattern=flipped, supports=lambda node: True)
    multiply = kcore.graph.op.OPS["matmul"]
    assert fuse_patterns(traced(lambda x, w: multiply(x, w), (2, 3), (3, 4)), [kernel]) == 0
    assert fuse_patterns(traced(lambda x, w: multiply(x, w, transpose_b=True), (2, 3), (4, 3)), [kernel]) == 1


def test_a_name_twice_in_a_pattern_is_one_value(traced):
    kernel = _kernel(pattern=Pattern("test_square", term("multiply", "x", "x")), supports=lambda node: True)
    assert fuse_patterns(traced(lambda x, y: x * x, (2,), (2,)), [kernel]) == 1
    assert fuse_patterns(traced(lambda x, y: x * y, (2,), (2,)), [kernel]) == 0


def test_a_compiled_step_uses_it_and_the_plan_says_whose_it_is(kernel):
    step = kcore.function(lambda x, w, b: ops.tanh(ops.matmul(x, w) + b))
    arrays = [np.random.default_rng(0).normal(size=s).astype("float32") for s in SHAPES]
    assert "tests:test_dense_tanh(" in str(step.concrete(*arrays).plan)
    np.testing.assert_allclose(step(*arrays).numpy(), np.tanh(arrays[0] @ arrays[1] + arrays[2]), rtol=1e-5)


def test_the_kit_makes_the_twins_by_itself(kernel):
    assert [t.name for t in twins(DENSE)][:4] == [
        "as written", "operands exchanged", "inner values read elsewhere", "odd sizes",
    ]  # fmt: skip
    assert check_pattern(kernel, "float32").count("odd sizes") == 2


def test_the_kit_sees_a_pattern_kernel_that_forgets_the_bias():
    def forgetful(site):
        return lambda: np.tanh(np.matmul(site.inputs[0], site.inputs[1]), out=site.outputs[0])

    table = kcore.use_backend("numpy").backend.kernels
    wrong = table.add(_kernel(bind=forgetful))
    try:
        with pytest.raises(
            ConformanceError, match="tests:test_dense_tanh, sample 0, as written, float32:\n  largest error"
        ):
            check_pattern(wrong, "float32")
    finally:
        table.remove(wrong)
