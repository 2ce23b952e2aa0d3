"""Contractions: one batched matrix product, and matmul, dot, tensordot and einsum made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.graph.op import OPS, Spec, primitive, sample
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import expand_dims, reshape, squeeze, swapaxes, transpose
from kcore.ops.shapes import broadcast, canonical_axis
from kcore.runtime.tensor import method


def _infer(a: Spec, b: Spec, *, transpose_a: bool = False, transpose_b: bool = False) -> Spec:
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"matmul: both tensors need two dimensions or more, got {a} and {b}")
    (m, k), (n, p) = a.shape[-2:], b.shape[-2:]
    if transpose_a:
        m, k = k, m
    if transpose_b:
        n, p = p, n
    if k is not None and n is not None and k != n:
        raise ValueError(f"matmul: the inner dimensions of {a} and {b} differ: {k} against {n}")
    return Spec((*broadcast(a.shape[:-2], b.shape[:-2]), m, p), a.dtype)


def _swap(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


@primitive(
    "contraction",
    "matmul",
    infer=_infer,
    promote="common",
    # sums of up to 65 products of numbers in [-2, 2): the error grows with the length of the sum
    tolerance={"float32": (2e-5, 2e-5), "float64": (1e-11, 1e-11), "float16": (1e-2, 1e-2)},
    samples=[
        sample((3, 4), (4, 5)),
        sample((15, 16), (16, 17)),
        sample((33, 31), (33, 32), transpose_a=True),
        sample((17, 33), (15, 33), transpose_b=True),
        sample((5, 3), (4, 5), transpose_a=True, transpose_b=True),
        sample((2, 3, 4), (2, 4, 5)),
        sample((2, 1, 3, 4), (5, 4, 3)),
        sample((2, 4, 3), (2, 4, 5), transpose_a=True),
        sample((0, 4), (4, 5)),
        sample((3, 0), (0, 5)),
        sample((1, 65), (65, 1)),
    ],
)
def _matmul(a, b, *, transpose_a=False, transpose_b=False):
    """Matrix product over the last two dimensions, the others broadcast; either matrix may be taken transposed."""
    a = _swap(a) if transpose_a else a
    b = _swap(b) if transpose_b else b
    return np.einsum("...ij,...jk->...ik", a, b).astype(a.dtype)


@_matmul.gradient
def _(ctx: Any, g: Any) -> Any:
    a, b = ctx.inputs
    ta, tb = ctx.attrs["transpose_a"], ctx.attrs["transpose_b"]
    da = db = None
    if ctx.needs[0]:
        da = _matmul(b, g, transpose_a=tb, transpose_b=True) if ta else _matmul(g, b, transpose_b=not tb)
    if ctx.needs[1]:
        db = _matmul(g, a, transpose_a=True, transpose_b=ta) if tb else _matmul(a, g, transpose_a=not ta)
    return da, db


def _tensor(x: Any) -> Any:
    return x if hasattr(x, "shape") and isinstance(getattr(x, "dtype", None), str) else OPS["identity"](x)


@method("__matmul__")
def matmul(x1: Any, x2: Any) -> Any:
    """Matrix product as NumPy's: last two dimensions are multiplied, the others broadcast, vectors are extended.

    Args:
        x1: tensor ``(..., m, k)`` or ``(k,)``.
        x2: tensor ``(..., k, n)`` or ``(k,)``.

    Raises:
        ValueError: the inner dimensions differ.

    Example:
        >>> from kcore import ops
        >>> ops.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy()
        array([[11.]], dtype=float32)
    """
    a, b = _tensor(x1), _tensor(x2)
    na, nb = len(a.shape), len(b.shape)
    if na == 0 or nb == 0:
        raise ValueError(f"matmul: tensors need a dimension, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    if na == 1:
        a = expand_dims(a, 0)
    if nb == 1:
        b = expand_dims(b, 1)
    if len(b.shape) == 2 and len(a.shape) > 2:
        # one large product instead of a batch of small ones
        lead = tuple(a.shape[:-1])
        _infer(Spec(tuple(a.shape), a.dtype), Spec(tuple(b.shape), b.dtype))
        y = reshape(_matmul(reshape(a, (-1, a.shape[-1])), b), (*lead, b.shape[-1]))
    else:
        y = _matmul(a, b)
    if nb == 1:
        y = squeeze(y, -1)
    return squeeze(y, -2 if nb > 1 else -1) if na == 1 else y


def linear(x: Any, kernel: Any, bias: Any = None) -> Any:
    """``x @ kernel + bias`` over the last axis; the bias is added to flat rows, where a kernel may fuse it.

    Args:
        x: tensor ``(..., n)``.
        kernel: tensor ``(n, m)``.
        bias: tensor ``(m,)``, or None.

    Returns:
        Tensor ``(..., m)``.
    """
    if bias is None or len(x.shape) == 2:
        y = matmul(x, kernel)
        return y if bias is None else OPS["add"](y, bias)
    _infer(Spec(tuple(x.shape), x.dtype), Spec(tuple(kernel.shape), kernel.dtype))
    rows = OPS["add"](_matmul(reshape(x, (-1, x.shape[-1])), kernel), bias)
    return reshape(rows, (*x.shape[:-1], kernel.shape[-1]))


def dot(x1: Any, x2: Any) -> Any:
    """Dot product as NumPy's: sum over the last axis of `x1` and the last but one of `x2`."""
    a, b = _tensor(x1), _tensor(x2)
    if not a.shape or not b.shape:
        return a * b
    return tensordot(a, b, ([len(a.shape) - 1], [max(len(b.shape) - 2, 0)]))


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sum of products over pairs of axes; an int n means the last n of `x1` with the first n of `x2`."""
    a, b = _tensor(x1), _tensor(x2)
    na, nb = len(a.shape), len(b.shape)
    if isinstance(axes, int):
        left, right = list(range(na - axes, na)), list(range(axes))
    else:
        left, right = ([v] if isinstance(v, int) else list(v) for v in axes)
    left, right = [canonical_axis(i, na) for i in left], [canonical_axis(i, nb) for i in right]
    free_a, free_b = [i for i in range(na) if i not in left], [i for i in range(nb) if i not in right]
    k = _product([a.shape[i] for i in left])
    a2 = reshape(transpose(a, free_a + left), (_product([a.shape[i] for i in free_a]), k))
    b2 = reshape(transpose(b, right + free_b), (k, _product([b.shape[i] for i in free_b])))
    return reshape(_matmul(a2, b2), [a.shape[i] for i in free_a] + [b.shape[i] for i in free_b])


def _product(dims: Sequence[int | None]) -> int | None:
    return None if None in dims else math.prod(dims)  # type: ignore[arg-type]


def vdot(x1: Any, x2: Any) -> Any:
    """Sum of the products of all elements."""
    return reduce_sum(_tensor(x1) * _tensor(x2))


def outer(x1: Any, x2: Any) -> Any:
    """Products of every element of one tensor with every element of the other."""
    return expand_dims(reshape(x1, (-1,)), 1) * expand_dims(reshape(x2, (-1,)), 0)


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products by Einstein's convention, e.g. ``einsum("bij,bjk->bik", x, y)``; an operand may have one `...`.

    Two operands at a time become one batched matrix product.

    Raises:
        ValueError: the subscripts do not fit the operands.
    """
    tensors = [_tensor(x) for x in operands]
    terms, output = _parse(subscripts, tensors)
    while len(tensors) > 1:
        a, b = tensors.pop(0), tensors.pop(0)
        ta, tb = terms.pop(0), terms.pop(0)
        kept = set("".join(terms)) | set(output)
        y, ty = _pair(a, ta, b, tb, kept)
        tensors.insert(0, y)
        terms.insert(0, ty)
    x, labels = _sum_out(tensors[0], terms[0], set(output))
    return transpose(x, [labels.index(c) for c in output])


def _parse(subscripts: str, tensors: list[Any]) -> tuple[list[str], str]:
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands, got {len(tensors)}")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    longest = ""
    for i, (term, x) in enumerate(zip(terms, tensors, strict=True)):
        if "..." in term:
            extra = "".join(spare[: len(x.shape) - len(term) + 3])[::-1]
            longest = max(longest, extra, key=len)
            terms[i] = term.replace("...", extra)
        if len(terms[i]) != len(x.shape):
            raise ValueError(f"einsum: operand {i} has shape {tuple(x.shape)}, but its subscripts are {term!r}")
        if len(set(terms[i])) != len(terms[i]):
            raise ValueError(
                f"einsum: repeated subscripts in one operand ({term!r}) are not supported; take the diagonal first"
            )
    _check_sizes(subscripts, terms, [tuple(x.shape) for x in tensors])
    if arrow:
        output = output.replace("...", longest)
    else:
        joined = "".join(terms)
        output = longest + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in longest))
    unknown = set(output) - set("".join(terms))
    if unknown:
        raise ValueError(f"einsum: output subscripts {sorted(unknown)} appear in no operand of {subscripts!r}")
    return terms, output


def _check_sizes(subscripts: str, terms: Sequence[str], shapes: Sequence[tuple[int | None, ...]]) -> None:
    sizes: dict[str, tuple[int, int]] = {}
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for label, size in zip(term, shape, strict=True):
            if size is None or size == 1:
                continue
            known, where = sizes.setdefault(label, (size, i))
            if known != size:
                raise ValueError(
                    f"einsum: {subscripts!r}: subscript {label!r} is {known} in operand {where} of shape "
                    f"{shapes[where]}, and {size} in operand {i} of shape {shape}"
                )


def _sum_out(x: Any, labels: str, kept: set[str]) -> tuple[Any, str]:
    gone = [i for i, c in enumerate(labels) if c not in kept]
    return (reduce_sum(x, axis=gone), "".join(c for c in labels if c in kept)) if gone else (x, labels)


def _pair(a: Any, ta: str, b: Any, tb: str, kept: set[str]) -> tuple[Any, str]:
    a, ta = _sum_out(a, ta, kept | set(tb))
    b, tb = _sum_out(b, tb, kept | set(ta))
    shared = [c for c in ta if c in tb]
    batch = [c for c in shared if c in kept]
    inner = [c for c in shared if c not in kept]
    left, right = [c for c in ta if c not in tb], [c for c in tb if c not in ta]
    size = {c: d for t, x in ((ta, a), (tb, b)) for c, d in zip(t, x.shape, strict=True)}
    dims = [size[c] for c in batch]
    k = _product([size[c] for c in inner])
    a3 = reshape(
        transpose(a, [ta.index(c) for c in batch + left + inner]), (*dims, _product([size[c] for c in left]), k)
    )
    # the second matrix is left as (right, inner) where that is how it lies, so that nothing is moved
    flipped = [tb.index(c) for c in batch + right + inner] == list(range(len(tb))) and bool(inner)
    n = _product([size[c] for c in right])
    if flipped:
        y = _matmul(a3, reshape(b, (*dims, n, k)), transpose_b=True)
    else:
        y = _matmul(a3, reshape(transpose(b, [tb.index(c) for c in batch + inner + right]), (*dims, k, n)))
    labels = "".join(batch + left + right)
    return reshape(y, [size[c] for c in labels]), labels


def matrix_transpose(x: Any) -> Any:
    """The last two dimensions exchanged."""
    return swapaxes(x, -1, -2)


__all__ = ["dot", "einsum", "linear", "matmul", "matrix_transpose", "outer", "tensordot", "vdot"]
