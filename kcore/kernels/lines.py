"""Kernels that go along one axis of an array: what a hand-written body needs around it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kcore.codegen import Dialect, Source
from kcore.codegen.group import Group, Statements
from kcore.codegen.signature import Signature, index_dtype
from kcore.dtypes import is_float
from kcore.graph.core import Node


@dataclass(frozen=True)
class Lines:
    """An array as lines along one axis.

    Attributes:
        count: lines.
        n: elements of a line.
        inner: elements between neighbours of a line, which is how many lines lie side by side.
    """

    count: int
    n: int
    inner: int

    @property
    def size(self) -> int:
        return self.count * self.n


def lines_of(shape: tuple[int, ...], axis: int) -> Lines:
    """The lines of an array along an axis."""
    return Lines(prod(shape[:axis]) * prod(shape[axis + 1 :]), shape[axis], prod(shape[axis + 1 :]))


class Kernel:
    """One kernel of a node, whose body is written by hand.

    Args:
        dialect: the language.
        node: gives the name, the comment, and the arrays.
        largest: the largest number that an index holds.
        part: what is added to the name.
    """

    def __init__(self, dialect: Dialect, node: Node, largest: int, part: str = ""):
        self.dialect, self.node, self.part = dialect, node, part
        self.signature = Signature(dialect, index_dtype(largest + 1024), starts=True)
        self.statements = Statements(dialect, {})
        self.index = self.signature.index

    def input(self, name: str, number: int = 0) -> str:
        """Name an input; returns the C type it is computed in."""
        dtype = self.node.inputs[number].dtype  # type: ignore[union-attr]
        self.signature.buffer(name, "input", dtype, number, const=True)
        return self._type(dtype)

    def output(self, name: str, number: int = 0) -> str:
        """Name an output; returns the C type it is computed in."""
        dtype = self.node.outputs[number].dtype
        self.signature.buffer(name, "output", dtype, number)
        return self._type(dtype)

    def scratch(self, name: str, dtype: str) -> None:
        """Name the scratch memory."""
        self.signature.buffer(name, "scratch", dtype)

    def size(self, name: str, value: int) -> None:
        """Name a number."""
        self.signature.size(name, value)

    def _type(self, dtype: str) -> str:
        self.statements.uses(dtype)
        return self.dialect.type(dtype)

    def source(self, body: str, local: int, groups: int) -> Source:
        """The finished kernel."""
        lines = body.strip("\n").split("\n")
        depth = len(lines[0]) - len(lines[0].lstrip())
        group = Group([self.node], [], [])
        text = [line[depth:] for line in lines]
        return self.signature.source(group, self.statements, text, local, groups, part=self.part)


def ordered(dtype: str, a: str, b: str, descending: bool = False) -> str:
    """C text for "a comes before b": NaN comes last in both directions."""
    before = f"{a} {'>' if descending else '<'} {b}"
    return f"({before} || ({a} == {a} && {b} != {b}))" if is_float(dtype) else f"({before})"
