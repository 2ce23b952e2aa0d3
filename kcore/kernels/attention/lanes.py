"""Attention and its gradients on a GPU: a lane has a query (or a key) to itself; the others come by in local memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen import Code, Dialect, Source
from kcore.graph.core import Node
from kcore.kernels.attention.sizes import Operand, Sizes, sizes_of
from kcore.kernels.tiles import Scratch, Text, loop
from kcore.kernels.traits import Traits

#: Work-items of a group.
LANES = 64
_INPUTS = ("g", "query", "key_", "value_", "bias", "mask", "out", "normalizer")


@dataclass(frozen=True)
class _Kernel:
    """One kernel of a node: its sizes, how many rows pass by in local memory at a time, and the language."""

    node: Node
    sizes: Sizes
    turn: int
    dialect: Dialect

    @property
    def type(self) -> str:
        return self.dialect.types[self.sizes.dtype]

    @property
    def long(self) -> str:
        return self.dialect.types["int64"]

    def pointer(self, const: bool = True) -> str:
        return self.dialect.pointer(self.sizes.dtype, const)

    def number(self, value: float) -> str:
        return self.dialect.literal(value, self.sizes.dtype)


def _kernel(node: Node, traits: Traits) -> _Kernel:
    sizes = sizes_of(node)
    each = (sizes.size + sizes.out + 2) * (4 if sizes.dtype == "float32" else 8)
    return _Kernel(node, sizes, max(1, min(32, traits.local // 2 // each)), traits.dialect)


def _begin(k: _Kernel, part: str, inputs: Sequence[str], own: str) -> Text:
    """A kernel with its inputs and sizes; `own` counts the rows that lanes have to themselves."""
    sizes, d = k.sizes, k.dialect
    text = Text(k.node, part, d)
    for name in inputs:
        text.buffer(name, "input", sizes.dtype, _INPUTS.index(name) - 1 + sizes.first)
    for name, operand, dtype in (("bias", sizes.bias, sizes.dtype), ("mask", sizes.mask, "bool")):
        if operand is not None:
            text.buffer(name, "input", dtype, _INPUTS.index(name) - 1 + sizes.first)
            text.sizes({f"{name}_{axis}": step for axis, step in zip("bhq", operand.strides, strict=True)})
    text.sizes({"queries": sizes.queries, "heads": sizes.heads, "keys": sizes.keys})
    text.add(
        f"const int lane = {d.lane};",
        f"const int blocks = ({own} + {LANES - 1}) / {LANES};",
        f"const int b = {d.group} / (blocks * heads), h = {d.group} / blocks % heads;",
        f"const int own = {d.group} % blocks * {LANES} + lane;",
        f"const int there = own < {own};",
    )
    return text


def _row(k: _Kernel, name: str, rows: str, index: str, size: int) -> str:
    """Pointer to a head's row of a (batch, rows, heads, size) array."""
    return f"{name} + ((({k.long})b * {rows} + {index}) * heads + h) * {size}"


def _held(k: _Kernel, name: str, source: str, rows: str, size: int, factor: str = "") -> list[str]:
    """A lane's own row, in registers; zeros in lanes that have none."""
    value = f"{name}_row[{{d}}]{factor}"
    return [
        f"{k.pointer()}{name}_row = {_row(k, source, rows, 'own', size)};",
        *(f"const {k.type} {name}{d} = there ? {value.format(d=d)} : 0;" for d in range(size)),
    ]


def _passing(k: _Kernel, name: str, source: str, rows: str, size: int, factor: str = "") -> list[str]:
    """The rows that pass by, into local memory."""
    fetch = f"({_row(k, source, rows, 'first + n / ' + str(size), size)})[n % {size}]{factor}"
    return loop("n", "lane", f"count * {size}", LANES, [f"{name}[n] = {fetch};"])


def _dot(own: str, passing: str, size: int) -> str:
    return " + ".join(f"{own}{d} * {passing}[j * {size} + {d}]" for d in range(size))


def _score(k: _Kernel, dot: str, query: str, key: str) -> list[str]:
    """The score `s` of a query and a key."""
    sizes = k.sizes
    lines = [f"{k.type} s = {dot};"]
    low = k.number(sizes.low)
    if sizes.bias is not None:
        lines.append(f"if (there) s += {_pair(k, 'bias', sizes.bias, query, key)};")
    if sizes.causal:
        lines.append(f"s = {key} <= {query} ? s : {low};")
    if sizes.mask is not None:
        lines.append(f"s = there && {_pair(k, 'mask', sizes.mask, query, key)} ? s : {low};")
    return lines


def _pair(k: _Kernel, name: str, operand: Operand, query: str, key: str) -> str:
    at = f"({k.long})b * {name}_b + ({k.long})h * {name}_h + ({k.long})({query}) * {name}_q"
    return f"{name}[{at}{f' + {key}' if operand.along else ''}]"


def _groups(sizes: Sizes, rows: int) -> int:
    return sizes.batch * sizes.heads * -(-rows // LANES)


# -- forward ---------------------------------------------------------------------------------------------------------


def forward(node: Node, traits: Traits, wanted: Sequence[bool] = (True, True)) -> Code:
    """The kernel of an `attention` node: a lane takes its query past all keys."""
    k = _kernel(node, traits)
    sizes, t = k.sizes, k.type
    text = _begin(k, "", ("query", "key_", "value_"), "queries")
    for index, name in enumerate(("out", "normalizer")):
        if wanted[index]:
            text.buffer(name, "output", sizes.dtype, index)
    text.add(
        f"{k.dialect.shared} {t} key_tile[{k.turn * sizes.size}], value_tile[{k.turn * sizes.out}];",
        *_held(k, "q", "query", "queries", sizes.size, f" * {k.number(sizes.scale)}"),
        f"{t} maximum = -{k.dialect.infinity}, sum = 0;",
        *(f"{t} mixed{d} = 0;" for d in range(sizes.out)),
    )
    each = [
        *_score(k, _dot("q", "key_tile", sizes.size), "own", "(first + j)"),
        f"const {t} now = fmax(maximum, s);",
        f"const {t} base = now == -{k.dialect.infinity} ? 0 : now;  // nothing seen yet",
        f"const {t} kept = exp(maximum - base), weight = exp(s - base);",
        "maximum = now;",
        "sum = sum * kept + weight;",
        *(f"mixed{d} = mixed{d} * kept + weight * value_tile[j * {sizes.out} + {d}];" for d in range(sizes.out)),
    ]
    turn = [
        f"const int count = min({k.turn}, keys - first);",
        k.dialect.barrier,
        *_passing(k, "key_tile", "key_", "keys", sizes.size),
        *_passing(k, "value_tile", "value_", "keys", sizes.out),
        k.dialect.barrier,
        *loop("j", 0, "count", 1, each),
    ]
    text.add(*loop("first", 0, "keys", k.turn, turn))
    ends = []
    if wanted[1]:
        ends.append(f"normalizer[(({k.long})b * heads + h) * queries + own] = log(sum) + maximum;")
    if wanted[0]:
        ends.append(f"{k.pointer(const=False)}row = {_row(k, 'out', 'queries', 'own', sizes.out)};")
        ends += [f"row[{d}] = mixed{d} / sum;" for d in range(sizes.out)]
    text.block("if (there)", ends)
    return Code((text.source(_groups(sizes, sizes.queries), LANES),))


# -- backward --------------------------------------------------------------------------------------------------------


def backward(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """Kernels of an `attention_grad` or `attention_bias_grad` node: one by queries, one by keys.

    Args:
        wanted: which outputs are read by anybody; all if None.
    """
    outputs = ("d_scores",) if node.op.name == "attention_bias_grad" else ("dq", "dk", "dv")
    names = [name for i, name in enumerate(outputs) if wanted is None or wanted[i]]
    k = _kernel(node, traits)
    scratch = Scratch(k.sizes.dtype)
    scratch.take("along", k.sizes.batch * k.sizes.heads * k.sizes.queries)
    launches = [_by_queries(k, names, outputs, scratch)]
    if {"dk", "dv"} & set(names):
        launches.append(_by_keys(k, names, outputs, scratch))
    return Code(tuple(launches), scratch.bytes)


def _slope(k: _Kernel, key_by_value: str, norm: str, along: str) -> list[str]:
    """The weight of a pair, and the gradient of its score."""
    low = k.number(k.sizes.low / 2)
    return [
        f"const {k.type} weight = {norm} < {low} ? {k.number(1)} / keys : exp(s - {norm});  // all masked: all alike",
        f"const {k.type} slope = s > {low} ? weight * ({key_by_value} - {along}) : 0;",
    ]


def _by_queries(k: _Kernel, names: Sequence[str], outputs: Sequence[str], scratch: Scratch) -> Source:
    """dQ or the gradient of the scores; and the sums of g and out, for the keys."""
    sizes, t = k.sizes, k.type
    text = _begin(k, "queries", ("g", "query", "key_", "value_", "out", "normalizer"), "queries")
    held = [name for name in names if name in ("dq", "d_scores")]
    for name in held:
        text.buffer(name, "output", sizes.dtype, outputs.index(name))
    text.pieces(scratch, ["along"])
    place = f"(({k.long})b * heads + h) * queries + own"
    text.add(
        f"{k.dialect.shared} {t} key_tile[{k.turn * sizes.size}], value_tile[{k.turn * sizes.out}];",
        *_held(k, "q", "query", "queries", sizes.size, f" * {k.number(sizes.scale)}"),
        *_held(k, "g", "g", "queries", sizes.out),
        *_held(k, "o", "out", "queries", sizes.out),
        f"const {t} dot = {' + '.join(f'g{d} * o{d}' for d in range(sizes.out))};",
        f"const {t} norm = there ? normalizer[{place}] : 0;",
        f"if (there) along[{place}] = dot;",
        *(f"{t} dq{d} = 0;" for d in range(sizes.size)),
    )
    each = [
        *_score(k, _dot("q", "key_tile", sizes.size), "own", "(first + j)"),
        *_slope(k, f"({_dot('g', 'value_tile', sizes.out)})", "norm", "dot"),
    ]
    if "dq" in held:
        each += [f"dq{d} += slope * key_tile[j * {sizes.size} + {d}];" for d in range(sizes.size)]
    if "d_scores" in held:
        each.append(f"if (there) d_scores[({place}) * keys + first + j] = slope;")
    turn = [
        f"const int count = min({k.turn}, keys - first);",
        k.dialect.barrier,
        *_passing(k, "key_tile", "key_", "keys", sizes.size),
        *_passing(k, "value_tile", "value_", "keys", sizes.out),
        k.dialect.barrier,
        *loop("j", 0, "count", 1, each),
    ]
    if held:
        text.add(*loop("first", 0, "keys", k.turn, turn))
    if "dq" in held:
        ends = [f"{k.pointer(const=False)}row = {_row(k, 'dq', 'queries', 'own', sizes.size)};"]
        ends += [f"row[{d}] = dq{d} * {k.number(sizes.scale)};" for d in range(sizes.size)]
        text.block("if (there)", ends)
    return text.source(_groups(sizes, sizes.queries), LANES)


def _by_keys(k: _Kernel, names: Sequence[str], outputs: Sequence[str], scratch: Scratch) -> Source:
    """dK and dV: a lane takes its key past all queries."""
    sizes, t = k.sizes, k.type
    text = _begin(k, "keys", ("g", "query", "key_", "value_", "normalizer"), "keys")
    held = [(name, n) for name, n in (("dk", sizes.size), ("dv", sizes.out)) if name in names]
    for name, _ in held:
        text.buffer(name, "output", sizes.dtype, outputs.index(name))
    text.pieces(scratch, ["along"])
    place = f"(({k.long})b * heads + h) * queries + first + n"
    text.add(
        f"{k.dialect.shared} {t} query_tile[{k.turn * sizes.size}], g_tile[{k.turn * sizes.out}];",
        f"{k.dialect.shared} {t} norms[{k.turn}], alongs[{k.turn}];",
        *_held(k, "k", "key_", "keys", sizes.size),
        *_held(k, "v", "value_", "keys", sizes.out),
        *(f"{t} {name}{d} = 0;" for name, n in held for d in range(n)),
    )
    each = [
        *_score(k, _dot("k", "query_tile", sizes.size), "(first + j)", "own"),
        *_slope(k, f"({_dot('v', 'g_tile', sizes.out)})", "norms[j]", "alongs[j]"),
    ]
    for name, n in held:
        weight, tile = ("slope", "query_tile") if name == "dk" else ("weight", "g_tile")
        each += [f"{name}{d} += {weight} * {tile}[j * {n} + {d}];" for d in range(n)]
    turn = [
        f"const int count = min({k.turn}, queries - first);",
        k.dialect.barrier,
        *_passing(k, "query_tile", "query", "queries", sizes.size, f" * {k.number(sizes.scale)}"),
        *_passing(k, "g_tile", "g", "queries", sizes.out),
        *loop("n", "lane", "count", LANES, [f"norms[n] = normalizer[{place}];", f"alongs[n] = along[{place}];"]),
        k.dialect.barrier,
        *loop("j", 0, "count", 1, each),
    ]
    text.add(*loop("first", 0, "queries", k.turn, turn))
    for name, n in held:
        ends = [f"{k.pointer(const=False)}row = {_row(k, name, 'keys', 'own', n)};"]
        ends += [f"row[{d}] = {name}{d};" for d in range(n)]
        text.block("if (there)", ends)
    return text.source(_groups(sizes, sizes.keys), LANES)
