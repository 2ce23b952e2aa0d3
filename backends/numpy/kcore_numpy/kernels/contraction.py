"""Matrix products by NumPy's BLAS, straight into the planned buffer; half precision accumulates in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node
from kcore_numpy.products import product

_HALF = ("float16", "bfloat16")


def _sizes(node: Node) -> list[int]:
    """Elements of the two inputs and the output, each rounded up to whole cache lines of float32."""
    return [v.size + -v.size % 16 for v in (*node.inputs, node.outputs[0])]  # type: ignore[union-attr]


def _swapped(x: Any, transposed: bool) -> Any:
    return np.swapaxes(x, -1, -2) if transposed else x


@kernel("matmul", backend="numpy", scratch=lambda node: 4 * sum(_sizes(node)) if node.outputs[0].dtype in _HALF else 0)
def matmul(site: Site) -> Thunk:
    ta, tb = site.attrs["transpose_a"], site.attrs["transpose_b"]
    a, b = site.inputs
    out = site.outputs[0]
    if site.node.outputs[0].dtype not in _HALF:
        return product(_swapped(a, ta), _swapped(b, tb), out)
    wide, at = [], 0
    for array, n in zip((a, b, out), _sizes(site.node), strict=True):
        wide.append(np.ndarray(array.shape, np.float32, site.scratch, at))
        at += 4 * n
    left, right = _swapped(wide[0], ta), _swapped(wide[1], tb)

    def run() -> None:
        np.copyto(wide[0], a)
        np.copyto(wide[1], b)
        np.matmul(left, right, wide[2])
        np.copyto(out, wide[2], casting="unsafe")

    return run
