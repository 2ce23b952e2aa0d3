"""Depthwise convolution kernels: one product and one sum per tap and block, no patches are gathered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import threads
from kcore_numpy.kernels.convolution import forward_axes, phases
from kcore_numpy.patches import Axis, Block, Patches, Reader, Step, aligned, in_order, plain

if TYPE_CHECKING:
    from kcore.graph.core import Node

#: What a product and a sum by NumPy cost, in multiply-adds of BLAS.
_COST = 16


def _depthwise(weights: Any, attrs: dict[str, Any]) -> bool:
    return attrs["groups"] > 1 and weights.shape[-2] == 1


def _patches(axes: tuple[Axis, ...], batch: int, channels: int, itemsize: int) -> Patches:
    return Patches(axes, batch, channels, _COST, itemsize, gathers=False)


def _by_multiplier(array: np.ndarray, channels: int) -> list[np.ndarray]:
    """(..., channels * multiplier) as one (..., channels) view for each multiple."""
    split = array.reshape(*array.shape[:-1], channels, array.shape[-1] // channels)
    return [split[..., m] for m in range(split.shape[-1])]


def _tile_elements(patches: Patches) -> int:
    """A tap's factors, repeated along the last axis: inner loops then run over positions and channels at once."""
    return patches.outs[-1] * patches.channels


def _bytes(patches: Patches, sums: int) -> int:
    """For each thread: padding, a product, and this many sums of a block."""
    block = aligned(patches.block_positions * patches.channels * patches.itemsize)
    return patches.parts * (patches.padding_bytes + (1 + sums) * block)


def _walk(reader: Reader, block: Block) -> tuple[list[Step], Iterator[tuple[int, np.ndarray]]]:
    """Steps that pad a block's input, and for each tap its number and the (images, *outs, channels) it reads."""
    steps, view = reader.windows(block)
    axes = reader.patches.axes
    everything = (slice(None),) * (len(axes) + 1)
    shape = tuple(a.taps for a in axes)
    return steps, ((i, view[(*everything, *tap)]) for i, tap in enumerate(np.ndindex(*shape)))


def _weighted(
    patches: Patches, sources: Sequence[np.ndarray], tiles: Sequence[np.ndarray], out: np.ndarray, scratch: np.ndarray
) -> Thunk:
    """Thunk for ``out = sum over sources s, taps t of source[s][t] * tiles[s][t]``, out of any strides."""
    nbytes = aligned(patches.block_positions * patches.channels * patches.itemsize)
    thunks, used = [], 0
    for share in patches.shares():
        padding = scratch[used : used + patches.padding_bytes]
        used += patches.padding_bytes
        products, totals = scratch[used : used + nbytes], scratch[used + nbytes : used + 2 * nbytes]
        used += 2 * nbytes
        readers = [Reader(patches, source, padding, padding[:0]) for source in sources]
        steps = readers[0].prologue()
        for block in share:
            target = out[block.at]
            size = target.size * out.itemsize
            product = products[:size].view(out.dtype).reshape(target.shape)
            total = target if target.flags.c_contiguous else totals[:size].view(out.dtype).reshape(target.shape)
            fresh = True
            for reader, factors in zip(readers, tiles, strict=True):
                more, reads = _walk(reader, block)
                steps += more
                for number, values in reads:
                    factor = factors[number, : target.shape[-2] * patches.channels].reshape(-1, patches.channels)
                    steps.append(partial(np.multiply, values, factor, total if fresh else product))
                    if not fresh:
                        steps.append(partial(np.add, total, product, total))
                    fresh = False
            if total is not target:
                steps.append(partial(np.copyto, target, total))
        thunks.append(in_order(steps))
    return threads.team(thunks)


def _tiles(
    weights: np.ndarray, channels: int, taps: tuple[slice, ...], width: int, room: np.ndarray
) -> tuple[list[Step], list[np.ndarray]]:
    """Steps that repeat each tap's factors `width` times, and the (taps, width * channels) arrays, one a multiple."""
    steps: list[Step] = []
    arrays = []
    for chosen in _by_multiplier(weights, channels):
        factors = chosen[taps][..., 0, :]
        shape = (*factors.shape[:-1], width, channels)
        nbytes = prod(shape) * weights.itemsize
        held, room = room[:nbytes].view(weights.dtype), room[aligned(nbytes) :]
        steps.append(partial(np.copyto, held.reshape(shape), factors[..., None, :]))
        arrays.append(held.reshape(-1, width * channels))
    return steps, arrays


def _tile_bytes(weights: Any, width: int, itemsize: int) -> int:
    *window, _, outer = weights.shape
    return 64 * outer + aligned(prod(window) * width * outer * itemsize)


# -- forward -----------------------------------------------------------------------------------------------------------


def _forward(x: Any, weights: Any, y: Any, attrs: dict[str, Any], itemsize: int) -> Patches:
    axes = forward_axes(x.shape[1:-1], y.shape[1:-1], weights.shape[:-2], attrs)
    return _patches(axes, x.shape[0], x.shape[-1], itemsize)


def _itemsize(node: Node) -> int:
    return np.dtype(node.outputs[0].dtype).itemsize


def _forward_scratch(node: Node) -> int:
    x, weights = node.inputs
    patches = _forward(x, weights, node.outputs[0], node.attrs, _itemsize(node))
    return _tile_bytes(weights, patches.outs[-1], patches.itemsize) + _bytes(patches, 1)


@kernel(
    "conv",
    backend="numpy",
    supports=lambda node: _depthwise(node.inputs[1], node.attrs),
    scratch=_forward_scratch,
    strided=False,
    priority=1,
)
def depthwise_conv(site: Site) -> Thunk:
    """For each multiple, the sum over the taps of inputs times factors."""
    x, weights = (plain(a) for a in site.inputs)
    y = site.outputs[0]
    if not y.size:
        return in_order([])
    patches = _forward(x, weights, y, site.attrs, x.itemsize)
    cut = _tile_bytes(weights, patches.outs[-1], x.itemsize)
    everything = (slice(None),) * len(patches.axes)
    steps, tiles = _tiles(weights, x.shape[-1], everything, patches.outs[-1], site.scratch[:cut])
    for tile, out in zip(tiles, _by_multiplier(y, x.shape[-1]), strict=True):
        steps.append(_weighted(patches, [x], [tile], out, site.scratch[cut:]))
    return in_order(steps)


# -- gradient of the input ---------------------------------------------------------------------------------------------


def _phases(g: Any, weights: Any, x: Any, attrs: dict[str, Any], itemsize: int) -> list[tuple[Any, Patches | None]]:
    found = phases(x.shape[1:-1], g.shape[1:-1], weights.shape[:-2], attrs)
    return [(p, None if p.axes is None else _patches(p.axes, x.shape[0], x.shape[-1], itemsize)) for p in found]


def _input_grad_scratch(node: Node) -> int:
    g, weights = node.inputs
    x, size = node.outputs[0], _itemsize(node)
    plans = [p for _, p in _phases(g, weights, x, node.attrs, size) if p is not None]
    return _tile_bytes(weights, x.shape[-2], size) + max((_bytes(p, 1) for p in plans), default=0)


@kernel(
    "conv_input_grad",
    backend="numpy",
    supports=lambda node: _depthwise(node.inputs[1], node.attrs),
    scratch=_input_grad_scratch,
    strided=False,
    priority=1,
)
def depthwise_input_grad(site: Site) -> Thunk:
    """For each phase of the strides, the sum over multiples and taps of output gradients times factors."""
    g, weights = (plain(a) for a in site.inputs)
    x = site.outputs[0]
    if not x.size:
        return in_order([])
    channels = x.shape[-1]
    if not g.size:
        return partial(x.fill, 0)
    cut = _tile_bytes(weights, x.shape[-2], x.itemsize)
    steps: list[Step] = []
    for phase, patches in _phases(g, weights, x, site.attrs, x.itemsize):
        target = x[(slice(None), *phase.where)]
        if patches is None:
            steps.append(partial(np.copyto, target, x.dtype.type(0)))
            continue
        more, tiles = _tiles(weights, channels, phase.taps, patches.outs[-1], site.scratch[:cut])
        steps += [*more, _weighted(patches, _by_multiplier(g, channels), tiles, target, site.scratch[cut:])]
    return in_order(steps)


# -- gradient of the kernel --------------------------------------------------------------------------------------------


def _kernel_grad_scratch(node: Node) -> int:
    x, g = node.inputs
    patches = _forward(x, node.outputs[0], g, node.attrs, _itemsize(node))
    taps = prod(a.taps for a in patches.axes)
    sums = aligned(taps * _tile_elements(patches) * patches.itemsize) + aligned(
        _tile_elements(patches) * patches.itemsize
    )
    return _bytes(patches, 0) + patches.parts * sums


@kernel(
    "conv_kernel_grad",
    backend="numpy",
    supports=lambda node: _depthwise(node.outputs[0], node.attrs),
    scratch=_kernel_grad_scratch,
    strided=False,
    priority=1,
)
def depthwise_kernel_grad(site: Site) -> Thunk:
    """For each multiple and tap, the sum over positions of inputs times output gradients, by thread, then folded."""
    x, g = (plain(a) for a in site.inputs)
    out = site.outputs[0]
    if not out.size:
        return in_order([])
    if not g.size:
        return partial(out.fill, 0)
    channels = x.shape[-1]
    patches = _forward(x, out, g, site.attrs, x.itemsize)
    targets = _by_multiplier(out, channels)
    return in_order(
        [
            _sums(patches, x, gradient, target, site.scratch)
            for gradient, target in zip(_by_multiplier(g, channels), targets, strict=True)
        ]
    )


def _sums(patches: Patches, x: np.ndarray, g: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> Thunk:
    taps, width = prod(a.taps for a in patches.axes), _tile_elements(patches)
    nbytes = aligned(patches.block_positions * patches.channels * patches.itemsize)
    thunks, totals, used = [], [], 0

    def take(size: int) -> np.ndarray:
        nonlocal used
        used += aligned(size)
        return scratch[used - aligned(size) : used - aligned(size) + size]

    for share in patches.shares():
        reader, products = Reader(patches, x, take(patches.padding_bytes), scratch[:0]), take(nbytes)
        total = take(taps * width * x.itemsize).view(x.dtype).reshape(taps, width)
        vector = take(width * x.itemsize).view(x.dtype)
        work: list[Step] = [*reader.prologue(), partial(total.fill, 0)]
        for block in share:
            gradient = g[block.at]
            product = products[: gradient.size * x.itemsize].view(x.dtype).reshape(gradient.shape)
            row = gradient.shape[-2] * patches.channels
            more, reads = _walk(reader, block)
            work += more
            for number, values in reads:
                held = total[number, :row]
                work.append(partial(np.multiply, values, gradient, product))
                work.append(partial(np.add.reduce, product.reshape(-1, row), 0, None, vector[:row]))
                work.append(partial(np.add, held, vector[:row], held))
        thunks.append(in_order(work))
        totals.append(total)
    first = totals[0]
    folded = first.reshape(*(a.taps for a in patches.axes), 1, -1, patches.channels)
    steps: list[Step] = [threads.team(thunks)]
    steps += [partial(np.add, first, other, first) for other in totals[1:]]
    steps.append(partial(np.add.reduce, folded, -2, None, out))
    return in_order(steps)
