"""Linear equations: solve, triangular ones, inverse and determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, primitive, sample
from kcore.ops.contraction import matmul
from kcore.ops.creation import eye, tril, triu
from kcore.ops.elementwise import cast
from kcore.ops.linalg.matrices import TOLERANCE, check_matrices, checked, matrices, square, turned
from kcore.ops.shape import _tensor, broadcast_to, expand_dims, squeeze
from kcore.ops.shapes import broadcast

_WELL = np.array([[4.0, 1, -0.5], [0.5, -3, 1], [1, 0.25, 2.5]])
_LARGER = 3 * np.eye(5) + np.sin(np.arange(50.0)).reshape(2, 5, 5)


def _given(value: Any) -> In:
    return In(np.shape(value), value=value)


# -- the ops ---------------------------------------------------------------------------------------------------------


def _solve_infer(a: Spec, b: Spec, **attrs: Any) -> Spec:
    check_matrices("", a, square=True)
    check_matrices("", b)
    n = [d for d in (*a.shape[-2:], b.shape[-2]) if d is not None]
    if any(d != n[0] for d in n) or len(a.shape) != len(b.shape):
        raise ValueError(f"expected matrices (..., n, n) and right sides (..., n, m); received {a} and {b}")
    return Spec((*broadcast(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), a.dtype)


@primitive(
    "linalg",
    "solve",
    infer=_solve_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[
        sample(_given(_WELL), (3, 2), grad=False),
        sample(_given(_LARGER), (2, 5, 1)),
        sample((0, 3, 3), (0, 3, 2)),
    ],
)
def _solve(a, b):
    """x with ``a x = b``, by Gaussian elimination with pivots; NaN where a is singular."""
    x = np.array(np.concatenate([a, b], axis=-1))
    n = a.shape[-1]
    for one in x.reshape(-1, *x.shape[-2:]):
        for k in range(n):
            p = k + np.argmax(np.abs(one[k:, k]))
            one[[k, p]] = one[[p, k]]
            one[k] = one[k] / one[k, k] if one[k, k] else np.nan
            others = np.arange(n) != k
            one[others] -= one[others, k : k + 1] * one[k]
    return x[..., n:]


@_solve.gradient
def _(ctx, g):
    a, x = ctx.inputs[0], ctx.outputs[0]
    gb = _solve(turned(a), g)
    return -matmul(gb, turned(x)), gb


@primitive(
    "linalg",
    "solve_triangular",
    infer=_solve_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[
        sample(_given(_WELL), (3, 2), lower=True),
        sample(_given(_LARGER), (2, 5, 3), lower=False, grad=False),
        sample(_given(_LARGER), (2, 5, 2), lower=True, transpose=True),
    ],
)
def _solve_triangular(a, b, *, lower=True, transpose=False):
    """x with ``t x = b``, where t is the lower or upper triangle of a, or that triangle transposed."""
    t = np.tril(a) if lower else np.triu(a)
    if transpose:
        t, lower = np.swapaxes(t, -1, -2), not lower
    n, x = t.shape[-1], np.array(b)
    for i in range(n) if lower else range(n)[::-1]:
        known = slice(0, i) if lower else slice(i + 1, n)
        x[..., i, :] -= np.einsum("...k,...km->...m", t[..., i, known], x[..., known, :])
        x[..., i, :] /= t[..., i, i, None]
    return x


@_solve_triangular.gradient
def _(ctx, g):
    a, x = ctx.inputs[0], ctx.outputs[0]
    lower, transpose = ctx.attrs["lower"], ctx.attrs["transpose"]
    gb = _solve_triangular(a, g, lower=lower, transpose=not transpose)
    ga = -(matmul(x, turned(gb)) if transpose else matmul(gb, turned(x)))
    return tril(ga) if lower else triu(ga), gb


def _minors(a: np.ndarray) -> np.ndarray:
    """Determinant by cofactors of the first column."""
    if a.shape[-1] == 0:
        return np.ones(a.shape[:-2], a.dtype)
    rest = a[..., 1:]
    parts = [(-1) ** i * a[..., i, 0] * _minors(np.delete(rest, i, axis=-2)) for i in range(a.shape[-1])]
    return np.asarray(sum(parts))


def _signed(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = _minors(a)
    return np.asarray(np.sign(d)), np.asarray(np.log(np.abs(d)))


_DETERMINANTS = [sample(_given(_WELL)), sample(_given(_LARGER), grad=False), sample((0, 2, 2))]


@primitive(
    "linalg",
    "det",
    infer=lambda x: Spec(square(x)[:-2], x.dtype),
    promote="float",
    tolerance=TOLERANCE,
    samples=[*_DETERMINANTS, sample(In((2, 2), value=np.ones((2, 2))), grad=False)],
)
def _det(x):
    """Determinant of the matrices; 0 where they are singular."""
    return _minors(x)


@_det.gradient
def _(ctx, g):
    return expand_dims(g * ctx.outputs[0], (-2, -1)) * turned(_inverse(ctx.inputs[0]))


def _slogdet_infer(x: Spec) -> tuple[Spec, Spec]:
    spec = Spec(square(x)[:-2], x.dtype)
    return spec, spec


@primitive(
    "linalg",
    "slogdet",
    infer=_slogdet_infer,
    promote="float",
    tolerance=TOLERANCE,
    samples=[*_DETERMINANTS, sample(In((2, 2), value=np.ones((2, 2))), grad=False)],
)
def _slogdet(x):
    """Sign of the determinant, and the logarithm of its size."""
    return _signed(x)


@_slogdet.gradient
def _(ctx, g_sign, g_log):
    return None if g_log is None else expand_dims(g_log, (-2, -1)) * turned(_inverse(ctx.inputs[0]))


def _inverse(x: Any) -> Any:
    unit = eye(x.shape[-1], dtype=x.dtype)
    return _solve(x, broadcast_to(unit, (*x.shape[:-2], *unit.shape)))


# -- the Keras functions ---------------------------------------------------------------------------------------------


def _sides(function: str, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Both sides as stacks of matrices of one batch shape, and what gives the result b's rank and dtype."""
    a, restored = matrices(function, a, square=True)
    b = _tensor(b)
    if not len(b.shape):
        raise ValueError(f"{function}: expected b to be a vector, a matrix or a stack of them; received a scalar")
    vector = len(b.shape) == len(a.shape) - 1
    if vector:
        b = expand_dims(b, -1)
    b, restored_b = matrices(function, b)
    if a.dtype != b.dtype:
        wide = "float64" if "float64" in (a.dtype, b.dtype) else "float32"
        a, b = cast(a, wide), cast(b, wide)
    if None not in (a.shape[-1], b.shape[-2]) and a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"{function}: expected a (..., n, n) and b (..., n, m) or (..., n); "
            f"received shapes {tuple(a.shape)} and {tuple(b.shape[:-1] if vector else b.shape)}"
        )
    batch = broadcast(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    if None not in batch:
        a, b = broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))

    def finished(x: Any) -> Any:
        return restored_b(restored(squeeze(x, -1) if vector else x))

    return a, b, finished


def solve(a: Any, b: Any) -> Any:
    """The x with ``a x = b``.

    Args:
        a: square matrices, (..., n, n).
        b: right sides, (..., n, m) or (..., n).

    Returns: x, of b's shape.

    Raises:
        ValueError: shapes that do not fit; run eagerly, a matrix that is singular. Compiled, x is NaN there.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.solve(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([2.0, 3.0])).numpy().tolist()
        [1.0, 2.0]

    Source: `keras.ops.solve`.
    """
    a, b, finished = _sides("solve", a, b)
    return finished(checked("solve: singular matrix", _solve(a, b), a, b))


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """The x with ``a x = b``, for triangular a: the other triangle is not read.

    Args:
        a: square matrices, (..., n, n).
        b: right sides, (..., n, m) or (..., n).
        lower: whether the lower triangle of a counts, or the upper one.

    Returns: x, of b's shape.

    Raises:
        ValueError: shapes that do not fit; run eagerly, a zero on the diagonal. Compiled, x is infinite or NaN there.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.solve_triangular(np.array([[2.0, 7.0], [1.0, 1.0]]), np.array([2.0, 3.0]), lower=True).numpy().tolist()
        [1.0, 2.0]

    Source: `keras.ops.solve_triangular`.
    """
    a, b, finished = _sides("solve_triangular", a, b)
    x = _solve_triangular(a, b, lower=bool(lower))
    return finished(checked("solve_triangular: singular matrix", x - x + x, a, b))


def inv(x: Any) -> Any:
    """The inverse of square matrices.

    Args:
        x: (..., n, n).

    Returns: (..., n, n).

    Raises:
        ValueError: another shape; run eagerly, a matrix that is singular. Compiled, its inverse is NaN.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.inv(np.array([[2.0, 0.0], [0.0, 4.0]])).numpy().tolist()
        [[0.5, 0.0], [0.0, 0.25]]

    Source: `keras.ops.inv`.
    """
    x, restored = matrices("inv", x, square=True)
    return restored(checked("inv: singular matrix", _inverse(x), x))


def det(x: Any) -> Any:
    """The determinant of square matrices.

    The gradient of a singular matrix's determinant is NaN.

    Args:
        x: (..., n, n).

    Returns: (...).

    Raises:
        ValueError: another shape.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> round(float(ops.det(np.array([[2.0, 1.0], [0.0, 4.0]]))), 6)
        8.0

    Source: `keras.ops.det`.
    """
    x, restored = matrices("det", x, square=True)
    return restored(_det(x))


def slogdet(x: Any) -> tuple[Any, Any]:
    """Sign of the determinant, and the natural logarithm of its absolute value, which does not overflow.

    Args:
        x: (..., n, n).

    Returns: sign and logarithm, each (...); 0 and -inf for a singular matrix.

    Raises:
        ValueError: another shape.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> sign, log = ops.slogdet(np.array([[0.0, 2.0], [4.0, 0.0]]))
        >>> float(sign), round(float(ops.exp(log)), 6)
        (-1.0, 8.0)

    Source: `keras.ops.slogdet`.
    """
    x, restored = matrices("slogdet", x, square=True)
    sign, log = _slogdet(x)
    return restored(sign), restored(log)


def logdet(x: Any) -> Any:
    """The logarithm of the determinant of positive definite matrices.

    Args:
        x: (..., n, n).

    Returns: (...); of other matrices, the logarithm of the determinant's absolute value.

    Raises:
        ValueError: another shape.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> round(float(ops.logdet(np.array([[2.0, 0.0], [0.0, 0.5]]))), 6)
        0.0

    Source: `keras.ops.logdet`.
    """
    x, restored = matrices("logdet", x, square=True)
    return restored(_slogdet(x)[1])
