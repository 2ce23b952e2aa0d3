"""What hand-written kernels share: arguments and text, pieces of scratch memory, tiles of products in registers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kcore.codegen import OPENCL, Argument, Dialect, Source
from kcore.codegen.group import group_of, indented
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.traits import Traits

#: Bytes every piece of scratch memory is rounded up to.
ALIGN = 128


@dataclass(frozen=True)
class Real:
    """The float type a kernel computes in, and its vectors.

    Attributes:
        dtype: ``"float32"`` or ``"float64"``.
        lanes: elements of a vector; 1 where work-items are the lanes.
        fma: template over ``{a}``, ``{b}``, ``{c}``.
        many: whether there are 32 vector registers (AVX-512) and not 16.
        dialect: the language; vectors are OpenCL's.
    """

    dtype: str
    lanes: int
    fma: str
    many: bool = True
    dialect: Dialect = OPENCL

    @property
    def type(self) -> str:
        return self.dialect.types[self.dtype]

    @property
    def long(self) -> str:
        return self.dialect.types["int64"]

    def pointer(self, const: bool = False) -> str:
        """Pointer to an element in device memory, ready for a name."""
        return self.dialect.pointer(self.dtype, const)

    @property
    def vector(self) -> str:
        return self.type if self.lanes == 1 else f"{self.type}{self.lanes}"

    def number(self, value: float) -> str:
        """A literal."""
        return self.dialect.literal(value, self.dtype)

    def load(self, pointer: str) -> str:
        """A whole vector at a pointer."""
        return f"*({pointer})" if self.lanes == 1 else f"vload{self.lanes}(0, {pointer})"

    def store(self, value: str, pointer: str) -> str:
        """A statement that stores a whole vector at a pointer."""
        return f"*({pointer}) = {value};" if self.lanes == 1 else f"vstore{self.lanes}({value}, 0, {pointer});"

    def splat(self, scalar: str) -> str:
        """A vector of one number throughout."""
        return scalar if self.lanes == 1 else f"({self.vector})({scalar})"

    def multiply_add(self, a: str, b: str, c: str) -> str:
        return self.fma.format(a=a, b=b, c=c)


def real_of(dtype: str, traits: Traits) -> Real:
    """The float type of kernels with explicit vectors: 16 lanes of float32 with AVX-512."""
    lanes = max(traits.vector * 4 // itemsize(dtype), 2)
    return Real(dtype, min(lanes, 16), traits.fma, traits.vector >= 16)


class Scratch:
    """Lays out pieces of scratch memory; offsets and sizes count elements of one dtype.

    Example:
        >>> scratch = Scratch("float32")
        >>> scratch.take("packed", 5), scratch.take("state", 7), scratch.bytes
        (0, 32, 256)
    """

    def __init__(self, dtype: str):
        self.dtype = dtype
        self.places: dict[str, int] = {}
        self._size = 0

    def take(self, name: str, elements: int) -> int:
        step = ALIGN // itemsize(self.dtype)
        at = self.places[name] = self._size
        self._size += -(-elements // step) * step
        return at

    @property
    def bytes(self) -> int:
        return self._size * itemsize(self.dtype)


class Text:
    """One kernel being written: arguments in order, and lines.

    Args:
        node: what it computes part of; gives the kernel's name and comment.
        part: what it is called after the node's name, where a node has several kernels.
        dialect: the language.
    """

    def __init__(self, node: Node, part: str = "", dialect: Dialect = OPENCL):
        self.dialect = dialect
        group = group_of(node)
        self.name = group.name + (f"_{part}" if part else "")
        self._comment = group.comment
        self._arguments: list[Argument] = []
        self._parameters: list[str] = []
        self._head: list[str] = []
        self._helpers: list[str] = []
        self._lines: list[str] = []

    def buffer(self, name: str, kind: str, dtype: str, index: int = 0) -> None:
        """A buffer of the node, or of scratch memory, and its start."""
        pointer = self.dialect.pointer(dtype, const=kind == "input") + name
        self._arguments.append(Argument(name, kind, dtype, index))
        self._arguments.append(Argument(f"{name}_start", "start", "int64", len(self._arguments) - 1))
        self._parameters += [pointer, f"const {self.dialect.types['int64']} {name}_start"]
        self._head.append(f"{name} += {name}_start;")

    def pieces(self, scratch: Scratch, names: Iterable[str]) -> None:
        """Pointers to pieces of the scratch memory."""
        self.buffer("scratch", "scratch", scratch.dtype)
        for name in names:
            at = self.size(f"{name}_at", scratch.places[name], "int64")
            self._head.append(f"{self.dialect.pointer(scratch.dtype, const=False)}{name} = scratch + {at};")

    def size(self, name: str, value: int, dtype: str = "int32") -> str:
        """An integer argument."""
        self._arguments.append(Argument(name, "size", dtype, value=int(value)))
        self._parameters.append(f"const {self.dialect.types[dtype]} {name}")
        return name

    def sizes(self, values: Mapping[str, int]) -> None:
        """Integer arguments."""
        for name, value in values.items():
            self.size(name, value)

    def helper(self, *lines: str) -> None:
        """Lines before the kernel."""
        self._helpers += lines

    def add(self, *lines: str) -> None:
        """Lines of the kernel."""
        self._lines += lines

    def block(self, head: str, lines: Iterable[str]) -> None:
        """Lines in braces after a head such as ``for (...)``."""
        self._lines += block(head, lines)

    def source(self, groups: int, local: int = 1) -> Source:
        """The finished kernel."""
        dtypes = {a.dtype for a in self._arguments if a.kind in ("input", "output", "scratch")}
        preludes = [self.dialect.preludes[d].rstrip("\n") for d in sorted(dtypes & set(self.dialect.preludes))]
        head = self.dialect.kernel.format(name=self.name, local=local)
        lines = [*self._comment, *preludes, *self._helpers, f"{head}("]
        lines += [",\n".join(indented(self._parameters)) + ")", "{"]
        lines += [*indented(self._head), *indented(self._lines), "}", ""]
        return Source(self.name, "\n".join(lines), tuple(self._arguments), local, groups, self.dialect.name)


def block(head: str, lines: Iterable[str]) -> list[str]:
    """Lines in braces after a head such as ``for (...)``."""
    return [f"{head} {{", *indented(lines), "}"]


def loop(variable: str, start: int | str, end: int | str, step: int | str, lines: Iterable[str]) -> list[str]:
    """A counting loop."""
    turn = f"++{variable}" if step == 1 else f"{variable} += {step}"
    return block(f"for (int {variable} = {start}; {variable} < {end}; {turn})", lines)


def edges(real: Real) -> list[str]:
    """Helpers that load and store the first elements of a vector, fewer than it has at the edge of an array."""
    t, v, n = real.type, real.vector, real.lanes
    loads = ", ".join(f"count > {i} ? p[{i}] : 0" for i in range(n))
    lines = [f"static inline {v} load_edge(const __global {t} *p, const int count) {{"]
    lines += [f"    return count >= {n} ? {real.load('p')} : ({v})({loads});", "}"]
    lines += [f"static inline void store_edge(const {v} value, __global {t} *p, const int count) {{"]
    lines += [f"    if (count >= {n}) {{", f"        {real.store('value', 'p')}", "        return;", "    }"]
    lines += [f"    {t} parts[{n}];", f"    vstore{n}(value, 0, parts);"]
    return [*lines, "    for (int i = 0; i < count; ++i) p[i] = parts[i];", "}"]


@dataclass(frozen=True)
class RowTile:
    """Accumulators of a piece of a product, each a vector with a name of its own, so that they stay in registers.

    Attributes:
        rows: rows of the left operand.
        vectors: vectors of columns of the right one.
    """

    rows: int
    vectors: int

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((r, v) for r in range(self.rows) for v in range(self.vectors))

    def accumulators(self, real: Real, start: str | None = None) -> list[str]:
        """Declarations; `start` is a template over ``{r}`` and ``{v}``, zero if None."""
        first = "{zero}" if start is None else start
        return [
            f"{real.vector} acc{r}_{v} = {first.format(r=r, v=v, zero=real.splat(real.number(0)))};" for r, v in self
        ]

    def product(
        self,
        real: Real,
        depth: str,
        left: str,
        right: str,
        step: str | None = None,
        into: Sequence[int] | None = None,
    ) -> list[str]:
        """The loop over the depth of a product.

        Args:
            depth: how many terms.
            left: the left operand's scalar at depth ``k``: a template over ``{r}``.
            right: name of a pointer to the right operand at depth 0; its rows lie `step` elements apart, directly one
                after another if None.
            into: which vectors of accumulators the vectors of the right operand go into; all, in order, if None.
        """
        width, into = real.lanes, range(self.vectors) if into is None else into
        across = str(len(into) * width) if step is None else step
        lines = [
            f"const {real.vector} b{v} = {real.load(f'{right} + k * {across} + {i * width}')};"
            for i, v in enumerate(into)
        ]
        for r in range(self.rows):
            lines.append(f"const {real.vector} a{r} = {real.splat(left.format(r=r))};")
            for v in into:
                term = real.multiply_add(f"a{r}", f"b{v}", f"acc{r}_{v}")
                lines.append(f"acc{r}_{v} = {term};")
        return loop("k", 0, depth, 1, lines)


def pointers(real: Real, name: str, rows: Sequence[str], space: str = "const __global") -> list[str]:
    """Declarations of a pointer per row, from one expression each."""
    return [f"{space} {real.type} *{name}{r} = {text};" for r, text in enumerate(rows)]
