"""Convolution kernels: blocked im2col and matrix products, for the forward pass and both gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.match import Pattern, term
from kcore.graph.op import sample
from kcore_numpy import blas, threads
from kcore_numpy.patches import Axis, Patches, Reader, Step, aligned, as_matrix, in_order, plain

if TYPE_CHECKING:
    from kcore.graph.core import Node

Slices = tuple[slice, ...]


def _itemsize(node: Node) -> int:
    return node.outputs[0].nbytes // max(1, node.outputs[0].size) or np.dtype(node.outputs[0].dtype).itemsize


# -- geometry ----------------------------------------------------------------------------------------------------------


def forward_axes(
    sizes: tuple[int, ...], outs: tuple[int, ...], window: tuple[int, ...], attrs: dict[str, Any]
) -> tuple[Axis, ...]:
    """The windows of the convolution itself."""
    return tuple(
        Axis(size, -low, step, taps, spacing, out)
        for size, out, taps, step, (low, _), spacing in zip(
            sizes, outs, window, attrs["strides"], attrs["padding"], attrs["dilation"], strict=True
        )
    )


@dataclass(frozen=True)
class Phase:
    """Input positions ``i % stride == phase`` along each axis: their gradient is a convolution with stride 1.

    Attributes:
        axes: the windows over the output gradient, or None if no tap reaches these positions.
        taps: the kernel's taps that take part, last one first, as a slice for each axis.
        where: the input positions, as a slice for each spatial axis.
    """

    axes: tuple[Axis, ...] | None
    taps: Slices
    where: Slices


def _axis_phases(
    size: int, out: int, window: int, step: int, low: int, spacing: int
) -> Iterator[tuple[Axis | None, slice, slice]]:
    """Along one axis. Input i receives output o through tap t where ``o * step + t * spacing - low == i``."""
    period = step // gcd(step, spacing)  # taps of one phase are this far apart
    for phase in range(min(step, size)):
        where = slice(phase, size, step)
        first = next((t for t in range(min(period, window)) if (phase + low - t * spacing) % step == 0), None)
        if first is None:
            yield None, slice(0, 0), where
            continue
        count = (window - 1 - first) // period + 1
        last = first + (count - 1) * period
        start = (phase + low - last * spacing) // step
        taps = slice(last, first - 1 if first else None, -period)
        yield Axis(out, start, 1, count, period * spacing // step, len(range(phase, size, step))), taps, where


def phases(
    sizes: tuple[int, ...], outs: tuple[int, ...], window: tuple[int, ...], attrs: dict[str, Any]
) -> list[Phase]:
    """The convolutions over the output gradient that together make the input gradient."""
    found: list[Phase] = [Phase((), (), ())]
    for size, out, taps, step, (low, _), spacing in zip(
        sizes, outs, window, attrs["strides"], attrs["padding"], attrs["dilation"], strict=True
    ):
        choices = list(_axis_phases(size, out, taps, step, low, spacing))
        found = [
            Phase(
                None if p.axes is None or axis is None else (*p.axes, axis),
                (*p.taps, chosen),
                (*p.where, where),
            )
            for p in found
            for axis, chosen, where in choices
        ]
    return found


def _channels(group: int, size: int) -> slice:
    return slice(group * size, (group + 1) * size)


# -- the two products --------------------------------------------------------------------------------------------------


class _Scratch:
    """A site's scratch bytes, dealt out in aligned pieces."""

    def __init__(self, array: np.ndarray | None):
        self.rest = array if array is not None else np.empty(0, np.uint8)

    def take(self, nbytes: int) -> np.ndarray:
        piece, self.rest = self.rest[:nbytes], self.rest[aligned(nbytes) :]
        return piece


def _apply_bytes(patches: Patches, direct_out: bool) -> int:
    """Scratch of `_apply`."""
    out = 0 if direct_out else patches.block_positions * patches.filters * patches.itemsize
    return patches.parts * (patches.padding_bytes + patches.patch_bytes + aligned(out))


def _apply(
    patches: Patches,
    x: np.ndarray,
    matrix: np.ndarray,
    out: np.ndarray,
    scratch: np.ndarray | None,
    finish: Callable[[np.ndarray], list[Step]] = lambda block: [],
) -> Thunk:
    """Thunk for ``out = patches(x) @ matrix``; `finish` gives more steps for each block of out, still in cache.

    `out` is (batch, *outs, filters); positions need not be contiguous, as in one phase of a strided gradient.
    """
    contiguous = out.strides[-1] == out.itemsize and _rows_contiguous(out)
    memory = _Scratch(scratch)
    thunks = []
    for share in patches.shares():
        reader = Reader(patches, x, memory.take(patches.padding_bytes), memory.take(patches.patch_bytes))
        product = None if contiguous else memory.take(patches.block_positions * patches.filters * patches.itemsize)
        steps = reader.prologue()
        for block in share:
            more, left = reader.gather(block)
            target = out[block.at]
            steps += more
            if product is None:
                steps.append(blas.matmul(left, matrix, as_matrix(target)))
            else:
                held = product[: target.size * out.itemsize].view(out.dtype)
                steps.append(blas.matmul(left, matrix, held.reshape(-1, patches.filters)))
                steps.append(partial(np.copyto, target, held.reshape(target.shape)))
            steps += finish(target)
        thunks.append(in_order(steps))
    return threads.team(thunks, blas=True)


def _rows_contiguous(array: np.ndarray) -> bool:
    """All axes but the last lie behind one another, so that a block is a matrix."""
    expected = array.strides[-2]
    for size, stride in zip(array.shape[-2::-1], array.strides[-2::-1], strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _correlate_bytes(patches: Patches) -> int:
    """Scratch of `_correlate`."""
    sums = 2 * aligned(patches.depth * patches.filters * patches.itemsize)
    return patches.parts * (patches.padding_bytes + patches.patch_bytes + sums)


def _correlate(patches: Patches, x: np.ndarray, g: np.ndarray, out: np.ndarray, scratch: np.ndarray | None) -> Thunk:
    """Thunk for ``out = patches(x).T @ g``, summed block by block on each thread and then over the threads in order.

    `out` is (*taps, channels, filters), perhaps a slice of the filters.
    """
    memory = _Scratch(scratch)
    shape = (patches.depth, patches.filters)
    nbytes = prod(shape) * patches.itemsize
    thunks, sums = [], []
    for share in patches.shares():
        reader = Reader(patches, x, memory.take(patches.padding_bytes), memory.take(patches.patch_bytes))
        total, part = (memory.take(nbytes).view(x.dtype).reshape(shape) for _ in range(2))
        steps = reader.prologue()
        for number, block in enumerate(share):
            more, left = reader.gather(block)
            steps += more
            right = as_matrix(g[block.at])
            if number == 0:
                steps.append(blas.matmul(left.T, right, total))
            else:
                steps.append(blas.matmul(left.T, right, part))
                steps.append(partial(np.add, total, part, total))
        thunks.append(in_order(steps))
        sums.append(total.reshape(out.shape))
    finish: list[Step] = [threads.team(thunks, blas=True)]
    if len(sums) == 1:
        finish.append(partial(np.copyto, out, sums[0]))
    else:
        finish.append(partial(np.add, sums[0], sums[1], out))
        finish += [partial(np.add, out, s, out) for s in sums[2:]]
    return in_order(finish)


# -- forward -----------------------------------------------------------------------------------------------------------


def _forward_patches(x: Any, kernel_shape: tuple[int, ...], y: Any, attrs: dict[str, Any], itemsize: int) -> Patches:
    axes = forward_axes(x.shape[1:-1], y.shape[1:-1], kernel_shape[:-2], attrs)
    return Patches(axes, x.shape[0], kernel_shape[-2], kernel_shape[-1] // attrs["groups"], itemsize)


def _conv_scratch(node: Node) -> int:
    x, weights = node.inputs
    return _apply_bytes(
        _forward_patches(x, weights.shape, node.outputs[0], node.attrs, _itemsize(node)),  # type: ignore[union-attr]
        direct_out=True,
    )


@kernel("conv", backend="numpy", scratch=_conv_scratch, strided=False)
def conv(site: Site) -> Thunk:
    """Patches times the kernel as a matrix, group by group."""
    return conv_thunk(site, lambda block: [])


def conv_thunk(site: Site, finish: Callable[[np.ndarray], list[Step]], attrs: dict[str, Any] | None = None) -> Thunk:
    """The forward convolution of a site's first two inputs, with more steps for each finished block."""
    x, weights = (plain(a) for a in site.inputs[:2])
    y, attrs = site.outputs[0], attrs or site.attrs
    patches = _forward_patches(x, weights.shape, y, attrs, x.itemsize)
    if not y.size:
        return in_order([])
    if not patches.depth:
        return in_order([partial(y.fill, 0), *finish(y)])
    matrix = weights.reshape(patches.depth, weights.shape[-1])
    steps = []
    for group in range(attrs["groups"]):
        inner, outer = _channels(group, patches.channels), _channels(group, patches.filters)
        steps.append(_apply(patches, x[..., inner], matrix[:, outer], y[..., outer], site.scratch, finish))
    return steps[0] if len(steps) == 1 else in_order(steps)


# -- forward with bias and activation ----------------------------------------------------------------------------------

_SUM = term("add", term("conv", "x", "kernel"), "bias")
_SAMPLES = [
    ((2, 6, 5, 3), (3, 3, 3, 4), {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}),
    ((3, 17, 16, 1), (3, 3, 1, 5), {"strides": (2, 1), "padding": ((0, 0), (0, 1)), "dilation": (1, 1), "groups": 1}),
    ((2, 15, 2), (4, 2, 3), {"strides": (1,), "padding": ((3, 0),), "dilation": (1,), "groups": 1}),
]


def _fits(captured: dict[str, Any], matched: dict[str, Node]) -> bool:
    """A bias of one number for each filter, of the dtype of the convolution."""
    weights, bias = captured["kernel"], captured["bias"]
    return bias.shape == weights.shape[-1:] and bias.dtype == weights.dtype and matched["conv"].attrs["groups"] == 1


_BIAS = Pattern(
    "conv_bias",
    _SUM,
    accepts=_fits,
    samples=[sample(x, k, k[-1:], conv=("conv", attrs), add=("add", {})) for x, k, attrs in _SAMPLES],
)
_BIAS_RELU = Pattern(
    "conv_bias_relu",
    term("relu", _SUM),
    accepts=_fits,
    samples=[
        sample(x, k, k[-1:], conv=("conv", attrs), add=("add", {}), relu=("relu", {}), grad=False)
        for x, k, attrs in _SAMPLES
    ],
)


def _fused_scratch(node: Node) -> int:
    x, weights = node.inputs[:2]
    attrs = node.attrs["conv"][1]
    return _apply_bytes(_forward_patches(x, weights.shape, node.outputs[0], attrs, _itemsize(node)), direct_out=True)  # type: ignore[union-attr]


@kernel("conv_bias", backend="numpy", scratch=_fused_scratch, strided=False, pattern=_BIAS)
def conv_bias(site: Site) -> Thunk:
    """The convolution, with the bias added to each block while it is in cache."""
    bias = site.inputs[2]
    return conv_thunk(site, lambda block: [partial(np.add, block, bias, block)], site.attrs["conv"][1])


@kernel("conv_bias_relu", backend="numpy", scratch=_fused_scratch, strided=False, pattern=_BIAS_RELU)
def conv_bias_relu(site: Site) -> Thunk:
    """The convolution, bias and rectifier, block by block."""
    bias, zero = site.inputs[2], site.outputs[0].dtype.type(0)

    def finish(block: np.ndarray) -> list[Step]:
        return [partial(np.add, block, bias, block), partial(np.maximum, block, zero, out=block)]

    return conv_thunk(site, finish, site.attrs["conv"][1])


# -- gradient of the input ---------------------------------------------------------------------------------------------


def _input_grad_plans(g: Any, weights: Any, x: Any, attrs: dict[str, Any], itemsize: int) -> list[tuple[Phase, Any]]:
    window, groups = weights.shape[:-2], attrs["groups"]
    return [
        (
            phase,
            None
            if phase.axes is None
            else Patches(phase.axes, x.shape[0], weights.shape[-1] // groups, weights.shape[-2], itemsize),
        )
        for phase in phases(x.shape[1:-1], g.shape[1:-1], window, attrs)
    ]


def _flipped_bytes(weights: Any, itemsize: int) -> int:
    return aligned(prod(weights.shape) * itemsize)


def _input_grad_scratch(node: Node) -> int:
    g, weights = node.inputs
    x, size = node.outputs[0], _itemsize(node)
    unit = all(s == 1 for s in node.attrs["strides"])
    plans = _input_grad_plans(g, weights, x, node.attrs, size)
    wanted = [_apply_bytes(patches, direct_out=unit) for _, patches in plans if patches is not None]
    return _flipped_bytes(weights, size) + max(wanted, default=0)


@kernel("conv_input_grad", backend="numpy", scratch=_input_grad_scratch, strided=False)
def conv_input_grad(site: Site) -> Thunk:
    """For each phase of the strides: patches of the output gradient times the flipped kernel as a matrix."""
    g, weights = (plain(a) for a in site.inputs)
    x, attrs = site.outputs[0], site.attrs
    if not x.size:
        return in_order([])
    if not g.size or not weights.size:
        return partial(x.fill, 0)
    cut = _flipped_bytes(weights, x.itemsize)
    flipped, scratch = site.scratch[:cut], site.scratch[cut:]
    steps: list[Step] = []
    for phase, patches in _input_grad_plans(g, weights, x, attrs, x.itemsize):
        target = x[(slice(None), *phase.where)]
        if patches is None:
            steps.append(
                partial(target.fill, 0) if target.flags.c_contiguous else partial(np.copyto, target, x.dtype.type(0))
            )
            continue
        for group in range(attrs["groups"]):
            inner, outer = _channels(group, patches.filters), _channels(group, patches.channels)
            taps = weights[(*phase.taps, slice(None), outer)].swapaxes(-1, -2)
            held = flipped[: taps.size * x.itemsize].view(x.dtype).reshape(taps.shape)
            steps.append(partial(np.copyto, held, taps))
            matrix = held.reshape(patches.depth, patches.filters)
            steps.append(_apply(patches, g[..., outer], matrix, target[..., inner], scratch))
    return in_order(steps)


# -- gradient of the kernel --------------------------------------------------------------------------------------------


def _kernel_grad_scratch(node: Node) -> int:
    x, g = node.inputs
    return _correlate_bytes(_forward_patches(x, node.outputs[0].shape, g, node.attrs, _itemsize(node)))


@kernel("conv_kernel_grad", backend="numpy", scratch=_kernel_grad_scratch, strided=False)
def conv_kernel_grad(site: Site) -> Thunk:
    """Transposed patches times the output gradient, group by group."""
    x, g = (plain(a) for a in site.inputs)
    out, attrs = site.outputs[0], site.attrs
    patches = _forward_patches(x, out.shape, g, attrs, x.itemsize)
    if not out.size:
        return in_order([])
    if not g.size:
        return partial(out.fill, 0)
    steps = []
    for group in range(attrs["groups"]):
        inner, outer = _channels(group, patches.channels), _channels(group, patches.filters)
        steps.append(_correlate(patches, x[..., inner], g[..., outer], out[..., outer], site.scratch))
    return steps[0] if len(steps) == 1 else in_order(steps)
