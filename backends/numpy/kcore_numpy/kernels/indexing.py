"""Gather by np.take into the planned buffer; scatter-add by ordering the rows, so that each slot is written once."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import threads

#: Indices handled at once: their int64 arrays stay below the 128 KB that a thunk may allocate.
CHUNK = 8192

#: A slot that gets more updates than this is summed by one reduction, the others in rounds over all slots.
ROUNDS = 6

#: Bytes of output from which a gather is split over the threads.
PARALLEL = 4 << 20


def _nothing() -> None:
    """Zero elements need no work."""


def _index_bytes(indices: Any) -> int:
    return 0 if indices.dtype == "int64" else 8 * indices.size


def _pointers(indices: np.ndarray, scratch: np.ndarray | None) -> tuple[np.ndarray, Thunk]:
    """The indices as int64, which np.take would otherwise allocate, and the thunk that refreshes them."""
    flat = indices.reshape(-1)
    if flat.dtype == np.int64:
        return flat, _nothing
    assert scratch is not None
    room = scratch[: 8 * flat.size].view(np.int64)
    return room, partial(np.copyto, room, flat)


# -- gather ----------------------------------------------------------------------------------------------------------


@kernel("gather", backend="numpy", scratch=lambda node: _index_bytes(node.inputs[1]), strided=False)
def gather(site: Site) -> Thunk:
    x, indices = site.inputs
    out, axis = site.outputs[0], site.attrs["axis"]
    if out.size == 0:
        return _nothing
    pointers, refresh = _pointers(indices, site.scratch)
    flat = out.reshape((*x.shape[:axis], pointers.size, *x.shape[axis + 1 :]))
    parts = threads.split(pointers.size) if axis == 0 and out.nbytes >= PARALLEL else [(0, pointers.size)]
    takes = [partial(x.take, pointers[a:b], axis, flat[a:b] if axis == 0 else flat, "clip") for a, b in parts]
    take = threads.team(takes)
    if refresh is _nothing:
        return take

    def run() -> None:
        refresh()
        take()

    return run


# -- scatter-add -----------------------------------------------------------------------------------------------------


def _scatter_shape(node: Any) -> tuple[int, int]:
    """How many updates there are along the axis, and how many elements each has."""
    indices, updates = node.inputs
    tail = updates.shape[node.attrs["axis"] + len(indices.shape) :]
    return indices.size, math.prod(tail)


def _scatter_scratch(node: Any) -> int:
    count, row = _scatter_shape(node)
    rows = 2 * min(count, CHUNK) * row * np.dtype(node.outputs[0].dtype).itemsize if row > 1 else 0
    return rows + _index_bytes(node.inputs[0]) + 64


@kernel(
    "scatter_add",
    backend="numpy",
    supports=lambda node: node.outputs[0].dtype not in ("float16", "bfloat16", "bool"),
    scratch=_scatter_scratch,
    strided=False,
)
def scatter_add(site: Site) -> Thunk:
    """Updates of equal index are added in their order, so the result does not depend on the number of threads."""
    indices, updates = site.inputs
    out, axis = site.outputs[0], site.attrs["axis"]
    if out.size == 0 or updates.size == 0:
        return partial(out.fill, 0)
    pointers, refresh = _pointers(indices, site.scratch)
    used = -(-_index_bytes(site.node.inputs[0]) // 64) * 64
    count, row = _scatter_shape(site.node)
    lead = math.prod(updates.shape[:axis])
    sources = updates.reshape(lead, count, row)
    targets = out.reshape(lead, site.attrs["size"], row)
    if row == 1:
        pairs = list(zip(targets[:, :, 0], sources[:, :, 0], strict=True))
        return partial(_add_elements, out, refresh, pointers, pairs)
    room = site.scratch[used : used + 2 * min(count, CHUNK) * row * out.itemsize].view(out.dtype).reshape(2, -1, row)
    chunks = [
        (
            pointers[a : a + CHUNK],
            [(target, source[a : a + CHUNK]) for target, source in zip(targets, sources, strict=True)],
        )
        for a in range(0, count, CHUNK)
    ]
    return partial(_add_rows, out, refresh, site.attrs["size"], chunks, room)


def _add_elements(out: np.ndarray, refresh: Thunk, pointers: np.ndarray, pairs: list) -> None:
    refresh()
    out.fill(0)
    for target, source in pairs:
        np.add.at(target, pointers, source)


def _add_rows(out: np.ndarray, refresh: Thunk, size: int, chunks: list, room: np.ndarray) -> None:
    refresh()
    out.fill(0)
    fresh = True
    for pointers, pairs in chunks:
        slots, plan, rest = _schedule(pointers, size)
        for target, source in pairs:
            _add_chunk(target, source, slots, plan, rest, room, fresh)
        fresh = False


def _schedule(pointers: np.ndarray, size: int) -> tuple[np.ndarray, list[np.ndarray], tuple | None]:
    """Which updates meet in which slot.

    Returns the distinct slots, those with most updates first; for each round the updates to add to the first slots;
    and, for slots with more than `ROUNDS` updates, their remaining ones: order, where each slot's begin, which slots.
    """
    order = pointers.argsort(kind="stable")
    ordered = pointers[order]
    np.clip(ordered, 0, size - 1, out=ordered)
    new = np.empty(ordered.size, bool)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    counts = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=counts[:-1])
    counts[-1] = ordered.size - starts[-1]
    by_count = np.negative(counts).argsort(kind="stable")
    starts, counts = starts[by_count], counts[by_count]
    alive = [int(np.searchsorted(-counts, -r, side="left")) for r in range(min(int(counts[0]), ROUNDS + 1) + 1)]
    plan = [order[starts[: alive[r]] + r] for r in range(1, min(int(counts[0]), ROUNDS))]
    plan.insert(0, order[starts])
    rest = None
    if counts[0] > ROUNDS:
        many = alive[ROUNDS]
        spans = [order[s + ROUNDS : s + n] for s, n in zip(starts[:many].tolist(), counts[:many].tolist(), strict=True)]
        begins = np.zeros(many, np.int64)
        np.cumsum(counts[: many - 1] - ROUNDS, out=begins[1:])
        rest = np.concatenate(spans), begins
    return ordered[starts], plan, rest


def _add_chunk(
    target: np.ndarray,
    source: np.ndarray,
    slots: np.ndarray,
    plan: list[np.ndarray],
    rest: tuple | None,
    room: np.ndarray,
    fresh: bool,
) -> None:
    sums, rows = room[0, : slots.size], room[1]
    source.take(plan[0], 0, sums, "clip")
    for updates in plan[1:]:
        source.take(updates, 0, rows[: updates.size], "clip")
        np.add(sums[: updates.size], rows[: updates.size], out=sums[: updates.size])
    if rest is not None:
        updates, begins = rest
        source.take(updates, 0, rows[: updates.size], "clip")
        for slot, (a, b) in enumerate(zip(begins, [*begins[1:], updates.size], strict=True)):
            np.add(sums[slot], rows[a:b].sum(0), out=sums[slot])
    if not fresh:
        target.take(slots, 0, rows[: slots.size], "clip")
        np.add(sums, rows[: slots.size], out=sums)
    target[slots] = sums
