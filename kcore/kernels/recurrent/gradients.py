"""The gradient of recurrent layers on a CPU: weights transposed before the steps, products over all steps after."""

from __future__ import annotations

from kcore.codegen import Source
from kcore.kernels.recurrent.backward import STRIP, Backward
from kcore.kernels.recurrent.cells import table
from kcore.kernels.tiles import RowTile, Text, block, edges, loop

#: Rows of all steps that a work-item multiplies by before it puts its sums down: their slopes fit the L1 cache.
ROWS = 128


def turned_weights(plan: Backward) -> Source:
    """Both weight matrices transposed, as panels of a tile's columns; slots are padded as the slopes are.

    A work-item makes the panels' rows of one vector of units of one slot; zeros where a matrix has nothing for it.
    """
    sizes, real, cell = plan.sizes, plan.real, plan.sizes.cell
    blocks = {"recurrent": cell.recurrent_blocks, "kernel_": cell.kernel_blocks}
    matrices: list[tuple[str, str, RowTile]] = [("recurrent", "units", plan.state)]
    if "dx" in plan.wanted:
        matrices.append(("kernel_", "features", plan.inputs))
    text = Text(plan.node, "turned")
    for name, _, _ in matrices:
        plan.buffer(text, name)
    text.pieces(plan.scratch, [f"{name.rstrip('_')}_turned" for name, _, _ in matrices])
    text.sizes({"features": sizes.features, "units": sizes.units, "blocks": plan.blocks})
    width = real.lanes
    text.add(
        "const int slot = get_group_id(0) / blocks;",
        f"const int unit = get_group_id(0) % blocks * {width};",
        f"const int count = min({width}, units - unit);",
        f"const int depth = {cell.count} * blocks * {width};",
        f"const int k = slot * blocks * {width} + unit;",
    )
    for name, rows, tile in matrices:
        across = tile.vectors * width
        turned = f"{name.rstrip('_')}_turned"
        constant, block_of = table(f"{name.rstrip('_')}_block", blocks[name])
        text.helper(*constant)
        part = block_of("slot")
        known = f"row < {rows}" if part == "slot" else f"row < {rows} && {part} >= 0"
        row = [
            f"__global {real.type} *target = {turned} + ((long)(row / {across}) * depth + k) * {across} "
            f"+ row % {across};",
            f"const __global {real.type} *from = {name} + ((long)row * {cell.blocks} + {part}) * units + unit;",
            f"const int known = {known} ? count : 0;",
            f"for (int j = 0; j < known; ++j) target[j * {across}] = from[j];",
            f"for (int j = known; j < {width}; ++j) target[j * {across}] = 0;",
        ]
        end = f"({rows} + {across - 1}) / {across} * {across}"
        text.add(*loop("row", 0, end, 1, row))
    return text.source(cell.count * plan.blocks)


def input_gradient(plan: Backward) -> Source:
    """dx = slopes kernel^T; a work-item makes some rows of all steps together."""
    sizes, real, tile, panel = plan.sizes, plan.real, plan.inputs, plan.panel
    width, across = real.lanes, tile.vectors * real.lanes
    text = Text(plan.node, "inputs")
    plan.buffer(text, "dx")
    text.pieces(plan.scratch, ["kernel_turned", "slopes"])
    tiles = -(-sizes.rows // tile.rows)
    rows = -(-tiles // min(4 * plan.cores, tiles)) * tile.rows
    text.sizes({"rows": sizes.rows, "tall": plan.tall, "item_rows": rows})
    text.sizes({"features": sizes.features, "depth": plan.depth})
    text.helper(*edges(real))
    terms = [
        f"const __global {real.type} *s = slopes + ((long)(k0 / {panel}) * tall + row) * {panel};",
        f"const __global {real.type} *weights = kernel_turned + (long)column * depth + k0 * {across};",
        *tile.product(real, str(panel), f"s[{{r}} * {panel} + k]", "weights"),
    ]
    cell, used = sizes.cell, "depth"
    if len(cell.input_slots) < cell.count:
        used = "used"
        text.add(
            f"const int used = (depth / {cell.count} * {len(cell.input_slots)} + {panel - 1}) / {panel} * {panel};"
        )
    body = [*tile.accumulators(real), *loop("k0", 0, used, panel, terms)]
    for r in range(tile.rows):
        stores = [f"__global {real.type} *target = dx + (long)(row + {r}) * features + column;"]
        for v in range(tile.vectors):
            more, less = (f" + {v * width}", f" - {v * width}") if v else ("", "")
            stores.append(f"store_edge(acc{r}_{v}, target{more}, features - column{less});")
        body += block(f"if (row + {r} < rows)", stores)
    text.add(
        "const int first = get_group_id(0) * item_rows;",
        "const int end = min(first + item_rows, rows);",
        *loop("column", 0, "features", across, loop("row", "first", "end", tile.rows, body)),
    )
    return text.source(-(-sizes.rows // rows))


def weight_gradients(plan: Backward) -> Source:
    """x^T slopes, (the states before)^T slopes, and the sum of the slopes.

    A work-item makes a strip of rows of one of the two gradients, one panel of the slopes wide; the first strips sum
    the slopes too.
    """
    sizes, real, tile, across, cell = plan.sizes, plan.real, plan.weights, plan.panel, plan.sizes.cell
    width = real.lanes
    names = [name for name in ("d_kernel", "d_recurrent", "d_bias") if name in plan.wanted]
    text = Text(plan.node, "weights")
    for wanted in names:
        plan.buffer(text, wanted)
    biased = "d_bias" in names
    late = f" + (panel * {across} < {cell.early_count} * padded ? 0 : padded / {width})" if cell.late else ""
    text.pieces(plan.scratch, ["slopes", "befores", "sums"])
    text.sizes({"rows": sizes.rows, "tall": plan.tall, "features": sizes.features, "units": sizes.units})
    text.sizes({"padded": plan.padded, "x_strips": plan.strips[0], "strips": sum(plan.strips)})
    text.helper(*edges(real))
    text.add(
        "const int panel = get_group_id(0) / strips;",
        "const int strip = get_group_id(0) % strips;",
        "const int inputs = strip < x_strips;",
        "const int above = inputs ? features : units;",
        f"const int top = (inputs ? strip : strip - x_strips) * {STRIP * width};",
        f"const int end = min(top + {STRIP * width}, above);",
        *_idle(plan, biased),
        f"const int skipped = inputs ? 0 : (features + {width - 1}) / {width}{late};",
        "slopes += (long)panel * tall * " + f"{across};",
        f"befores += ((long)skipped * {width} + top) * rows;",
        f"sums += (long)get_group_id(0) * {STRIP * width * across};",
        f"for (int i = 0; i < (end - top + {width - 1}) / {width} * {width * across}; i += {width})",
        "    " + real.store(real.splat(real.number(0)), "sums + i"),
    )
    if biased:
        text.add(*(f"{real.vector} bias{v} = {real.splat(real.number(0))};" for v in range(tile.vectors)))
    body = [
        f"__global {real.type} *target = sums + (f - top) * {across};",
        f"const __global {real.type} *left = befores + ((long)((f - top) / {width}) * rows + row) * {width} "
        f"+ (f - top) % {width};",
        *tile.accumulators(real, real.load(f"target + {{r}} * {across} + {{v}} * {width}")),
        *tile.product(real, "count", f"left[k * {width} + {{r}}]", "slope"),
        *(real.store(f"acc{r}_{v}", f"target + {r * across + v * width}") for r, v in tile),
    ]
    lines = [
        f"const int count = min({ROWS}, rows - row);",
        f"const __global {real.type} *slope = slopes + (long)row * {across};",
    ]
    if biased:
        adds = [f"bias{v} += {real.load(f'slope + i * {across} + {v * width}')};" for v in range(tile.vectors)]
        lines += block("if (strip == 0)", loop("i", 0, "count", 1, adds))
    text.add(*loop("row", 0, "rows", ROWS, [*lines, *loop("f", "top", "end", tile.rows, body)]))
    put = f"store_edge({real.load(f'sums + (f - top) * {across} + v * {width}')}, "
    put += f"{{}} + ((long)f * {cell.blocks} + {{}}) * units + unit, units - unit);"
    stores = [
        f"const int column = panel * {across} + v * {width};",
        "const int slot = column / padded;",
        "const int unit = column % padded;",
    ]
    matrices = (("d_kernel", "inputs", cell.kernel_blocks), ("d_recurrent", "!inputs", cell.recurrent_blocks))
    for name, condition, blocks in matrices:
        if name in names:
            constant, block_of = table(f"{name}_block", blocks)
            text.helper(*constant)
            known = f" && {block_of('slot')} >= 0" if constant else ""
            stores.append(f"if ({condition}{known}) {put.format(name, block_of('slot'))}")
    if len(stores) > 3:
        text.add(*loop("f", "top", "end", 1, loop("v", 0, tile.vectors, 1, stores)))
    if biased:
        _store_bias(plan, text)
    return text.source(plan.depth // across * sum(plan.strips))


def _idle(plan: Backward, biased: bool) -> list[str]:
    """Lines that end a work-item whose panel has nothing to do with its matrix; the first ones still sum the slopes."""
    cell, across = plan.sizes.cell, plan.panel
    if len(cell.input_slots) == len(cell.state_slots) == cell.count:
        return []
    by_inputs = f"panel * {across} >= {len(cell.input_slots)} * padded"
    by_state = f"(panel + 1) * {across} <= {cell.state_slots[0]} * padded"
    return [f"if ({'strip > 0 && ' if biased else ''}(inputs ? {by_inputs} : {by_state})) return;"]


def _store_bias(plan: Backward, text: Text) -> None:
    """The sums of the slopes, each where the bias of its slot lies; some slots have two."""
    cell, across, width = plan.sizes.cell, plan.panel, plan.real.lanes
    places = []
    for part in range(max(map(len, cell.bias_blocks))):
        blocks = [own[part] if part < len(own) else None for own in cell.bias_blocks]
        constant, block_of = table(f"bias_block{part or ''}", blocks)
        text.helper(*constant)
        places.append((block_of("slot"), None in blocks))
    for v in range(plan.weights.vectors):
        lines = [
            f"const int column = panel * {across} + {v * width};",
            "const int slot = column / padded, unit = column % padded;",
        ]
        for place, partial in places:
            store = f"store_edge(bias{v}, d_bias + {place} * units + unit, units - unit);"
            lines.append(f"if ({place} >= 0) {store}" if partial else store)
        text.block("if (strip == 0)", lines)
