"""Recurrent layers on a CPU: a work-item takes rows of the batch through all steps; weights are packed per call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen import Code, Source
from kcore.graph.core import Node
from kcore.kernels.recurrent.cells import Cell, sigmoid
from kcore.kernels.recurrent.sizes import Sizes, sizes_of
from kcore.kernels.tiles import Real, RowTile, Scratch, Text, block, edges, loop, pointers, real_of
from kcore.kernels.traits import Traits

#: Steps whose inputs are multiplied ahead of the recurrence; their products stay in the second-level cache.
AHEAD = 8


def tile_for(rows: int, slots: int, real: Real) -> RowTile:
    """Rows of the register tile for a work-item's rows of the batch; its vectors are the slots of some units.

    The time of a tile is that of its multiply-adds, or of loading the weights where it has few rows.
    """
    most = min((24 if real.many else 8) // slots, 16)
    time = {r: -(-rows // r) * max(r * slots / 2, slots * 1.5) for r in range(most, 0, -1)}
    return RowTile(min(time, key=time.__getitem__), slots)


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
    tile = tile_for(rows, sizes.cell.count, real)
    rows = -(-rows // tile.rows) * tile.rows
    blocks = -(-sizes.units // real.lanes)
    return Share(tile, -(-sizes.batch // rows), rows, blocks, blocks * real.lanes)


def layout(sizes: Sizes, share: Share, real: Real) -> Scratch:
    """Working memory: packed weights, what the inputs give to some steps, and the state of all rows."""
    scratch = Scratch(sizes.dtype)
    cell, panel = sizes.cell, sizes.cell.count * real.lanes
    scratch.take("kernel_packed", share.blocks * sizes.features * cell.blocks * real.lanes)
    scratch.take("packed", share.blocks * sizes.units * cell.blocks * real.lanes)
    scratch.take("offsets", share.blocks * panel)
    scratch.take("through", share.items * AHEAD * share.rows * share.blocks * panel)
    scratch.take("states", share.items * 2 * share.rows * share.padded)
    if cell.has_cell:
        scratch.take("cell", share.items * share.rows * share.padded)
    if cell.late:
        scratch.take("kept_state", share.items * share.rows * share.padded)
    return scratch


def emit(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """Kernels of a recurrent node for a CPU; `wanted` says which outputs are read by anybody, all if None."""
    sizes = sizes_of(node)
    real = real_of(sizes.dtype, traits)
    share = share_of(sizes, traits, real)
    scratch = layout(sizes, share, real)
    names = sizes.cell.outputs
    read = frozenset(names if wanted is None else (n for n, want in zip(names, wanted, strict=True) if want))
    launches = (_pack(node, sizes, share, real, scratch), _steps(node, sizes, share, real, scratch, read))
    return Code(launches, scratch.bytes)


def _pack(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch) -> Source:
    """Both weight matrices as panels, one per vector of units: at each depth the blocks of these units by slot."""
    cell, width = sizes.cell, real.lanes
    text = Text(node, "pack")
    given = dict(zip(cell.inputs, node.inputs, strict=True))
    biased = given["bias"] is not None
    for name in ("kernel_", "recurrent", *(["bias"] if biased else [])):
        text.buffer(name, "input", sizes.dtype, cell.inputs.index(name))
    text.pieces(scratch, ["kernel_packed", "packed", "offsets"])
    text.sizes({"features": sizes.features, "units": sizes.units})
    text.helper(*edges(real))
    panel = cell.blocks * width
    text.add(
        "const int block = get_group_id(0);",
        f"const int unit = block * {width};",
        f"kernel_packed += (long)block * features * {panel};",
        f"packed += (long)block * units * {panel};",
        f"offsets += block * {cell.count * width};",
    )

    def part(row: str, block: int) -> str:
        return f"load_edge({row} + {block} * units + unit, units - unit)"

    for source, target, depth, blocks in (
        ("kernel_", "kernel_packed", "features", cell.kernel_blocks),
        ("recurrent", "packed", "units", cell.recurrent_blocks),
    ):
        used = [b for b in blocks if b is not None]
        stores = [real.store(part("row", b), f"{target} + k * {panel} + {i * width}") for i, b in enumerate(used)]
        row = f"const __global {real.type} *row = {source} + (long)k * {cell.blocks} * units;"
        text.add(*loop("k", 0, depth, 1, [row, *stores]))
    for slot, parts in enumerate(cell.bias_blocks):
        value = " + ".join(part("bias", b) for b in parts) if biased else real.splat(real.number(0))
        text.add(real.store(value, f"offsets + {slot * width}"))
    return text.source(share.blocks)


def _steps(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch, wanted: frozenset[str]) -> Source:
    cell, width = sizes.cell, real.lanes
    panel = cell.count * width
    text = Text(node)
    given = dict(zip(cell.inputs, node.inputs, strict=True))
    masked = given["mask"] is not None
    for name in ("x", "h0", *(["c0"] if cell.has_cell else [])):
        text.buffer(name, "input", sizes.dtype, cell.inputs.index(name))
    if masked:
        text.buffer("mask", "input", "bool", cell.inputs.index("mask"))
    for index, name in enumerate(cell.outputs):
        if name in wanted:
            text.buffer(name, "output", sizes.dtype, index)
    states = ["states", *(["cell"] if cell.has_cell else []), *(["kept_state"] if cell.late else [])]
    text.pieces(scratch, ["kernel_packed", "packed", "offsets", "through", *states])
    text.sizes({"steps": sizes.steps, "batch": sizes.batch, "features": sizes.features, "units": sizes.units})
    text.sizes({"item_rows": share.rows, "blocks": share.blocks, **sizes.walk(backward=False)})
    text.helper(*edges(real), *sigmoid(real))
    text.add(
        "const int first = get_group_id(0) * item_rows;",
        "const int rows = min(item_rows, batch - first);",
        f"const int padded = blocks * {width};",
        f"through += (long)first * {AHEAD} * blocks * {panel};",
        f"__global {real.type} *state = states + (long)first * 2 * padded;",
        f"__global {real.type} *next_state = state + item_rows * padded;",
        *(["kept_state += (long)first * padded;"] if cell.late else []),
    )
    start = [
        "const long from = (long)(first + min(row, rows - 1)) * units + unit;",
        real.store("load_edge(h0 + from, units - unit)", "state + row * padded + unit"),
    ]
    if cell.has_cell:
        text.add("cell += (long)first * padded;")
        start.append(real.store("load_edge(c0 + from, units - unit)", "cell + row * padded + unit"))
    text.add(*loop("row", 0, "item_rows", 1, loop("unit", 0, "padded", width, start)))
    turns = [
        f"const int turns = min({AHEAD}, steps - done);",
        *_inputs(cell, share, real),
        *loop("turn", 0, "turns", 1, _turn(cell, share, real, masked, wanted)),
    ]
    text.add(*loop("done", 0, "steps", AHEAD, turns))
    ends = {"last_h": "state", "last_c": "cell"}
    if wanted & set(ends):
        lines = ["const long at = (long)(first + row) * units + unit;"]
        for name, source in ends.items():
            if name in wanted:
                value = real.load(f"{source} + row * padded + unit")
                lines.append(f"store_edge({value}, {name} + at, units - unit);")
        text.add(*loop("row", 0, "rows", 1, loop("unit", 0, "padded", width, lines)))
    return text.source(share.items)


def _inputs(cell: Cell, share: Share, real: Real) -> list[str]:
    """What the inputs of some steps give to the slots, bias included."""
    tile, panel, width = share.tile, cell.count * real.lanes, real.lanes
    rows = [f"x + ((long)t * batch + first + min(row + {r}, rows - 1)) * features" for r in range(tile.rows)]
    body = [
        *pointers(real, "x", rows),
        *tile.accumulators(real, real.load(f"offsets + block * {panel} + {{v}} * {width}")),
        *tile.product(real, "features", "x{r}[k]", "weights", into=cell.input_slots),
        f"__global {real.type} *target = through + ((long)(turn * blocks + block) * item_rows + row) * {panel};",
        *(real.store(f"acc{r}_{v}", f"target + {r * panel + v * width}") for r, v in tile),
    ]
    weights = f"const __global {real.type} *weights = kernel_packed + (long)block * features * {cell.blocks * width};"
    turn = ["const int t = first_step + (done + turn) * direction;", *loop("row", 0, "rows", tile.rows, body)]
    return loop("block", 0, "blocks", 1, [weights, *loop("turn", 0, "turns", 1, turn)])


def _turn(cell: Cell, share: Share, real: Real, masked: bool, wanted: frozenset[str]) -> list[str]:
    """One step of all rows."""
    return [
        "const int t = first_step + (done + turn) * direction;",
        *(_sweep(cell, share, real, masked, wanted, early=True) if cell.late else []),
        *_sweep(cell, share, real, masked, wanted, early=False),
        f"__global {real.type} *spare = state;",
        "state = next_state;",
        "next_state = spare;",
    ]


def _sweep(cell: Cell, share: Share, real: Real, masked: bool, wanted: frozenset[str], early: bool) -> list[str]:
    """All units of all rows: the early slots, or what comes after them (all, in most cells)."""
    panel, width = cell.count * real.lanes, real.lanes
    skipped = cell.early_count if cell.late and not early else 0
    tile, into, step = share.tile, cell.state_slots, None
    if cell.late:
        tile = RowTile(tile.rows, cell.early_count if early else cell.late)
        into, step = list(range(tile.vectors)), str(cell.blocks * width)
    source = "kept_state" if skipped else "state"
    more = f" + {skipped * width}" if skipped else ""
    place = f"((long)(turn * blocks + block) * item_rows + row) * {panel}{more}"
    body = [
        f"const __global {real.type} *z = through + {place};",
        *tile.accumulators(real, real.load(f"z + {{r}} * {panel} + {{v}} * {width}")),
        *pointers(real, "h", [f"{source} + (row + {r}) * padded" for r in range(tile.rows)]),
        *tile.product(real, "units", "h{r}[k]", "weights", step=step, into=into),
    ]
    for r in range(tile.rows):
        body += block("", (_early(cell, r, real, wanted) if early else _step(cell, r, real, masked, wanted)))
    weights = f"const __global {real.type} *weights = packed + (long)block * units * {cell.blocks * width}{more};"
    unit = f"const int unit = block * {width};"
    return loop("block", 0, "blocks", 1, [unit, weights, *loop("row", 0, "rows", tile.rows, body)])


def _early(cell: Cell, r: int, real: Real, wanted: frozenset[str]) -> list[str]:
    """The early slots of a vector of units of one row; the next state holds the one carried on meanwhile."""
    at = f"(row + {r}) * padded + unit"
    lines = [f"const {real.vector} h_old = {real.load('state + ' + at)};"]
    lines += cell.early(real, [f"acc{r}_{k}" for k in range(cell.early_count)])
    lines += [real.store("kept", "kept_state + " + at), real.store(cell.carried, "next_state + " + at)]
    if cell.kept in wanted:
        lines += block(f"if (row + {r} < rows)", [_place(r), *_keep(cell, real, range(cell.early_count))])
    return lines


def _place(r: int) -> str:
    return f"const long place = ((long)t * batch + first + row + {r}) * units + unit;"


def _keep(cell: Cell, real: Real, slots: range) -> list[str]:
    """Lines that store slots for the gradient."""
    lines = [f"__global {real.type} *gate = {cell.kept} + (place - unit) * {cell.count} + unit;"]
    return lines + [f"store_edge({cell.slots[k]}, gate + {k} * units, units - unit);" for k in slots]


def _step(cell: Cell, r: int, real: Real, masked: bool, wanted: frozenset[str]) -> list[str]:
    """Slots, states and output of a vector of units of one row."""
    v, at = real.vector, f"(row + {r}) * padded + unit"
    lines = []
    if masked or "h_old" in cell.remembers:
        lines.append(f"const {v} h_old = {real.load('state + ' + at)};")
    if cell.late:
        lines.append(f"const {v} {cell.carried} = {real.load('next_state + ' + at)};")
    if cell.has_cell:
        lines.append(f"const {v} c_old = {real.load('cell + ' + at)};")
    lines += cell.step(real, [f"acc{r}_{k}" for k in range(cell.late or cell.count)])
    if masked:
        kept = [*(["c = c_old;"] if cell.has_cell else []), "h = h_old;"]
        lines += block(f"if (!mask[(long)t * batch + first + min(row + {r}, rows - 1)])", kept)
    if cell.has_cell:
        lines.append(real.store("c", "cell + " + at))
    lines.append(real.store("h", "next_state + " + at))
    stores = [_place(r)]
    if "hidden" in wanted:
        stores.append("store_edge(h, hidden + place, units - unit);")
    if "cells" in wanted:
        stores.append("store_edge(c, cells + place, units - unit);")
    if cell.kept in wanted:
        stores += _keep(cell, real, range(cell.early_count if cell.late else 0, cell.count))
    return lines + (block(f"if (row + {r} < rows)", stores) if len(stores) > 1 else [])
