"""The gradient of LSTM on a CPU: weights transposed before the steps, and the products over all steps after them."""

from __future__ import annotations

from kcore.codegen import Source
from kcore_opencl.recurrent.backward import INPUTS, OUTPUTS, STRIP, Backward
from kcore_opencl.recurrent.sizes import GATES
from kcore_opencl.tiles import RowTile, Text, block, edges, loop

#: Rows of all steps that a work-item multiplies by before it puts its sums down: their slopes fit the L1 cache.
ROWS = 128


def turned_weights(plan: Backward) -> Source:
    """Both weight matrices transposed, as panels of a tile's columns; gates are padded as the slopes are.

    A work-item makes the panels' rows of one vector of units of one gate.
    """
    sizes, real = plan.sizes, plan.real
    matrices: list[tuple[str, str, RowTile]] = [("recurrent", "units", plan.state)]
    if "dx" in plan.wanted:
        matrices.append(("kernel", "features", plan.inputs))
    text = Text(plan.node, "turned")
    for name, _, _ in matrices:
        text.buffer(f"{name}_", "input", sizes.dtype, INPUTS.index("kernel_" if name == "kernel" else name))
    text.pieces(plan.scratch, [f"{name}_turned" for name, _, _ in matrices])
    text.sizes({"features": sizes.features, "units": sizes.units, "blocks": plan.blocks})
    width = real.lanes
    text.add(
        "const int gate = get_group_id(0) / blocks;",
        f"const int unit = get_group_id(0) % blocks * {width};",
        f"const int count = min({width}, units - unit);",
        f"const int depth = {GATES} * blocks * {width};",
        f"const int k = gate * blocks * {width} + unit;",
    )
    for name, rows, tile in matrices:
        across = tile.vectors * width
        row = [
            f"__global {real.type} *target = {name}_turned + ((long)(row / {across}) * depth + k) * {across} "
            f"+ row % {across};",
            f"const __global {real.type} *from = {name}_ + ((long)row * {GATES} + gate) * units + unit;",
            f"const int known = row < {rows} ? count : 0;",
            f"for (int j = 0; j < known; ++j) target[j * {across}] = from[j];",
            f"for (int j = known; j < {width}; ++j) target[j * {across}] = 0;",
        ]
        end = f"({rows} + {across - 1}) / {across} * {across}"
        text.add(*loop("row", 0, end, 1, row))
    return text.source(GATES * plan.blocks)


def input_gradient(plan: Backward) -> Source:
    """dx = slopes kernel^T; a work-item makes some rows of all steps together."""
    sizes, real, tile, panel = plan.sizes, plan.real, plan.inputs, plan.panel
    width, across = real.lanes, tile.vectors * real.lanes
    text = Text(plan.node, "inputs")
    text.buffer("dx", "output", sizes.dtype, OUTPUTS.index("dx"))
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
    body = [*tile.accumulators(real), *loop("k0", 0, "depth", panel, terms)]
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
    sizes, real, tile, across = plan.sizes, plan.real, plan.weights, plan.panel
    width = real.lanes
    names = [name for name in ("d_kernel", "d_recurrent", "d_bias") if name in plan.wanted]
    text = Text(plan.node, "weights")
    for name in names:
        text.buffer(name, "output", sizes.dtype, OUTPUTS.index(name))
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
        f"const int skipped = inputs ? 0 : (features + {width - 1}) / {width};",
        "slopes += (long)panel * tall * " + f"{across};",
        f"befores += ((long)skipped * {width} + top) * rows;",
        f"sums += (long)get_group_id(0) * {STRIP * width * across};",
        f"for (int i = 0; i < (end - top + {width - 1}) / {width} * {width * across}; i += {width})",
        "    " + real.store(real.splat(real.number(0)), "sums + i"),
    )
    biased = "d_bias" in names
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
    put += f"{{}} + ((long)f * {GATES} + gate) * units + unit, units - unit);"
    stores = [
        f"const int column = panel * {across} + v * {width};",
        "const int gate = column / padded;",
        "const int unit = column % padded;",
    ]
    for name, condition in (("d_kernel", "inputs"), ("d_recurrent", "!inputs")):
        if name in names:
            stores.append(f"if ({condition}) {put.format(name)}")
    if len(stores) > 3:
        text.add(*loop("f", "top", "end", 1, loop("v", 0, tile.vectors, 1, stores)))
    if biased:
        for v in range(tile.vectors):
            at = f"(panel * {across} + {v * width})"
            put = f"store_edge(bias{v}, d_bias + {at} / padded * units + {at} % padded, units - {at} % padded);"
            text.add(f"if (strip == 0) {put}")
    return text.source(plan.depth // across * sum(plan.strips))
