"""Attention in blocks over batch and heads, shared by the threads; the scores of a block stay in the cache.

Scores are kept turned, (batch, heads, keys, queries): reductions over the keys then add whole rows, which NumPy does
several times as fast as within rows, and no product of scores has a transposed operand, at which BLAS is slow here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.ops.attention import masked_score
from kcore_numpy import blas, threads, vectors
from kcore_numpy.schedule import sequence

#: Bytes of scores in a block: about the second-level cache, and NumPy calls long enough to be worth a thread.
BLOCK = 1 << 20


class Block(NamedTuple):
    """A range of batch entries, of heads and of queries."""

    batch: slice
    heads: slice
    queries: slice

    def rows(self, x: np.ndarray) -> np.ndarray:
        """This block of an array (batch, queries, heads, size), as (batch, heads, queries, size)."""
        return x[self.batch, self.queries, self.heads].transpose(0, 2, 1, 3)

    def keys(self, x: np.ndarray) -> np.ndarray:
        """The keys of this block, of an array (batch, keys, heads, size), as (batch, heads, keys, size)."""
        return x[self.batch, :, self.heads].transpose(0, 2, 1, 3)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """This block of an array that broadcasts to (batch, heads, queries, keys), turned."""
        return _turned(x[tuple(slice(None) if n == 1 else part for n, part in zip(x.shape, self, strict=False))])


def _turned(x: np.ndarray) -> np.ndarray:
    """With the last two axes exchanged."""
    return x.swapaxes(-1, -2)


def _units(batch: int, heads: int, queries: int, keys: int, itemsize: int) -> list[list[Block]]:
    """Blocks, in lists: the blocks of one list share keys, so one thread does them in order."""
    row = keys * itemsize
    if heads * queries * row <= BLOCK:
        step = max(1, min(BLOCK // (heads * queries * row), -(-batch // threads.count())))
        return [[Block(_cut(b, step, batch), slice(0, heads), slice(0, queries))] for b in range(0, batch, step)]
    if queries * row <= BLOCK:
        step = BLOCK // (queries * row)
        return [
            [Block(slice(b, b + 1), _cut(h, step, heads), slice(0, queries))]
            for b in range(batch)
            for h in range(0, heads, step)
        ]
    step = max(1, BLOCK // row)
    return [
        [Block(slice(b, b + 1), slice(h, h + 1), _cut(t, step, queries)) for t in range(0, queries, step)]
        for b in range(batch)
        for h in range(heads)
    ]


def _cut(start: int, step: int, end: int) -> slice:
    return slice(start, min(start + step, end))


class _Plan:
    """The blocks of a node and its working memory: the mask's bounds, then a room for each thread."""

    def __init__(self, node: Any, first: int):
        query, key, value, _, mask = node.inputs[first : first + 5]
        self.batch, self.queries, self.heads, self.size = query.shape
        self.keys, self.out = key.shape[1], value.shape[3]
        self.dtype = np.dtype(query.dtype)
        self.units = _units(self.batch, self.heads, self.queries, self.keys, self.dtype.itemsize)
        sizes = [[part.stop - part.start for part in block] for unit in self.units for block in unit]
        rows = max(b * h * t for b, h, t in sizes)
        pairs = max(b * h for b, h, _ in sizes)
        self.room = {
            "scores": rows * self.keys,
            "slopes": rows * self.keys,
            "scaled": rows * self.size,
            "grads": rows * self.out,
            "rows": rows * max(self.size, self.out),
            "keys": pairs * self.keys * max(self.size, self.out),
            "largest": rows,
            "total": rows,
        }
        self.mask_bytes = 0 if mask is None else _round(mask.size * self.dtype.itemsize)
        self.room_bytes = _round(sum(self.room.values()) * self.dtype.itemsize)

    @property
    def bytes(self) -> int:
        return self.mask_bytes + threads.count() * self.room_bytes

    def rooms(self, scratch: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Each thread's working memory, by name."""
        result = []
        for number in range(threads.count()):
            start = self.mask_bytes + number * self.room_bytes
            memory = scratch[start : start + self.room_bytes].view(self.dtype)
            named = {}
            for name, count in self.room.items():
                named[name], memory = memory[:count], memory[count:]
            result.append(named)
        return result

    def caps(self, site: Site, mask: np.ndarray | None) -> list[np.ndarray]:
        """Upper bounds of the scores: infinite where a pair is seen, else `masked_score`.

        The smaller of score and bound is what `where` would choose, at a fraction of its time.
        """
        caps = []
        if site.attrs["causal"]:
            seen = np.tri(self.queries, self.keys, dtype=bool)
            turned = np.ascontiguousarray(np.where(seen, np.inf, self.low).astype(self.dtype).T)
            caps.append(turned.T[None, None])
        if mask is not None:
            room = site.scratch[: mask.size * self.dtype.itemsize].view(self.dtype)
            caps.append(_turned(room.reshape(_turned(mask).shape)))
        return caps

    @property
    def low(self) -> float:
        return masked_score(self.dtype.name)

    def thunk(self, works: list[list[list[Thunk]]], mask: np.ndarray | None, caps: list[np.ndarray]) -> Thunk:
        shares = [works[a:b] for a, b in threads.split(len(works))]
        in_order = [sequence([step for unit in share for steps in unit for step in steps]) for share in shares]
        compute = threads.team(in_order, blas=True)
        return compute if mask is None else partial(_masked, caps[-1], mask, self.low, compute)


def _round(nbytes: int) -> int:
    return -(-nbytes // 64) * 64


def _masked(cap: np.ndarray, mask: np.ndarray, low: float, compute: Thunk) -> None:
    cap.fill(low)
    np.copyto(cap, np.inf, where=mask)
    compute()


def _options(first: int) -> dict[str, Any]:
    def supports(node: Any) -> bool:
        floats = {v.dtype for v in node.inputs if v is not None and v.dtype != "bool"}
        return floats in ({"float32"}, {"float64"}) and all(v is None or v.size for v in node.inputs)

    return {
        "backend": "numpy",
        "supports": supports,
        "scratch": lambda node: _Plan(node, first).bytes,
        "strided": False,
    }


def _shaped(room: np.ndarray, *shape: int) -> np.ndarray:
    return room[: int(np.prod(shape))].reshape(shape)


class _Scores(NamedTuple):
    """What a block needs to make its scores."""

    query: np.ndarray
    key: np.ndarray
    scale: Any
    bias: np.ndarray | None
    caps: list[np.ndarray]
    scaled: np.ndarray
    scores: np.ndarray

    def steps(self) -> list[Thunk]:
        """What computes the scores, (batch, heads, keys, queries)."""
        scores = self.scores
        return [
            partial(np.multiply, _turned(self.query), self.scale, self.scaled),
            blas.matmul(self.key, self.scaled, scores),
            *([] if self.bias is None else [partial(np.add, scores, self.bias, scores)]),
            *(partial(np.minimum, scores, cap, out=scores) for cap in self.caps),
        ]


def _scores_of(site: Site, first: int, plan: _Plan, block: Block, room: dict, caps: list[np.ndarray]) -> _Scores:
    query, key, _, bias, _ = site.inputs[first : first + 5]
    rows = block.rows(query)
    return _Scores(
        rows,
        block.keys(key),
        plan.dtype.type(site.attrs["scale"]),
        None if bias is None else block.scores(bias),
        [block.scores(cap) for cap in caps],
        _shaped(room["scaled"], *_turned(rows).shape),
        _shaped(room["scores"], *rows.shape[:2], plan.keys, rows.shape[2]),
    )


def _works(plan: _Plan, rooms: list[dict], make: Callable[[Block, dict, bool], list[Thunk]]) -> list[list[list[Thunk]]]:
    """``make(block, room, first of its keys)`` for every block, with the room of the thread that will do it."""
    works: list[list[list[Thunk]]] = []
    for room, (start, stop) in zip(rooms, threads.split(len(plan.units)), strict=False):
        works += [[make(b, room, n == 0) for n, b in enumerate(unit)] for unit in plan.units[start:stop]]
    return works


# -- forward ---------------------------------------------------------------------------------------------------------


@kernel("attention", **_options(0))
def attention(site: Site) -> Thunk:
    plan = _Plan(site.node, 0)
    value, mask = site.inputs[2], site.inputs[4]
    out, normalizer = site.outputs
    caps = plan.caps(site, mask)

    def make(block: Block, room: dict, _: bool) -> list[Thunk]:
        made = _scores_of(site, 0, plan, block, room, caps)
        scores, shape = made.scores, made.query.shape[:3]
        largest, total = _shaped(room["largest"], *shape), _shaped(room["total"], *shape)
        steps: list[Thunk] = [
            *made.steps(),
            partial(np.maximum.reduce, scores, axis=-2, out=largest),
            partial(np.subtract, scores, largest[:, :, None], scores),
            vectors.apply(np.exp, scores, out=scores),
            partial(np.add.reduce, scores, axis=-2, out=total),
        ]
        if out is not None:
            target = block.rows(out)
            steps.append(blas.matmul(_turned(scores), block.keys(value), target))
            steps.append(partial(np.divide, target, total[..., None], target))
        if normalizer is not None:
            steps.append(vectors.apply(np.log, total, out=total))
            kept = normalizer[block.batch, block.heads, block.queries]
            steps.append(partial(np.add, total, largest, kept))
        return steps

    return plan.thunk(_works(plan, plan.rooms(site.scratch), make), mask, caps)


# -- backward --------------------------------------------------------------------------------------------------------


@kernel("attention_grad", **_options(1))
def attention_grad(site: Site) -> Thunk:
    plan = _Plan(site.node, 1)
    g, _, _, value, _, mask, out, normalizer = site.inputs
    caps = plan.caps(site, mask)
    blind = None if mask is None else plan.dtype.type(plan.low / 2)

    def make(block: Block, room: dict, first: bool) -> list[Thunk]:
        made = _scores_of(site, 1, plan, block, room, caps)
        weights, level = made.scores, normalizer[block.batch, block.heads, block.queries]
        to_query = None if site.outputs[0] is None else block.rows(site.outputs[0])
        to_key, to_value = (None if x is None else block.keys(x) for x in site.outputs[1:])
        # rows with every key masked attend to all alike, and pass nothing on to the scores
        steps: list[Thunk] = [
            *made.steps(),
            partial(np.subtract, weights, level[:, :, None], weights),
            vectors.apply(np.exp, weights, out=weights),
        ]
        if blind is not None:
            steps.append(partial(_attend_to_all, level, blind, weights))
        arriving = block.rows(g)
        if to_value is not None:
            more = None if first else _shaped(room["keys"], *to_value.shape)
            steps += _product(weights, arriving, None, to_value, more)
        if to_query is None and to_key is None:
            return steps
        slopes = _shaped(room["slopes"], *weights.shape)
        turned = _shaped(room["grads"], *_turned(arriving).shape)
        products, along = _shaped(room["rows"], *arriving.shape), _shaped(room["total"], *arriving.shape[:3])
        steps += [
            partial(np.copyto, turned, _turned(arriving)),
            blas.matmul(block.keys(value), turned, slopes),
            partial(np.multiply, arriving, block.rows(out), products),
            partial(np.add.reduce, products, axis=-1, out=along),
            partial(np.subtract, slopes, along[:, :, None], slopes),
            partial(np.multiply, slopes, weights, slopes),
        ]
        if blind is not None:
            steps.append(partial(_pass_nothing_on, level, blind, slopes))
        if to_key is not None:
            more = None if first else _shaped(room["keys"], *to_key.shape)
            steps += _product(slopes, made.query, made.scale, to_key, more)
        if to_query is not None:
            steps.append(blas.matmul(_turned(slopes), made.key, to_query))
            steps.append(partial(np.multiply, to_query, made.scale, to_query))
        return steps

    return plan.thunk(_works(plan, plan.rooms(site.scratch), make), mask, caps)


def _attend_to_all(level: np.ndarray, blind: Any, weights: np.ndarray) -> None:
    unseeing = np.less(level, blind)
    if unseeing.any():
        _turned(weights)[unseeing] = 1.0 / weights.shape[-2]


def _pass_nothing_on(level: np.ndarray, blind: Any, slopes: np.ndarray) -> None:
    unseeing = np.less(level, blind)
    if unseeing.any():
        _turned(slopes)[unseeing] = 0


def _product(a: np.ndarray, b: np.ndarray, scale: Any, target: np.ndarray, room: np.ndarray | None) -> list[Thunk]:
    """The scaled product into the target, or added to it where earlier queries have written it already."""
    out = target if room is None else room
    steps = [blas.matmul(a, b, out)]
    if scale is not None:
        steps.append(partial(np.multiply, out, scale, out))
    if room is not None:
        steps.append(partial(np.add, target, room, target))
    return steps
