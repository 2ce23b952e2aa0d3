"""Attention on cuDNN: the graphs that are described, acted on the host and compared with the op's own decomposition."""

from __future__ import annotations

import numpy as np
import pytest
from library_stage import Stage, kernel_for, node_of

import kcore
from kcore.graph.op import OPS, In, sample
from kcore_cuda.libraries.attention import attention_of, takes

CASES = [
    ((2, 5, 7, 3, 8, 16), {"causal": False}, None),
    ((2, 6, 6, 2, 16, 8), {"causal": True}, None),
    ((1, 4, 4, 2, 8, 8), {"causal": False}, (1, 2, 4, 4)),
]


def shapes(sizes):
    batch, length, keys, heads, size, out = sizes
    return (batch, length, heads, size), (batch, keys, heads, size), (batch, keys, heads, out)


@pytest.fixture
def stage(monkeypatch):
    kcore.use_backend("numpy")
    return Stage(monkeypatch)


def outputs_of(node, arrays):
    """What the op's decomposition makes of the inputs in float32."""
    inputs = [None if a is None else a.astype("float32") for a in arrays]
    results = kcore.function(lambda: OPS[node.op.name](*inputs, **node.attrs))()
    return [r.numpy() for r in results]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("sizes", "attrs", "bias"), CASES)
def test_forward_and_statistics(stage, sizes, attrs, bias, dtype):
    case = sample(*shapes(sizes), bias, None, scale=0.3, **attrs)
    node, arrays = node_of("attention", case, dtype)
    out, kept = stage.act(kernel_for("attention", node), node, arrays)
    expected = outputs_of(node, arrays)
    relative, absolute = OPS["attention"].tolerance[dtype]
    for got, want in zip((out, kept), expected, strict=True):
        np.testing.assert_allclose(got.astype("float32"), want, rtol=relative, atol=absolute)


@pytest.mark.parametrize(("sizes", "attrs", "bias"), CASES)
def test_gradients(stage, sizes, attrs, bias):
    query, key, value = shapes(sizes)
    out = (*query[:3], value[3])
    normalizer = In((query[0], query[2], query[1]), 3.0, 4.0, "float32")
    case = sample(out, query, key, value, bias, None, out, normalizer, scale=0.3, **attrs)
    node, arrays = node_of("attention_grad", case, "bfloat16")
    results = stage.act(kernel_for("attention_grad", node), node, arrays)
    for got, want in zip(results, outputs_of(node, arrays), strict=True):
        scale = np.abs(want).max()
        np.testing.assert_allclose(got.astype("float32"), want, rtol=2e-2, atol=1e-2 * scale)


def test_a_gradient_nobody_reads_goes_to_scratch_memory(stage):
    query, key, value = shapes(CASES[0][0])
    out = (*query[:3], value[3])
    case = sample(out, query, key, value, None, None, out, In((2, 3, 5), 3.0, 4.0, "float32"), scale=0.3, causal=False)
    node, arrays = node_of("attention_grad", case, "bfloat16")
    whole = stage.act(kernel_for("attention_grad", node), node, arrays)
    from library_stage import aligned_copy

    made = [None, aligned_copy(whole[1] * 0), aligned_copy(whole[2] * 0)]

    class Read:
        values = None

    kernel = kernel_for("attention_grad", node)
    outputs = [m or Read for m in made]
    bind = kernel.bind

    def without_the_first(site):
        site.outputs = (None, *site.outputs[1:])
        return bind(site)

    stage.act(
        type(kernel)(kernel.op, "cuda", without_the_first, kernel.supports, kernel.scratch), node, arrays, outputs
    )
    np.testing.assert_array_equal(made[1].values, whole[1])
    np.testing.assert_array_equal(made[2].values, whole[2])


def test_heads_stand_second_and_nothing_is_moved():
    node, _ = node_of("attention", sample(*shapes((2, 5, 7, 3, 8, 16)), None, None, scale=0.3), "bfloat16")
    d = attention_of(node)
    assert (d.query.dims, d.query.strides) == ((2, 3, 5, 8), (5 * 3 * 8, 8, 3 * 8, 1))
    assert (d.stats.dims, d.stats.strides) == ((2, 3, 5, 1), (15, 5, 1, 1))


@pytest.mark.parametrize(
    ("inputs", "dtype"),
    [
        ((*shapes((1, 4, 4, 1, 8, 8)), None, None), "float32"),
        ((*shapes((1, 4, 4, 1, 12, 8)), None, None), "bfloat16"),
        ((*shapes((1, 4, 4, 1, 136, 8)), None, None), "bfloat16"),
        ((*shapes((1, 4, 4, 1, 8, 8)), None, In((1, 1, 4, 4), dtype="bool", value=np.ones((1, 1, 4, 4)))), "bfloat16"),
        ((*shapes((1, 4, 4, 1, 8, 8)), (1, 1, 1, 4), None), "bfloat16"),
    ],
    ids=["float32", "size 12", "size 136", "mask", "bias of one row"],
)
def test_what_cudnn_does_not_do_is_left_to_others(inputs, dtype):
    node, _ = node_of("attention", sample(*inputs, scale=0.3), dtype)
    assert not takes(node)
