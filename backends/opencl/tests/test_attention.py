"""Kernels of attention: on CPUs and as a GPU would run them, masks, biases, several blocks of keys, readable text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

import kcore.ops  # noqa: F401
from kcore.codegen import Code
from kcore.graph.op import OPS
from kcore.kernels.attention import backward, forward, lanes
from kcore.runtime.reference import run_op
from kcore.testing.cases import Case, cases
from kcore.testing.compare import difference, tolerance

Emit = Callable[..., Code]
GENERATORS: dict[str, tuple[Emit, Emit]] = {
    "attention": (forward.emit, lanes.forward),
    "attention_grad": (backward.emit, lanes.backward),
    "attention_bias_grad": (backward.emit, lanes.backward),
}


def check(case: Case, results: Sequence[np.ndarray]) -> None:
    """Compare with the op's reference, within its tolerance."""
    relative, absolute = tolerance(case.op, case.dtype, case.arrays(), case.specs())
    for number, (result, wanted) in enumerate(zip(results, case.reference(), strict=True)):
        wrong = difference(result, wanted, relative, absolute)
        assert wrong is None, f"{case.id}, output {number}: {wrong}"


@pytest.mark.parametrize("op", GENERATORS)
def test_gpu_kernels_compute_what_the_op_says(device, op, gpu, node, compute, together):
    # the large ones take PoCL long to compile
    tried = [case for case in cases(OPS[op], ("float32", "float64")) if case.sample.grad]
    nodes = [node(op, *case.arrays(), **case.attrs) for case in tried]
    codes = [GENERATORS[op][1](made, gpu) for made in nodes]
    together(device, codes)
    for case, made, code in zip(tried, nodes, codes, strict=True):
        check(case, compute(device, made, code, *case.arrays()))


@pytest.mark.parametrize("op", GENERATORS)
@pytest.mark.parametrize("vector", [4, 8])
def test_kernels_for_narrower_vectors_compute_what_the_op_says(intel, op, vector, node, compute, together):
    traits = replace(intel.place.traits, vector=vector)
    tried = list(cases(OPS[op], ("float32", "float64")))
    nodes = [node(op, *case.arrays(), **case.attrs) for case in tried]
    codes = [GENERATORS[op][0](made, traits) for made in nodes]
    together(intel, codes)
    for case, made, code in zip(tried, nodes, codes, strict=True):
        check(case, compute(intel, made, code, *case.arrays()))


@pytest.fixture(params=["cpu", "gpu"])
def traits(request, intel, gpu):
    return intel.place.traits if request.param == "cpu" else gpu


def _draw(batch, queries, keys, heads, size, out, bias=None, mask=None):
    rng = np.random.default_rng([batch, queries, keys, heads, size, out])
    shapes = (batch, queries, heads, size), (batch, keys, heads, size), (batch, keys, heads, out)
    arrays = [rng.uniform(-1, 1, s).astype("float32") for s in shapes]
    arrays.append(None if bias is None else rng.uniform(-1, 1, bias).astype("float32"))
    arrays.append(None if mask is None else rng.random(mask) < 0.7)
    return arrays


#: Batch, queries, keys, heads, sizes of keys and values; bias and mask; causal. More keys than are worked on together,
#: more queries than are, one head of long sequences, causal rows that see only masked keys.
CASES = [
    ((1, 70, 300, 2, 17, 31), None, None, False),
    ((1, 150, 150, 1, 16, 16), None, None, True),
    ((2, 9, 140, 2, 64, 80), (1, 2, 9, 140), (2, 1, 1, 140), False),
    ((1, 131, 131, 2, 8, 3), None, (1, 1, 131, 131), True),
    ((2, 40, 65, 3, 33, 5), (2, 1, 1, 1), (2, 1, 40, 1), False),
    ((3, 8, 128, 4, 32, 32), None, None, False),
    ((1, 1, 129, 1, 1, 1), None, None, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "x".join(map(str, c[0])))
def test_blocks_of_keys_and_queries(intel, traits, case, node, compute):
    shape, bias, mask, causal = case
    arrays = _draw(*shape, bias, mask)
    attrs = {"scale": 0.3, "causal": causal}
    gpu = not traits.cpu
    made = node("attention", *arrays, **attrs)
    out, normalizer = compute(intel, made, GENERATORS["attention"][gpu](made, traits), *arrays)
    wide = [a if a is None or a.dtype == bool else a.astype("float64") for a in arrays]
    wanted = run_op(made.op, wide, attrs)
    np.testing.assert_allclose(out, wanted[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(normalizer, wanted[1], rtol=1e-5, atol=1e-5)
    g = np.random.default_rng(5).uniform(-1, 1, out.shape).astype("float32")
    given = [g, *arrays, out, normalizer]
    wide = [g.astype("float64"), *wide, *wanted]
    for op in ("attention_grad", "attention_bias_grad"):
        made = node(op, *given, **attrs)
        results = compute(intel, made, GENERATORS[op][gpu](made, traits), *given)
        for number, (result, expected) in enumerate(zip(results, run_op(made.op, wide, attrs), strict=True)):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=3e-5, err_msg=f"{op}, output {number}")


def test_large_scores_do_not_overflow(device, node, compute):
    arrays = _draw(1, 5, 200, 1, 4, 4)
    arrays[0] *= 300
    made = node("attention", *arrays, scale=1.0, causal=False)
    out, normalizer = compute(device, made, forward.emit(made, device.place.traits), *arrays)
    wanted = run_op(made.op, [None if a is None else a.astype("float64") for a in arrays], made.attrs)
    np.testing.assert_allclose(normalizer, wanted[1], rtol=1e-5)
    np.testing.assert_allclose(out, wanted[0], rtol=2e-3, atol=1e-4)


def test_a_bias_may_hide_whole_blocks_of_keys(intel, traits, node, compute):
    arrays = _draw(1, 3, 300, 1, 4, 4, bias=(1, 1, 3, 300))
    arrays[3][..., :200] = -np.inf
    made = node("attention", *arrays, scale=1.0, causal=False)
    out, _ = compute(intel, made, GENERATORS["attention"][not traits.cpu](made, traits), *arrays)
    alone = [arrays[0], arrays[1][:, 200:], arrays[2][:, 200:], arrays[3][..., 200:], None]
    wanted = run_op(made.op, [None if a is None else a.astype("float64") for a in alone], made.attrs)
    np.testing.assert_allclose(out, wanted[0], rtol=1e-5, atol=1e-5)


def test_outputs_nobody_reads_are_not_written(intel, node, compute):
    arrays = _draw(2, 9, 20, 2, 8, 8)
    attrs = {"scale": 0.5, "causal": False}
    forth = node("attention", *arrays, **attrs)
    out, normalizer = compute(intel, forth, forward.emit(forth, intel.place.traits), *arrays)
    made = node("attention_grad", out, *arrays, out, normalizer, **attrs)
    given = [out, *arrays, out, normalizer]
    whole = compute(intel, made, backward.emit(made, intel.place.traits), *given)
    for wanted in ((True, False, False), (False, True, False), (False, False, True)):
        results = compute(intel, made, backward.emit(made, intel.place.traits, wanted), *given, wanted=wanted)
        for result, expected in zip(results, whole, strict=True):
            if result is not None:
                np.testing.assert_array_equal(result, expected)


def test_generated_text(intel, gpu, node, golden):
    arrays = _draw(32, 128, 128, 4, 32, 32, mask=(32, 1, 1, 128))
    attrs = {"scale": 0.25, "causal": False}
    made = node("attention", *arrays, **attrs)
    golden("attention.cl", forward.emit(made, intel.place.traits))
    small = node("attention", *_draw(2, 9, 20, 2, 4, 4, bias=(1, 2, 9, 20)), scale=0.25, causal=True)
    golden("attention_gpu.cl", lanes.forward(small, gpu))
    out, normalizer = np.zeros((32, 128, 4, 32), "float32"), np.zeros((32, 4, 128), "float32")
    made = node("attention_grad", out, *arrays, out, normalizer, **attrs)
    golden("attention_grad.cl", backward.emit(made, intel.place.traits))
