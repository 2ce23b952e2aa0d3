"""Half dtypes where NumPy has no arithmetic, or too coarse a one: the float32 kernel between two casts."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Kernel, Site, Thunk, kernel, kernels_of
from kcore.graph.core import Node, Value
from kcore.graph.op import Spec

_LAPACK = ("solve", "solve_triangular", "det", "slogdet", "cholesky", "lu_factor", "qr", "eigh", "eig", "svd")
#: Op -> the half dtypes it computes through float32.
THROUGH_FLOAT32: dict[str, frozenset[str]] = {
    **dict.fromkeys((*_LAPACK, "erf", "scatter_add"), frozenset({"float16", "bfloat16"})),
    "argsort": frozenset({"bfloat16"}),
    "searchsorted": frozenset({"bfloat16"}),
}
_HALVES = ("float16", "bfloat16")


def _wide(node: Node) -> tuple[Node, Kernel]:
    """The same node in float32, and the kernel that computes it."""
    inputs = [Value(v.shape, "float32" if v.dtype in _HALVES else v.dtype) for v in node.inputs if v is not None]
    outputs = [Spec(v.shape, "float32") if v.dtype in _HALVES else v.spec for v in node.outputs]
    wide = Node(node.op, inputs, node.attrs, outputs)
    found = kernels_of("numpy").find(wide)
    assert found is not None
    return wide, found


def _rooms(node: Node) -> list[int]:
    """Bytes of the float32 copies of inputs and outputs, and of the kernel's own scratch, each to a multiple of 64."""
    wide, found = _wide(node)
    sizes = [v.nbytes if v.dtype == "float32" else 0 for v in (*wide.inputs, *wide.outputs) if v is not None]
    own = 0 if found.scratch is None else int(found.scratch(wide))
    return [-(-size // 64) * 64 for size in (*sizes, own)]


def _supports(dtypes: frozenset[str]) -> Any:
    return lambda node: any(v is not None and v.dtype in dtypes for v in (*node.inputs, *node.outputs))


def _register(name: str, dtypes: frozenset[str]) -> None:
    @kernel(name, backend="numpy", supports=_supports(dtypes), scratch=lambda node: sum(_rooms(node)), strided=False)
    def bind(site: Site) -> Thunk:
        wide, found = _wide(site.node)
        arrays, offset = [], 0
        values = [*wide.inputs, *wide.outputs]
        for value, given, room in zip(values, (*site.inputs, *site.outputs), _rooms(site.node), strict=False):
            assert value is not None
            if room:
                given = site.scratch[offset : offset + value.nbytes].view(np.float32).reshape(value.shape)
            elif given.size == 0:
                given = given.astype(value.dtype)
            arrays.append(given)
            offset += room
        inputs, outputs = tuple(arrays[: len(wide.inputs)]), tuple(arrays[len(wide.inputs) :])
        own = 0 if found.scratch is None else int(found.scratch(wide))
        scratch = site.scratch[offset : offset + own] if own else None
        compute = found.bind(Site(wide, inputs, outputs, scratch, site.device))
        before = [(w, x) for w, x in zip(inputs, site.inputs, strict=True) if w is not x]
        after = [(y, w) for w, y in zip(outputs, site.outputs, strict=True) if w is not y]
        return partial(_run, before, compute, after)


def _run(before: list, compute: Thunk, after: list) -> None:
    for wide, half in before:
        np.copyto(wide, half)
    compute()
    for half, wide in after:
        np.copyto(half, wide, casting="unsafe")


for _name, _dtypes in THROUGH_FLOAT32.items():
    _register(_name, _dtypes)
