"""The random stream in C: Philox4x64-10 by blocks of four words, and what each draw makes of its lanes.

`docs/random.md` defines the stream. In a kernel of `emit_draw` the work-items of a group make one block each, put its
words into shared memory, and then take the lanes in memory order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen.dialect import Dialect, compute_dtype
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Code
from kcore.dtypes import itemsize, numpy_dtype
from kcore.graph.core import Node

#: Bits of a block, and the words they make.
BLOCK_BITS, BLOCK_WORDS = 256, 4

#: Rounds, multipliers and Weyl constants of Philox4x64-10.
ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)

#: Bits of a uniform draw: those of the dtype's mantissa, the hidden one counted.
_MANTISSAS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}

_BLOCK = """\
// Philox4x64-10 (Salmon et al. 2011): the four words of a block of the call `call` under the key (seed, 0)
{function} void philox({ulong} block, {ulong} seed, {ulong} call, {ulong} *words)
{{
    {ulong} c0 = block, c1 = call, c2 = 0, c3 = 0, k0 = seed, k1 = 0;
    for (int round = 0; round < {rounds}; ++round) {{
        const {ulong} high0 = {mul_hi}({m0}, c0), low0 = {m0} * c0;
        const {ulong} high1 = {mul_hi}({m1}, c2), low1 = {m1} * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += {w0};
        k1 += {w1};
    }}
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}}"""

#: High half of a product of two unsigned integers, by dialect and bits.
_MUL_HI = {("opencl", 32): "mul_hi", ("opencl", 64): "mul_hi", ("cuda", 32): "__umulhi", ("cuda", 64): "__umul64hi"}


def block_function(dialect: Dialect) -> str:
    """The text of the function ``philox(block, seed, call, words)``."""
    names = ("m0", "m1", "w0", "w1")
    constants = {k: f"0x{v:X}{_suffix(dialect)}" for k, v in zip(names, (*MULTIPLIERS, *WEYL), strict=True)}
    return _BLOCK.format(
        function=dialect.function,
        ulong=dialect.types["uint64"],
        mul_hi=_MUL_HI[dialect.name, 64],
        rounds=ROUNDS,
        **constants,
    )


def _suffix(dialect: Dialect) -> str:
    return "UL" if dialect.types["int64"] == "long" else "ULL"


@dataclass(frozen=True)
class Lanes:
    """The arithmetic of one element, or of `width` neighbouring ones as an OpenCL vector.

    Attributes:
        dialect: the language; vectors are OpenCL's.
        width: elements at once; 1 for scalars.
    """

    dialect: Dialect
    width: int = 1

    def type(self, dtype: str) -> str:
        return self.dialect.type(dtype) + (str(self.width) if self.width > 1 else "")

    def convert(self, dtype: str, text: str) -> str:
        if self.width > 1:
            return f"convert_{self.type(dtype)}({text})"
        return f"({self.type(dtype)})({text})"

    def literal(self, value: float, dtype: str) -> str:
        text = self.dialect.literal(value, dtype)
        return f"({self.type(dtype)})({text})" if self.width > 1 else text

    def call(self, name: str, dtype: str) -> str:
        return self.dialect.call(name, dtype)[0]

    def mul_hi(self, a: str, b: int) -> str:
        """High half of a 32-bit lane times a constant."""
        return f"{_MUL_HI[self.dialect.name, 32]}({a}, {self.literal(b, 'uint32')})"


@dataclass(frozen=True)
class Draw:
    """What an op makes of the stream.

    Attributes:
        node: the op's node.
        width: bits of a lane.
        wanted: for each of the node's outputs, whether anybody reads it.
    """

    node: Node
    width: int
    wanted: tuple[bool, ...]

    @property
    def paired(self) -> bool:
        """Whether elements 2p and 2p + 1 are made together."""
        return self.node.op.name == "random_normal"

    @property
    def state(self) -> int:
        """Which input is the state (seed, call number)."""
        return 1 if self.node.op.name == "dropout" else 0

    @property
    def buffers(self) -> list[tuple[str, str, str, int]]:
        """(name, kind, dtype, index) of the arrays that run along with the elements."""
        inputs = [("x", "input", self.node.outputs[0].dtype, 0)] if self.node.op.name == "dropout" else []
        names = ("y", "kept")
        outputs = [(names[i], "output", v.dtype, i) for i, v in enumerate(self.node.outputs) if self.wanted[i]]
        return inputs[: int(self.wanted[0])] + outputs

    def statements(self, lanes: Lanes) -> list[str]:
        """C text that makes ``y_`` (and ``kept_``) of ``lane`` (and ``x_``).

        For pairs ``lane`` and ``other`` are the lanes of elements 2p and 2p + 1, ``y_`` and ``y_other`` the elements.
        """
        return _STATEMENTS[self.node.op.name](self, lanes)


def draw_of(node: Node, wanted: Sequence[bool] | None = None) -> Draw | None:
    """How a node draws, or None where it is no draw that a kernel makes alone.

    Args:
        node: a node of `random_bits`, `random_uniform`, `random_integer`, `random_normal` or `dropout`.
        wanted: for each output whether it is read; all are if not given.
    """
    name, attrs = node.op.name, node.attrs
    dtype = node.outputs[0].dtype
    flags = tuple(wanted) if wanted is not None else (True,) * len(node.outputs)
    if name == "random_bits":
        return Draw(node, attrs["width"], flags)
    if name in ("random_uniform", "random_normal"):
        return Draw(node, 64 if dtype == "float64" else 32, flags)
    if name == "random_integer" and "int" in dtype:
        return Draw(node, 32, flags)
    if name == "dropout" and node.outputs[1].shape == node.inputs[0].shape:  # type: ignore[union-attr]
        return Draw(node, 16, flags)
    return None


def _bits(draw: Draw, lanes: Lanes) -> list[str]:
    width, below, dtype = draw.width, draw.node.attrs.get("below"), draw.node.outputs[0].dtype
    text = "lane"
    if below is not None and below != 1 << width:
        if below & (below - 1) == 0:
            drop = width + 1 - below.bit_length()
            # a shift by all bits of the type is undefined in C
            text = lanes.literal(0, dtype) if drop == width else f"lane >> {drop}"
        elif width == 16:
            text = f"{lanes.convert('uint32', 'lane')} * {lanes.literal(below, 'uint32')} >> 16"
        else:
            text = lanes.mul_hi("lane", below)
    return [f"const {lanes.type(dtype)} y_ = {text if text == 'lane' else lanes.convert(dtype, text)};"]


def _unit(lanes: Lanes, lane: str, width: int, dtype: str) -> str:
    """A lane as a number of [0, 1), exactly."""
    bits, wide = _MANTISSAS[dtype], compute_dtype(dtype)
    return f"{lanes.convert(wide, f'{lane} >> {width - bits}')} * {lanes.literal(2.0**-bits, wide)}"


def _uniform(draw: Draw, lanes: Lanes) -> list[str]:
    dtype = draw.node.outputs[0].dtype
    return [f"const {lanes.type(dtype)} y_ = {_unit(lanes, 'lane', draw.width, dtype)};"]


def _integer(draw: Draw, lanes: Lanes) -> list[str]:
    attrs, dtype = draw.node.attrs, draw.node.outputs[0].dtype
    low, count = attrs["low"], attrs["high"] - attrs["low"]
    text = "lane" if count == 1 << 32 else lanes.mul_hi("lane", count)
    if itemsize(dtype) == 8:
        text = f"{lanes.convert('int64', text)} + {lanes.literal(low, 'int64')}"
    elif low:  # modulo 2^32, of which narrower integers take the low bits
        text = f"{text} + {lanes.literal(low % (1 << 32), 'uint32')}"
    return [f"const {lanes.type(dtype)} y_ = {lanes.convert(dtype, text)};"]


def _normal(draw: Draw, lanes: Lanes) -> list[str]:
    """Box and Muller 1958."""
    wide = compute_dtype(draw.node.outputs[0].dtype)
    real = lanes.type(wide)
    least = lanes.literal(2.0 ** -_MANTISSAS[wide], wide)
    sqrt, log, cos, sin = (lanes.call(f, wide) for f in ("sqrt", "log", "cos", "sin"))
    turn = lanes.literal(6.283185307179586, wide)
    return [
        f"const {real} radius = {sqrt}({lanes.literal(-2.0, wide)} * "
        f"{log}({_unit(lanes, 'lane', draw.width, wide)} + {least}));",
        f"const {real} angle = {_unit(lanes, 'other', draw.width, wide)} * {turn};",
        f"const {real} y_ = radius * {cos}(angle);",
        f"const {real} y_other = radius * {sin}(angle);",
    ]


def _dropout(draw: Draw, lanes: Lanes) -> list[str]:
    rate, dtype = draw.node.attrs["rate"], draw.node.outputs[0].dtype
    wide = compute_dtype(dtype)
    unsigned = "uint64" if itemsize(wide) == 8 else "uint32"  # a vector choice wants flags of the values' size
    least = lanes.literal(min(round(rate * 65536), 65535), unsigned)
    flag = lanes.type(unsigned[1:]) if lanes.width > 1 else "int"
    lines = [f"const {flag} keep = {lanes.convert(unsigned, 'lane')} >= {least};"]
    if draw.wanted[0]:
        # the factor has the dtype's precision, as the product has
        scale = float(numpy_dtype(dtype).type(1.0 / (1.0 - rate)))
        scaled = f"x_ * {lanes.literal(scale, wide)}"
        lines.append(f"const {lanes.type(wide)} y_ = keep ? {scaled} : {lanes.literal(0.0, wide)};")
    if draw.wanted[1]:
        lines.append(f"const {lanes.type('bool')} kept_ = {lanes.convert('bool', 'keep & 1')};")
    return lines


_STATEMENTS = {
    "random_bits": _bits,
    "random_uniform": _uniform,
    "random_integer": _integer,
    "random_normal": _normal,
    "dropout": _dropout,
}


def emit_draw(draw: Draw, dialect: Dialect, local: int = 64, starts: bool = False) -> Code:
    """One kernel: every work-item makes a block, then the group takes the lanes in memory order.

    Args:
        draw: what is drawn.
        dialect: the language.
        local: work-items, and blocks, of a group.
        starts: as in `kcore.codegen.emit`.
    """
    node = draw.node
    n = node.outputs[0].size
    per_block = BLOCK_BITS // draw.width
    groups = -(-n // (per_block * local))
    sig = Signature(dialect, index_dtype((groups + 1) * per_block * local), starts)
    sig.buffer("state", "input", "uint32", draw.state, const=True)
    for name, kind, dtype, index in draw.buffers:
        sig.buffer(name, kind, dtype, index, const=kind == "input")
    sig.size("n", n)
    statements = Statements(dialect, numbered([node]))
    statements.helpers.setdefault(block_function(dialect))
    body = _group_body(draw, sig, statements, local)
    return Code((sig.source(group_of(node), statements, body, local, groups),))


def _group_body(draw: Draw, sig: Signature, statements: Statements, local: int) -> list[str]:
    dialect, index, ulong = sig.dialect, sig.index, sig.dialect.types["uint64"]
    lanes, per_block = Lanes(dialect), BLOCK_BITS // draw.width
    step = 2 if draw.paired else 1
    statements.uses(draw.node.outputs[0].dtype)
    lane = dialect.types[f"uint{draw.width}"]
    inner = [f"const {lane} lane = lanes[j];"]
    if draw.paired:
        inner.append(f"const {lane} other = lanes[j + 1];")
    for name, kind, dtype, _ in draw.buffers:
        if kind == "input":
            inner.append(f"const {dialect.type(dtype)} {name}_ = {dialect.load(dtype, name, 'i')};")
    inner += draw.statements(lanes)
    for name, kind, dtype, _ in draw.buffers:
        if kind == "output":
            inner.append(dialect.store(dtype, name, "i", f"{name}_"))
            if draw.paired:
                inner.append(f"if (i + 1 < n) {dialect.store(dtype, name, 'i + 1', f'{name}_other')}")
    return [
        f"{dialect.shared} {ulong} words[{local * BLOCK_WORDS}];",
        f"const {index} group = ({index}){dialect.group};",
        f"const int item = (int){dialect.lane};",
        f"{ulong} own[{BLOCK_WORDS}];",
        f"philox(({ulong})group * {local} + item, state[0], state[1], own);",
        f"for (int k = 0; k < {BLOCK_WORDS}; ++k) words[item * {BLOCK_WORDS} + k] = own[k];",
        dialect.barrier,
        f"{_shared_pointer(dialect, lane)}lanes = ({_shared_pointer(dialect, lane).rstrip()})words;",
        f"for (int turn = 0; turn < {per_block // step}; ++turn) {{",
        f"    const int j = (turn * {local} + item){f' * {step}' if step > 1 else ''};",
        f"    const {index} i = group * {local * per_block} + j;",
        "    if (i < n) {",
        *indented(inner, 2),
        "    }",
        "}",
    ]


def _shared_pointer(dialect: Dialect, lane: str) -> str:
    """A pointer into shared memory; CUDA's pointers say nothing of the memory they point into."""
    qualifier = "" if dialect.addresses else f"{dialect.shared} "
    return f"{qualifier}const {lane} *"
