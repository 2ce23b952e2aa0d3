"""Matrices of constants applied along one axis of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.ops.contraction import matmul
from kcore.ops.shape import reshape
from kcore.ops.shapes import size_of


def along_axis(x: Any, weights: np.ndarray, axis: int) -> Any:
    """``y[..., j, ...] = sum over i of x[..., i, ...] weights[i, j]`` along `axis`: one matrix product, nothing moved.

    Args:
        x: float, of known sizes.
        weights: (size of the axis, new size).
        axis: non-negative.
    """
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    shape = (*before, weights.shape[1], *after)
    if not after:
        return reshape(matmul(reshape(x, (size_of(before), weights.shape[0])), weights.astype(x.dtype)), shape)
    rows = reshape(x, (size_of(before), weights.shape[0], size_of(after)))
    return reshape(matmul(np.ascontiguousarray(weights.T).astype(x.dtype), rows), shape)
