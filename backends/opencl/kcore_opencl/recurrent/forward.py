"""LSTM on a CPU: one work-item takes some rows of the batch through all steps; weights are packed once per call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen import Code, Source
from kcore.graph.core import Node
from kcore_opencl.recurrent.sizes import GATES, Sizes, sizes_of
from kcore_opencl.tiles import Real, RowTile, Scratch, Text, block, edges, loop, pointers, real_of
from kcore_opencl.traits import Traits

#: Steps whose inputs are multiplied ahead of the recurrence; their products stay in the second-level cache.
AHEAD = 8


def tile_for(rows: int, real: Real) -> RowTile:
    """Rows of the register tile for a work-item's rows of the batch; its four vectors are the gates of some units.

    The time of a tile is that of its multiply-adds, or of loading the weights where it has few rows.
    """
    most = 6 if real.many else 2
    return RowTile(min(range(most, 0, -1), key=lambda r: -(-rows // r) * max(2 * r, 6)), GATES)


@dataclass(frozen=True)
class Share:
    """How the batch is shared out.

    Attributes:
        tile: accumulators.
        items: work-items.
        rows: rows of the batch each has room for, a multiple of the tile's.
        blocks: vectors that hold the units; the last may have lanes to spare.
        padded: units with those lanes.
    """

    tile: RowTile
    items: int
    rows: int
    blocks: int
    padded: int


def share_of(sizes: Sizes, traits: Traits, real: Real) -> Share:
    """One work-item per core, or per row where there are fewer."""
    rows = -(-sizes.batch // max(traits.units, 1))
    tile = tile_for(rows, real)
    rows = -(-rows // tile.rows) * tile.rows
    blocks = -(-sizes.units // real.lanes)
    return Share(tile, -(-sizes.batch // rows), rows, blocks, blocks * real.lanes)


def layout(sizes: Sizes, share: Share, real: Real) -> Scratch:
    """Working memory: packed weights, what the inputs give to some steps, and the state of all rows."""
    scratch = Scratch(sizes.dtype)
    panel = GATES * real.lanes
    scratch.take("packed", share.blocks * (sizes.features + sizes.units) * panel)
    scratch.take("offsets", share.blocks * panel)
    scratch.take("through", share.items * AHEAD * share.rows * share.blocks * panel)
    scratch.take("states", share.items * 2 * share.rows * share.padded)
    scratch.take("cell", share.items * share.rows * share.padded)
    return scratch


def emit(node: Node, traits: Traits, wanted: Sequence[bool] = (True,) * 5) -> Code:
    """Kernels of an `lstm` node for a CPU; `wanted` says which outputs are read by anybody."""
    sizes = sizes_of(node)
    real = real_of(sizes.dtype, traits)
    share = share_of(sizes, traits, real)
    scratch = layout(sizes, share, real)
    launches = (_pack(node, sizes, share, real, scratch), _steps(node, sizes, share, real, scratch, wanted))
    return Code(launches, scratch.bytes)


def _pack(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch) -> Source:
    """Both weight matrices as panels, one per vector of units: at each depth the four gates of these units."""
    text = Text(node, "pack")
    text.buffer("kernel_", "input", sizes.dtype, 3)
    text.buffer("recurrent", "input", sizes.dtype, 4)
    biased = node.inputs[5] is not None
    if biased:
        text.buffer("bias", "input", sizes.dtype, 5)
    text.pieces(scratch, ["packed", "offsets"])
    text.sizes({"features": sizes.features, "units": sizes.units})
    text.helper(*edges(real))
    panel = GATES * real.lanes
    text.add(
        "const int block = get_group_id(0);",
        f"const int unit = block * {real.lanes};",
        "const int depth = features + units;",
        f"__global {real.type} *panel = packed + (long)block * depth * {panel};",
        f"offsets += block * {panel};",
    )

    def gates(row: str, target: str) -> list[str]:
        return [
            real.store(
                f"load_edge({row} + {g} * units + unit, units - unit)" if row else real.splat(real.number(0)),
                f"{target} + {g * real.lanes}",
            )
            for g in range(GATES)
        ]

    recurrent = f"recurrent + (long)(k - features) * {GATES} * units"
    body = [
        f"const __global {real.type} *row = k < features ? kernel_ + (long)k * {GATES} * units : {recurrent};",
        *gates("row", f"panel + (long)k * {panel}"),
    ]
    text.add(*loop("k", 0, "depth", 1, body))
    text.add(*gates("bias" if biased else "", "offsets"))
    return text.source(share.blocks)


def _steps(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch, wanted: Sequence[bool]) -> Source:
    width = real.lanes
    panel = GATES * width
    masked = node.inputs[6] is not None
    text = Text(node)
    for name, index in (("x", 0), ("h0", 1), ("c0", 2)):
        text.buffer(name, "input", sizes.dtype, index)
    if masked:
        text.buffer("mask", "input", "bool", 6)
    for index, name in enumerate(("hidden", "last_h", "last_c", "cells", "gates")):
        if wanted[index]:
            text.buffer(name, "output", sizes.dtype, index)
    text.pieces(scratch, ["packed", "offsets", "through", "states", "cell"])
    text.sizes({"steps": sizes.steps, "batch": sizes.batch, "features": sizes.features, "units": sizes.units})
    text.sizes({"item_rows": share.rows, "blocks": share.blocks, **sizes.walk(backward=False)})
    text.helper(*edges(real), *_sigmoid(real))
    text.add(
        "const int first = get_group_id(0) * item_rows;",
        "const int rows = min(item_rows, batch - first);",
        f"const int padded = blocks * {width};",
        f"through += (long)first * {AHEAD} * blocks * {panel};",
        f"__global {real.type} *h_old = states + (long)first * 2 * padded;",
        f"__global {real.type} *h_new = h_old + item_rows * padded;",
        "cell += (long)first * padded;",
    )
    start = [
        "const long from = (long)(first + min(row, rows - 1)) * units + unit;",
        real.store("load_edge(h0 + from, units - unit)", "h_old + row * padded + unit"),
        real.store("load_edge(c0 + from, units - unit)", "cell + row * padded + unit"),
    ]
    text.add(*loop("row", 0, "item_rows", 1, loop("unit", 0, "padded", width, start)))
    turns = [
        f"const int turns = min({AHEAD}, steps - done);",
        *_inputs(share, real),
        *loop("turn", 0, "turns", 1, _turn(share, real, masked, wanted)),
    ]
    text.add(*loop("done", 0, "steps", AHEAD, turns))
    if wanted[1] or wanted[2]:
        ends = ["const long at = (long)(first + row) * units + unit;"]
        for index, name, source in ((1, "last_h", "h_old"), (2, "last_c", "cell")):
            if wanted[index]:
                value = real.load(f"{source} + row * padded + unit")
                ends.append(f"store_edge({value}, {name} + at, units - unit);")
        text.add(*loop("row", 0, "rows", 1, loop("unit", 0, "padded", width, ends)))
    return text.source(share.items)


def _sigmoid(real: Real) -> list[str]:
    one = real.number(1)
    return [f"static inline {real.vector} sigmoid(const {real.vector} z) {{ return {one} / ({one} + exp(-z)); }}"]


def _inputs(share: Share, real: Real) -> list[str]:
    """What the inputs of some steps give to the gates, bias included."""
    tile, panel = share.tile, GATES * real.lanes
    rows = [f"x + ((long)t * batch + first + min(row + {r}, rows - 1)) * features" for r in range(tile.rows)]
    body = [
        *pointers(real, "x", rows),
        *tile.accumulators(real, real.load(f"offsets + block * {panel} + {{v}} * {real.lanes}")),
        *tile.product(real, "features", "x{r}[k]", "weights"),
        f"__global {real.type} *target = through + ((long)(turn * blocks + block) * item_rows + row) * {panel};",
        *(real.store(f"acc{r}_{v}", f"target + {r * panel + v * real.lanes}") for r, v in tile),
    ]
    weights = f"const __global {real.type} *weights = packed + (long)block * (features + units) * {panel};"
    turn = ["const int t = first_step + (done + turn) * direction;", *loop("row", 0, "rows", tile.rows, body)]
    return loop("block", 0, "blocks", 1, [weights, *loop("turn", 0, "turns", 1, turn)])


def _turn(share: Share, real: Real, masked: bool, wanted: Sequence[bool]) -> list[str]:
    """One step of all rows."""
    tile, panel, width = share.tile, GATES * real.lanes, real.lanes
    body = [
        f"const __global {real.type} *z = through + ((long)(turn * blocks + block) * item_rows + row) * {panel};",
        *tile.accumulators(real, real.load(f"z + {{r}} * {panel} + {{v}} * {width}")),
        *pointers(real, "h", [f"h_old + (row + {r}) * padded" for r in range(tile.rows)]),
        *tile.product(real, "units", "h{r}[k]", "weights"),
    ]
    for r in range(tile.rows):
        body += block("", _cell(r, real, masked, wanted))
    weights = f"const __global {real.type} *weights = packed + ((long)block * (features + units) + features) * {panel};"
    unit = f"const int unit = block * {width};"
    return [
        "const int t = first_step + (done + turn) * direction;",
        *loop("block", 0, "blocks", 1, [unit, weights, *loop("row", 0, "rows", tile.rows, body)]),
        f"__global {real.type} *h_spare = h_old;",
        "h_old = h_new;",
        "h_new = h_spare;",
    ]


def _cell(r: int, real: Real, masked: bool, wanted: Sequence[bool]) -> list[str]:
    """Gates, cell and output of a vector of units of one row."""
    v, at = real.vector, f"(row + {r}) * padded + unit"
    lines = [
        f"const {v} i = sigmoid(acc{r}_0);",
        f"const {v} f = sigmoid(acc{r}_1);",
        f"const {v} g = tanh(acc{r}_2);",
        f"const {v} o = sigmoid(acc{r}_3);",
        f"const {v} c_old = {real.load('cell + ' + at)};",
        f"{v} c = {real.multiply_add('f', 'c_old', 'i * g')};",
        f"{v} h = o * tanh(c);",
    ]
    if masked:
        kept = ["c = c_old;", f"h = {real.load('h_old + ' + at)};"]
        lines += block(f"if (!mask[(long)t * batch + first + min(row + {r}, rows - 1)])", kept)
    lines += [real.store("c", "cell + " + at), real.store("h", "h_new + " + at)]
    stores = [f"const long place = ((long)t * batch + first + row + {r}) * units + unit;"]
    if wanted[0]:
        stores.append("store_edge(h, hidden + place, units - unit);")
    if wanted[3]:
        stores.append("store_edge(c, cells + place, units - unit);")
    if wanted[4]:
        stores.append(f"__global {real.type} *gate = gates + (place - unit) * {GATES} + unit;")
        stores += [f"store_edge({n}, gate + {k} * units, units - unit);" for k, n in enumerate("ifgo")]
    return lines + (block(f"if (row + {r} < rows)", stores) if len(stores) > 1 else [])
