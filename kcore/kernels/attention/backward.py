"""The gradients of attention on a CPU: scores are computed again, for some queries by some keys at a time.

With the weights ``P = exp(S - normalizer)``: ``dV = P^T g``, ``dS = P (g V^T - sum(g out))``, ``dQ = scale dS K`` and
``dK = scale dS^T Q`` (Dao et al. 2022).
"""

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

#: Queries after which the gradients of keys and values are put down.
QUERIES = 64

_INPUTS = ("g", "query", "key_", "value_", "bias", "mask", "out", "normalizer")


def emit(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of an `attention_grad` or `attention_bias_grad` node for a CPU.

    Args:
        wanted: which outputs are read by anybody; all if None.
    """
    plan = attention_of(node, traits, split=False)
    sizes, real = plan.sizes, plan.real
    outputs = ("d_scores",) if node.op.name == "attention_bias_grad" else ("dq", "dk", "dv")
    names = [name for i, name in enumerate(outputs) if wanted is None or wanted[i]]
    scratch, each = _layout(plan)
    text = Text(node)
    for name in ("g", "query", "key_", "value_", "out", "normalizer"):
        text.buffer(name, "input", sizes.dtype, _INPUTS.index(name))
    declare_operands(text, plan)
    for name in names:
        text.buffer(name, "output", sizes.dtype, outputs.index(name))
    text.pieces(scratch, each)
    declare(text, plan)
    text.helper(*reducers(real), *scatter(plan))
    text.add(*(f"{name} += (long)get_group_id(0) * {text.size(f'{name}_size', size)};" for name, size in each.items()))
    keys = [
        f"const int count = min({plan.keys}, keys - first);",
        f"const int panels = (count + {plan.panel - 1}) / {plan.panel};",
        *turned(plan, "key_", "size", plan.size, "turned_keys"),
        *turned(plan, "value_", "out_size", plan.out, "turned_values"),
    ]
    if "dq" in names:
        keys += copied(plan, "key_", "size", plan.size, "plain_keys")
    zero = real.splat(real.number(0))
    for name, columns in (("dk", plan.size), ("dv", plan.out)):
        if name in names:
            clear = real.store(zero, f"{name}_sums + i")
            keys += loop("i", 0, f"count * {columns}", real.lanes, [clear])
    # keys are hidden from earlier queries, unless a query that sees none attends to all
    hidden = sizes.causal and sizes.mask is None and "d_scores" not in names
    start = f"first / {QUERIES} * {QUERIES}" if hidden else "begin"
    keys += loop("q", start, "end", QUERIES, _queries(plan, names))
    for name, columns, size in (("dk", plan.size, "size"), ("dv", plan.out, "out_size")):
        if name in names:
            keys += _stored(plan, name, columns, size)
    text.add(*unit_loop(plan, loop("first", 0, "keys", plan.keys, keys)))
    return Code((text.source(plan.items),), scratch.bytes)


def _layout(plan: Attention) -> tuple[Scratch, dict[str, int]]:
    """Working memory, and how much of each piece a work-item has."""
    each = {
        "turned_keys": plan.keys * plan.size,
        "turned_values": plan.keys * plan.out,
        "plain_keys": plan.keys * plan.size,
        "scaled": QUERIES * plan.size,
        "arriving": QUERIES * plan.out,
        "weights": QUERIES * plan.keys,
        "slopes": QUERIES * plan.keys,
        "dk_sums": plan.keys * plan.size,
        "dv_sums": plan.keys * plan.out,
    }
    scratch = Scratch(plan.sizes.dtype)
    each = {name: -(-size // 32) * 32 for name, size in each.items()}
    for name, size in each.items():
        scratch.take(name, plan.items * size)
    return scratch, each


def _queries(plan: Attention, names: Sequence[str]) -> list[str]:
    """Up to `QUERIES` queries by the keys at hand."""
    sizes, real = plan.sizes, plan.real
    v, zero = real.vector, real.splat(real.number(0))
    scale = real.number(sizes.scale)
    head = "(((long)b * queries + q + i) * heads + h)"
    arrive = [
        "const int known = i < rows;",
        f"const __global {real.type} *query_row = query + {head} * size;",
        f"const __global {real.type} *g_row = g + {head} * out_size;",
        *loop("d", 0, plan.size, real.lanes, [
            f"const {v} part = known ? load_edge(query_row + d, size - d) * {scale} : {zero};",
            real.store("part", f"scaled + i * {plan.size} + d"),
        ]),
        *loop("d", 0, plan.out, real.lanes, [
            f"const {v} part = known ? load_edge(g_row + d, out_size - d) : {zero};",
            real.store("part", f"arriving + i * {plan.out} + d"),
        ]),
    ]  # fmt: skip
    lines = [
        f"const int rows = min({QUERIES}, end - q);",
        f"const int padded = (rows + {TILE - 1}) / {TILE} * {TILE};",
        *loop("i", 0, "padded", 1, arrive),
        *product_of_panels(plan, "scaled", plan.size, "turned_keys", "weights", "padded"),
        *product_of_panels(plan, "arriving", plan.out, "turned_values", "slopes", "padded"),
        *loop("i", 0, "rows", 1, _slopes(plan, names)),
    ]
    if "dq" in names:
        lines += _to_queries(plan)
    for name, left, right, columns in (
        ("dk", "slopes", "scaled", plan.size),
        ("dv", "weights", "arriving", plan.out),
    ):
        if name in names:
            lines += _to_keys(plan, name, left, right, columns)
    return lines


def _slopes(plan: Attention, names: Sequence[str]) -> list[str]:
    """From a row's scores and products of g and values: its weights, and the gradients of the scores."""
    sizes, real = plan.sizes, plan.real
    v, zero = real.vector, real.splat(real.number(0))
    at = f"i * {plan.keys} + j"
    low = real.number(sizes.low / 2)
    row = [
        *score(plan, real.load(f"weights + {at}")),
        f"const {v} weight = blind ? {real.splat('uniform')} : exp(s - norm);",
        f"{v} slope = weight * ({real.load(f'slopes + {at}')} - along);",
        f"slope = select({zero}, slope, s > {real.splat(low)});",
    ]
    if "dv" in names:
        row.append(real.store("weight", f"weights + {at}"))
    row.append(
        "store_edge(slope, d_row + first + j, count - j);"
        if "d_scores" in names
        else real.store("slope", f"slopes + {at}")
    )
    lines = [
        "const int t = q + i;",
        f"const __global {real.type} *out_row = out + (((long)b * queries + t) * heads + h) * out_size;",
        f"{v} products = {zero};",
        *loop(
            "d",
            0,
            plan.out,
            real.lanes,
            [f"products += load_edge(out_row + d, out_size - d) * {real.load(f'arriving + i * {plan.out} + d')};"],
        ),
        f"const {real.type} along = total(products);",
        f"const {real.type} norm = normalizer[((long)b * heads + h) * queries + t];",
        f"const int blind = norm < {low};  // every key is masked: all weigh alike",
        f"const {real.type} uniform = {real.number(1)} / keys;",
    ]
    if "d_scores" in names:
        lines.append(f"__global {real.type} *d_row = d_scores + (((long)b * heads + h) * queries + t) * keys;")
    return [*lines, *loop("j", 0, "count", real.lanes, row)]  # fmt: skip


def _to_queries(plan: Attention) -> list[str]:
    """dQ of these queries: what these keys add to it."""
    real = plan.real
    scale = real.number(plan.sizes.scale)
    lines = []
    for column, tile in plan.tiles(plan.size):
        body = [
            f"const __global {real.type} *s = slopes + i * {plan.keys};",
            *tile.accumulators(real),
            *tile.product(real, "count", f"s[{{r}} * {plan.keys} + k]", f"plain_keys + {column}", str(plan.size)),
        ]
        for r in range(tile.rows):
            stores = [f"__global {real.type} *row = dq + (((long)b * queries + q + i + {r}) * heads + h) * size;"]
            for v in range(tile.vectors):
                at, left = f"row + {column + v * real.lanes}", f"size - {column + v * real.lanes}"
                before = f"(first ? load_edge({at}, {left}) : {real.splat(real.number(0))})"
                stores.append(f"store_edge({before} + acc{r}_{v} * {scale}, {at}, {left});")
            body += block(f"if (i + {r} < rows)", stores)
        lines += block("", loop("i", 0, "rows", tile.rows, body))
    return lines


def _to_keys(plan: Attention, name: str, left: str, right: str, columns: int) -> list[str]:
    """dK or dV of these keys: what these queries add to it."""
    real = plan.real
    lines = []
    for column, tile in plan.tiles(columns):
        body = [
            f"const __global {real.type} *l = {left} + i;",
            f"__global {real.type} *sums = {name}_sums + i * {columns} + {column};",
            *tile.accumulators(real, real.load(f"sums + {{r}} * {columns} + {{v}} * {real.lanes}")),
            *tile.product(real, "rows", f"l[k * {plan.keys} + {{r}}]", f"{right} + {column}", str(columns)),
            *(real.store(f"acc{r}_{v}", f"sums + {r * columns + v * real.lanes}") for r, v in tile),
        ]
        lines += block("", loop("i", 0, "count", tile.rows, body))
    return lines


def _stored(plan: Attention, name: str, columns: int, size: str) -> list[str]:
    """The sums of a head's keys into an output."""
    real = plan.real
    lines = [
        f"__global {real.type} *row = {name} + (((long)b * keys + first + i) * heads + h) * {size};",
        *loop("d", 0, columns, real.lanes, [
            f"store_edge({real.load(f'{name}_sums + i * {columns} + d')}, row + d, {size} - d);"
        ]),
    ]  # fmt: skip
    return loop("i", 0, "count", 1, lines)
