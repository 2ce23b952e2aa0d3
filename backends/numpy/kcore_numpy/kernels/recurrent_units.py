"""GRU and simple recurrent networks over the whole sequence: recurrences of one state, in place step by step.

Of each gate the gradient by its preactivation is a factor times the gradient of the state, so that the factors of all
steps are computed at once, over the threads, and a step backwards is one multiplication and one product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import blas, threads
from kcore_numpy.kernels.recurrent import _each, _floating, _grain, _Memory, _order, _rows
from kcore_numpy.products import product

# -- forward ---------------------------------------------------------------------------------------------------------


class _Forward:
    """The buffers of a forward pass: planned outputs where somebody reads them, working memory elsewhere."""

    def __init__(self, node: Any, outputs: Sequence[Any], storage: np.ndarray | None):
        x, _, kernel_, recurrent = node.inputs[:4]
        (steps, batch, _), (units, columns) = x.shape, recurrent.shape
        memory = _Memory(storage, node.outputs[0].dtype)
        self.kernel = memory.array(*kernel_.shape)
        self.recurrent = memory.array(units, columns)
        # Whole blocks: NumPy adds them twice as fast as it broadcasts a row.
        self.bias = memory.array(batch, columns)
        self.state_bias = memory.array(batch, units)
        self.through = memory.array(batch, columns)
        self.inputs = memory.array(steps, batch, columns)
        self.hidden = memory.array(steps, batch, units) if outputs[0] is None else outputs[0]
        self.gates: Any = None
        self.kept: Any = None
        if len(outputs) == 3:  # of a GRU
            self.gates = memory.array(*node.outputs[2].shape) if outputs[2] is None else outputs[2]
            self.kept = memory.array(batch, units)
        self.bytes = memory.used


def _forward_scratch(node: Any) -> int:
    # Which outputs nobody reads is known only to the site, so there is room for all of them.
    return _Forward(node, (None,) * len(node.outputs), None).bytes


@kernel("simple_rnn", backend="numpy", supports=_floating, scratch=_forward_scratch, strided=False)
def simple_rnn(site: Site) -> Thunk:
    buffers = _Forward(site.node, site.outputs, site.scratch)
    _, _, weights, recurrent, bias, _ = site.inputs

    def prepare() -> None:
        if bias is not None:
            np.copyto(buffers.bias, bias)

    def step(t: int, rows: slice) -> tuple[np.ndarray, ...]:
        return (buffers.inputs[t][rows],)

    run = partial(_run_simple, buffers.through, None if bias is None else buffers.bias)
    return _forward(site, buffers, prepare, weights, (recurrent, buffers.through), step, run)


@kernel("gru", backend="numpy", supports=_floating, scratch=_forward_scratch, strided=False)
def gru(site: Site) -> Thunk:
    """A sigmoid is 0.5 tanh(0.5 z) + 0.5, so with halved weights two gates are one tanh."""
    buffers = _Forward(site.node, site.outputs, site.scratch)
    units = site.inputs[3].shape[0]
    half = np.full(3 * units, 0.5, buffers.hidden.dtype)
    half[2 * units :] = 1.0
    return (_reset_after if site.attrs["reset_after"] else _reset_before)(site, buffers, half)


def _reset_after(site: Site, buffers: _Forward, half: np.ndarray) -> Thunk:
    """The reset gate behind the product with the state."""
    _, _, weights, recurrent, bias, _ = site.inputs
    units = recurrent.shape[0]

    def prepare() -> None:
        np.multiply(weights, half, out=buffers.kernel)
        np.multiply(recurrent, half, out=buffers.recurrent)
        if bias is not None:
            np.copyto(buffers.state_bias, bias[1, 2 * units :])
            np.copyto(buffers.bias[:, 2 * units :], bias[0, 2 * units :])
            np.copyto(buffers.bias[:, : 2 * units], (bias[0, : 2 * units] + bias[1, : 2 * units]) * 0.5)

    def step(t: int, rows: slice) -> tuple[np.ndarray, ...]:
        inputs, gates = buffers.inputs[t][rows], buffers.gates[t][rows]
        parts = [gates[:, k * units : (k + 1) * units] for k in range(4)]
        return (inputs[:, : 2 * units], inputs[:, 2 * units :], gates[:, units : 3 * units], *parts)

    biases = (None, None) if bias is None else (buffers.bias, buffers.state_bias)
    run = partial(_run_gru, buffers.through, *biases)
    return _forward(site, buffers, prepare, buffers.kernel, (buffers.recurrent, buffers.through), step, run)


def _reset_before(site: Site, buffers: _Forward, half: np.ndarray) -> Thunk:
    """The reset gate before the product with the state, which is therefore two products."""
    _, _, weights, recurrent, bias, _ = site.inputs
    units = recurrent.shape[0]
    by_state, by_kept = _side_by_side(buffers.recurrent, 2 * units)

    def prepare() -> None:
        np.multiply(weights, half, out=buffers.kernel)
        np.multiply(recurrent[:, : 2 * units], 0.5, out=by_state)
        np.copyto(by_kept, recurrent[:, 2 * units :])
        if bias is not None:
            np.multiply(bias, half, out=buffers.bias)

    def step(t: int, rows: slice) -> tuple[np.ndarray, ...]:
        gates = buffers.gates[t][rows]
        zr, g = gates[:, : 2 * units], gates[:, 2 * units :]
        return (buffers.inputs[t][rows], zr, zr[:, :units], zr[:, units:], g)

    through = _side_by_side(buffers.through, 2 * units)
    working = (*through, buffers.kept, None if bias is None else buffers.bias)
    run = partial(_run_reset_before, by_kept, working)
    return _forward(site, buffers, prepare, buffers.kernel, (by_state, through[0]), step, run)


def _side_by_side(memory: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Memory of a matrix as two matrices of as many rows: one of `columns`, one of the rest."""
    rows, both = memory.shape
    flat = memory.reshape(-1)
    return flat[: rows * columns].reshape(rows, columns), flat[rows * columns :].reshape(rows, both - columns)


def _forward(
    site: Site,
    buffers: _Forward,
    prepare: Thunk,
    weights: np.ndarray,
    by_state: tuple[np.ndarray, np.ndarray],
    step: Callable[[int, slice], tuple[np.ndarray, ...]],
    run: Callable[[slice, list], None],
) -> Thunk:
    """One product for all inputs, then `run` for shares of the batch with what `step` needs of each step.

    `by_state` is what the state is multiplied by at each step, and where the product goes.
    """
    x, h0, _, recurrent, _, mask = site.inputs
    steps, batch, features = x.shape
    units, columns = recurrent.shape
    through_all = product(x.reshape(-1, features), weights, buffers.inputs.reshape(-1, columns))
    parts = []
    for start, stop in threads.split(batch, _rows(units)):
        rows = slice(start, stop)
        work = []
        for t, before in _order(steps, site.attrs["reverse"]):
            h_old = h0 if before is None else buffers.hidden[before]
            held = None if mask is None else mask[t][rows, None]
            through = blas.matmul(h_old[rows], by_state[0], by_state[1][rows])
            work.append((through, *step(t, rows), h_old[rows], buffers.hidden[t][rows], held))
        parts.append(partial(run, rows, work))
    thunks: list[Thunk] = [prepare, through_all, threads.team(parts, blas=True)]
    if site.outputs[1] is not None:
        thunks.append(partial(np.copyto, site.outputs[1], buffers.hidden[0 if site.attrs["reverse"] else steps - 1]))
    return partial(_each, thunks)


def _run_simple(through: np.ndarray, bias: Any, rows: slice, work: list) -> None:
    """All steps of a simple recurrent network for some rows of the batch."""
    through, bias = through[rows], None if bias is None else bias[rows]
    add, tanh = np.add, np.tanh
    for state_product, inputs, h_old, h, held in work:
        state_product()
        add(through, inputs, through)
        if bias is not None:
            add(through, bias, through)
        tanh(through, h)
        if held is not None:
            np.copyto(h, h_old, where=~held)


def _run_gru(through: np.ndarray, bias: Any, state_bias: Any, rows: slice, work: list) -> None:
    """All steps of a GRU for some rows of the batch."""
    through = through[rows]
    units = through.shape[1] // 3
    through_zr, through_a = through[:, : 2 * units], through[:, 2 * units :]
    if bias is not None:
        bias_zr, bias_g, bias_a = bias[rows, : 2 * units], bias[rows, 2 * units :], state_bias[rows]
    add, multiply, subtract, tanh = np.add, np.multiply, np.subtract, np.tanh
    for state_product, x_zr, x_g, zr, g, z, r, a, h_old, h, held in work:
        state_product()
        add(x_zr, through_zr, zr)
        if bias is None:
            np.copyto(a, through_a)
        else:
            add(zr, bias_zr, zr)
            add(through_a, bias_a, a)
        tanh(zr, zr)
        multiply(zr, 0.5, zr)
        add(zr, 0.5, zr)
        multiply(r, a, g)
        add(g, x_g, g)
        if bias is not None:
            add(g, bias_g, g)
        tanh(g, g)
        subtract(h_old, g, h)
        multiply(h, z, h)
        add(h, g, h)
        if held is not None:
            np.copyto(h, h_old, where=~held)


def _run_reset_before(by_kept: np.ndarray, working: tuple, rows: slice, work: list) -> None:
    """All steps of a GRU whose reset gate acts before the product, for some rows of the batch."""
    through_zr, through_g, kept = (a[rows] for a in working[:3])
    bias = None if working[3] is None else working[3][rows]
    units = by_kept.shape[0]
    kept_product = blas.matmul(kept, by_kept, through_g)
    if bias is not None:
        bias_zr, bias_g = bias[:, : 2 * units], bias[:, 2 * units :]
    add, multiply, subtract, tanh = np.add, np.multiply, np.subtract, np.tanh
    for state_product, inputs, zr, z, r, g, h_old, h, held in work:
        state_product()
        add(inputs[:, : 2 * units], through_zr, zr)
        if bias is not None:
            add(zr, bias_zr, zr)
        tanh(zr, zr)
        multiply(zr, 0.5, zr)
        add(zr, 0.5, zr)
        multiply(r, h_old, kept)
        kept_product()
        add(inputs[:, 2 * units :], through_g, g)
        if bias is not None:
            add(g, bias_g, g)
        tanh(g, g)
        subtract(h_old, g, h)
        multiply(h, z, h)
        add(h, g, h)
        if held is not None:
            np.copyto(h, h_old, where=~held)


# -- backward --------------------------------------------------------------------------------------------------------


class _Backward:
    """The working memory of a backward pass; `slots` gates lie side by side in the slopes."""

    def __init__(self, node: Any, storage: np.ndarray | None):
        x, recurrent = node.inputs[2], node.inputs[5]
        (steps, batch, _), (units, columns) = x.shape, recurrent.shape
        self.slots = node.inputs[8].shape[-1] // units if columns > units else 1
        memory = _Memory(storage, node.outputs[0].dtype)
        self.slopes = memory.array(steps, batch, self.slots * units)
        self.before = memory.array(steps, batch, units)
        self.transposed = memory.array(columns, units)
        self.kernel = memory.array(*node.inputs[4].shape)
        self.dh, self.room, self.kept, self.to_kept = (memory.array(batch, units) for _ in range(4))
        self.valid = memory.array(steps, batch, 1)
        self.bytes = memory.used


def _backward_scratch(node: Any) -> int:
    return _Backward(node, None).bytes


@kernel("simple_rnn_grad", backend="numpy", supports=_floating, scratch=_backward_scratch, strided=False)
def simple_rnn_grad(site: Site) -> Thunk:
    buffers = _Backward(site.node, site.scratch)
    _, _, x, _, weights, _, _, hidden = site.inputs
    units = hidden.shape[-1]

    def factors(part: slice) -> None:
        slopes = buffers.slopes[part]
        np.multiply(hidden[part], hidden[part], out=slopes)
        np.subtract(1.0, slopes, out=slopes)

    dx, _, d_weights, d_recurrent, d_bias = site.outputs
    slopes = buffers.slopes.reshape(-1, units)
    after: list[Thunk] = []
    if dx is not None:
        after.append(product(slopes, weights.T, dx.reshape(-1, x.shape[2])))
    if d_weights is not None:
        after.append(product(x.reshape(-1, x.shape[2]).T, slopes, d_weights))
    if d_recurrent is not None:
        after.append(product(buffers.before.reshape(-1, units).T, slopes, d_recurrent))
    if d_bias is not None:
        after.append(partial(np.add.reduce, slopes, axis=0, out=d_bias))

    def step(t: int, rows: slice) -> tuple[Any, ...]:
        slopes = buffers.slopes[t][rows]
        return slopes[:, None, :], _back(buffers, slopes, rows), None

    return _backward(site, buffers, factors, step, _run_backward, after)


@kernel("gru_grad", backend="numpy", supports=_floating, scratch=_backward_scratch, strided=False)
def gru_grad(site: Site) -> Thunk:
    return (_after_grad if site.attrs["reset_after"] else _before_grad)(site)


def _after_grad(site: Site) -> Thunk:
    """The slopes lie as g, z, r, a: the first three are those of the inputs, the last three those of the state."""
    buffers = _Backward(site.node, site.scratch)
    _, _, x, _, weights, _, _, hidden, gates = site.inputs
    units, features = hidden.shape[-1], x.shape[2]

    def factors(part: slice) -> None:
        g, z, r, a = (gates[part][..., k * units : (k + 1) * units] for k in range(4))
        to_g, to_z, to_r, to_a = (buffers.slopes[part][..., k * units : (k + 1) * units] for k in range(4))
        np.subtract(1.0, z, out=to_g)
        np.subtract(buffers.before[part], g, out=to_z)
        np.multiply(to_z, z, out=to_z)
        np.multiply(to_z, to_g, out=to_z)
        np.multiply(g, g, out=to_a)
        np.subtract(1.0, to_a, out=to_a)
        np.multiply(to_g, to_a, out=to_g)
        np.multiply(to_g, r, out=to_a)
        np.subtract(1.0, r, out=to_r)
        np.multiply(to_r, to_a, out=to_r)
        np.multiply(to_r, a, out=to_r)

    dx, _, d_weights, d_recurrent, d_bias = site.outputs
    slopes = buffers.slopes.reshape(-1, 4 * units)
    by_inputs, by_state = slopes[:, : 3 * units], slopes[:, units:]
    flat = x.reshape(-1, features).T
    after: list[Thunk] = []
    if dx is not None:
        after.append(product(by_inputs, buffers.kernel.T, dx.reshape(-1, features)))
    if d_weights is not None:
        after.append(product(flat, slopes[:, units : 3 * units], d_weights[:, : 2 * units]))
        after.append(product(flat, slopes[:, :units], d_weights[:, 2 * units :]))
    if d_recurrent is not None:
        after.append(product(buffers.before.reshape(-1, units).T, by_state, d_recurrent))
    if d_bias is not None:

        def biases() -> None:
            sums = np.add.reduce(slopes, axis=0)
            d_bias[0, : 2 * units] = d_bias[1, : 2 * units] = sums[units : 3 * units]
            d_bias[0, 2 * units :], d_bias[1, 2 * units :] = sums[:units], sums[3 * units :]

        after.append(biases)

    def turn() -> None:
        np.copyto(buffers.kernel[:, :units], weights[:, 2 * units :])
        np.copyto(buffers.kernel[:, units:], weights[:, : 2 * units])

    def step(t: int, rows: slice) -> tuple[Any, ...]:
        flat = buffers.slopes[t][rows]
        return flat.reshape(-1, 4, units), _back(buffers, flat[:, units:], rows), gates[t][rows][:, units : 2 * units]

    return _backward(site, buffers, factors, step, _run_backward, [turn, *after])


def _before_grad(site: Site) -> Thunk:
    """The slopes lie as z, r, g. That of r is its factor times the gradient of r h, which comes from that of g."""
    buffers = _Backward(site.node, site.scratch)
    _, _, x, _, weights, _, _, hidden, gates = site.inputs
    units, features = hidden.shape[-1], x.shape[2]

    def factors(part: slice) -> None:
        z, r, g = (gates[part][..., k * units : (k + 1) * units] for k in range(3))
        to_z, to_r, to_g = (buffers.slopes[part][..., k * units : (k + 1) * units] for k in range(3))
        np.subtract(1.0, z, out=to_r)
        np.multiply(g, g, out=to_g)
        np.subtract(1.0, to_g, out=to_g)
        np.multiply(to_g, to_r, out=to_g)
        np.subtract(buffers.before[part], g, out=to_z)
        np.multiply(to_z, z, out=to_z)
        np.multiply(to_z, to_r, out=to_z)
        np.subtract(1.0, r, out=to_r)
        np.multiply(to_r, r, out=to_r)
        np.multiply(to_r, buffers.before[part], out=to_r)

    dx, _, d_weights, d_recurrent, d_bias = site.outputs
    slopes, before = buffers.slopes.reshape(-1, 3 * units), buffers.before.reshape(-1, units)
    resets = gates.reshape(-1, 3 * units)[:, units : 2 * units]
    after: list[Thunk] = []
    if dx is not None:
        after.append(product(slopes, weights.T, dx.reshape(-1, features)))
    if d_weights is not None:
        after.append(product(x.reshape(-1, features).T, slopes, d_weights))
    if d_recurrent is not None:
        after.append(product(before.T, slopes[:, : 2 * units], d_recurrent[:, : 2 * units]))
        after.append(partial(np.multiply, before, resets, out=before))
        after.append(product(before.T, slopes[:, 2 * units :], d_recurrent[:, 2 * units :]))
    if d_bias is not None:
        after.append(partial(np.add.reduce, slopes, axis=0, out=d_bias))

    def step(t: int, rows: slice) -> tuple[Any, ...]:
        flat, gate = buffers.slopes[t][rows], gates[t][rows]
        z, r, _ = (gate[:, k * units : (k + 1) * units] for k in range(3))
        to_z, to_r, to_g = (flat[:, k * units : (k + 1) * units] for k in range(3))
        to_kept = buffers.to_kept[rows]
        candidate = blas.matmul(to_g, buffers.transposed[2 * units :], to_kept)
        state = blas.matmul(flat[:, : 2 * units], buffers.transposed[: 2 * units], buffers.dh[rows])
        return to_z, to_r, to_g, state, z, r, to_kept, candidate

    return _backward(site, buffers, factors, step, _run_before_backward, after)


def _back(buffers: _Backward, slopes: np.ndarray, rows: slice) -> Thunk:
    """The gradient of the state before a step."""
    return blas.matmul(slopes, buffers.transposed, buffers.dh[rows])


def _backward(
    site: Site,
    buffers: _Backward,
    factors: Callable[[slice], None],
    step: Callable[[int, slice], tuple[Any, ...]],
    run: Callable[..., None],
    after: list[Thunk],
) -> Thunk:
    """Factors of all slopes, the walk over the steps, and what comes `after`.

    Args:
        site: of the kernel.
        buffers: working memory.
        factors: writes the factors of the slopes of some steps.
        step: what `run` needs of a step for some rows of the batch.
        run: walks over the steps for some rows of the batch.
        after: products with the slopes of all steps.
    """
    g_hidden, g_h, x, h0, _, recurrent, mask, hidden = site.inputs[:8]
    (steps, batch, _), units = x.shape, hidden.shape[-1]
    order = list(_order(steps, site.attrs["reverse"]))
    befores = [(t, h0 if p is None else hidden[p]) for t, p in order]

    def prepare(part: list) -> None:
        for t, h in part:
            np.copyto(buffers.before[t], h)
        factors(slice(min(t for t, _ in part), max(t for t, _ in part) + 1))

    def begin() -> None:
        np.copyto(buffers.transposed, recurrent.T)
        if mask is not None:
            np.copyto(buffers.valid[..., 0], mask)
        if g_h is None:
            buffers.dh.fill(0)
        else:
            np.copyto(buffers.dh, g_h)

    ahead = threads.team([partial(prepare, befores[a:b]) for a, b in threads.split(steps, _grain(batch * units))])
    parts = []
    for start, stop in threads.split(batch, _rows(units)):
        rows = slice(start, stop)
        work = []
        for t, _ in reversed(order):
            arriving = None if g_hidden is None else g_hidden[t][rows]
            valid = None if mask is None else buffers.valid[t][rows]
            work.append((arriving, valid, *step(t, rows)))
        state = buffers.dh[rows], buffers.room[rows], buffers.kept[rows]
        parts.append(partial(run, *state, work))
    thunks = [ahead, begin, threads.team(parts, blas=True), *after]
    if site.outputs[1] is not None:
        thunks.append(partial(np.copyto, site.outputs[1], buffers.dh))
    return partial(_each, thunks)


def _run_backward(dh: np.ndarray, room: np.ndarray, kept: np.ndarray, work: list) -> None:
    """All steps, last first, for some rows of the batch."""
    add, multiply = np.add, np.multiply
    wide = dh[:, None, :]
    for arriving, valid, slopes, back, handed in work:
        if arriving is not None:
            add(dh, arriving, dh)
        if valid is not None:
            multiply(dh, valid, room)
            np.subtract(dh, room, kept)
            np.copyto(dh, room)
        multiply(slopes, wide, slopes)
        if handed is not None:
            multiply(dh, handed, room)
        back()
        if handed is not None:
            add(dh, room, dh)
        if valid is not None:
            add(dh, kept, dh)


def _run_before_backward(dh: np.ndarray, room: np.ndarray, kept: np.ndarray, work: list) -> None:
    """All steps of a GRU whose reset gate acts before the product, last first, for some rows of the batch."""
    add, multiply = np.add, np.multiply
    for arriving, valid, to_z, to_r, to_g, state_product, z, r, to_kept, candidate in work:
        if arriving is not None:
            add(dh, arriving, dh)
        if valid is not None:
            multiply(dh, valid, room)
            np.subtract(dh, room, kept)
            np.copyto(dh, room)
        multiply(to_z, dh, to_z)
        multiply(to_g, dh, to_g)
        candidate()
        multiply(to_r, to_kept, to_r)
        multiply(to_kept, r, to_kept)
        multiply(dh, z, room)
        add(room, to_kept, room)
        state_product()
        add(dh, room, dh)
        if valid is not None:
            add(dh, kept, dh)
