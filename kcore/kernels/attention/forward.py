"""Attention on a CPU in one pass: scores of a few queries by some keys at a time, with running maximum and sum."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code
from kcore.graph.core import Node
from kcore.kernels.attention.blocks import (
    TILE,
    Attention,
    attention_of,
    copied,
    declare,
    declare_operands,
    product_of_panels,
    reducers,
    scatter,
    score,
    turned,
    unit_loop,
)  # fmt: skip
from kcore.kernels.tiles import Scratch, Text, block, loop
from kcore.kernels.traits import Traits

_PIECES = ("turned_keys", "values", "scaled", "weights", "mixed", "maximum", "sum", "factor")


def emit(node: Node, traits: Traits, wanted: Sequence[bool] = (True, True)) -> Code:
    """The kernel of an `attention` node for a CPU; `wanted` says which outputs are read by anybody."""
    plan = attention_of(node, traits, split=True)
    sizes, real = plan.sizes, plan.real
    scratch, each = _layout(plan)
    text = Text(node)
    for index, name in enumerate(("query", "key_", "value_")):
        text.buffer(name, "input", sizes.dtype, index)
    declare_operands(text, plan)
    for index, name in enumerate(("out", "normalizer")):
        if wanted[index]:
            text.buffer(name, "output", sizes.dtype, index)
    text.pieces(scratch, _PIECES)
    declare(text, plan)
    text.helper(*reducers(real), *scatter(plan))
    text.add(*(f"{name} += (long)get_group_id(0) * {text.size(f'{name}_size', each[name])};" for name in _PIECES))
    v, zero = real.vector, real.splat(real.number(0))
    begin = [real.store(real.splat("-INFINITY"), "maximum + i"), real.store(zero, "sum + i")]
    start = [
        *loop("i", 0, "end - begin", real.lanes, begin),
        f"const int cleared = (end - begin + {TILE - 1}) / {TILE} * {TILE * plan.out};",
        *loop("i", 0, "cleared", real.lanes, [real.store(zero, "mixed + i")]),
    ]
    visible = sizes.causal and sizes.mask is None
    keys = [
        f"const int count = min({plan.keys}, keys - first);",
        f"const int panels = (count + {plan.panel - 1}) / {plan.panel};",
        *turned(plan, "key_", "size", plan.size, "turned_keys"),
        *copied(plan, "value_", "out_size", plan.out, "values"),
        *loop("q", "begin", "end", TILE, _tile(plan, visible)),
    ]
    if visible:
        keys = ["if (first >= end) break;  // hidden from all of these queries", *keys]
    finish = []
    if wanted[1]:
        value = f"log({real.load('sum + i')}) + {real.load('maximum + i')}"
        place = "normalizer + ((long)b * heads + h) * queries + begin + i"
        finish += loop("i", 0, "end - begin", real.lanes, [f"store_edge({value}, {place}, end - begin - i);"])
    if wanted[0]:
        share = [
            f"__global {real.type} *row = out + (((long)b * queries + begin + i) * heads + h) * out_size;",
            f"const {real.type} whole = sum[i];",
            *loop("d", 0, plan.out, real.lanes, [
                f"const {v} part = {real.load(f'mixed + i * {plan.out} + d')} / whole;",
                "store_edge(part, row + d, out_size - d);",
            ]),
        ]  # fmt: skip
        finish += loop("i", 0, "end - begin", 1, share)
    text.add(*unit_loop(plan, [*start, *loop("first", 0, "keys", plan.keys, keys), *finish]))
    return Code((text.source(plan.items),), scratch.bytes)


def _layout(plan: Attention) -> tuple[Scratch, dict[str, int]]:
    """Working memory, and how much of each piece a work-item has."""
    rows = -(-plan.block // TILE) * TILE + plan.real.lanes
    each = {
        "turned_keys": plan.keys * plan.size,
        "values": plan.keys * plan.out,
        "scaled": TILE * plan.size,
        "weights": TILE * plan.keys,
        "mixed": rows * plan.out,
        "maximum": rows,
        "sum": rows,
        "factor": plan.real.lanes,
    }
    scratch = Scratch(plan.sizes.dtype)
    each = {name: -(-size // 32) * 32 for name, size in each.items()}
    for name, size in each.items():
        scratch.take(name, plan.items * size)
    return scratch, each


def _tile(plan: Attention, visible: bool) -> list[str]:
    """`TILE` queries by the keys at hand."""
    real, v = plan.real, plan.real.vector
    row = f"weights + i * {plan.keys} + j"
    rows = f"min({TILE}, end - q)"
    largest = [
        "const int t = q + i;",
        f"{v} top = {real.splat('-INFINITY')};",
        *loop("j", 0, "count", real.lanes, [
            *score(plan, real.load(row)),
            real.store("s", row),
            "top = fmax(top, s);",
        ]),
        "const int place = t - begin;",
        f"const {real.type} before = maximum[place];",
        f"const {real.type} now = fmax(before, largest(top));",
        f"const {real.type} base = now == -INFINITY ? 0 : now;  // nothing seen yet",
        "maximum[place] = now;",
        f"{v} sums = {real.splat(real.number(0))};",
        *loop("j", 0, "count", real.lanes, [
            f"const {v} weight = exp({real.load(row)} - base);",
            real.store("weight", row),
            "sums += weight;",
        ]),
        f"const {real.type} kept = first == 0 ? 0 : exp(before - base);",
        "sum[place] = sum[place] * kept + total(sums);",
        "factor[i] = kept;",
    ]  # fmt: skip
    lines = []
    if visible:
        lines.append(f"if (first > q + {TILE - 1}) continue;")
    lines += [
        f"const int rows = {rows};",
        *_queries(plan),
        *product_of_panels(plan, "scaled", plan.size, "turned_keys", "weights", "rows"),
        *loop("i", 0, "rows", 1, largest),
    ]
    for column, tile in plan.tiles(plan.out):
        start = "factor[i + {r}] * " + real.load(f"m + {{r}} * {plan.out} + {{v}} * {real.lanes}")
        body = [
            f"__global {real.type} *m = mixed + (q - begin + i) * {plan.out} + {column};",
            f"const __global {real.type} *w = weights + i * {plan.keys};",
            *tile.accumulators(real, start),
            *tile.product(real, "count", f"w[{{r}} * {plan.keys} + k]", f"values + {column}", str(plan.out)),
            *(real.store(f"acc{r}_{v}", f"m + {r * plan.out + v * real.lanes}") for r, v in tile),
        ]
        lines += block("", loop("i", 0, "rows", tile.rows, body))
    return lines


def _queries(plan: Attention) -> list[str]:
    """The tile's queries, scaled, in rows of a fixed length."""
    real = plan.real
    value = f"load_edge(row + d, size - d) * {real.number(plan.sizes.scale)}"
    lines = [
        f"const __global {real.type} *row = query + (((long)b * queries + q + i) * heads + h) * size;",
        *loop("d", 0, plan.size, real.lanes, [real.store(value, f"scaled + i * {plan.size} + d")]),
    ]
    return loop("i", 0, "rows", 1, lines)
