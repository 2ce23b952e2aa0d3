"""LSTM over the whole sequence: one product for all inputs, then in place step by step; gradients the same way."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import blas, threads
from kcore_numpy.products import product, product_cost
from kcore_numpy.schedule import Job, pipeline, sequence

#: Bytes to which every piece of working memory is rounded up.
ALIGN = 64
#: Elements of the state from which the rows of the batch are shared by the threads. With fewer the steps go on one
#: thread, since two that make short NumPy calls wait for the interpreter lock, and another one works ahead and behind.
SHARED = 1 << 15
#: Pieces into which the steps are cut for that, and multiply-adds of a product that is worth a piece.
PIECES, PIECE = 10, 4_000_000
#: Elements of all gates of a sequence up to which the bias is added to all steps at once; else step by step in cache.
FEW = 1 << 17


class _Memory:
    """Cuts working memory into arrays; without memory it only counts the bytes."""

    def __init__(self, storage: np.ndarray | None, dtype: Any):
        self.storage = storage
        self.dtype = np.dtype(dtype)
        self.used = 0

    def array(self, *shape: int) -> Any:
        nbytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        start = self.used
        self.used += -(-nbytes // ALIGN) * ALIGN
        if self.storage is None:
            return None
        return self.storage[start : start + nbytes].view(self.dtype).reshape(shape)


def _sizes(x: Any, recurrent: Any) -> tuple[int, int, int, int]:
    """Steps, batch, features, units."""
    return (*x.shape, recurrent.shape[0])


def _order(steps: int, reverse: bool) -> Iterator[tuple[int, int | None]]:
    """Each step with the one before it, in the order of the computation."""
    turn = range(steps)[:: -1 if reverse else 1]
    return zip(turn, [None, *turn[:-1]], strict=True)


def _floating(node: Any) -> bool:
    floats = {v.dtype for v in node.inputs if v is not None and v.dtype != "bool"}
    return floats in ({"float32"}, {"float64"}) and all(v is None or v.size for v in node.inputs)


# -- forward ---------------------------------------------------------------------------------------------------------


class _Forward:
    """The buffers of a forward pass: planned outputs where somebody reads them, working memory elsewhere."""

    def __init__(self, node: Any, outputs: Any, storage: np.ndarray | None):
        x, _, _, kernel_, recurrent, bias, _ = node.inputs
        steps, batch, features, units = _sizes(x, recurrent)
        memory = _Memory(storage, node.outputs[0].dtype)
        hidden, _, _, cells, gates = outputs
        self.kernel = memory.array(features, 4 * units)
        self.recurrent = memory.array(units, 4 * units)
        # Whole blocks: NumPy adds them twice as fast as it broadcasts a row.
        self.bias = memory.array(batch, 4 * units)
        self.half = memory.array(batch, 4 * units)
        self.shift = memory.array(batch, 4 * units)
        self.through = memory.array(batch, 4 * units)
        self.room = memory.array(batch, units)
        self.hidden = memory.array(steps, batch, units) if hidden is None else hidden
        self.cells = memory.array(steps, batch, units) if cells is None else cells
        self.gates = memory.array(steps, batch, 4 * units) if gates is None else gates
        self.bytes = memory.used

    def rows(self, part: slice) -> tuple:
        """What the steps of some rows of the batch need."""
        return self.room[part], self.half[part], self.shift[part]


def _forward_scratch(node: Any) -> int:
    # Which outputs nobody reads is known only to the site, so there is room for all of them.
    return _Forward(node, (None,) * 5, None).bytes


@kernel("lstm", backend="numpy", supports=_floating, scratch=_forward_scratch, strided=False)
def lstm(site: Site) -> Thunk:
    """A sigmoid is 0.5 tanh(0.5 z) + 0.5, so halved weights leave one tanh over all four gates of a step."""
    x, h0, c0, weights, recurrent, bias, mask = site.inputs
    steps, batch, features, units = _sizes(x, recurrent)
    buffers = _Forward(site.node, site.outputs, site.scratch)
    half = np.full(4 * units, 0.5, buffers.gates.dtype)
    half[2 * units : 3 * units] = 1.0
    shift = 1 - half

    def scale() -> None:
        np.multiply(weights, half, out=buffers.kernel)
        np.multiply(recurrent, half, out=buffers.recurrent)
        np.copyto(buffers.half, half)
        np.copyto(buffers.shift, shift)
        if bias is not None:
            np.multiply(bias, half, out=buffers.bias)

    at_once = bias is not None and buffers.gates.size <= FEW
    before_all = [partial(np.add, buffers.gates, buffers.bias, out=buffers.gates)] if at_once else []
    shares = threads.split(batch, _rows(units)) if batch * units >= SHARED else [(0, batch)]
    parts = []
    for start, stop in shares:
        rows = slice(start, stop)
        work = []
        for t, before in _order(steps, site.attrs["reverse"]):
            h, c = (h0, c0) if before is None else (buffers.hidden[before], buffers.cells[before])
            gates = buffers.gates[t][rows]
            new = buffers.hidden[t][rows], buffers.cells[t][rows]
            held = None if mask is None else mask[t][rows, None]
            through = blas.add_matmul(h[rows], buffers.recurrent, gates, buffers.through[rows])
            work.append((through, gates, *np.split(gates, 4, axis=1), h[rows], c[rows], *new, held))
        own = None if bias is None or at_once else buffers.bias[rows]
        parts.append(partial(_run_forward, buffers.rows(rows), own, work))
    pieces = _pieces(steps, site.attrs["reverse"], batch * features * 4 * units)
    through_all: Thunk
    if len(parts) == 1 and len(pieces) > 1 and not at_once:
        jobs = []
        for piece in pieces:
            gates = buffers.gates[piece]
            ahead = [blas.matmul(x[piece].reshape(-1, features), buffers.kernel, gates.reshape(-1, 4 * units))]
            if bias is not None:
                ahead.append(partial(np.add, gates, buffers.bias, gates))
            cost = product_cost(gates.size * features) + gates.size / 2000
            jobs.append(Job(sequence(ahead), (), (gates,), cost))
            some = partial(_run_forward, buffers.rows(slice(None)), None, work[: len(gates)])
            del work[: len(gates)]
            writes = gates, buffers.hidden[piece], buffers.cells[piece], buffers.through, buffers.room
            jobs.append(Job(some, (buffers.hidden, buffers.cells), writes, len(gates) * _step_cost(batch, units)))
        through_all, loop = pipeline(jobs), _nothing
    else:
        through_all = product(x.reshape(-1, features), buffers.kernel, buffers.gates.reshape(-1, 4 * units))
        loop = threads.team(parts, blas=True)
    last = steps - 1 if not site.attrs["reverse"] else 0
    ends = [(site.outputs[1], buffers.hidden[last]), (site.outputs[2], buffers.cells[last])]
    copies = [partial(np.copyto, out, value) for out, value in ends if out is not None]
    return partial(_each, [scale, through_all, *before_all, loop, *copies])


def _rows(units: int) -> int:
    """Rows a thread should get at least: its products and elementwise steps must outweigh the handing over."""
    return max(1, 1024 // max(1, units))


def _pieces(steps: int, reverse: bool, work: int) -> list[slice]:
    """The steps in pieces, in the order of the computation, by the multiply-adds of what is done ahead for a step."""
    count = max(1, min(PIECES, steps * work // PIECE))
    edges = [steps * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)][:: -1 if reverse else 1]


def _step_cost(batch: int, units: int) -> float:
    """About how many microseconds a step takes on one thread."""
    return 10.0 + product_cost(4 * batch * units * units) + batch * units / 500


def _nothing() -> None:
    """What is left of a loop that was done before."""


def _each(thunks: list[Thunk]) -> None:
    for thunk in thunks:
        thunk()


def _run_forward(buffers: tuple, bias: np.ndarray | None, work: list) -> None:
    """All steps for some rows of the batch."""
    room, half, shift = buffers
    add, multiply, tanh = np.add, np.multiply, np.tanh
    for add_product_with_state, z, i, f, g, o, h_old, c_old, h, c, held in work:
        add_product_with_state()
        if bias is not None:
            add(z, bias, z)
        tanh(z, z)
        multiply(z, half, z)
        add(z, shift, z)
        multiply(f, c_old, c)
        multiply(i, g, room)
        add(c, room, c)
        tanh(c, h)
        multiply(h, o, h)
        if held is not None:
            skipped = ~held
            np.copyto(c, c_old, where=skipped)
            np.copyto(h, h_old, where=skipped)


# -- backward --------------------------------------------------------------------------------------------------------


class _Backward:
    """The working memory of a backward pass."""

    def __init__(self, node: Any, storage: np.ndarray | None):
        x, recurrent = node.inputs[3], node.inputs[7]
        steps, batch, _, units = _sizes(x, recurrent)
        memory = _Memory(storage, node.outputs[0].dtype)
        self.slopes = memory.array(steps, batch, 4 * units)
        self.outer = memory.array(steps, batch, units)
        self.before = memory.array(steps, batch, units)
        self.transposed = memory.array(4 * units, units)
        self.dh, self.dc = memory.array(batch, units), memory.array(batch, units)
        self.room, self.kept_h, self.kept_c = (memory.array(batch, units) for _ in range(3))
        self.valid = memory.array(steps, batch, 1)
        self.bytes = memory.used

    @property
    def states(self) -> tuple[np.ndarray, ...]:
        """What every step writes, and what is written before all steps."""
        rooms = (self.dh, self.dc, self.room, self.kept_h, self.kept_c)
        return (*rooms, self.transposed, self.valid)

    def rows(self, part: slice) -> tuple:
        """What the steps of some rows of the batch need."""
        columns = (self.dh, self.dc, self.room, self.kept_h, self.kept_c)
        return tuple(column[part] for column in columns)


@kernel(
    "lstm_grad",
    backend="numpy",
    supports=_floating,
    scratch=lambda node: _Backward(node, None).bytes,
    strided=False,
)
def lstm_grad(site: Site) -> Thunk:
    """Everything that does not depend on the incoming gradient is computed for all steps at once, over the threads."""
    g_sequence, g_h, g_c, x, h0, c0, weights, recurrent, mask, hidden, cells, gates = site.inputs
    steps, batch, features, units = _sizes(x, recurrent)
    buffers = _Backward(site.node, site.scratch)
    order = list(_order(steps, site.attrs["reverse"]))
    befores = [(t, h0 if p is None else hidden[p], c0 if p is None else cells[p]) for t, p in order]
    shares = threads.split(batch, _rows(units)) if batch * units >= SHARED else [(0, batch)]
    parts = []
    for begin, end in shares:
        rows = slice(begin, end)
        work = []
        for t, _ in reversed(order):
            flat = buffers.slopes[t][rows]
            slope = flat.reshape(-1, 4, units)
            forget = gates[t][rows, units : 2 * units]
            arriving = None if g_sequence is None else g_sequence[t][rows]
            valid = None if mask is None else buffers.valid[t][rows]
            back = blas.matmul(flat, buffers.transposed, buffers.dh[rows])
            work.append((arriving, buffers.outer[t][rows], slope[:, :3], slope[:, 3], forget, valid, back))
        parts.append(partial(_run_backward, buffers.rows(rows), work))
    dx, dh0, dc0, d_weights, d_recurrent, d_bias = site.outputs
    slopes = buffers.slopes.reshape(-1, 4 * units)
    start = partial(_begin, buffers, recurrent, mask, g_h, g_c)
    pieces = _pieces(steps, not site.attrs["reverse"], batch * features * 4 * units)
    sums = [
        (d_weights, x.reshape(-1, features)),
        (d_recurrent, buffers.before.reshape(-1, units)),
    ]
    after: list[Thunk] = []
    if len(parts) == 1 and len(pieces) > 1:
        jobs, behind = [Job(start, (), buffers.states, 20.0)], None
        for piece in pieces:
            some = sorted(befores, key=lambda step: step[0])[piece]
            made = buffers.slopes[piece], buffers.outer[piece], buffers.before[piece]
            cost = sum(a.size for a in made) / 400
            jobs.append(Job(partial(_slopes, some, gates, cells, units, buffers), (), made, cost))
            back = partial(_run_backward, buffers.rows(slice(None)), work[: len(some)])
            del work[: len(some)]
            cost = len(some) * _step_cost(batch, units)
            jobs.append(Job(back, (buffers.outer[piece],), (buffers.slopes[piece], *buffers.states), cost))
            if behind is not None:
                jobs.append(behind)
            if dx is not None:
                flat = buffers.slopes[piece].reshape(-1, 4 * units)
                through = blas.matmul(flat, weights.T, dx[piece].reshape(-1, features))
                behind = Job(through, (flat,), (dx[piece],), product_cost(flat.size * features))
        if behind is not None:
            jobs.append(behind)
        for target, left in sums:
            if target is not None:
                jobs += product(left.T, slopes, target).jobs
        after.append(pipeline(jobs))
    else:
        grain = _grain(batch * units)
        ahead = [partial(_slopes, befores[a:b], gates, cells, units, buffers) for a, b in threads.split(steps, grain)]
        after += [threads.team(ahead), start, threads.team(parts, blas=True)]
        if dx is not None:
            after.append(product(slopes, weights.T, dx.reshape(-1, features)))
        after += [product(left.T, slopes, target) for target, left in sums if target is not None]
    if d_bias is not None:
        after.append(partial(np.add.reduce, slopes, axis=0, out=d_bias))
    if dh0 is not None:
        after.append(partial(np.copyto, dh0, buffers.dh))
    if dc0 is not None:
        after.append(partial(np.copyto, dc0, buffers.dc))
    return partial(_each, after)


def _grain(elements: int) -> int:
    """Steps per thread: calls on few elements would only pass the interpreter lock back and forth."""
    return max(1, 65536 // max(1, elements))


def _slopes(befores: list, gates: np.ndarray, cells: np.ndarray, units: int, buffers: _Backward) -> None:
    """Derivative of each gate's part of the cell by its preactivation, and of the output by the cell."""
    for t, h, c in befores:
        np.copyto(buffers.before[t], h)
        np.copyto(buffers.outer[t], c)  # a place for the previous cells, until it is overwritten below
    steps = [t for t, _, _ in befores]
    part = slice(min(steps), max(steps) + 1)
    gates, slopes, outer = gates[part], buffers.slopes[part], buffers.outer[part]
    i, f, g, o = (gates[..., k * units : (k + 1) * units] for k in range(4))
    s_i, s_f, s_g, s_o = (slopes[..., k * units : (k + 1) * units] for k in range(4))
    np.multiply(gates, gates, out=slopes)
    np.subtract(gates, slopes, out=slopes)  # s (1 - s)
    np.multiply(s_i, g, out=s_i)
    np.multiply(s_f, outer, out=s_f)
    np.multiply(g, g, out=s_g)
    np.subtract(1.0, s_g, out=s_g)
    np.multiply(s_g, i, out=s_g)
    np.tanh(cells[part], out=outer)
    np.multiply(s_o, outer, out=s_o)
    np.multiply(outer, outer, out=outer)
    np.subtract(1.0, outer, out=outer)
    np.multiply(outer, o, out=outer)


def _begin(buffers: _Backward, recurrent: np.ndarray, mask: Any, g_h: Any, g_c: Any) -> None:
    np.copyto(buffers.transposed, recurrent.T)
    if mask is not None:
        np.copyto(buffers.valid[..., 0], mask)
    for target, value in ((buffers.dh, g_h), (buffers.dc, g_c)):
        if value is None:
            target.fill(0)
        else:
            np.copyto(target, value)


def _run_backward(buffers: tuple, work: list) -> None:
    """All steps, last first, for some rows of the batch."""
    dh, dc, room, kept_h, kept_c = buffers
    add, multiply = np.add, np.multiply
    wide = dc[:, None, :]
    for arriving, outer, three, fourth, forget, valid, back in work:
        if arriving is not None:
            add(dh, arriving, dh)
        if valid is not None:
            multiply(dh, valid, room)
            np.subtract(dh, room, kept_h)
            np.copyto(dh, room)
            multiply(dc, valid, room)
            np.subtract(dc, room, kept_c)
            np.copyto(dc, room)
        multiply(dh, outer, room)
        add(dc, room, dc)
        multiply(three, wide, three)
        multiply(fourth, dh, fourth)
        multiply(dc, forget, dc)
        back()
        if valid is not None:
            add(dh, kept_h, dh)
            add(dc, kept_c, dc)
