"""Draws on CPUs: a work-item makes many blocks at once in vectors of 64-bit words, and stores what they become."""

from __future__ import annotations

from kcore.codegen import OPENCL, Code
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.philox import BLOCK_BITS, BLOCK_WORDS, MULTIPLIERS, ROUNDS, WEYL, Draw, Lanes, emit_draw
from kcore.codegen.signature import Signature, index_dtype
from kcore.kernels.traits import Traits

#: Blocks a work-item makes at once: the vector's lanes. Two registers of 512 bits hide each other's latencies.
BLOCKS = 16

_MASK = "0xFFFFFFFFUL"


def emit_random(draw: Draw, traits: Traits) -> Code:
    """The kernel of a draw for a device."""
    return _emit_wide(draw, traits) if traits.cpu else emit_draw(draw, traits.dialect, starts=True)


def _emit_wide(draw: Draw, traits: Traits) -> Code:
    """One work-item per group; each makes `BLOCKS` blocks at a time, of which every 16 (or 8) lanes are one vector."""
    node = draw.node
    n = node.outputs[0].size
    chunk = BLOCKS * BLOCK_BITS // draw.width
    chunks = -(-n // chunk)
    share = max(-(-chunks // (2 * traits.units)), 1)
    sig = Signature(OPENCL, index_dtype((chunks + 1) * chunk), starts=True)
    sig.buffer("state", "input", "uint32", draw.state, const=True)
    for name, kind, dtype, index in draw.buffers:
        sig.buffer(name, kind, dtype, index, const=kind == "input")
    sig.size("n", n)
    sig.size("share", share)
    statements = Statements(OPENCL, numbered([node]))
    statements.uses(node.outputs[0].dtype)
    functions = (_part_function(draw, sig.index, edge) for edge in (False, True))
    for text in [_blocks_function(), *_edge_functions(draw), *functions]:
        statements.helpers.setdefault(text)
    arrays = "".join(f"{name}, " for name, *_ in draw.buffers)
    words, wholes, edges = [], [], []
    for row in range(BLOCKS // 2):
        pick = ", ".join(f"c{word}.s{block:x}" for block in (2 * row, 2 * row + 1) for word in range(BLOCK_WORDS))
        words.append(f"const ulong8 words{row} = (ulong8)({pick});")
        parts = {16: ("as_ushort16({}.lo)", "as_ushort16({}.hi)"), 32: ("as_uint16({})",), 64: ("{}",)}[draw.width]
        each = chunk // (BLOCKS // 2) // len(parts)
        for k, part in enumerate(parts):
            offset = each * (row * len(parts) + k)
            call = f"({part.format(f'words{row}')}, {arrays}i{f' + {offset}' if offset else ''}"
            wholes.append(f"store_part{call});")
            edges.append(f"store_edge{call}, n);")
    body = [
        f"const {sig.index} first = ({sig.index})get_group_id(0) * share;  // in chunks of {BLOCKS} blocks",
        f"for ({sig.index} chunk = first; chunk < first + share && chunk * {chunk} < n; ++chunk) {{",
        "    ulong16 c0, c1, c2, c3;",
        f"    philox_blocks((ulong)chunk * {BLOCKS}, state[0], state[1], &c0, &c1, &c2, &c3);",
        f"    const {sig.index} i = chunk * {chunk};",
        *indented(words),
        f"    if (i + {chunk} <= n) {{",
        *indented(wholes, 2),
        "    } else {",
        *indented(edges, 2),
        "    }",
        "}",
    ]
    return Code((sig.source(group_of(node), statements, body, 1, -(-chunks // share)),))


def _blocks_function() -> str:
    """Philox of `BLOCKS` counters at once.

    No CPU multiplies vectors of 64-bit words into 128 bits, so a product is made of 32-bit pieces. The counter is
    (block, call, 0, 0) with a block below 2^32, which makes the first round a half product, and half of the second a
    scalar one.
    """
    lines = [
        f"// Philox4x64-10 (Salmon et al. 2011): the words of {BLOCKS} blocks from `first` on, under the key (seed, 0)",
        "static inline void philox_blocks(",
        "    const ulong first, const ulong seed, const ulong call,",
        "    ulong16 *c0, ulong16 *c1, ulong16 *c2, ulong16 *c3)",
        "{",
    ]
    m0, m1 = MULTIPLIERS
    body = [
        f"const ulong16 block = first + (ulong16)({', '.join(map(str, range(BLOCKS)))});",
        f"const ulong16 low_0 = 0x{m0 & 0xFFFFFFFF:X}UL * block;",
        f"const ulong16 cross_0 = 0x{m0 >> 32:X}UL * block + (low_0 >> 32);",
        "const ulong key_1 = seed ^ call;",
        "const ulong16 z1 = cross_0 >> 32;",
        f"const ulong16 w1 = (cross_0 << 32) | (low_0 & {_MASK});",
        *_product("1", m1, "z1"),
        f"const ulong16 x2 = high1_1 ^ (seed + {_weyl(0, 1)});",
        "const ulong16 y2 = low1_1;",
        f"const ulong16 z2 = w1 ^ (mul_hi(0x{m0:X}UL, key_1) ^ {_weyl(1, 1)});",
        f"const ulong16 w2 = 0x{m0:X}UL * key_1;",
    ]
    for r in range(2, ROUNDS):
        key0, key1 = _weyl(0, r), _weyl(1, r)
        body += [
            *_product("0", m0, f"x{r}", r),
            *_product("1", m1, f"z{r}", r),
            f"const ulong16 x{r + 1} = high1_{r} ^ y{r} ^ (seed + {key0}), y{r + 1} = low1_{r};",
            f"const ulong16 z{r + 1} = high0_{r} ^ w{r} ^ {key1}, w{r + 1} = low0_{r};",
        ]
    body += [f"*c{k} = {letter}{ROUNDS};" for k, letter in enumerate("xyzw")]
    return "\n".join([*lines, *indented(body), "}"])


def _weyl(which: int, turn: int) -> str:
    return f"0x{WEYL[which] * turn % (1 << 64):X}UL"


def _product(which: str, multiplier: int, factor: str, turn: int = 1) -> list[str]:
    """High and low words of a constant times a vector of words."""
    a_low, a_high = f"0x{multiplier & 0xFFFFFFFF:X}UL", f"0x{multiplier >> 32:X}UL"
    tag = f"{which}_{turn}"
    return [
        f"const ulong16 even{tag} = {factor} & {_MASK}, odd{tag} = {factor} >> 32;",
        f"const ulong16 base{tag} = {a_low} * even{tag};",
        f"const ulong16 cross{tag} = {a_high} * even{tag} + (base{tag} >> 32);",
        f"const ulong16 other{tag} = {a_low} * odd{tag} + (cross{tag} & {_MASK});",
        f"const ulong16 high{tag} = {a_high} * odd{tag} + (cross{tag} >> 32) + (other{tag} >> 32);",
        f"const ulong16 low{tag} = (other{tag} << 32) | (base{tag} & {_MASK});",
    ]


def _edge_functions(draw: Draw) -> list[str]:
    """Functions that load and store a part of which there may be less than a vector.

    16-bit floats always go this way, one by one.
    """
    width = _part_width(draw)
    texts = []
    for dtype, kind in dict.fromkeys((dtype, kind) for _, kind, dtype, _ in draw.buffers):
        scalar, pointer = OPENCL.type(dtype), OPENCL.pointer(dtype, const=kind == "input")
        if kind == "input":
            load = OPENCL.load(dtype, "p", "i + k")
            lines = [
                f"static inline {scalar}{width} read_{dtype}({pointer}p, const long i, const long n)",
                "{",
                f"    {scalar} room[{width}];",
                f"    for (int k = 0; k < {width}; ++k) room[k] = i + k < n ? {load} : 0;",
                f"    return vload{width}(0, room);",
                "}",
            ]
        else:
            store = OPENCL.store(dtype, "p", "i + k", "room[k]")
            lines = [
                f"static inline void write_{dtype}({scalar}{width} value, {pointer}p, const long i, const long n)",
                "{",
                f"    {scalar} room[{width}];",
                f"    vstore{width}(value, 0, room);",
                f"    for (int k = 0; k < {width} && i + k < n; ++k) {store}",
                "}",
            ]
        texts.append("\n".join(lines))
    return texts


def _part_width(draw: Draw) -> int:
    """Elements of a part: a vector of 16, or of 8 where the lanes are whole words."""
    return 8 if draw.width == 64 else 16


def _part_function(draw: Draw, index: str, edge: bool) -> str:
    """What becomes of one vector of lanes; at the edge there may be fewer elements than lanes."""
    width = _part_width(draw)
    lane = f"{OPENCL.types[f'uint{draw.width}']}{width}"

    def load(name: str, dtype: str) -> str:
        if edge or _short(dtype):
            return f"read_{dtype}({name}, i, {'n' if edge else f'i + {width}'})"
        return f"vload{width}(0, {name} + i)"

    def store(name: str, dtype: str, value: str) -> str:
        if edge or _short(dtype):
            return f"write_{dtype}({value}, {name}, i, {'n' if edge else f'i + {width}'});"
        return f"vstore{width}({value}, 0, {name} + i);"

    lines = []
    if draw.paired:
        half = f"{OPENCL.types[f'uint{draw.width}']}{width // 2}"
        real = f"{OPENCL.type(draw.node.outputs[0].dtype)}{width}"
        lines += [f"const {half} lane = lanes.even, other = lanes.odd;"]
        lines += draw.statements(Lanes(OPENCL, width // 2))
        lines += [f"{real} both;", "both.even = y_;", "both.odd = y_other;"]
        values = {"y": "both"}
    else:
        values = {name: f"{name}_" for name, *_ in draw.buffers}
        for name, kind, dtype, _ in draw.buffers:
            if kind == "input":
                lines.append(f"const {OPENCL.type(dtype)}{width} {name}_ = {load(name, dtype)};")
        lines += draw.statements(Lanes(OPENCL, width))
    lines += [store(name, dtype, values[name]) for name, kind, dtype, _ in draw.buffers if kind == "output"]
    parameters = [
        f"const {lane} {'lanes' if draw.paired else 'lane'}",
        *(OPENCL.pointer(dtype, const=kind == "input") + name for name, kind, dtype, _ in draw.buffers),
        f"const {index} i",
        *([f"const {index} n"] if edge else []),
    ]
    head = f"static inline void store_{'edge' if edge else 'part'}("
    return "\n".join([head, f"    {', '.join(parameters)})", "{", *indented(lines), "}"])


def _short(dtype: str) -> bool:
    return dtype in ("float16", "bfloat16")
