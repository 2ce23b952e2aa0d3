"""The rotation in NumPy: half a tensor at a time, straight into the planned buffer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kcore.backend.kernel import Site, kernel
from kcore.graph.core import Node


def _half_bytes(node: Node) -> int:
    return node.outputs[0].nbytes // 2


@kernel(
    "kcore_rotary>rotate",
    backend="numpy",
    supports=lambda node: node.outputs[0].dtype in ("float32", "float64"),
    scratch=_half_bytes,
)
def rotate(site: Site) -> Callable[[], None]:
    """``(a, b) -> (a cos - b sin, b cos + a sin)``."""
    x, cos, sin = site.inputs
    out = site.outputs[0]
    if not out.size:
        return _nothing
    half = x.shape[-1] // 2
    a, b, left, right = x[..., :half], x[..., half:], out[..., :half], out[..., half:]
    product = np.ndarray(a.shape, out.dtype, site.scratch)

    def run() -> None:
        np.multiply(b, sin, out=product)
        np.multiply(a, cos, out=left)
        np.subtract(left, product, out=left)
        np.multiply(a, sin, out=product)
        np.multiply(b, cos, out=right)
        np.add(right, product, out=right)

    return run


def _nothing() -> None:
    """What there is to do for a tensor without elements."""
