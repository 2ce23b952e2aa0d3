"""`keras.ops`' factorizations of matrices, and what is made of them: pseudo-inverses, least squares, ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.dtypes import float_range
from kcore.graph.op import Spec, composite, sample
from kcore.ops.contraction import matmul
from kcore.ops.creation import eye
from kcore.ops.elementwise import cast, greater, where
from kcore.ops.linalg.factorizations import _LARGER, _TALL, _WELL, _cholesky, _eig, _eigh, _given, _lu, _qr, _svd
from kcore.ops.linalg.matrices import TOLERANCE, check_matrices, checked, matrices, turned
from kcore.ops.linalg.solving import _solve_triangular
from kcore.ops.reduction import amax
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import _tensor, broadcast_to, expand_dims, squeeze


def cholesky(x: Any, upper: bool = False) -> Any:
    """The triangular factor of symmetric positive definite matrices: ``x = L L^T``.

    Args:
        x: (..., n, n); its symmetric part counts.
        upper: whether to give ``L^T`` instead.

    Returns: (..., n, n), zeros in the other triangle.

    Raises:
        ValueError: another shape; run eagerly, a matrix that is not positive definite. Compiled, its factor is NaN.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])).numpy().tolist()
        [[2.0, 0.0], [1.0, 1.0]]

    Source: `keras.ops.cholesky`.
    """
    x, restored = matrices("cholesky", x, square=True)
    factor = checked("Cholesky decomposition failed: the matrix is not positive definite", _cholesky(x), x)
    return restored(turned(factor) if upper else factor)


def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """The inverse of a symmetric positive definite matrix, from its Cholesky factor.

    Args:
        x: the factor, (..., n, n); the other triangle is not read.
        upper: whether it is the upper triangular factor.

    Returns: the inverse of ``x x^T``, or of ``x^T x`` if `upper`, (..., n, n).

    Raises:
        ValueError: another shape; run eagerly, a zero on the diagonal.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.cholesky_inverse(np.array([[2.0, 0.0], [0.0, 4.0]])).numpy().tolist()
        [[0.25, 0.0], [0.0, 0.0625]]

    Source: `keras.ops.cholesky_inverse`.
    """
    x, restored = matrices("cholesky_inverse", x, square=True)
    unit = eye(x.shape[-1], dtype=x.dtype)
    half = _solve_triangular(x, broadcast_to(unit, tuple(x.shape)), lower=not upper)
    half = checked("cholesky_inverse: singular matrix", half, x)
    return restored(matmul(half, turned(half)) if upper else matmul(turned(half), half))


def lu_factor(x: Any) -> tuple[Any, Any]:
    """Triangular factors of matrices whose rows were exchanged, by Gaussian elimination.

    Args:
        x: (..., m, n).

    Returns: (..., m, n) with U on and above the diagonal, and L, whose diagonal is one, below it; and int32
        (..., min(m, n)), the row that each row was exchanged with, in order.

    Raises:
        ValueError: another rank.
        GradientError: a gradient was asked for and the matrices are not square.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> lu, pivots = ops.lu_factor(np.array([[1.0, 2.0], [2.0, 2.0]]))
        >>> lu.numpy().tolist(), pivots.numpy().tolist()
        ([[2.0, 2.0], [0.5, 1.0]], [1, 1])

    Source: `keras.ops.lu_factor`.
    """
    x, restored = matrices("lu_factor", x)
    lu, pivots, _ = _lu(x)
    return restored(lu), pivots


def qr(x: Any, mode: str = "reduced") -> tuple[Any, Any]:
    """Orthonormal columns times an upper triangular matrix: ``x = Q R``.

    Args:
        x: (..., m, n).
        mode: ``"reduced"`` for min(m, n) columns of Q, ``"complete"`` for m.

    Returns: Q (..., m, k) and R (..., k, n); signs are LAPACK's.

    Raises:
        ValueError: another rank or mode.
        GradientError: a gradient was asked for and Q has columns that are free.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> q, r = ops.qr(np.array([[3.0], [4.0]]))
        >>> abs(q.numpy()).round(4).tolist(), abs(r.numpy()).round(4).tolist()
        ([[0.6], [0.8]], [[5.0]])

    Source: `keras.ops.qr`.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: expected mode to be 'reduced' or 'complete'; received {mode!r}")
    x, restored = matrices("qr", x)
    q, r = _qr(x, complete=mode == "complete")
    return restored(q), restored(r)


def eigh(x: Any) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors of symmetric matrices.

    Args:
        x: (..., n, n); its symmetric part counts.

    Returns: eigenvalues (..., n), smallest first; eigenvectors (..., n, n), orthonormal columns in the same order.

    Raises:
        ValueError: another shape.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> values, vectors = ops.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
        >>> values.numpy().round(6).tolist()
        [1.0, 3.0]

    Source: `keras.ops.eigh`.
    """
    x, restored = matrices("eigh", x, square=True)
    values, vectors = _eigh(x)
    return restored(values), restored(vectors)


def eig(x: Any) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors of square matrices whose eigenvalues are real.

    Args:
        x: (..., n, n).

    Returns: eigenvalues (..., n); eigenvectors (..., n, n), columns of length 1 in the same order.

    Raises:
        ValueError: another shape; run eagerly, complex eigenvalues, for which there is no dtype: compiled, those are
            NaN.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> values, vectors = ops.eig(np.array([[1.0, 1.0], [0.0, 3.0]]))
        >>> values.numpy().tolist()
        [1.0, 3.0]

    Source: `keras.ops.eig`.
    """
    x, restored = matrices("eig", x, square=True)
    values, vectors = _eig(x)
    message = "eig: some of the eigenvalues are complex, and kcore has no complex dtype; eigh is for symmetric matrices"
    return restored(checked(message, values, x)), restored(vectors)


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values and vectors of matrices: ``x = (U * s) V^T``.

    Args:
        x: (..., m, n); k is min(m, n).
        full_matrices: whether U and V^T are square, (..., m, m) and (..., n, n), or (..., m, k) and (..., k, n).
        compute_uv: whether the singular vectors are wanted.

    Returns: U, s (..., k), largest first, and V^T; or s alone.

    Raises:
        ValueError: another rank.
        GradientError: a gradient was asked for through singular vectors that are free.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False).numpy().tolist()
        [4.0, 3.0]

    Source: `keras.ops.svd`.
    """
    x, restored = matrices("svd", x)
    u, s, vh = _svd(x, full=bool(full_matrices) and bool(compute_uv))
    return (restored(u), restored(s), restored(vh)) if compute_uv else restored(s)


def matrix_rank(x: Any, tol: float | None = None) -> Any:
    """How many singular values of matrices count.

    Args:
        x: (..., m, n).
        tol: those above count; None means the largest one times max(m, n) times the dtype's rounding.

    Returns: int32, (...).

    Raises:
        ValueError: another rank of the tensor.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> int(ops.matrix_rank(np.array([[1.0, 2.0], [2.0, 4.0]])))
        1

    Source: `keras.ops.matrix_rank`.
    """
    x, _ = matrices("matrix_rank", x)
    s = _svd(x)[1]
    limit = _rounding(x) * amax(s, axis=-1, keepdims=True) if tol is None else cast(tol, s.dtype)
    return reduce_sum(cast(greater(s, limit), "int32"), axis=-1)


def _rounding(x: Any) -> float:
    return max(x.shape[-2:]) * float_range(x.dtype)[2]


def _pinv_infer(x: Spec, *, rcond: float) -> Spec:
    check_matrices("", x)
    return Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


@composite(
    "linalg",
    "pinv",
    infer=_pinv_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[
        sample(_given(_WELL), rcond=1e-6),
        sample(_given(_TALL), rcond=1e-6, grad=False),
        sample(_given(np.swapaxes(_LARGER, -1, -2)[:, :3]), rcond=1e-6, grad=False),
    ],
)
def _pinv(x, *, rcond):
    """Pseudo-inverse by singular values, of which those below `rcond` times the largest count as zero."""
    u, s, vh = _svd(x)
    kept = greater(s, amax(s, axis=-1, keepdims=True) * rcond)
    zero, one = np.zeros((), s.dtype), np.ones((), s.dtype)
    scale = where(kept, one / where(kept, s, one), zero)
    return matmul(turned(vh) * expand_dims(scale, -2), turned(u))


@_pinv.gradient
def _(ctx, g):
    """Golub and Pereyra 1973, "The differentiation of pseudo-inverses"; singular values may repeat."""
    a, p = ctx.inputs[0], ctx.outputs[0]
    pt, gt = turned(p), turned(g)
    left = matmul(gt, matmul(p, pt))
    right = matmul(matmul(pt, p), gt)
    return left - matmul(a, matmul(p, left)) + right - matmul(matmul(right, p), a) - matmul(matmul(pt, g), pt)


def pinv(x: Any, rcond: float | None = None) -> Any:
    """The pseudo-inverse (Moore-Penrose) of matrices.

    Args:
        x: (..., m, n).
        rcond: singular values up to this times the largest count as zero; None means max(m, n) times the dtype's
            rounding.

    Returns: (..., n, m).

    Raises:
        ValueError: another rank.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.pinv(np.array([[2.0], [0.0]])).numpy().tolist()
        [[0.5, 0.0]]

    Source: `keras.ops.pinv`.
    """
    x, restored = matrices("pinv", x)
    return restored(_pinv(x, rcond=_rounding(x) if rcond is None else float(rcond)))


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """The shortest x for which ``a x`` is as close to b as can be.

    Args:
        a: (m, n).
        b: (m,) or (m, k).
        rcond: singular values of a up to this times the largest count as zero; None means max(m, n) times the dtype's
            rounding.

    Returns: (n,) or (n, k).

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0])).numpy().round(6).tolist()
        [2.0]

    Source: `keras.ops.lstsq`.
    """
    a, restored = matrices("lstsq", a)
    b = _tensor(b)
    if len(a.shape) != 2 or len(b.shape) not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ValueError(
            f"lstsq: expected a (m, n) and b (m,) or (m, k); received shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    inverse = restored(_pinv(a, rcond=_rounding(a) if rcond is None else float(rcond)))
    x = matmul(inverse, b if len(b.shape) == 2 else expand_dims(b, -1))
    return squeeze(x, -1) if len(b.shape) == 1 else x
