"""Factorizations: Cholesky, LU, QR, eigenvalues and singular values, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import GradientError
from kcore.graph.op import In, Spec, primitive, sample
from kcore.ops.contraction import matmul
from kcore.ops.creation import eye, tril, triu, zeros_like
from kcore.ops.indexing import take_along_axis
from kcore.ops.linalg.matrices import TOLERANCE, check_matrices, square, turned
from kcore.ops.linalg.solving import _LARGER, _WELL, _given, _solve, _solve_triangular
from kcore.ops.shape import concatenate, expand_dims
from kcore.ops.sorting import argsort

_POSITIVE = np.array([[4.0, 1, -0.5], [1, 3, 0.25], [-0.5, 0.25, 2]])
_POSITIVE_STACK = np.stack([_POSITIVE + np.diag([0.5, 1.5, 0]), np.diag([1.0, 2, 5]) + 0.1])
_TALL = np.sin(np.arange(12.0) ** 1.5).reshape(4, 3) + np.eye(4, 3)


def _symmetric(x: Any) -> Any:
    return (x + turned(x)) * 0.5


def _diagonal(x: Any) -> Any:
    """Vectors as diagonal matrices."""
    return expand_dims(x, -1) * eye(x.shape[-1], dtype=x.dtype)


def _gaps(values: Any) -> Any:
    """``1 / (values[j] - values[i])``, 0 on the diagonal."""
    unit = eye(values.shape[-1], dtype=values.dtype)
    return (1.0 - unit) / (expand_dims(values, -2) - expand_dims(values, -1) + unit)


# -- Cholesky --------------------------------------------------------------------------------------------------------


@primitive(
    "linalg",
    "cholesky",
    infer=lambda x: Spec(square(x), x.dtype),
    promote="float",
    tolerance=TOLERANCE,
    samples=[sample(_given(_POSITIVE)), sample(_given(_POSITIVE_STACK), grad=False)],
)
def _cholesky(x):
    """The lower triangular matrix whose product with its transpose is the symmetric part of x; NaN if there is none."""
    a = (x + np.swapaxes(x, -1, -2)) / 2
    factor = np.zeros_like(a)
    for j in range(a.shape[-1]):
        rest = a[..., j:, j] - np.einsum("...ik,...k->...i", factor[..., j:, :j], factor[..., j, :j])
        with np.errstate(invalid="ignore", divide="ignore"):
            factor[..., j:, j] = rest / np.sqrt(np.where(rest[..., :1] > 0, rest[..., :1], np.nan))
    return factor


@_cholesky.gradient
def _(ctx, g):
    """Murray 2016, "Differentiation of the Cholesky decomposition", equation 10."""
    factor = ctx.outputs[0]
    inner = matmul(turned(factor), tril(g))
    phi = tril(inner) - 0.5 * inner * eye(inner.shape[-1], dtype=inner.dtype)
    left = _solve_triangular(factor, phi, lower=True, transpose=True)
    return _symmetric(turned(_solve_triangular(factor, turned(left), lower=True, transpose=True)))


# -- LU --------------------------------------------------------------------------------------------------------------


def _lu_infer(x: Spec) -> tuple[Spec, Spec, Spec]:
    check_matrices("", x)
    *batch, m, n = x.shape
    k = None if m is None or n is None else min(m, n)
    return x, Spec((*batch, k), "int32"), Spec((*batch, m), "int32")


@primitive(
    "linalg",
    "lu_factor",
    infer=_lu_infer,
    promote="float",
    residuals=1,
    tolerance=TOLERANCE,
    samples=[
        sample(_given(_WELL)),
        sample(_given(_LARGER[:, ::-1]), grad=False),
        sample(_given(_TALL), grad=False),
        sample(_given(_TALL.T), grad=False),
    ],
)
def _lu(x):
    """L below the diagonal and U above it, the row each row was exchanged with, and the order of rows that made."""
    lu = np.array(x)
    m, n = x.shape[-2:]
    pivots = np.zeros((*x.shape[:-2], min(m, n)), np.int32)
    order = np.zeros((*x.shape[:-2], m), np.int32)
    for at in np.ndindex(*x.shape[:-2]):
        one, rows = lu[at], np.arange(m)
        for k in range(min(m, n)):
            p = k + int(np.argmax(np.abs(one[k:, k])))
            pivots[(*at, k)] = p
            one[[k, p]], rows[[k, p]] = one[[p, k]], rows[[p, k]]
            if one[k, k]:
                one[k + 1 :, k] /= one[k, k]
            one[k + 1 :, k + 1 :] -= np.outer(one[k + 1 :, k], one[k, k + 1 :])
        order[at] = rows
    return lu, pivots, order


@_lu.gradient
def _(ctx, g, g_pivots, g_order):
    lu, _pivots, order = ctx.outputs
    if lu.shape[-1] != lu.shape[-2]:
        raise GradientError(f"lu_factor has a gradient for square matrices; received shape {tuple(lu.shape)}")
    unit = eye(lu.shape[-1], dtype=lu.dtype)
    lower, upper = tril(lu, -1) + unit, triu(lu)
    inner = tril(matmul(turned(lower), tril(g, -1)), -1) + triu(matmul(triu(g), turned(upper)))
    inner = _solve_triangular(lower, inner, lower=True, transpose=True)
    ordered = turned(_solve_triangular(upper, turned(inner), lower=False))
    return take_along_axis(ordered, expand_dims(argsort(order), -1) + zeros_like(ordered, dtype="int32"), axis=-2)


# -- QR --------------------------------------------------------------------------------------------------------------


def _qr_infer(x: Spec, *, complete: bool = False) -> tuple[Spec, Spec]:
    check_matrices("", x)
    *batch, m, n = x.shape
    if m is None or n is None:
        raise ValueError(f"qr: the last two sizes must be known; received {x}")
    k = m if complete else min(m, n)
    return Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


@primitive(
    "linalg",
    "qr",
    infer=_qr_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[
        sample(_given(_TALL)),
        sample(_given(_LARGER), grad=False),
        sample(_given(_TALL.T)),
        sample(_given(_TALL), complete=True, grad=False),
    ],
)
def _qr(x, *, complete=False):
    """Q with orthonormal columns and R upper triangular, ``Q R = x``, with LAPACK's signs."""
    return np.linalg.qr(x, mode="complete" if complete else "reduced")


@_qr.gradient
def _(ctx, g_q, g_r):
    x, (q, r) = ctx.inputs[0], ctx.outputs
    m, n = x.shape[-2:]
    if ctx.attrs["complete"] and m > n:
        raise GradientError(
            f"qr with mode='complete' has no gradient for tall matrices, whose last columns of Q are free; "
            f"received shape {tuple(x.shape)}"
        )
    g_q = zeros_like(q) if g_q is None else g_q
    g_r = zeros_like(r) if g_r is None else g_r
    if m >= n:
        return _qr_gradient(q, r, g_q, g_r)
    # x = [left, right] with left square: q and the first columns of r are left's, the other columns are q^T right
    square_r, right, g_rest = r[..., :m], x[..., m:], g_r[..., m:]
    g_q = g_q + matmul(right, turned(g_rest))
    return concatenate([_qr_gradient(q, square_r, g_q, g_r[..., :m]), matmul(q, g_rest)], axis=-1)


def _qr_gradient(q: Any, r: Any, g_q: Any, g_r: Any) -> Any:
    """Walter and Lehmann 2018, "Algorithmic differentiation of linear algebra functions", for a square R."""
    inner = matmul(r, turned(g_r)) - matmul(turned(g_q), q)
    mirrored = tril(inner) + turned(tril(inner, -1))
    return turned(_solve_triangular(r, turned(g_q + matmul(q, mirrored)), lower=False))


# -- eigenvalues -----------------------------------------------------------------------------------------------------


def _eigen_infer(x: Spec) -> tuple[Spec, Spec]:
    shape = square(x)
    return Spec(shape[:-1], x.dtype), Spec(shape, x.dtype)


@primitive(
    "linalg",
    "eigh",
    infer=_eigen_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[sample(_given(_POSITIVE)), sample(_given(_POSITIVE_STACK), grad=False)],
)
def _eigh(x):
    """Eigenvalues, smallest first, and orthonormal eigenvectors of the symmetric part of x, with LAPACK's signs."""
    return tuple(np.linalg.eigh((x + np.swapaxes(x, -1, -2)) / 2))


@_eigh.gradient
def _(ctx, g_values, g_vectors):
    values, vectors = ctx.outputs
    inner = zeros_like(vectors) if g_vectors is None else _gaps(values) * matmul(turned(vectors), g_vectors)
    if g_values is not None:
        inner = inner + _diagonal(g_values)
    return _symmetric(matmul(matmul(vectors, inner), turned(vectors)))


@primitive(
    "linalg",
    "eig",
    infer=_eigen_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[
        sample(In((3, 3), value=np.array([[4.0, 1, -0.5], [0.5, -3, 1], [1, 0.25, 1.5]]))),
        sample(In((2, 2, 2), value=np.array([[[1.0, 2], [0.5, 3]], [[-1, 0.25], [0.5, 2]]])), grad=False),
    ],
)
def _eig(x):
    """Eigenvalues and eigenvectors of length 1 in the order of LAPACK; NaN for matrices with complex eigenvalues."""
    values, vectors = np.linalg.eig(x)
    complexes = (np.imag(values) != 0).any(axis=-1)
    return (
        np.where(complexes[..., None], np.nan, np.real(values)),
        np.where(complexes[..., None, None], np.nan, np.real(vectors)),
    )


@_eig.gradient
def _(ctx, g_values, g_vectors):
    values, vectors = ctx.outputs
    inner = zeros_like(vectors)
    if g_vectors is not None:
        along = matmul(turned(vectors), g_vectors)
        unit = eye(along.shape[-1], dtype=along.dtype)
        inner = _gaps(values) * (along - matmul(matmul(turned(vectors), vectors), along * unit))
    if g_values is not None:
        inner = inner + _diagonal(g_values)
    return _solve(turned(vectors), matmul(inner, turned(vectors)))


# -- singular values -------------------------------------------------------------------------------------------------


def _svd_infer(x: Spec, *, full: bool = False) -> tuple[Spec, Spec, Spec]:
    check_matrices("", x)
    *batch, m, n = x.shape
    if m is None or n is None:
        raise ValueError(f"svd: the last two sizes must be known; received {x}")
    k = min(m, n)
    left, right = (m, n) if full else (k, k)
    return Spec((*batch, m, left), x.dtype), Spec((*batch, k), x.dtype), Spec((*batch, right, n), x.dtype)


@primitive(
    "linalg",
    "svd",
    infer=_svd_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[
        sample(_given(_WELL)),  # square: the gradient of others has many shapes of products (tests/ops/test_linalg.py)
        sample(_given(_TALL), grad=False),
        sample(_given(_TALL.T), grad=False),
        sample(_given(_POSITIVE_STACK), full=True, grad=False),
        sample(_given(_TALL), full=True, grad=False),
    ],
)
def _svd(x, *, full=False):
    """U, the singular values, largest first, and V transposed, with ``(U * s) V^T = x`` and LAPACK's signs."""
    return tuple(np.linalg.svd(x, full_matrices=full))


@_svd.gradient
def _(ctx, g_u, g_s, g_vh):
    """Townsend 2016, "Differentiating the singular value decomposition"."""
    u, s, vh = ctx.outputs
    k = s.shape[-1]
    if (g_u is not None and u.shape[-1] > k) or (g_vh is not None and vh.shape[-2] > k):
        raise GradientError(
            "svd with full_matrices=True has a gradient for singular values and for square matrices alone, since the "
            f"other singular vectors are free; received shape {tuple(ctx.inputs[0].shape)}: take full_matrices=False"
        )
    u, v = u[..., :k], turned(vh[..., :k, :])
    inner = zeros_like(matmul(turned(u), u))
    gaps, scale = _gaps(s * s), expand_dims(s, -2)
    if g_s is not None:
        inner = inner + _diagonal(g_s)
    beyond = None
    if g_u is not None:
        along = matmul(turned(u), g_u)
        inner = inner + gaps * (along - turned(along)) * scale
        if u.shape[-2] > k:
            beyond = matmul((g_u - matmul(u, along)) / scale, turned(v))
    if g_vh is not None:
        g_v = turned(g_vh)
        along = matmul(turned(v), g_v)
        inner = inner + turned(scale) * gaps * (along - turned(along))
        if v.shape[-2] > k:
            beyond = matmul(u / scale, turned(g_v - matmul(v, along)))
    result = matmul(matmul(u, inner), turned(v))
    return result if beyond is None else result + beyond
