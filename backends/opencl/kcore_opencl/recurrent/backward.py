"""The gradient of LSTM on a CPU: the steps backwards row by row, then products over all steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen import Code, Source
from kcore.graph.core import Node
from kcore_opencl.recurrent.sizes import GATES, Sizes, sizes_of
from kcore_opencl.tiles import Real, RowTile, Scratch, Text, block, edges, loop, pointers, real_of
from kcore_opencl.traits import Traits

#: Depth of a product after which its sums are put down, so that the weights in use stay in the first-level cache.
DEPTH = 128
#: Vectors of rows of a weight gradient that one work-item makes, at most.
STRIP = 8

INPUTS = ("g_hidden", "g_h", "g_c", "x", "h0", "c0", "kernel_", "recurrent", "mask", "hidden", "cells", "gates")
OUTPUTS = ("dx", "dh0", "dc0", "d_kernel", "d_recurrent", "d_bias")


@dataclass(frozen=True)
class Backward:
    """One `lstm_grad` node, and how its work is shared out.

    Attributes:
        given: names of the inputs there are.
        wanted: names of the outputs that somebody reads.
        cores: of the device.
        items: work-items that walk over the steps.
        rows: rows of the batch each has room for, a multiple of the tile's.
        state: accumulators of the gradient of the state; its columns are units.
        inputs: accumulators of the gradient of x; its columns are features.
        weights: accumulators of the gradients of the weights; its columns are gates.
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
        """Gates of all units, each gate with lanes to spare."""
        return GATES * self.padded

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
        """Transposed weights; slopes of all gates, x and states before, all in panels; gradients of the state."""
        scratch = Scratch(self.sizes.dtype)
        width, sizes = self.real.lanes, self.sizes
        scratch.take("recurrent_turned", self.depth * self.columns(sizes.units, self.state))
        scratch.take("kernel_turned", self.depth * self.columns(sizes.features, self.inputs))
        scratch.take("slopes", self.tall * self.depth)
        scratch.take("befores", (self.feature_blocks + self.blocks) * sizes.rows * width)
        scratch.take("dh", self.items * self.rows * self.columns(sizes.units, self.state))
        scratch.take("dc", self.items * self.rows * self.padded)
        scratch.take("sums", self.depth * (sum(self.strips) * STRIP * width))
        return scratch


def backward_of(node: Node, traits: Traits, wanted: Sequence[bool]) -> Backward:
    """One walking work-item per core, or per row where there are fewer; tiles as large as the registers allow."""
    sizes = sizes_of(node)
    real = real_of(sizes.dtype, traits)
    most, across = (24, 4) if real.many else (8, 2)
    wide = min(across, -(-sizes.units // real.lanes))
    rows = -(-sizes.batch // max(traits.units, 1))
    tall = min(range(min(most // wide, 8), 0, -1), key=lambda r: -(-rows // r) * max(r * wide / 2, wide * 1.5))
    rows = -(-rows // tall) * tall
    wide_x = min(across, -(-sizes.features // real.lanes))
    return Backward(
        node,
        sizes,
        real,
        frozenset(name for name, value in zip(INPUTS, node.inputs, strict=True) if value is not None),
        frozenset(name for name, want in zip(OUTPUTS, wanted, strict=True) if want),
        traits.units,
        -(-sizes.batch // rows),
        rows,
        RowTile(tall, wide),
        RowTile(min(most // wide_x, 8), wide_x),
        RowTile(min(4, real.lanes), across),
    )


def emit(node: Node, traits: Traits, wanted: Sequence[bool] = (True,) * 6) -> Code:
    """Kernels of an `lstm_grad` node for a CPU; `wanted` says which outputs are read by anybody."""
    from kcore_opencl.recurrent.gradients import input_gradient, turned_weights, weight_gradients

    plan = backward_of(node, traits, wanted)
    launches = [turned_weights(plan), _steps(plan)]
    if "dx" in plan.wanted:
        launches.append(input_gradient(plan))
    if plan.by_weights:
        launches.append(weight_gradients(plan))
    return Code(tuple(launches), plan.scratch.bytes)


def _steps(plan: Backward) -> Source:
    """The walk over the steps: the slopes of all gates, and the gradients of the initial state."""
    sizes, real = plan.sizes, plan.real
    text = Text(plan.node, "steps")
    used = ["g_hidden", "g_h", "g_c", *(["x", "h0"] if plan.by_weights else []), "c0", "mask"]
    used += [*(["hidden"] if plan.by_weights else []), "cells", "gates"]
    for name in used:
        if name in plan.given:
            text.buffer(name, "input", "bool" if name == "mask" else sizes.dtype, INPUTS.index(name))
    ends = [name for name in ("dh0", "dc0") if name in plan.wanted]
    for name in ends:
        text.buffer(name, "output", sizes.dtype, OUTPUTS.index(name))
    text.pieces(plan.scratch, ["recurrent_turned", "slopes", "befores", "dh", "dc"])
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
        "dc += (long)first * padded;",
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
    """The gradients that arrive at the last state and cell; rows to spare repeat the last."""
    real = plan.real
    lines = []
    if plan.given & {"g_h", "g_c"}:
        lines.append("const long from = (long)(first + min(row, rows - 1)) * units + unit;")
    for state, name in (("dh + row * wide", "g_h"), ("dc + row * padded", "g_c")):
        value = f"load_edge({name} + from, units - unit)" if name in plan.given else real.splat(real.number(0))
        lines.append(real.store(value, f"{state} + unit"))
    lines[-1] = f"if (unit < padded) {lines[-1]}"
    return lines


def _turn(plan: Backward) -> list[str]:
    """One step of all rows."""
    real = plan.real
    lines = [
        "const int t = first_step + turn * direction;",
        "const int initial = turn + 1 == steps;",
        f"const __global {real.type} *c_before = initial ? c0 : cells + (long)(t + direction) * batch * units;",
    ]
    row = loop("unit", 0, "padded", real.lanes, _slopes(plan))
    if plan.by_weights:
        lines.append(
            f"const __global {real.type} *h_before = initial ? h0 : hidden + (long)(t + direction) * batch * units;"
        )
        row = [*row, *_befores(plan)]
    row = ["const long at = (long)t * batch + first + row;", *row]
    return [*lines, *loop("row", 0, "rows", 1, row), *_state_gradient(plan)]


def _slopes(plan: Backward) -> list[str]:
    """The gradients of the gates before their activation; dh is left as what passes a masked step by."""
    real = plan.real
    v, width, one, left = real.vector, real.lanes, real.number(1), "units - unit"
    across = plan.weights.vectors
    slope = [
        f"slopes + ((long)((block + {k} * blocks) / {across}) * tall + at) * {plan.panel} "
        f"+ (block + {k} * blocks) % {across} * {width}"
        for k in range(GATES)
    ]
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
    lines += [f"const __global {real.type} *gate = gates + (place - unit) * {GATES} + unit;"]
    lines += [f"const {v} {n} = load_edge(gate + {k} * units, {left});" for k, n in enumerate("ifgo")]
    derivative = f"({one} - flat * flat)"
    return [
        *lines,
        f"const {v} c_old = load_edge(c_before + (long)(first + row) * units + unit, {left});",
        f"const {v} flat = tanh(load_edge(cells + place, {left}));",
        f"const {v} to_c = {real.multiply_add('to_h * o', derivative, real.load('dc + row * padded + unit'))};",
        real.store(f"to_c * g * (i * ({one} - i))", slope[0]),
        real.store(f"to_c * c_old * (f * ({one} - f))", slope[1]),
        real.store(f"to_c * i * ({one} - g * g)", slope[2]),
        real.store(f"to_h * flat * (o * ({one} - o))", slope[3]),
        real.store("to_c * f", "dc + row * padded + unit"),
        real.store(zero, "dh + row * wide + unit"),
    ]


def _befores(plan: Backward) -> list[str]:
    """x and the state before the step, copied to panels of a vector's width: what the weights' gradients read."""
    real = plan.real
    panel = f"befores + ((long)({{}} / {real.lanes}) * steps * batch + at) * {real.lanes}"
    copy_x = real.store("load_edge(x + at * features + f, features - f)", panel.format("f"))
    before = "load_edge(h_before + (long)(first + row) * units + unit, units - unit)"
    copy_h = real.store(before, panel.format("(above + unit)"))
    return [
        *loop("f", 0, "features", real.lanes, [copy_x]),
        f"const int above = (features + {real.lanes - 1}) / {real.lanes} * {real.lanes};",
        *loop("unit", 0, "padded", real.lanes, [copy_h]),
    ]


def _state_gradient(plan: Backward) -> list[str]:
    """dh += slopes recurrent^T, for all rows of one step."""
    tile, real, panel = plan.state, plan.real, plan.panel
    across = tile.vectors * real.lanes
    slopes = f"slopes + ((long)(k0 / {panel}) * tall + (long)t * batch + first + min(row + {{r}}, rows - 1)) * {panel}"
    terms = [
        *pointers(real, "s", [slopes.format(r=r) for r in range(tile.rows)]),
        f"const __global {real.type} *weights = recurrent_turned + (long)column * {GATES} * padded + k0 * {across};",
        *tile.product(real, str(panel), "s{r}[k]", "weights"),
    ]
    body = [
        f"__global {real.type} *target = dh + row * wide + column;",
        *tile.accumulators(real, real.load(f"target + {{r}} * wide + {{v}} * {real.lanes}")),
        *loop("k0", "part", "end", panel, terms),
        *(real.store(f"acc{r}_{v}", f"target + {r} * wide + {v * real.lanes}") for r, v in tile),
    ]
    part = [f"const int end = min(part + {DEPTH}, {GATES} * padded);", *loop("row", 0, "rows", tile.rows, body)]
    return loop("column", 0, "wide", across, loop("part", 0, f"{GATES} * padded", DEPTH, part))
