"""The gradient of recurrent layers on a CPU: the steps backwards row by row, then products over all steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen import Code, Source
from kcore.graph.core import Node
from kcore.kernels.recurrent.sizes import Sizes, sizes_of
from kcore.kernels.tiles import Real, RowTile, Scratch, Text, block, edges, loop, pointers, real_of
from kcore.kernels.traits import Traits

#: Depth of a product after which its sums are put down, so that the weights in use stay in the first-level cache.
DEPTH = 128
#: Vectors of rows of a weight gradient that one work-item makes, at most.
STRIP = 8


@dataclass(frozen=True)
class Backward:
    """One gradient node, and how its work is shared out.

    Attributes:
        given: names of the inputs there are.
        wanted: names of the outputs that somebody reads.
        cores: of the device.
        items: work-items that walk over the steps.
        rows: rows of the batch each has room for, a multiple of the tile's.
        state: accumulators of the gradient of the state; its columns are units.
        inputs: accumulators of the gradient of x; its columns are features.
        weights: accumulators of the gradients of the weights; its columns are slots.
    """

    node: Node
    sizes: Sizes
    real: Real
    given: frozenset[str]
    wanted: frozenset[str]
    cores: int
    items: int
    rows: int
    state: RowTile
    inputs: RowTile
    weights: RowTile

    def buffer(self, text: Text, name: str) -> None:
        """Declare an operand of the node."""
        cell = self.sizes.cell
        kind = "input" if name in cell.grad_inputs else "output"
        names = cell.grad_inputs if kind == "input" else cell.grad_outputs
        text.buffer(name, kind, "bool" if name == "mask" else self.sizes.dtype, names.index(name))

    @property
    def blocks(self) -> int:
        """Vectors that hold the units; the last may have lanes to spare."""
        return -(-self.sizes.units // self.real.lanes)

    @property
    def feature_blocks(self) -> int:
        """Vectors that hold the features."""
        return -(-self.sizes.features // self.real.lanes)

    @property
    def padded(self) -> int:
        """Units with the lanes to spare."""
        return self.blocks * self.real.lanes

    @property
    def depth(self) -> int:
        """Slots of all units, each slot with lanes to spare."""
        return self.sizes.cell.count * self.padded

    @property
    def panel(self) -> int:
        """Columns of a panel of the slopes, which lie as (panel, row, column of the panel)."""
        return self.weights.vectors * self.real.lanes

    @property
    def tall(self) -> int:
        """Rows of the slopes, with room for a whole tile of the last."""
        return -(-self.sizes.rows // self.inputs.rows) * self.inputs.rows

    @property
    def by_weights(self) -> bool:
        """Whether a gradient of weights or bias is wanted."""
        return bool(self.wanted & {"d_kernel", "d_recurrent", "d_bias"})

    def columns(self, columns: int, tile: RowTile) -> int:
        """Columns rounded up to whole tiles."""
        across = tile.vectors * self.real.lanes
        return -(-columns // across) * across

    @property
    def strips(self) -> tuple[int, int]:
        """Work-items that share the rows of the gradients of both weight matrices."""
        return -(-self.feature_blocks // STRIP), -(-self.blocks // STRIP)

    @property
    def scratch(self) -> Scratch:
        """Transposed weights; slopes, and x, states before and what was kept of them, in panels; their gradients."""
        scratch = Scratch(self.sizes.dtype)
        width, sizes = self.real.lanes, self.sizes
        scratch.take("recurrent_turned", self.depth * self.columns(sizes.units, self.state))
        scratch.take("kernel_turned", self.depth * self.columns(sizes.features, self.inputs))
        scratch.take("slopes", self.tall * self.depth)
        states = 2 if sizes.cell.late else 1
        scratch.take("befores", (self.feature_blocks + states * self.blocks) * sizes.rows * width)
        for name in ("dh", "kept_dh")[:states]:
            scratch.take(name, self.items * self.rows * self.columns(sizes.units, self.state))
        if sizes.cell.has_cell:
            scratch.take("dc", self.items * self.rows * self.padded)
        scratch.take("sums", self.depth * (sum(self.strips) * STRIP * width))
        return scratch


def backward_of(node: Node, traits: Traits, wanted: Sequence[bool] | None) -> Backward:
    """One walking work-item per core, or per row where there are fewer; tiles as large as the registers allow."""
    sizes = sizes_of(node)
    real = real_of(sizes.dtype, traits)
    most, across = (24, 4) if real.many else (8, 2)
    wide = min(across, -(-sizes.units // real.lanes))
    rows = -(-sizes.batch // max(traits.units, 1))
    tall = min(range(min(most // wide, 8), 0, -1), key=lambda r: -(-rows // r) * max(r * wide / 2, wide * 1.5))
    rows = -(-rows // tall) * tall
    wide_x = min(across, -(-sizes.features // real.lanes))
    cell, blocks = sizes.cell, -(-sizes.units // real.lanes)
    # Where some slots are late, no panel holds slots of both kinds.
    panel = next(v for v in (across, 2, 1) if (blocks if cell.late else cell.count * blocks) % v == 0)
    names = cell.grad_outputs if wanted is None else [n for n, w in zip(cell.grad_outputs, wanted, strict=True) if w]
    return Backward(
        node,
        sizes,
        real,
        frozenset(name for name, value in zip(cell.grad_inputs, node.inputs, strict=True) if value is not None),
        frozenset(names),
        traits.units,
        -(-sizes.batch // rows),
        rows,
        RowTile(tall, wide),
        RowTile(min(most // wide_x, 8), wide_x),
        RowTile(min(4, real.lanes), panel),
    )


def emit(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """Kernels of a gradient node for a CPU; `wanted` says which outputs are read by anybody, all if None."""
    from kcore.kernels.recurrent.gradients import input_gradient, turned_weights, weight_gradients

    plan = backward_of(node, traits, wanted)
    launches = [turned_weights(plan), _steps(plan)]
    if "dx" in plan.wanted:
        launches.append(input_gradient(plan))
    if plan.by_weights:
        launches.append(weight_gradients(plan))
    return Code(tuple(launches), plan.scratch.bytes)


def _steps(plan: Backward) -> Source:
    """The walk over the steps: the slopes of all slots, and the gradients of the initial states."""
    sizes, real, cell = plan.sizes, plan.real, plan.sizes.cell
    text = Text(plan.node, "steps")
    used = {"g_hidden", "g_h", "g_c", "c0", "mask", "cells", "gates"}
    if plan.by_weights:
        used |= {"x", "h0", "hidden"}
    if "h_old" in cell.recalls:
        used |= {"h0", "hidden"}
    if "h" in cell.recalls:
        used.add("hidden")
    for name in cell.grad_inputs:
        if name in used & plan.given:
            plan.buffer(text, name)
    ends = [name for name in ("dh0", "dc0") if name in plan.wanted]
    for name in ends:
        plan.buffer(text, name)
    more = [*(["kept_dh"] if cell.late else []), *(["dc"] if cell.has_cell else [])]
    text.pieces(plan.scratch, ["recurrent_turned", "slopes", "befores", "dh", *more])
    text.sizes({"steps": sizes.steps, "batch": sizes.batch, "features": sizes.features, "units": sizes.units})
    text.sizes({"item_rows": plan.rows, "blocks": plan.blocks, "tall": plan.tall, **sizes.walk(backward=True)})
    text.helper(*edges(real))
    width, across = real.lanes, plan.state.vectors * real.lanes
    text.add(
        "const int first = get_group_id(0) * item_rows;",
        "const int rows = min(item_rows, batch - first);",
        f"const int padded = blocks * {width};",
        f"const int wide = (units + {across - 1}) / {across} * {across};",
        "dh += (long)first * wide;",
        *(["kept_dh += (long)first * wide;"] if cell.late else []),
        *(["dc += (long)first * padded;"] if cell.has_cell else []),
        *loop("row", 0, "item_rows", 1, loop("unit", 0, "wide", width, _start(plan))),
        *loop("turn", 0, "steps", 1, _turn(plan)),
    )
    if ends:
        lines = ["const long at = (long)(first + row) * units + unit;"]
        for name in ends:
            state = "dh + row * wide + unit" if name == "dh0" else "dc + row * padded + unit"
            lines.append(f"store_edge({real.load(state)}, {name} + at, units - unit);")
        text.add(*loop("row", 0, "rows", 1, loop("unit", 0, "padded", width, lines)))
    return text.source(plan.items)


def _start(plan: Backward) -> list[str]:
    """The gradients that arrive at the last states; rows to spare repeat the last."""
    real = plan.real
    lines = []
    if plan.given & {"g_h", "g_c"}:
        lines.append("const long from = (long)(first + min(row, rows - 1)) * units + unit;")

    def start(name: str, state: str) -> str:
        value = f"load_edge({name} + from, units - unit)" if name in plan.given else real.splat(real.number(0))
        return real.store(value, f"{state} + unit")

    lines.append(start("g_h", "dh + row * wide"))
    if plan.sizes.cell.late:
        lines.append(real.store(real.splat(real.number(0)), "kept_dh + row * wide + unit"))
    if plan.sizes.cell.has_cell:
        lines.append(f"if (unit < padded) {start('g_c', 'dc + row * padded')}")
    return lines


def _turn(plan: Backward) -> list[str]:
    """One step of all rows."""
    real, recalls = plan.real, plan.sizes.cell.recalls
    lines = [
        "const int t = first_step + turn * direction;",
        "const int initial = turn + 1 == steps;",
    ]
    before = (
        f"const __global {real.type} *{{0}}_before = initial ? {{0}}0 : {{1}} + (long)(t + direction) * batch * units;"
    )
    if "c_old" in recalls:
        lines.append(before.format("c", "cells"))
    row = loop("unit", 0, "padded", real.lanes, _slopes(plan))
    if plan.by_weights or "h_old" in recalls:
        lines.append(before.format("h", "hidden"))
    if plan.by_weights:
        row = [*row, *_befores(plan)]
    at, cell = "const long at = (long)t * batch + first + row;", plan.sizes.cell
    lines += loop("row", 0, "rows", 1, [at, *row])
    if not cell.late:
        skipped = cell.state_slots[0]
        begin = f"{skipped} * padded / {plan.panel} * {plan.panel}" if skipped else "0"
        return [*lines, *_state_gradient(plan, "dh", begin, f"{cell.count} * padded")]
    lines += _state_gradient(plan, "kept_dh", f"{cell.early_count} * padded", f"{cell.count} * padded")
    lines += loop("row", 0, "rows", 1, [at, *loop("unit", 0, "padded", real.lanes, _late_slopes(plan))])
    return [*lines, *_state_gradient(plan, "dh", "0", f"{cell.early_count} * padded")]


def _slope(plan: Backward, slot: int) -> str:
    """Where the gradient of a slot lies."""
    across, width = plan.weights.vectors, plan.real.lanes
    block = f"(block + {slot} * blocks)"
    return f"slopes + ((long)({block} / {across}) * tall + at) * {plan.panel} + {block} % {across} * {width}"


def _slopes(plan: Backward) -> list[str]:
    """The gradients of the slots before their activation; dh is left as what does not pass through them."""
    real, cell = plan.real, plan.sizes.cell
    v, width, left = real.vector, real.lanes, "units - unit"
    slope = [_slope(plan, k) for k in range(cell.count)]
    zero = real.splat(real.number(0))
    lines = [
        "const long place = at * units + unit;",
        f"const int block = unit / {width};",
        f"{v} to_h = {real.load('dh + row * wide + unit')};",
    ]
    if "g_hidden" in plan.given:
        lines.append(f"to_h += load_edge(g_hidden + place, {left});")
    if "mask" in plan.given:
        skip = [real.store("to_h", "dh + row * wide + unit"), *(real.store(zero, there) for there in slope)]
        lines += block("if (!mask[at])", [*skip, "continue;"])
    if cell.kept:
        lines += [f"const __global {real.type} *gate = {cell.kept} + (place - unit) * {cell.count} + unit;"]
        lines += [f"const {v} {n} = load_edge(gate + {k} * units, {left});" for k, n in enumerate(cell.slots)]
    recalled = {
        "c_old": f"load_edge(c_before + (long)(first + row) * units + unit, {left})",
        "h_old": f"load_edge(h_before + (long)(first + row) * units + unit, {left})",
        "c": f"load_edge(cells + place, {left})",
        "h": f"load_edge(hidden + place, {left})",
    }
    lines += [f"const {v} {name} = {value};" for name, value in recalled.items() if name in cell.recalls]
    if cell.has_cell:
        lines.append(f"const {v} dc_now = {real.load('dc + row * padded + unit')};")
    before, slopes, handed_h, handed_c = cell.slopes(real)
    lines += before
    lines += [real.store(value, there) for value, there in zip(slopes, slope, strict=True) if value]
    if cell.has_cell:
        lines.append(real.store(handed_c, "dc + row * padded + unit"))
    return [*lines, real.store(handed_h or zero, "dh + row * wide + unit")]


def _late_slopes(plan: Backward) -> list[str]:
    """What the gradient of the state let through gives to the slot that let it, and to dh."""
    real, cell = plan.real, plan.sizes.cell
    v, width, left = real.vector, real.lanes, "units - unit"
    slot, slope, handed = cell.late_slopes(real)
    name = cell.slots[slot]
    gate = f"{cell.kept} + (at * {cell.count} + {slot}) * units + unit"
    lines = [
        f"const int block = unit / {width};",
        f"const {v} {name} = load_edge({gate}, {left});",
        f"const {v} h_old = load_edge(h_before + (long)(first + row) * units + unit, {left});",
        f"const {v} to_kept = {real.load('kept_dh + row * wide + unit')};",
        real.store(slope, _slope(plan, slot)),
        real.store(f"{real.load('dh + row * wide + unit')} + {handed}", "dh + row * wide + unit"),
        real.store(real.splat(real.number(0)), "kept_dh + row * wide + unit"),
    ]
    if plan.by_weights:
        above = f"(features + {width - 1}) / {width} * {width} + padded + unit"
        lines.append(real.store(f"{name} * h_old", _before(plan, f"({above})")))
    return lines


def _before(plan: Backward, column: str) -> str:
    """Where a column of what the weights' gradients read lies."""
    return f"befores + ((long)({column} / {plan.real.lanes}) * steps * batch + at) * {plan.real.lanes}"


def _befores(plan: Backward) -> list[str]:
    """x and the state before the step, copied to panels of a vector's width: what the weights' gradients read."""
    real = plan.real
    copy_x = real.store("load_edge(x + at * features + f, features - f)", _before(plan, "f"))
    before = "load_edge(h_before + (long)(first + row) * units + unit, units - unit)"
    copy_h = real.store(before, _before(plan, "(above + unit)"))
    return [
        *loop("f", 0, "features", real.lanes, [copy_x]),
        f"const int above = (features + {real.lanes - 1}) / {real.lanes} * {real.lanes};",
        *loop("unit", 0, "padded", real.lanes, [copy_h]),
    ]


def _state_gradient(plan: Backward, target: str, begin: str, last: str) -> list[str]:
    """target += slopes recurrent^T, for all rows of one step, over the slots from `begin` to `last`."""
    tile, real, panel, cell = plan.state, plan.real, plan.panel, plan.sizes.cell
    across, depth = tile.vectors * real.lanes, f"{cell.count} * padded"
    slopes = f"slopes + ((long)(k0 / {panel}) * tall + (long)t * batch + first + min(row + {{r}}, rows - 1)) * {panel}"
    terms = [
        *pointers(real, "s", [slopes.format(r=r) for r in range(tile.rows)]),
        f"const __global {real.type} *weights = recurrent_turned + (long)column * {depth} + k0 * {across};",
        *tile.product(real, str(panel), "s{r}[k]", "weights"),
    ]
    body = [
        f"__global {real.type} *target = {target} + row * wide + column;",
        *tile.accumulators(real, real.load(f"target + {{r}} * wide + {{v}} * {real.lanes}")),
        *loop("k0", "part", "end", panel, terms),
        *(real.store(f"acc{r}_{v}", f"target + {r} * wide + {v * real.lanes}") for r, v in tile),
    ]
    part = [f"const int end = min(part + {DEPTH}, {last});", *loop("row", 0, "rows", tile.rows, body)]
    return loop("column", 0, "wide", across, loop("part", begin, last, DEPTH, part))
