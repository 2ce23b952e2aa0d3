"""What attention's kernels on a CPU share: how work and memory are shared out, copies into panels, scores of a row."""

from __future__ import annotations

from dataclasses import dataclass

from kcore.graph.core import Node
from kcore.kernels.attention.sizes import Operand, Sizes, sizes_of
from kcore.kernels.tiles import Real, RowTile, Text, block, edges, loop, real_of
from kcore.kernels.traits import Traits

#: Queries that are worked on together.
TILE = 8
#: Most vectors of columns of a tile of products.
ACROSS = 4
#: Panels of keys that are worked on together.
PANELS = 2


@dataclass(frozen=True)
class Attention:
    """One node of the attention family, and how its work is shared out.

    A *unit* is some queries of one head of one batch entry, with all keys. A work-item does some units, one after
    another, in working memory of its own.

    Attributes:
        block: queries of a unit.
        items: work-items.
    """

    node: Node
    sizes: Sizes
    real: Real
    block: int
    items: int

    @property
    def query_blocks(self) -> int:
        """Units that a head's queries are cut into."""
        return -(-self.sizes.queries // self.block)

    @property
    def panel(self) -> int:
        """Keys of a panel: the columns of a tile of scores."""
        return ACROSS * self.real.lanes

    @property
    def keys(self) -> int:
        """Keys that are worked on together."""
        return PANELS * self.panel

    @property
    def size(self) -> int:
        """Size of a head's keys, with lanes to spare."""
        return -(-self.sizes.size // self.real.lanes) * self.real.lanes

    @property
    def out(self) -> int:
        """Size of a head's values, with lanes to spare."""
        return -(-self.sizes.out // self.real.lanes) * self.real.lanes

    def tiles(self, columns: int) -> list[tuple[int, RowTile]]:
        """(first column, tile) for each tile across so many columns; a tile's rows divide `TILE`."""
        width, found = self.real.lanes, []
        for at in range(0, columns // width, ACROSS):
            vectors = min(ACROSS, columns // width - at)
            most = 24 if self.real.many else 8
            found.append((at * width, RowTile(max(r for r in (1, 2, 4, 8) if r * vectors <= most), vectors)))
        return found

    @property
    def scores(self) -> RowTile:
        """The tile of a panel's scores."""
        return self.tiles(self.panel)[0][1]


def attention_of(node: Node, traits: Traits, split: bool) -> Attention:
    """Shares out a node's work; `split` says whether the queries of a head may be cut into several units."""
    sizes = sizes_of(node)
    heads = sizes.batch * sizes.heads
    workers = 4 * traits.units
    block = sizes.queries
    if split and heads < workers:
        block = -(-sizes.queries // -(-workers // heads))
        block = min(max(-(-block // TILE) * TILE, 4 * TILE), sizes.queries)
    units = heads * -(-sizes.queries // block)
    return Attention(node, sizes, real_of(sizes.dtype, traits), block, min(units, workers))


# -- text ------------------------------------------------------------------------------------------------------------


def unit_loop(plan: Attention, lines: list[str]) -> list[str]:
    """A work-item's units: batch entry `b`, head `h`, queries from `begin` to `end`."""
    block = "block" if plan.query_blocks > 1 else "queries"
    head = [
        "const int b = unit / (heads * query_blocks);",
        "const int h = unit / query_blocks % heads;",
        f"const int begin = unit % query_blocks * {block};",
        f"const int end = min(begin + {block}, queries);",
    ]
    return [
        "const int first_unit = (int)((long)units * get_group_id(0) / get_num_groups(0));",
        "const int last_unit = (int)((long)units * (get_group_id(0) + 1) / get_num_groups(0));",
        *loop("unit", "first_unit", "last_unit", 1, [*head, *lines]),
    ]


def declare(text: Text, plan: Attention) -> None:
    """Sizes of the node, and helpers."""
    sizes = plan.sizes
    text.sizes({"queries": sizes.queries, "heads": sizes.heads, "size": sizes.size, "keys": sizes.keys})
    text.sizes({"out_size": sizes.out, "block": plan.block, "query_blocks": plan.query_blocks})
    text.size("units", sizes.batch * sizes.heads * plan.query_blocks)
    text.helper(*edges(plan.real))


def declare_operands(text: Text, plan: Attention) -> None:
    """The buffers of bias and mask, their strides, and a helper that loads a vector of a mask."""
    sizes = plan.sizes
    for name, operand, dtype, index in (
        ("bias", sizes.bias, sizes.dtype, sizes.first + 3),
        ("mask", sizes.mask, "bool", sizes.first + 4),
    ):
        if operand is not None:
            text.buffer(name, "input", dtype, index)
            text.sizes({f"{name}_{axis}": step for axis, step in zip("bhq", operand.strides, strict=True)})
    if sizes.mask is not None and sizes.mask.along:
        real, n = plan.real, plan.real.lanes
        whole = f"convert_{integers(real)}(vload{n}(0, p))"
        parts = ", ".join(f"count > {i} ? p[{i}] : 0" for i in range(n))
        text.helper(
            f"static inline {integers(real)} load_mask(const __global uchar *p, const int count) {{",
            f"    return (count >= {n} ? {whole} : ({integers(real)})({parts})) != 0;",
            "}",
        )


def integers(real: Real) -> str:
    """Vector of integers as wide as those of the float type."""
    return f"{'int' if real.dtype == 'float32' else 'long'}{real.lanes}"


def reducers(real: Real) -> list[str]:
    """Helpers that join the lanes of a vector."""
    lines = []
    for name, join in (("largest", "fmax({0}, {1})"), ("total", "{0} + {1}")):
        lines.append(f"static inline {real.type} {name}(const {real.vector} v) {{")
        source, n = "v", real.lanes
        while n > 2:
            n //= 2
            lines.append(f"    const {real.type}{n} v{n} = {join.format(source + '.lo', source + '.hi')};")
            source = f"v{n}"
        lines += [f"    return {join.format(source + '.lo', source + '.hi')};", "}"]
    return lines


def copied(plan: Attention, source: str, size: str, padded: int, target: str) -> list[str]:
    """`count` rows of one head from `first` on, copied to rows of a fixed length, zeros in the lanes to spare."""
    real = plan.real
    row = f"{source} + (((long)b * {{}} + first + i) * heads + h) * {size}"
    rows = "keys" if source in ("key_", "value_") else "queries"
    value = f"load_edge(row + d, {size} - d)"
    lines = [f"const __global {real.type} *row = {row.format(rows)};"]
    lines += loop("d", 0, padded, real.lanes, [real.store(value, f"{target} + i * {padded} + d")])
    return loop("i", 0, "count", 1, lines)


def turned(plan: Attention, source: str, size: str, padded: int, target: str) -> list[str]:
    """The keys' or values' rows from `first` on, transposed to panels: at each depth the keys of the panel."""
    real, panel = plan.real, plan.panel
    load = f"load_edge({source} + (((long)b * keys + first + i) * heads + h) * {size} + d, {size} - d)"
    zero = real.splat(real.number(0))
    lines = [
        f"const {real.vector} part = i < count ? {load} : {zero};",
        f"scatter(part, {target} + (i / {panel} * {padded} + d) * {panel} + i % {panel});",
    ]
    return loop("i", 0, f"(count + {panel - 1}) / {panel} * {panel}", 1, loop("d", 0, padded, real.lanes, lines))


def scatter(plan: Attention) -> list[str]:
    """A helper that stores a vector into a column of a panel."""
    real = plan.real
    lines = [f"static inline void scatter(const {real.vector} v, __global {real.type} *p) {{"]
    lines += [f"    p[{i * plan.panel}] = v.s{i:x};" for i in range(real.lanes)]
    return [*lines, "}"]


def product_of_panels(plan: Attention, left: str, depth: int, right: str, target: str, rows: str) -> list[str]:
    """Tiles of (rows x depth) by (depth x keys) for all panels of the keys at hand, stored in rows of `keys`."""
    real, tile = plan.real, plan.scores
    body = [
        f"const __global {real.type} *l = {left} + i * {depth};",
        f"const __global {real.type} *panel = {right} + p * {depth * plan.panel};",
        f"__global {real.type} *s = {target} + i * {plan.keys} + p * {plan.panel};",
        *tile.accumulators(real),
        *tile.product(real, str(depth), f"l[{{r}} * {depth} + k]", "panel"),
        *(real.store(f"acc{r}_{v}", f"s + {r * plan.keys + v * real.lanes}") for r, v in tile),
    ]
    return loop("p", 0, "panels", 1, loop("i", 0, rows, tile.rows, body))


def score(plan: Attention, value: str) -> list[str]:
    """Statements for the score `s` of query `t` and the vector of keys from `first + j` on; behind the last -inf."""
    sizes, real = plan.sizes, plan.real
    lanes = ", ".join(str(i) for i in range(real.lanes))
    lines = [f"{real.vector} s = {value};"]
    if sizes.bias is not None:
        lines.append(f"s += {_loaded(real, 'bias', sizes.bias, 'load_edge')};")
    if sizes.causal or sizes.mask is not None:
        low = real.splat(real.number(sizes.low))
        if sizes.causal:
            seen = f"({integers(real)})({lanes}) + (first + j) <= ({integers(real)})(t)"
            lines.append(f"s = select({low}, s, {seen});")
        if sizes.mask is not None:
            if sizes.mask.along:
                seen = _loaded(real, "mask", sizes.mask, "load_mask")
                lines.append(f"s = select({low}, s, {seen});")
            else:
                lines.append(f"if (!{_loaded(real, 'mask', sizes.mask, '')}) s = {low};")
    none = real.splat("-INFINITY")
    within = f"({integers(real)})({lanes}) < ({integers(real)})(count - j)"
    return [*lines, *block(f"if (j + {real.lanes} > count)", [f"s = select({none}, s, {within});"])]


def _loaded(real: Real, name: str, operand: Operand, load: str) -> str:
    at = f"{name} + (long)b * {name}_b + (long)h * {name}_h + (long)t * {name}_q"
    return f"{load}({at} + first + j, count - j)" if operand.along else f"*({at})"
