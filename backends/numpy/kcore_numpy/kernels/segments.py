"""Reductions by index with NumPy's ufuncs, and views of bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel

_UFUNCS: dict[str, np.ufunc] = {"max": np.maximum, "min": np.minimum, "mul": np.multiply}


def _neutral(dtype: np.dtype, reduction: str) -> Any:
    if reduction == "mul":
        return 1
    if dtype.kind == "f":
        return -np.inf if reduction == "max" else np.inf
    if dtype.kind == "b":
        return reduction == "min"
    limits = np.iinfo(dtype)
    return limits.min if reduction == "max" else limits.max


@kernel("scatter_reduce", backend="numpy", supports=lambda node: node.outputs[0].dtype not in ("bfloat16", "float16"))
def scatter_reduce(site: Site) -> Thunk:
    (indices, updates), out = site.inputs, site.outputs[0]
    ufunc, size = _UFUNCS[site.attrs["reduction"]], site.attrs["size"]
    neutral = _neutral(out.dtype, site.attrs["reduction"])

    def run() -> None:
        out.fill(neutral)
        ufunc.at(out, np.clip(indices, 0, size - 1), updates)

    return run


@kernel("view", backend="numpy")
def view(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]

    def run() -> None:
        out[...] = np.ascontiguousarray(x).view(out.dtype).reshape(out.shape)

    return run
