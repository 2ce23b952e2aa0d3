"""Attention against Keras: masks, causality, bias, shared heads, blocks of every kind, gradients to second order."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kcore import ops
from kcore.ops.attention import attention, dot_product_attention
from kcore.runtime import GradientTape, convert_to_tensor

rng = np.random.default_rng(3)


def tensors(batch, queries, keys, heads, size, out, dtype="float64"):
    shapes = (batch, queries, heads, size), (batch, keys, heads, size), (batch, keys, heads, out)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"mask": rng.random((2, 1, 5, 7)) > 0.3},
        {"mask": rng.random((2, 1, 1, 7)) > 0.3, "is_causal": True},
        {"bias": rng.standard_normal((1, 3, 5, 7))},
    ],
)
def test_attention_is_keras(options):
    q, k, v = tensors(2, 5, 7, 3, 4, 4, "float32")
    if options.get("mask") is not None:
        options["mask"][..., 0] = True  # where every key is masked Keras's engines differ
    expected = keras.ops.dot_product_attention(q, k, v, **options)
    np.testing.assert_allclose(dot_product_attention(q, k, v, **options).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_key_heads_may_be_shared():
    q, k, v = tensors(2, 3, 4, 6, 5, 5)
    got = dot_product_attention(q, k[:, :, :2], v[:, :, :2]).numpy()
    expected = dot_product_attention(q, np.repeat(k[:, :, :2], 3, 2), np.repeat(v[:, :, :2], 3, 2)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="6 query heads cannot share 4 key heads"):
        dot_product_attention(q, k[:, :, :4], v[:, :, :4])


def test_a_query_that_sees_no_key_attends_to_all_alike():
    q, k, v = tensors(1, 2, 4, 1, 3, 3)
    mask = np.array([[[[False] * 4, [True] * 4]]])
    got = dot_product_attention(q, k, v, mask=mask).numpy()
    np.testing.assert_allclose(got[0, 0, 0], v[0, :, 0].mean(0), rtol=1e-12)


@pytest.mark.parametrize(
    "sizes, causal",
    [((5, 9, 11, 3, 4, 5), False), ((3, 300, 280, 4, 8, 8), True), ((1, 700, 650, 2, 4, 3), True)],
)
@pytest.mark.parametrize("masked", [False, True])
def test_the_kernels_agree_with_the_decomposition_in_blocks_of_every_kind(sizes, causal, masked):
    inputs = [convert_to_tensor(x) for x in tensors(*sizes)]
    batch, queries, keys = sizes[:3]
    mask = rng.random((batch, 1, queries, keys)) > 0.5 if masked else None
    weights = rng.standard_normal((batch, queries, sizes[3], sizes[5]))

    def grads(op):
        with GradientTape() as tape:
            tape.watch(inputs)
            out = op(*inputs, None, mask, scale=0.5, causal=causal)[0]
            loss = ops.sum(out * weights)
        return [out.numpy(), *(g.numpy() for g in tape.gradient(loss, inputs))]

    for got, want in zip(grads(attention), grads(attention.fn), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


def test_the_bias_gets_its_gradient():
    q, k, v = tensors(2, 3, 4, 2, 5, 5)
    bias = convert_to_tensor(rng.standard_normal((1, 2, 3, 4)))
    with GradientTape() as tape:
        tape.watch(bias)
        loss = ops.sum(dot_product_attention(q, k, v, bias=bias) ** 2)
    grad = tape.gradient(loss, bias).numpy()
    step = np.zeros((1, 2, 3, 4))
    step[0, 1, 2, 3] = 1e-6
    sides = [float(ops.sum(dot_product_attention(q, k, v, bias=bias + d) ** 2)) for d in (step, -step)]
    assert grad[0, 1, 2, 3] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-6)


def test_second_derivatives_are_those_of_finite_differences():
    q, k, v = tensors(1, 2, 3, 1, 2, 2)

    def gradient(query):
        with GradientTape() as tape:
            tape.watch(query)
            loss = ops.sum(dot_product_attention(query, k, v) ** 2)
        return tape.gradient(loss, query)

    query = convert_to_tensor(q)
    with GradientTape() as tape:
        tape.watch(query)
        total = ops.sum(gradient(query))
    second = tape.gradient(total, query).numpy()
    step = np.zeros_like(q)
    step[0, 1, 0, 1] = 1e-6
    sides = [gradient(convert_to_tensor(q + d)).numpy().sum() for d in (step, -step)]
    assert second[0, 1, 0, 1] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5)


def test_shapes_that_do_not_fit_are_named():
    q, k, v = tensors(2, 3, 4, 2, 5, 5)
    with pytest.raises(ValueError, match="only supports 4D inputs"):
        dot_product_attention(q[0], k, v)
    with pytest.raises(ValueError, match="key length differs"):
        dot_product_attention(q, k, v[:, :3])
    with pytest.raises(ValueError, match="soft_cap"):
        dot_product_attention(q, k, v, attn_logits_soft_cap=30.0)
