"""Normalization kernels: statistics and results chunk by chunk in cache, over the threads, sums kept in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import threads
from kcore_numpy.patches import Step, aligned, in_order, plain

if TYPE_CHECKING:
    from kcore.graph.core import Node

#: Elements that are worked on at a time.
_CHUNK = 32 * 1024
#: Elements below which a second thread costs more than it brings.
_GRAIN = 40_000
#: Channels are repeated side by side up to about this width, so that inner loops are long.
_WIDTH = 1024


def _float(node: Node) -> bool:
    return node.outputs[0].dtype in ("float32", "float64")


class _Scratch:
    """A site's scratch, dealt out as arrays."""

    def __init__(self, array: np.ndarray | None):
        self.array, self.used = array, 0

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        nbytes = prod(shape) * np.dtype(dtype).itemsize
        piece = self.array[self.used : self.used + nbytes]  # type: ignore[index]
        self.used += aligned(nbytes)
        return piece.view(dtype).reshape(shape)


def _parts(size: int) -> int:
    return max(1, min(threads.count(), size // _GRAIN))


def _chunks(rows: int, width: int, parts: int) -> list[list[slice]]:
    """Row slices of about _CHUNK elements, for each thread."""
    step = max(1, _CHUNK // max(1, width))
    edges = [rows * i // parts for i in range(parts + 1)]
    return [[slice(a, min(a + step, edges[i + 1])) for a in range(edges[i], edges[i + 1], step)] for i in range(parts)]


# -- statistics over the batch -----------------------------------------------------------------------------------------


class _Columns:
    """(positions, channels) seen as (rows, repeat * channels): long rows, whose sums are folded to channels last."""

    def __init__(self, shape: Sequence[int]):
        self.positions, self.channels = prod(shape[:-1]), shape[-1]
        wish = max(1, _WIDTH // max(1, self.channels))
        self.repeat = next((r for r in range(wish, 0, -1) if self.positions % r == 0), 1) if self.positions else 1
        self.width = self.repeat * self.channels
        self.rows = self.positions // self.repeat
        self.parts = _parts(self.positions * self.channels)

    def wide(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.rows, self.width)

    def scratch_bytes(self, itemsize: int, sums: int, tiles: int, buffers: int) -> int:
        """For `sums` column sums, `tiles` tiled vectors and `buffers` chunk buffers, of the itemsize."""
        chunk = max(1, _CHUNK // max(1, self.width)) * self.width * itemsize
        per_part = sums * aligned(self.width * 8) + aligned(self.width * itemsize) + buffers * aligned(chunk)
        vectors = 8 * aligned(self.channels * 8)
        return self.parts * per_part + tiles * aligned(self.width * itemsize) + vectors

    def chunk_buffer(self, memory: _Scratch, dtype: np.dtype) -> np.ndarray:
        return memory.take((max(1, _CHUNK // max(1, self.width)), self.width), dtype)

    def over(self, work: Callable[[int, slice], list[Step]], before: Callable[[int], list[Step]]) -> Step:
        """Run ``before(part)`` and then ``work(part, rows)`` for each of its chunks, on all threads."""
        return threads.team(
            [
                in_order([*before(part), *(step for rows in chunks for step in work(part, rows))])
                for part, chunks in enumerate(_chunks(self.rows, self.width, self.parts))
            ]
        )

    def fold(self, sums: Sequence[np.ndarray], out: np.ndarray) -> list[Step]:
        """Steps that add the threads' sums, in order, and fold them to (channels,) in float64."""
        steps: list[Step] = [partial(np.add, sums[0], s, sums[0]) for s in sums[1:]]
        steps.append(partial(np.add.reduce, sums[0].reshape(self.repeat, self.channels), 0, None, out))
        return steps

    def spread(self, vector: np.ndarray, tile: np.ndarray) -> Step:
        """Step that repeats a (channels,) vector over a row."""
        return partial(np.copyto, tile.reshape(self.repeat, self.channels), vector, "same_kind")


def _columns_scratch(sums: int, tiles: int, buffers: int) -> Callable[[Node], int]:
    def scratch(node: Node) -> int:
        x = node.inputs[0]
        return _Columns(x.shape).scratch_bytes(np.dtype(x.dtype).itemsize, sums, tiles, buffers)  # type: ignore[union-attr]

    return scratch


@kernel(
    "batch_norm_train",
    backend="numpy",
    supports=_float,
    scratch=_columns_scratch(sums=1, tiles=3, buffers=0),
    inplace=((0, 0),),
    strided=False,
)
def batch_norm_train(site: Site) -> Thunk:
    """Mean, then squares of the centered values, which are already standing in the output, then scale and shift."""
    x, gamma, beta = (plain(a) for a in site.inputs)
    y = site.outputs[0] if site.outputs[0] is not None else np.empty(x.shape, x.dtype)
    if not x.size:
        return in_order([partial(o.fill, np.nan) for o in site.outputs[1:] if o is not None])
    columns, memory = _Columns(x.shape), _Scratch(site.scratch)
    wide_x, wide_y = columns.wide(x), columns.wide(y)
    sums = [memory.take((columns.width,), np.float64) for _ in range(columns.parts)]
    parts = [memory.take((columns.width,), x.dtype) for _ in range(columns.parts)]
    mean_tile, scale, shift = (memory.take((columns.width,), x.dtype) for _ in range(3))
    mean, variance, rstd, factor = (memory.take((columns.channels,), np.float64) for _ in range(4))
    count, epsilon = float(columns.positions), site.attrs["epsilon"]

    def clear(part: int) -> list[Step]:
        return [partial(sums[part].fill, 0)]

    def add_up(part: int, rows: slice) -> list[Step]:
        return [
            partial(np.add.reduce, wide_x[rows], 0, None, parts[part]),
            partial(np.add, sums[part], parts[part], sums[part]),
        ]

    def square_up(part: int, rows: slice) -> list[Step]:
        chunk = wide_y[rows]
        return [
            partial(np.subtract, wide_x[rows], mean_tile, chunk),
            partial(np.einsum, "ij,ij->j", chunk, chunk, out=parts[part]),
            partial(np.add, sums[part], parts[part], sums[part]),
        ]

    def finish(part: int, rows: slice) -> list[Step]:
        chunk = wide_y[rows]
        return [partial(np.multiply, chunk, scale, chunk), partial(np.add, chunk, shift, chunk)]

    steps: list[Step] = [
        columns.over(add_up, clear),
        *columns.fold(sums, mean),
        partial(np.divide, mean, count, mean),
        columns.spread(mean, mean_tile),
        columns.over(square_up, clear),
        *columns.fold(sums, variance),
        partial(np.divide, variance, count, variance),
        partial(np.add, variance, epsilon, rstd),
        partial(np.sqrt, rstd, rstd),
        partial(np.reciprocal, rstd, rstd),
        *_deliver(site.outputs[1:], (mean, variance, rstd)),
    ]
    if site.outputs[0] is not None:
        steps += [
            partial(np.multiply, rstd, gamma, factor),
            columns.spread(factor, scale),
            columns.spread(beta, shift),
            columns.over(finish, lambda part: []),
        ]
    return in_order(steps)


def _deliver(outputs: Sequence[np.ndarray | None], values: Sequence[np.ndarray]) -> list[Step]:
    return [partial(np.copyto, o, v, "same_kind") for o, v in zip(outputs, values, strict=True) if o is not None]


@kernel(
    "batch_norm_grad",
    backend="numpy",
    supports=_float,
    scratch=_columns_scratch(sums=2, tiles=4, buffers=1),
    inplace=((0, 4),),
    strided=False,
)
def batch_norm_grad(site: Site) -> Thunk:
    """Two sums over the batch; then dx = a g + b x + c with three factors for each channel."""
    x, gamma, mean, rstd, g = (plain(a) for a in site.inputs)
    dx, dgamma, dbeta = site.outputs
    if not x.size:
        return in_order([partial(o.fill, 0) for o in site.outputs if o is not None])
    columns, memory = _Columns(x.shape), _Scratch(site.scratch)
    wide_x, wide_g = columns.wide(x), columns.wide(g)
    along, plain_sums = ([memory.take((columns.width,), np.float64) for _ in range(columns.parts)] for _ in range(2))
    parts = [memory.take((columns.width,), x.dtype) for _ in range(columns.parts)]
    buffers = [columns.chunk_buffer(memory, x.dtype) for _ in range(columns.parts)]
    mean_tile, a_tile, b_tile, c_tile = (memory.take((columns.width,), x.dtype) for _ in range(4))
    total, a, b, c, held = (memory.take((columns.channels,), np.float64) for _ in range(5))
    count = float(columns.positions)

    def clear(part: int) -> list[Step]:
        return [partial(along[part].fill, 0), partial(plain_sums[part].fill, 0)]

    def add_up(part: int, rows: slice) -> list[Step]:
        centered = buffers[part][: rows.stop - rows.start]
        return [
            partial(np.subtract, wide_x[rows], mean_tile, centered),
            partial(np.einsum, "ij,ij->j", wide_g[rows], centered, out=parts[part]),
            partial(np.add, along[part], parts[part], along[part]),
            partial(np.add.reduce, wide_g[rows], 0, None, parts[part]),
            partial(np.add, plain_sums[part], parts[part], plain_sums[part]),
        ]

    steps: list[Step] = [
        columns.spread(mean, mean_tile),
        columns.over(add_up, clear),
        *columns.fold(along, b),
        *columns.fold(plain_sums, total),
        partial(np.multiply, b, rstd, b),
        *_deliver((dgamma, dbeta), (b, total)),
    ]
    if dx is None:
        return in_order(steps)
    wide_dx = columns.wide(dx)

    def finish(part: int, rows: slice) -> list[Step]:
        scaled, chunk = buffers[part][: rows.stop - rows.start], wide_dx[rows]
        return [
            partial(np.multiply, wide_g[rows], a_tile, chunk),
            partial(np.multiply, wide_x[rows], b_tile, scaled),
            partial(np.add, chunk, scaled, chunk),
            partial(np.add, chunk, c_tile, chunk),
        ]

    steps += [
        partial(np.multiply, rstd, gamma, a),
        partial(np.divide, a, -count, c),
        partial(np.multiply, b, c, b),
        partial(np.multiply, b, rstd, b),  # b = -gamma rstd^2 dgamma / count
        partial(np.multiply, c, total, c),
        partial(np.multiply, b, mean, held),
        partial(np.subtract, c, held, c),  # c = -gamma rstd dbeta / count - b mean
        columns.spread(a, a_tile),
        columns.spread(b, b_tile),
        columns.spread(c, c_tile),
        columns.over(finish, lambda part: []),
    ]
    return in_order(steps)


@kernel(
    "batch_norm",
    backend="numpy",
    supports=_float,
    scratch=_columns_scratch(sums=0, tiles=3, buffers=0),
    inplace=((0, 0),),
    strided=False,
)
def batch_norm(site: Site) -> Thunk:
    """Subtract, scale and shift by tiled vectors."""
    x, mean, variance = (plain(a) for a in site.inputs[:3])
    gamma, beta = site.inputs[3:]
    y = site.outputs[0]
    if not x.size:
        return in_order([])
    columns, memory = _Columns(x.shape), _Scratch(site.scratch)
    wide_x, wide_y = columns.wide(x), columns.wide(y)
    mean_tile, scale, shift = (memory.take((columns.width,), x.dtype) for _ in range(3))
    factor = memory.take((columns.channels,), np.float64)
    steps: list[Step] = [
        partial(np.add, variance, site.attrs["epsilon"], factor),
        partial(np.sqrt, factor, factor),
        partial(np.reciprocal, factor, factor),
        columns.spread(mean, mean_tile),
    ]
    if gamma is not None:
        steps.append(partial(np.multiply, factor, gamma, factor))
    steps.append(columns.spread(factor, scale))
    if beta is not None:
        steps.append(columns.spread(beta, shift))

    def work(part: int, rows: slice) -> list[Step]:
        chunk = wide_y[rows]
        return [
            partial(np.subtract, wide_x[rows], mean_tile, chunk),
            partial(np.multiply, chunk, scale, chunk),
            *([partial(np.add, chunk, shift, chunk)] if beta is not None else []),
        ]

    return in_order([*steps, columns.over(work, lambda part: [])])


# -- statistics over the features --------------------------------------------------------------------------------------


class _Examples:
    """(*batch, *features) seen as (rows, features)."""

    def __init__(self, shape: Sequence[int], features: Sequence[int]):
        self.features = prod(features)
        self.rows = prod(shape[: len(shape) - len(features)])
        self.parts = _parts(self.rows * self.features)
        self.step = max(1, min(self.rows, _CHUNK // max(1, self.features)))

    def matrix(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.rows, self.features)

    def column(self, array: np.ndarray | None, memory: _Scratch, dtype: np.dtype) -> np.ndarray:
        """A statistic as (rows, 1); in scratch if nobody reads it."""
        return memory.take((self.rows, 1), dtype) if array is None else array.reshape(self.rows, 1)

    def chunks(self) -> list[list[slice]]:
        return _chunks(self.rows, self.features, self.parts)


def _examples_scratch(columns: int, vectors: int, sums: int, buffers: int) -> Callable[[Node], int]:
    """For columns of statistics, vectors of features and, for each thread, sums in float64 and chunk buffers."""

    def scratch(node: Node) -> int:
        x, gamma = node.inputs[:2]
        examples, itemsize = _Examples(x.shape, gamma.shape), np.dtype(x.dtype).itemsize  # type: ignore[union-attr]
        per_part = sums * aligned(examples.features * 8) + (1 if sums else 0) * aligned(examples.features * itemsize)
        per_part += buffers * aligned(examples.step * examples.features * itemsize)
        per_part += aligned(examples.step * itemsize) * 2 if buffers else 0
        shared = columns * aligned(examples.rows * itemsize) + vectors * aligned(examples.features * itemsize)
        return shared + examples.parts * per_part

    return scratch


@kernel(
    "layer_norm",
    backend="numpy",
    supports=_float,
    scratch=_examples_scratch(columns=2, vectors=1, sums=0, buffers=0),
    inplace=((0, 0),),
    strided=False,
)
def layer_norm(site: Site) -> Thunk:
    """Mean by a product with a vector of 1/n, squares of the centered values, scale and shift, for a chunk of rows."""
    x, gamma, beta = (plain(a) for a in site.inputs)
    y = site.outputs[0] if site.outputs[0] is not None else np.empty(x.shape, x.dtype)
    if not x.size:
        return in_order([])
    examples, memory = _Examples(x.shape, gamma.shape), _Scratch(site.scratch)
    x, y, gamma, beta = examples.matrix(x), examples.matrix(y), gamma.reshape(-1), beta.reshape(-1)
    mean, rstd = (examples.column(o, memory, x.dtype) for o in site.outputs[1:])
    share = memory.take((examples.features, 1), x.dtype)
    part_of, epsilon = x.dtype.type(1 / examples.features), x.dtype.type(site.attrs["epsilon"])
    thunks = []
    for chunks in examples.chunks():
        steps: list[Step] = []
        for rows in chunks:
            chunk, deviation = y[rows], rstd[rows]
            steps += [
                partial(np.matmul, x[rows], share, mean[rows]),
                partial(np.subtract, x[rows], mean[rows], chunk),
                partial(np.einsum, "ij,ij->i", chunk, chunk, out=deviation[:, 0]),
                partial(np.multiply, deviation, part_of, deviation),
                partial(np.add, deviation, epsilon, deviation),
                partial(np.sqrt, deviation, deviation),
                partial(np.reciprocal, deviation, deviation),
                partial(np.multiply, chunk, deviation, chunk),
                partial(np.multiply, chunk, gamma, chunk),
                partial(np.add, chunk, beta, chunk),
            ]
        thunks.append(in_order(steps))
    return in_order([partial(share.fill, part_of), threads.team(thunks, blas=True)])


@kernel(
    "layer_norm_grad",
    backend="numpy",
    supports=_float,
    scratch=_examples_scratch(columns=0, vectors=1, sums=2, buffers=1),
    inplace=((0, 4),),
    strided=False,
)
def layer_norm_grad(site: Site) -> Thunk:
    """All three gradients in one pass over chunks of rows; the parameters' sums are kept for each thread."""
    x, gamma, mean, rstd, g = (plain(a) for a in site.inputs)
    dx = site.outputs[0] if site.outputs[0] is not None else np.empty(x.shape, x.dtype)
    if not x.size:
        return in_order([partial(o.fill, 0) for o in site.outputs if o is not None])
    examples, memory = _Examples(x.shape, gamma.shape), _Scratch(site.scratch)
    x, g, dx, gamma = examples.matrix(x), examples.matrix(g), examples.matrix(dx), gamma.reshape(-1)
    mean, rstd = mean.reshape(-1, 1), rstd.reshape(-1, 1)
    n, parts = examples.features, range(examples.parts)
    part_of = x.dtype.type(1 / n)
    share = memory.take((n, 1), x.dtype)
    gammas, betas = ([memory.take((n,), np.float64) for _ in parts] for _ in range(2))
    thunks = []
    for part, chunks in enumerate(examples.chunks()):
        vector = memory.take((n,), x.dtype)
        buffer = memory.take((examples.step, n), x.dtype)
        first, second = (memory.take((examples.step, 1), x.dtype) for _ in range(2))
        steps: list[Step] = [partial(gammas[part].fill, 0), partial(betas[part].fill, 0)]
        for rows in chunks:
            size, chunk = rows.stop - rows.start, dx[rows]
            normal, level, slope = buffer[:size], first[:size], second[:size]
            steps += [
                partial(np.subtract, x[rows], mean[rows], normal),
                partial(np.multiply, normal, rstd[rows], normal),
                partial(np.einsum, "ij,ij->j", g[rows], normal, out=vector),
                partial(np.add, gammas[part], vector, gammas[part]),
                partial(np.add.reduce, g[rows], 0, None, vector),
                partial(np.add, betas[part], vector, betas[part]),
                partial(np.matmul, g[rows], share, level),  # mean of g gamma
                partial(np.multiply, g[rows], gamma, chunk),
                partial(np.einsum, "ij,ij->i", chunk, normal, out=slope[:, 0]),
                partial(np.multiply, slope, part_of, slope),
                partial(np.multiply, normal, slope, normal),
                partial(np.subtract, chunk, level, chunk),
                partial(np.subtract, chunk, normal, chunk),
                partial(np.multiply, chunk, rstd[rows], chunk),
            ]
        thunks.append(in_order(steps))
    steps = [partial(np.multiply, gamma, part_of, share[:, 0]), threads.team(thunks, blas=True)]
    for sums, out in zip((gammas, betas), site.outputs[1:], strict=True):
        if out is not None:
            steps += [partial(np.add, sums[0], s, sums[0]) for s in sums[1:]]
            steps.append(partial(np.copyto, out.reshape(-1), sums[0], "same_kind"))
    return in_order(steps)


@kernel(
    "rms_norm",
    backend="numpy",
    supports=_float,
    scratch=_examples_scratch(columns=1, vectors=0, sums=0, buffers=0),
    strided=False,
)
def rms_norm(site: Site) -> Thunk:
    """Mean of squares, its root, two products, for a chunk of rows."""
    x, scale = (plain(a) for a in site.inputs)
    y = site.outputs[0]
    if not x.size:
        return in_order([])
    examples, memory = _Examples(x.shape, scale.shape), _Scratch(site.scratch)
    x, y, scale = examples.matrix(x), examples.matrix(y), scale.reshape(-1)
    factor = memory.take((examples.rows, 1), x.dtype)
    part_of, epsilon = x.dtype.type(1 / examples.features), x.dtype.type(site.attrs["epsilon"])
    thunks = []
    for chunks in examples.chunks():
        steps: list[Step] = []
        for rows in chunks:
            chunk, root = y[rows], factor[rows]
            steps += [
                partial(np.einsum, "ij,ij->i", x[rows], x[rows], out=root[:, 0]),
                partial(np.multiply, root, part_of, root),
                partial(np.add, root, epsilon, root),
                partial(np.sqrt, root, root),
                partial(np.reciprocal, root, root),
                partial(np.multiply, x[rows], root, chunk),
                partial(np.multiply, chunk, scale, chunk),
            ]
        thunks.append(in_order(steps))
    return threads.team(thunks)
