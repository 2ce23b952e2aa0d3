"""Epilogues on cuBLASLt: which work behind a product is recognised, and that the acted library computes the same."""

from __future__ import annotations

import gc
import math

import lt_stage
import numpy as np
import pytest
from library_stage import Stage, aligned_copy
from products import acted, drawn, fused

from kcore_cuda.kernels import contraction
from kcore_cuda.libraries import cublaslt
from kcore_cuda.libraries.epilogues import fused_of

C = math.sqrt(2 / math.pi)
SHAPES = (6, 4), (4, 8), (8,)


def bias(op, y, b):
    return [op("add", y, b)]


def relu(op, y, *b):
    return [op("maximum", op("add", y, b[0]) if b else y, 0.0)]


def gelu_of(op, x):
    cube = op("multiply", op("multiply", x, x), x)
    inner = op("multiply", op("add", x, op("multiply", cube, 0.044715)), C)
    return op("multiply", op("multiply", x, 0.5), op("add", op("tanh", inner), 1.0))


def gelu(op, y, *b):
    return [gelu_of(op, op("add", y, b[0]) if b else y)]


def gelu_kept(op, y, b):
    total = op("add", y, b)
    return [gelu_of(op, total), total]


def gelu_slope(op, g, x):
    square = op("multiply", x, x)
    t = op("tanh", op("multiply", op("add", x, op("multiply", op("multiply", square, x), 0.044715)), C))
    rising = op("multiply", op("add", t, 1.0), 0.5)
    inner = op("multiply", op("add", op("multiply", square, 3 * 0.044715), 1.0), C)
    bent = op("multiply", op("multiply", op("subtract", 1.0, op("multiply", t, t)), op("multiply", x, 0.5)), inner)
    return [op("multiply", g, op("add", rising, bent))]


KNOWN = [
    (bias, SHAPES, "BIAS"),
    (relu, SHAPES, "RELU_BIAS"),
    (relu, SHAPES[:2], "RELU"),
    (gelu, SHAPES, "GELU_BIAS"),
    (gelu, SHAPES[:2], "GELU"),
    (gelu_kept, SHAPES, "GELU_AUX_BIAS"),
    (gelu_slope, (*SHAPES[:2], (6, 8)), "DGELU"),
]


def like_relu(top):
    return lambda op, y, b: [op("minimum", op("maximum", op("add", y, b), 0.0), top)]


UNKNOWN = {
    "erf": (lambda op, y, b: [op("multiply", op("add", op("erf", op("add", y, b)), 1.0), op("add", y, b))], SHAPES),
    "relu6": (like_relu(6.0), SHAPES),
    "leaky": (lambda op, y, b: [op("maximum", op("add", y, b), op("multiply", op("add", y, b), 0.01))], SHAPES),
    "mask": (lambda op, y, b: [op("greater", op("add", y, b), 0.0)], SHAPES),
    "residual": (lambda op, y, r: [op("add", y, r)], (*SHAPES[:2], (6, 8))),
    "scaled": (lambda op, y, b: [op("multiply", y, b)], SHAPES),
    "tanh": (lambda op, y, b: [op("tanh", op("add", y, b))], SHAPES),
}


@pytest.fixture
def stage(monkeypatch):
    made = Stage(monkeypatch)
    made.lt = lt_stage.Lt()
    monkeypatch.setattr(cublaslt, "library", lambda: made.lt)
    monkeypatch.setattr(contraction, "SMALL", 0)
    made.libraries.cublaslt = cublaslt.CublasLt(99, (4096, 1 << 20))
    return made


@pytest.mark.parametrize(("body", "shapes", "name"), KNOWN, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_epilogue_is_one_call_with_the_same_numbers(stage, body, shapes, name, dtype):
    node, order = fused(*shapes, body=body, dtype=dtype)
    assert fused_of(node).epilogue == name
    arrays = drawn(*shapes, dtype=dtype)
    ours = acted(stage, node, order, arrays)
    assert not stage.ran, "no generated kernel"
    stage.lt.refuse = True  # what cuBLASLt has no algorithm for is a product and a kernel
    theirs = acted(stage, node, order, arrays)
    assert stage.ran == ["fused"]
    tolerance = {"float32": 1e-5, "bfloat16": 4e-2}[dtype]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_only_like_an_epilogue_is_none(case, dtype):
    body, shapes = UNKNOWN[case]
    node, _ = fused(*shapes, body=body, dtype=dtype)
    assert fused_of(node) is None


def test_transposed_operands_and_the_alignment_of_all_are_told(stage):
    node, order = fused((6, 4), (8, 4), (8,), body=relu, transpose_b=True)
    a, b, vector = drawn((6, 4), (8, 4), (8,))
    odd = aligned_copy(np.concatenate([[0], a.ravel()]).astype("float32"))
    odd.values = odd.values[1:].reshape(6, 4)
    (result,) = acted(stage, node, order, [odd, b, vector])
    np.testing.assert_allclose(result, np.maximum(a @ b.T + vector, 0), rtol=1e-5, atol=1e-6)
    assert stage.lt.preferred["MIN_ALIGNMENT_B_BYTES"] == 4, "our first operand is the library's second"
    assert stage.lt.preferred["MIN_ALIGNMENT_A_BYTES"] == 256
    assert stage.lt.preferred["MAX_WORKSPACE_BYTES"] == 1 << 20
    assert stage.lt.preferred["REDUCTION_SCHEME_MASK"] == lt_stage.ReductionScheme.COMPUTE_TYPE


def test_what_is_kept_wants_rows_of_eight(stage):
    node, _ = fused((6, 4), (4, 5), (5,), body=gelu_kept)
    found = fused_of(node)
    assert (found.epilogue, found.bias, {found.result, found.kept}) == ("GELU_AUX_BIAS", 2, {0, 1})
    assert contraction.fuses(node) is None


def test_a_gradient_is_not_written_over_what_it_reads(stage):
    shapes = (*SHAPES[:2], (6, 8))
    node, order = fused(*shapes, body=gelu_slope)
    a, b, x = drawn(*shapes)
    expected = acted(stage, node, order, [a, b, x])[0].copy()
    stage.ran.clear()
    shared = aligned_copy(x)
    (result,) = acted(stage, node, order, [a, b, shared], [shared])
    assert stage.ran == ["fused"]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_descriptions_are_freed(stage):
    node, order = fused(*SHAPES, body=relu)
    acted(stage, node, order, drawn(*SHAPES))
    gc.collect()
    assert not stage.lt.alive


def test_without_the_bindings_there_is_no_epilogue(monkeypatch):
    monkeypatch.setattr(cublaslt, "library", lambda: ModuleNotFoundError("No module named 'nvmath'", name="nvmath"))
    node, _ = fused(*SHAPES, body=relu)
    assert contraction.fuses(node) is None


def test_the_bindings_have_what_is_called():
    """Names, numbers and argument counts of the acted library are those of the installed one."""
    lt = pytest.importorskip("nvmath.bindings.cublasLt", reason="nvmath-python is not installed", exc_type=ImportError)
    named = (
        lt_stage.Epilogue,
        lt_stage.MatmulDescAttribute,
        lt_stage.MatmulPreferenceAttribute,
        lt_stage.ReductionScheme,
    )
    for ours in named:
        theirs = getattr(lt, ours.__name__)
        assert {e.name: int(e) for e in ours} == {e.name: int(getattr(theirs, e.name)) for e in ours}
    for name in ("matmul", "matmul_algo_get_heuristic", "matmul_desc_set_attribute", "matrix_layout_create"):
        signature = getattr(lt, name).__doc__.splitlines()[0]
        assert signature.count(",") + 2 == getattr(lt_stage.Lt, name).__code__.co_argcount, signature
    for attribute, dtype in lt_stage._DESCRIBED.items():
        assert np.dtype(lt.get_matmul_desc_attribute_dtype(attribute)) == dtype
    for attribute in lt_stage.MatmulPreferenceAttribute:
        wanted = lt_stage.Lt().get_matmul_preference_attribute_dtype(attribute)
        assert lt.get_matmul_preference_attribute_dtype(attribute) is wanted
    assert np.dtype(lt.matmul_heuristic_result_dtype)["algo"].itemsize == 64
