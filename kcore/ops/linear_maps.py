"""Maps along axes of a tensor: matrices of constants, and repetition along several axes at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.ops.contraction import matmul
from kcore.ops.shape import broadcast_to, expand_dims, reshape
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


def repeat_along(x: Any, factors: Mapping[int, int]) -> Any:
    """Each element several times along several axes, as one index map.

    Args:
        x: any dtype; sizes may be unknown.
        factors: non-negative axis -> how often.
    """
    new, wide, shape = [], [], []
    for axis, size in enumerate(x.shape):
        factor = factors.get(axis, 1)
        wide.append(size)
        if factor > 1:
            new.append(len(wide))
            wide.append(factor)
        shape.append(None if size is None else size * factor)
    return reshape(broadcast_to(expand_dims(x, new), wide), shape) if new else x
