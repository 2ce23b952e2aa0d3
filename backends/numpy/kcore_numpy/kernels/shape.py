"""Movement kernels: views where NumPy has one, else copies into the planned buffer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel


def _movement(op: str, view: Callable[..., Any]) -> None:
    @kernel(op, backend="numpy", view=view)
    def bind(site: Site) -> Thunk:
        return partial(np.copyto, site.outputs[0], view(site.inputs[0], **site.attrs))


def _slices(start: tuple, stop: tuple, step: tuple) -> tuple[slice, ...]:
    return tuple(map(slice, start, stop, step))


_movement("transpose", lambda x, axes: np.transpose(x, axes))
_movement("broadcast_to", lambda x, shape: np.broadcast_to(x, shape))
_movement("slice", lambda x, start, stop, step: x[_slices(start, stop, step)])
_movement("flip", lambda x, axes: np.flip(x, axes))


@kernel("reshape", backend="numpy", view=lambda x, shape: x.reshape(shape))
def reshape(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    return partial(np.copyto, out.reshape(x.shape), x)  # the contiguous side is reshaped: no copy is made


@kernel("unslice", backend="numpy")
def unslice(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    inner = out[_slices(site.attrs["start"], site.attrs["stop"], site.attrs["step"])]

    def run() -> None:
        out.fill(0)
        np.copyto(inner, x)

    return run


@kernel("concatenate", backend="numpy")
def concatenate(site: Site) -> Thunk:
    out, axis = site.outputs[0], site.attrs["axis"]
    copies, at = [], 0
    for x in site.inputs:
        part = out[(slice(None),) * axis + (slice(at, at + x.shape[axis]),)]
        copies.append(partial(np.copyto, part, x))
        at += x.shape[axis]

    def run() -> None:
        for copy in copies:
            copy()

    return run


@kernel("pad", backend="numpy")
def pad(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    inner = out[tuple(slice(a, a + d) for (a, _), d in zip(site.attrs["pads"], x.shape, strict=True))]
    value = np.asarray(site.attrs["value"]).astype(out.dtype)

    def run() -> None:
        out.fill(value)
        np.copyto(inner, x)

    return run


@kernel("full", backend="numpy")
def full(site: Site) -> Thunk:
    return partial(site.outputs[0].fill, site.attrs["value"])


@kernel("constant", backend="numpy")
def constant(site: Site) -> Thunk:
    return partial(np.copyto, site.outputs[0], site.attrs["value"].array)


@kernel("iota", backend="numpy")
def iota(site: Site) -> Thunk:
    out, axis = site.outputs[0], site.attrs["axis"]
    steps = np.arange(out.shape[axis]).reshape([-1 if i == axis else 1 for i in range(out.ndim)])
    return partial(np.copyto, out, steps, casting="unsafe")
