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
#: Rows of the slopes a work-item copies together before it multiplies by them.
ROWS = 128
#: Rows of a weight gradient a work-item makes, at most.
STRIP = 96

_INPUTS = ("g_hidden", "g_h", "g_c", "x", "h0", "c0", "kernel_", "recurrent", "mask", "hidden", "cells", "gates")


@dataclass(frozen=True)
class Share:
    """How the work is shared out.

    Attributes:
        items: work-items that walk over the steps.
        rows: rows of the batch each has room for, a multiple of the tile's.
        blocks: vectors that hold the units; the last may have lanes to spare.
        padded: units with those lanes.
        state: accumulators of the gradient of the state; its columns are units.
        inputs: accumulators of the gradient of x; its columns are features.
        weights: accumulators of the gradients of the weights; its columns are gates.
    """

    items: int
    rows: int
    blocks: int
    padded: int
    state: RowTile
    inputs: RowTile
    weights: RowTile

    def strips(self, sizes: Sizes) -> tuple[int, int]:
        """Strips of rows of the gradients of both weight matrices."""
        return -(-sizes.features // STRIP), -(-sizes.units // STRIP)


def share_of(sizes: Sizes, traits: Traits, real: Real) -> Share:
    """One walking work-item per core, or per row where there are fewer; tiles as large as the registers allow."""
    wide = real.many
    blocks = -(-sizes.units // real.lanes)
    across = min(4 if wide else 2, blocks)
    rows = -(-sizes.batch // max(traits.units, 1))
    most = (24 if wide else 8) // across
    tall = min(range(min(most, 8), 0, -1), key=lambda r: -(-rows // r) * max(r * across / 2, across * 1.5))
    rows = -(-rows // tall) * tall
    return Share(
        -(-sizes.batch // rows),
        rows,
        blocks,
        blocks * real.lanes,
        RowTile(tall, across),
        RowTile(12 if wide else 4, 2),
        RowTile(6 if wide else 3, 4 if wide else 2),
    )


def layout(sizes: Sizes, share: Share, real: Real) -> Scratch:
    """Working memory: transposed weights, the slopes of all gates at all steps, the gradients of the state."""
    scratch = Scratch(sizes.dtype)
    depth = GATES * share.padded
    scratch.take("recurrent_turned", depth * _columns(sizes.units, share.state, real))
    scratch.take("kernel_turned", depth * _columns(sizes.features, share.inputs, real))
    scratch.take("slopes", sizes.rows * depth)
    scratch.take("dh", share.items * share.rows * _columns(sizes.units, share.state, real))
    scratch.take("dc", share.items * share.rows * share.padded)
    tiles = -(-depth // (share.weights.vectors * real.lanes)) * sum(share.strips(sizes))
    scratch.take("sums", tiles * (STRIP + share.weights.rows) * share.weights.vectors * real.lanes)
    return scratch


def _columns(columns: int, tile: RowTile, real: Real) -> int:
    """Columns rounded up to whole tiles."""
    across = tile.vectors * real.lanes
    return -(-columns // across) * across


def emit(node: Node, traits: Traits, wanted: Sequence[bool] = (True,) * 6) -> Code:
    """Kernels of an `lstm_grad` node for a CPU; `wanted` says which outputs are read by anybody."""
    sizes = sizes_of(node)
    real = real_of(sizes.dtype, traits)
    share = share_of(sizes, traits, real)
    scratch = layout(sizes, share, real)
    launches = [
        _turn_weights(node, sizes, share, real, scratch, wanted[0]),
        _steps(node, sizes, share, real, scratch, wanted),
    ]
    if wanted[0]:
        launches.append(_input_gradient(node, sizes, share, real, scratch, traits))
    if any(wanted[3:]):
        launches.append(_weight_gradients(node, sizes, share, real, scratch, wanted))
    return Code(tuple(launches), scratch.bytes)


# -- weights, transposed ---------------------------------------------------------------------------------------------


def _turn_weights(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch, inputs: bool) -> Source:
    """Both weight matrices transposed, as panels of a tile's columns; gates are padded as the slopes are.

    A work-item makes the panels' rows of one vector of units of one gate.
    """
    text = Text(node, "turn")
    names = ["recurrent", "kernel_"] if inputs else ["recurrent"]
    for name in names:
        text.buffer(name, "input", sizes.dtype, _INPUTS.index(name))
    text.pieces(scratch, [f"{n}turned" if n[-1] == "_" else f"{n}_turned" for n in names])
    text.sizes({"features": sizes.features, "units": sizes.units, "blocks": share.blocks})
    width = real.lanes
    text.add(
        "const int gate = get_group_id(0) / blocks;",
        f"const int unit = get_group_id(0) % blocks * {width};",
        f"const int depth = {GATES} * blocks * {width};",
        f"const int k = gate * blocks * {width} + unit;",
    )
    for name, rows, tile in (("recurrent", "units", share.state), ("kernel_", "features", share.inputs)):
        if name in names:
            across = tile.vectors * width
            target = f"{'kernel' if name == 'kernel_' else name}_turned"
            element = [
                f"const int there = gate * units + unit + j;",
                f"target[j * {across}] = row < {rows} && unit + j < units ? {name}[(long)row * {GATES} * units + there] : 0;",
            ]
            body = [
                f"__global {real.type} *target = {target} + ((long)(row / {across}) * depth + k) * {across} "
                f"+ row % {across};",
                *loop("j", 0, width, 1, element),
            ]
            text.add(
                f"const int {rows}_up = ({rows} + {across - 1}) / {across} * {across};",
                *loop("row", 0, f"{rows}_up", 1, body),
            )
    return text.source(GATES * share.blocks)


# -- the steps, backwards --------------------------------------------------------------------------------------------


def _steps(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch, wanted: Sequence[bool]) -> Source:
    text = Text(node, "steps")
    given = [v is not None for v in node.inputs]
    for name in ("g_hidden", "g_h", "g_c", "c0", "mask", "cells", "gates"):
        index = _INPUTS.index(name)
        if given[index]:
            text.buffer(name, "input", "bool" if name == "mask" else sizes.dtype, index)
    for index, name in ((1, "dh0"), (2, "dc0")):
        if wanted[index]:
            text.buffer(name, "output", sizes.dtype, index)
    text.pieces(scratch, ["recurrent_turned", "slopes", "dh", "dc"])
    text.sizes({"steps": sizes.steps, "batch": sizes.batch, "units": sizes.units})
    text.sizes({"item_rows": share.rows, "blocks": share.blocks, **sizes.walk(backward=True)})
    text.helper(*edges(real))
    width, across = real.lanes, share.state.vectors * real.lanes
    text.add(
        "const int first = get_group_id(0) * item_rows;",
        "const int rows = min(item_rows, batch - first);",
        f"const int padded = blocks * {width};",
        f"const int wide = (units + {across - 1}) / {across} * {across};",
        "dh += (long)first * wide;",
        "dc += (long)first * padded;",
    )
    begin = ["const long from = (long)(first + min(row, rows - 1)) * units + unit;"]
    zero = real.splat(real.number(0))
    for state, name, stride in (("dh", "g_h", "wide"), ("dc", "g_c", "padded")):
        value = f"load_edge({name} + from, units - unit)" if given[_INPUTS.index(name)] else zero
        store = real.store(value, f"{state} + row * {stride} + unit")
        begin.append(store if stride == "wide" else f"if (unit < padded) {store}")
    if not (given[1] or given[2]):
        del begin[0]
    text.add(*loop("row", 0, "item_rows", 1, loop("unit", 0, "wide", width, begin)))
    text.add(
        *loop(
            "turn", 0, "steps", 1,
            [
                "const int t = first_step + turn * direction;",
                f"const __global {real.type} *c_before = turn + 1 < steps "
                "? cells + (long)(t + direction) * batch * units : c0;",
                *_slopes(real, given),
                *_state_gradient(share, real),
            ],
        )
    )  # fmt: skip
    if wanted[1] or wanted[2]:
        ends = ["const long at = (long)(first + row) * units + unit;"]
        for index, name, source in ((1, "dh0", "dh + row * wide"), (2, "dc0", "dc + row * padded")):
            if wanted[index]:
                ends.append(f"store_edge({real.load(source + ' + unit')}, {name} + at, units - unit);")
        text.add(*loop("row", 0, "rows", 1, loop("unit", 0, "padded", width, ends)))
    return text.source(share.items)


def _slopes(real: Real, given: Sequence[bool]) -> list[str]:
    """The gradients of one step's gates before their activation; dh is left as what passes a masked step by."""
    v, width, one = real.vector, real.lanes, real.number(1)
    left = "units - unit"
    lines = [
        "const long at = (long)t * batch + first + row;",
        "const long place = at * units + unit;",
        f"{v} to_h = {real.load('dh + row * wide + unit')};",
    ]
    if given[0]:
        lines.append(f"to_h += load_edge(g_hidden + place, {left});")
    lines += [f"__global {real.type} *slope = slopes + at * {GATES} * padded + unit;"]
    if given[8]:
        skip = [real.store("to_h", "dh + row * wide + unit")]
        skip += [real.store(real.splat(real.number(0)), f"slope + {k} * padded") for k in range(GATES)]
        lines += block("if (!mask[at])", [*skip, "continue;"])
    lines += [f"const __global {real.type} *gate = gates + (place - unit) * {GATES} + unit;"]
    lines += [f"const {v} {n} = load_edge(gate + {k} * units, {left});" for k, n in enumerate("ifgo")]
    derivative = f"{one} - flat * flat"
    lines += [
        f"const {v} c_old = load_edge(c_before + (long)(first + row) * units + unit, {left});",
        f"const {v} flat = tanh(load_edge(cells + place, {left}));",
        f"const {v} to_c = {real.multiply_add('to_h * o', f'({derivative})', real.load('dc + row * padded + unit'))};",
        real.store(f"to_c * g * (i * ({one} - i))", "slope"),
        real.store(f"to_c * c_old * (f * ({one} - f))", "slope + padded"),
        real.store(f"to_c * i * ({one} - g * g)", "slope + 2 * padded"),
        real.store(f"to_h * flat * (o * ({one} - o))", "slope + 3 * padded"),
        real.store("to_c * f", "dc + row * padded + unit"),
        real.store(real.splat(real.number(0)), "dh + row * wide + unit"),
    ]
    assert width > 1
    return loop("row", 0, "rows", 1, loop("unit", 0, "padded", width, lines))


def _state_gradient(share: Share, real: Real) -> list[str]:
    """dh += slopes recurrent^T, for all rows of one step."""
    tile = share.state
    across = tile.vectors * real.lanes
    slopes = f"slopes + ((long)t * batch + first + min(row + {{r}}, rows - 1)) * {GATES} * padded + part"
    body = [
        f"__global {real.type} *target = dh + row * wide + column;",
        *pointers(real, "s", [slopes.format(r=r) for r in range(tile.rows)]),
        *tile.accumulators(real, real.load(f"target + {{r}} * wide + {{v}} * {real.lanes}")),
        *tile.product(real, "depth", "s{r}[k]", "weights"),
        *(real.store(f"acc{r}_{v}", f"target + {r} * wide + {v * real.lanes}") for r, v in tile),
    ]
    part = [
        f"const int depth = min({DEPTH}, {GATES} * padded - part);",
        f"const __global {real.type} *weights = recurrent_turned + (long)column * {GATES} * padded + part * {across};",
        *loop("row", 0, "rows", tile.rows, body),
    ]
    return loop("column", 0, "wide", across, loop("part", 0, f"{GATES} * padded", DEPTH, part))


# -- products over all steps -----------------------------------------------------------------------------------------


def _input_gradient(node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch, traits: Traits) -> Source:
    """dx = slopes kernel^T; a work-item makes some rows of all steps together."""
    tile = share.inputs
    across = tile.vectors * real.lanes
    text = Text(node, "inputs")
    text.buffer("dx", "output", sizes.dtype, 0)
    text.pieces(scratch, ["kernel_turned", "slopes"])
    items = min(4 * traits.units, -(-sizes.rows // tile.rows))
    rows = -(-sizes.rows // (items * tile.rows)) * tile.rows
    text.sizes({"rows": sizes.rows, "item_rows": rows, "features": sizes.features, "depth": GATES * share.padded})
    text.helper(*edges(real))
    body = [
        *pointers(real, "s", [f"slopes + (long)min(row + {r}, rows - 1) * depth" for r in range(tile.rows)]),
        *tile.accumulators(real),
        *tile.product(real, "depth", "s{r}[k]", "weights"),
    ]
    for r in range(tile.rows):
        stores = [f"__global {real.type} *target = dx + (long)(row + {r}) * features + column;"]
        for v in range(tile.vectors):
            at = f" + {v * real.lanes}" if v else ""
            stores.append(f"store_edge(acc{r}_{v}, target{at}, features - column{at.replace('+', '-')});")
        body += block(f"if (row + {r} < rows)", stores)
    text.add("const int first = get_group_id(0) * item_rows;", "const int end = min(first + item_rows, rows);")
    weights = f"const __global {real.type} *weights = kernel_turned + (long)column * depth;"
    text.add(*loop("column", 0, "features", across, [weights, *loop("row", "first", "end", tile.rows, body)]))
    return text.source(-(-sizes.rows // rows))


def _weight_gradients(
    node: Node, sizes: Sizes, share: Share, real: Real, scratch: Scratch, wanted: Sequence[bool]
) -> Source:
    """x^T slopes, (the states before)^T slopes, and the sum of the slopes.

    A work-item makes a strip of rows of one of the two gradients, a tile wide; the first strips sum the slopes too.
    """
    tile, width = share.weights, real.lanes
    across = tile.vectors * width
    text = Text(node, "weights")
    for name in ("x", "h0", "hidden"):
        text.buffer(name, "input", sizes.dtype, _INPUTS.index(name))
    names = {3: "d_kernel", 4: "d_recurrent", 5: "d_bias"}
    for index, name in names.items():
        if wanted[index]:
            text.buffer(name, "output", sizes.dtype, index)
    text.pieces(scratch, ["slopes", "sums"])
    strips = share.strips(sizes)
    depth = GATES * share.padded
    text.sizes({"rows": sizes.rows, "batch": sizes.batch, "features": sizes.features, "units": sizes.units})
    text.sizes({"depth": depth, "padded": share.padded, "x_strips": strips[0], "strips": sum(strips)})
    reverse = text.size("reverse", sizes.reverse)
    text.helper(*edges(real))
    text.add(
        f"const int column = get_group_id(0) / strips * {across};",
        "const int strip = get_group_id(0) % strips;",
        "const int inputs = strip < x_strips;",
        "const int width = inputs ? features : units;",
        f"const int top = (inputs ? strip : strip - x_strips) * {STRIP};",
        f"const int end = min(top + {STRIP}, width);",
        f"{real.type} panel[{ROWS * across}];",
        f"sums += (long)get_group_id(0) * {(STRIP + tile.rows) * across};",
        f"for (int i = 0; i < {(STRIP + tile.rows) * across}; i += {width}) {real.store(real.splat('0'), 'sums + i')}",
        *(f"{real.vector} bias{v} = {real.splat(real.number(0))};" for v in range(tile.vectors)),
        "// x is one piece; the states before each step are h0 and all of hidden but the last",
        "for (int piece = 0; piece < (inputs ? 1 : 2); ++piece) {",
    )
    copy = [f"const __global {real.type} *from = slopes + (row + i) * depth + column;"]
    for v in range(tile.vectors):
        copy.append(f"const {real.vector} s{v} = {_guarded(real, v, tile, 'from')};")
        copy.append(real.store(f"s{v}", f"panel + i * {across} + {v * width}"))
        copy.append(f"bias{v} += s{v};")
    body = [
        f"__global {real.type} *target = sums + (f - top) * {across};",
        *pointers(real, "l", [f"left + (row - begin) * width + min(f + {r}, width - 1)" for r in range(tile.rows)]),
        *tile.accumulators(real, real.load(f"target + {{r}} * {across} + {{v}} * {width}")),
        *tile.product(real, "count", "l{r}[k * width]", "panel"),
        *(real.store(f"acc{r}_{v}", f"target + {r * across + v * width}") for r, v in tile),
    ]
    lines = [
        f"const int initial = !inputs && piece == 0;",
        f"const long begin = inputs ? 0 : initial ? ({reverse} ? rows - batch : 0) : ({reverse} ? 0 : batch);",
        "const long stop = inputs ? rows : begin + (initial ? batch : rows - batch);",
        f"const __global {real.type} *left = inputs ? x : initial ? h0 : {reverse} ? hidden + (long)batch * units : hidden;",
        *block(
            f"for (long row = begin; row < stop; row += {ROWS})",
            [
                f"const int count = (int)min((long){ROWS}, stop - row);",
                *loop("i", 0, "count", 1, copy),
                *loop("f", "top", "end", tile.rows, body),
            ],
        ),
    ]
    text.add(*["    " + line for line in lines], "}")
    text.add(*_store_weights(real, tile, wanted))
    tiles = -(-depth // across)
    return text.source(tiles * sum(strips))


def _guarded(real: Real, v: int, tile: RowTile, pointer: str) -> str:
    """A vector of the slopes, zero behind the last column."""
    load = real.load(f"{pointer} + {v * real.lanes}")
    if v == 0 or GATES % tile.vectors == 0:  # whole tiles always: the columns are a multiple of the gates
        return load
    return f"column + {v * real.lanes} < depth ? {load} : {real.splat(real.number(0))}"


def _store_weights(real: Real, tile: RowTile, wanted: Sequence[bool]) -> list[str]:
    """The sums from working memory into the outputs, without the lanes to spare."""
    across = tile.vectors * real.lanes
    targets = {True: "d_kernel" if wanted[3] else None, False: "d_recurrent" if wanted[4] else None}
    store = [
        "const int at = column + i;",
        "const int unit = at % padded;",
        f"const int gate = at / padded;",
    ]
    body = []
    for inputs, name in targets.items():
        if name:
            put = f"store_edge({real.load(f'sums + (f - top) * {across} + i')}, "
            put += f"{name} + ((long)f * {GATES} + gate) * units + unit, units - unit);"
            body.append(("if (inputs) " if inputs else "if (!inputs) ") + put)
    lines = loop("f", "top", "end", 1, loop("i", 0, across, real.lanes, [*store, *body])) if body else []
    if wanted[5]:
        stores = []
        for v in range(tile.vectors):
            at = f"column + {v * real.lanes}" if v else "column"
            to = f"d_bias + ({at}) / padded * units + ({at}) % padded"
            stores.append(f"store_edge(bias{v}, {to}, units - ({at}) % padded);")
        lines += block("if (strip == 0)", stores)
    return lines
