"""`keras.ops.linalg`: equations, factorizations and norms of matrices, computed by LAPACK on the host."""

from __future__ import annotations

from kcore.ops.derivatives import jvp
from kcore.ops.linalg.decompositions import (
    cholesky,
    cholesky_inverse,
    eig,
    eigh,
    lstsq,
    lu_factor,
    matrix_rank,
    pinv,
    qr,
    svd,
)
from kcore.ops.linalg.solving import det, inv, logdet, slogdet, solve, solve_triangular
from kcore.ops.reduction import norm
from kcore.runtime.symbolic import record_functions as _record_functions

__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "logdet", "lstsq", "lu_factor",
    "matrix_rank", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
]  # fmt: skip

_record_functions(globals())
