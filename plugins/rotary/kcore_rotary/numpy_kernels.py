"""The rotation in NumPy: whole rows at a time, piece by piece, as much as stays in a core's cache.

NumPy is fast where its inner loops are long, and half a row is short. So the cosines are laid out for whole rows, the
sines with their signs, and the halves are exchanged by a copy: what is computed then runs through a piece without gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from kcore.backend.kernel import Site, kernel
from kcore.graph.core import Node

#: Bytes of a piece, about.
PIECE = 1 << 17


def pieces(node: Node) -> tuple[tuple[int, ...], int]:
    """The trailing axes that the angles, and a piece, run along, and how many elements of the first one are a piece."""
    x, cos = node.outputs[0], node.sources[1]
    shape = x.shape if len(x.shape) > 1 else (1, *x.shape)
    itemsize = x.nbytes // max(x.size, 1)
    first = len(shape) - max(len(cos.shape), 2)
    while first and prod(shape[first:]) * itemsize < PIECE:
        first -= 1
    block = shape[first:]
    return block, min(max(PIECE // max(prod(block[1:]) * itemsize, 1), 1), max(block[0], 1))


def _scratch(node: Node) -> int:
    block, rows = pieces(node)
    return 3 * rows * prod(block[1:]) * (node.outputs[0].nbytes // max(node.outputs[0].size, 1))


@kernel(
    "kcore_rotary>rotate",
    backend="numpy",
    supports=lambda node: node.outputs[0].dtype in ("float32", "float64"),
    scratch=_scratch,
    strided=False,
)
def rotate(site: Site) -> Callable[[], None]:
    """``(a, b) -> (a cos - b sin, b cos + a sin)``."""
    x, cos, sin = site.inputs
    out = site.outputs[0]
    if not out.size:
        return _nothing
    block, rows = pieces(site.node)
    half = block[-1] // 2
    apart = (*block[:-1], 2, half)
    given, result = x.reshape(-1, *block), out.reshape(-1, *block)
    cosines, sines = (np.broadcast_to(a[..., None, :], apart) for a in (cos, sin))
    work = np.ndarray((3, rows, *apart[1:]), out.dtype, site.scratch)
    steps = []
    for start in range(0, block[0], rows):
        here = slice(start, start + rows)
        c, s, turned = work[:, : min(rows, block[0] - start)]
        each = []
        for source, target in zip(given[:, here], result[:, here], strict=True):
            pairs = source.reshape(c.shape)
            each.append((pairs, pairs[..., ::-1, :], target.reshape(c.shape)))
        steps.append((c, s, s[..., 0, :], turned, cosines[here], sines[here], each))

    def run() -> None:
        for c, s, first, turned, cosine, sine, each in steps:
            np.copyto(c, cosine)
            np.copyto(s, sine)
            np.negative(first, out=first)
            for pairs, exchanged, target in each:
                np.copyto(turned, exchanged)
                np.multiply(turned, s, out=turned)
                np.multiply(pairs, c, out=target)
                np.add(target, turned, out=target)

    return run


def _nothing() -> None:
    """What there is to do for a tensor without elements."""
