"""Scaled dot-product attention as one op that never needs the whole score matrix, and its gradient."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.contraction import matmul
from kcore.ops.elementwise import add, cast, exp, less, multiply, subtract, where
from kcore.ops.halves import residual_dtype, through_float32
from kcore.ops.reduction import logsumexp
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import expand_dims, repeat, transpose
from kcore.ops.shapes import broadcast
from kcore.runtime.tape import vjp

__all__ = ["dot_product_attention"]

_INPUTS = ("query", "key", "value", "bias", "mask")


def masked_score(dtype: str) -> float:
    """The score of a masked pair: so low that its exponential is zero beside any other, and still finite."""
    return -3e4 if dtype == "float16" else -1e38


def _holes(*shape: int) -> In:
    """A sample mask; its first row is false throughout where it has rows."""
    values = (np.arange(math.prod(shape)).reshape(shape) * 7 % 5) > 0
    if len(shape) == 4 and shape[2] > 1:
        values[0, 0, 0] = False
    return In(shape, dtype="bool", value=values)


def _check(op: str, query: Spec, key: Spec, value: Spec) -> None:
    if (query.ndim, key.ndim, value.ndim) != (4, 4, 4):
        raise ValueError(
            f"`{op}` only supports 4D inputs (batch, length, heads, size). "
            f"Received: query {query}, key {key}, value {value}"
        )
    (b, _, h, d), (kb, s, kh, kd), (vb, vs, vh, _) = query.shape, key.shape, value.shape
    for name, sizes in (("batch", (b, kb, vb)), ("heads", (h, kh, vh)), ("key length", (s, vs)), ("size", (d, kd))):
        if len({n for n in sizes if n is not None}) > 1:
            raise ValueError(f"{op}: {name} differs between query {query}, key {key} and value {value}")


def _infer(
    query: Spec, key: Spec, value: Spec, bias: Spec | None, mask: Spec | None, *, scale: float, causal: bool = False
):
    _check("attention", query, key, value)
    batch, length, heads, _ = query.shape
    scores = (batch, heads, length, key.shape[1])
    for name, spec in (("bias", bias), ("mask", mask)):
        if spec is not None and (spec.ndim != 4 or len(broadcast(spec.shape, scores)) != 4):
            raise ValueError(f"attention: {name} {spec} does not broadcast to the scores' shape {scores}")
    normalizer = Spec((batch, heads, length), residual_dtype(query.dtype))
    return Spec((batch, length, heads, value.shape[3]), query.dtype), normalizer


def _case(batch: int, length: int, keys: int, heads: int, size: int, out: int, **options: Any):
    bias, mask = options.pop("bias", None), options.pop("mask", None)
    shapes = (batch, length, heads, size), (batch, keys, heads, size), (batch, keys, heads, out)
    return sample(*shapes, bias, None if mask is None else _holes(*mask), scale=size**-0.5, **options)


@composite(
    "attention",
    inputs=_INPUTS,
    infer=_infer,
    promote="float",
    promoted=(0, 1, 2, 3),
    residuals=1,
    tolerance={"float32": (1e-5, 1e-5)},  # sums over the size, then over the keys
    samples=[
        _case(2, 3, 4, 2, 5, 6, causal=False),
        _case(2, 4, 4, 2, 3, 3, causal=True),
        _case(2, 3, 4, 2, 3, 2, causal=False, mask=(2, 1, 3, 4)),
        _case(2, 3, 4, 1, 3, 2, causal=False, mask=(2, 1, 1, 4)),
        _case(1, 3, 5, 2, 2, 2, causal=True, mask=(1, 2, 3, 5)),
        _case(2, 3, 4, 2, 3, 2, causal=False, bias=(1, 2, 3, 4)),
        _case(1, 1, 1, 1, 1, 1, causal=False),
        _case(3, 33, 31, 4, 16, 15, causal=False, grad=False),
        _case(2, 17, 17, 3, 32, 33, causal=True, mask=(2, 1, 1, 17), grad=False),
    ],
)
@through_float32("attention", keep=(1,))
def attention(query, key, value, bias, mask, *, scale, causal=False):
    """``softmax(scale * query key^T + bias) value``, per head (Vaswani et al. 2017).

    Query ``(batch, T, heads, size)``, key ``(batch, S, heads, size)``, value ``(batch, S, heads, out)``; bias and the
    boolean mask broadcast to ``(batch, heads, T, S)``; `causal` hides from query t the keys after t. A query that sees
    no key attends to all alike. Returns ``(batch, T, heads, out)`` and, for the gradient, the logsumexp of the scores
    ``(batch, heads, T)``.
    """
    scores = _scores(query, key, bias, mask, scale, causal)
    normalizer = logsumexp(scores, axis=-1)
    mixed = matmul(_weights(scores, normalizer), transpose(value, (0, 2, 1, 3)))
    return transpose(mixed, (0, 2, 1, 3)), normalizer


def _scores(query, key, bias, mask, scale, causal):
    scores = multiply(
        matmul(transpose(query, (0, 2, 1, 3)), transpose(key, (0, 2, 3, 1))), np.asarray(scale, query.dtype)
    )
    if bias is not None:
        scores = add(scores, bias)
    low = np.asarray(masked_score(query.dtype), query.dtype)
    if causal:
        scores = where(np.tri(query.shape[1], key.shape[1], dtype=bool), scores, low)
    return scores if mask is None else where(mask, scores, low)


def _weights(scores, normalizer):
    """The softmax, from the logsumexp; uniform where every key is masked, for which the logsumexp is too coarse."""
    weights = exp(subtract(scores, expand_dims(normalizer, -1)))
    blind = less(expand_dims(normalizer, -1), np.asarray(masked_score(scores.dtype) / 2, scores.dtype))
    return where(blind, np.asarray(1.0 / scores.shape[-1], scores.dtype), weights)


@attention.gradient
def _(ctx, g, g_normalizer):
    query, key, value, bias, mask = ctx.inputs
    out, normalizer = ctx.outputs
    if g_normalizer is not None:  # a gradient of the gradient
        return vjp(partial(attention.fn, **ctx.attrs), ctx.inputs, (g, g_normalizer))
    grads = attention_grad(g, query, key, value, bias, mask, out, normalizer, **ctx.attrs)
    if bias is None or not ctx.needs[3]:
        return (*grads, None, None)
    return (*grads, attention_bias_grad(g, query, key, value, bias, mask, out, normalizer, **ctx.attrs), None)


_GRAD_INPUTS = ("g", *_INPUTS, "out", "normalizer")


def _score_grads(g, query, key, value, bias, mask, out, normalizer, scale, causal):
    """The softmax weights and the gradient of the scores, both (batch, heads, T, S); g as (batch, heads, T, out)."""
    scores = _scores(query, key, bias, mask, scale, causal)
    weights = _weights(scores, normalizer)
    g = transpose(g, (0, 2, 1, 3))
    along = reduce_sum(multiply(g, transpose(out, (0, 2, 1, 3))), axis=-1, keepdims=True)
    slopes = multiply(weights, subtract(matmul(g, transpose(value, (0, 2, 3, 1))), along))
    seen = less(np.asarray(masked_score(scores.dtype) / 2, scores.dtype), scores)
    return weights, where(seen, slopes, np.zeros((), scores.dtype)), g


def _grad_case(*sizes: int, **options: Any):
    case = _case(*sizes, **options)
    batch, length, heads = sizes[0], sizes[1], sizes[3]
    out = (batch, length, heads, sizes[5])
    normalizer = In((batch, heads, length), low=3.0, high=4.0)
    return sample(out, *case.inputs, out, normalizer, grad=case.grad, **case.attrs)


_GRAD_SAMPLES = [
    _grad_case(2, 3, 4, 2, 5, 6, causal=False),
    _grad_case(2, 4, 4, 2, 3, 3, causal=True),
    _grad_case(2, 3, 4, 2, 3, 2, causal=False, mask=(2, 1, 1, 4)),
    _grad_case(2, 3, 4, 2, 3, 2, causal=True, bias=(1, 2, 3, 4), mask=(2, 1, 3, 4)),
    _grad_case(3, 33, 31, 4, 16, 15, causal=False, grad=False),
]


@composite(
    "attention",
    inputs=_GRAD_INPUTS,
    infer=lambda g, query, key, value, *rest, **attrs: (query, key, value),
    tolerance={"float32": (2e-5, 2e-5)},  # three products in a row
    samples=_GRAD_SAMPLES,
)
@through_float32("attention_grad")
def attention_grad(g, query, key, value, bias, mask, out, normalizer, *, scale, causal=False):
    """The gradient of `attention` for query, key and value; the scores are computed again (Dao et al. 2022)."""
    weights, slopes, g = _score_grads(g, query, key, value, bias, mask, out, normalizer, scale, causal)
    slopes = multiply(slopes, np.asarray(scale, query.dtype))
    to_query = matmul(slopes, transpose(key, (0, 2, 1, 3)))
    to_key = matmul(transpose(slopes, (0, 1, 3, 2)), transpose(query, (0, 2, 1, 3)))
    to_value = matmul(transpose(weights, (0, 1, 3, 2)), g)
    return tuple(transpose(x, (0, 2, 1, 3)) for x in (to_query, to_key, to_value))


@composite(
    "attention",
    inputs=_GRAD_INPUTS,
    infer=lambda g, query, key, *rest, **attrs: Spec(
        (query.shape[0], query.shape[2], query.shape[1], key.shape[1]), query.dtype
    ),
    tolerance={"float32": (2e-5, 2e-5)},
    samples=_GRAD_SAMPLES[:4],
)
@through_float32("attention_bias_grad")
def attention_bias_grad(g, query, key, value, bias, mask, out, normalizer, *, scale, causal=False):
    """The gradient of `attention` for the scores, and so for the bias."""
    return _score_grads(g, query, key, value, bias, mask, out, normalizer, scale, causal)[1]


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """Scaled dot-product attention: ``softmax(scale * query key^T + bias) value``, per head.

    The scores are made block by block and never stored as a whole. There is no dropout on the weights: a layer that
    wants it computes softmax and products by themselves.

    Args:
        query: `(batch, T, heads, size)`.
        key: `(batch, S, key heads, size)`; fewer heads than the query's, by a whole factor, are shared.
        value: `(batch, S, key heads, out)`.
        bias: added to the scores; broadcasts to `(batch, heads, T, S)`.
        mask: bool, true where a query may see a key; broadcasts to `(batch, heads, T, S)`.
        scale: factor of the scores; None is ``1 / sqrt(size)``.
        is_causal: whether query t sees only keys up to t.
        flash_attention: accepted for Keras' sake; the kernel is chosen by the backend.
        attn_logits_soft_cap: must be None.

    Returns: `(batch, T, heads, out)`.

    Raises:
        ValueError: if ranks or sizes do not fit, or a soft cap is asked for.

    Example:

    >>> import numpy as np
    >>> from kcore.ops.attention import dot_product_attention
    >>> x = np.ones((2, 3, 4, 5), "float32")
    >>> dot_product_attention(x, x, x, is_causal=True).shape
    (2, 3, 4, 5)

    Source: `keras.ops.dot_product_attention`; Vaswani et al. (2017).
    """
    if attn_logits_soft_cap is not None:
        raise ValueError(f"dot_product_attention: attn_logits_soft_cap must be None; received {attn_logits_soft_cap}")
    shapes = [tuple(x.shape) for x in (query, key, value)]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            "`dot_product_attention` only supports 4D inputs. "
            f"Received: query.shape={shapes[0]}, key.shape={shapes[1]}, value.shape={shapes[2]}."
        )
    heads, shared = shapes[0][2], shapes[1][2]
    if heads != shared:
        if not shared or heads % shared:
            raise ValueError(f"dot_product_attention: {heads} query heads cannot share {shared} key heads")
        key, value = repeat(key, heads // shared, axis=2), repeat(value, heads // shared, axis=2)
    if mask is not None:
        mask = _four(cast(mask, "bool"))
    if scale is None:
        scale = 1.0 / math.sqrt(shapes[0][3])
    bias = None if bias is None else _four(bias)
    return attention(query, key, value, bias, mask, scale=float(scale), causal=bool(is_causal))[0]


def _four(x: Any) -> Any:
    """Leading axes of size one up to rank 4."""
    while len(x.shape) < 4:
        x = expand_dims(x, 0)
    return x
