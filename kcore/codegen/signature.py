"""A kernel being written: its arguments in order, its index type, and the index arithmetic all kernels share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kcore.codegen.dialect import Dialect
from kcore.codegen.group import Group, Statements, indented
from kcore.codegen.source import Argument, Source


def index_dtype(largest: int) -> str:
    """int32 where every index fits, since 64-bit division is slow on most devices."""
    return "int32" if largest < 2**31 else "int64"


class Signature:
    """Collects a kernel's arguments and puts the source together."""

    def __init__(self, dialect: Dialect, index: str, starts: bool):
        self.dialect = dialect
        self.index_dtype = index
        self.index = dialect.types[index]
        self.starts = starts
        self.arguments: list[Argument] = []
        self._parameters: list[str] = []
        self._head: list[str] = []

    def argument(self, argument: Argument, parameter: str) -> None:
        self.arguments.append(argument)
        self._parameters.append(parameter)

    def buffer(self, name: str, kind: str, dtype: str, index: int = 0, const: bool = False) -> None:
        """A pointer argument, and its start where these are asked for."""
        self.argument(Argument(name, kind, dtype, index), self.dialect.pointer(dtype, const) + name)
        if self.starts:
            start = f"{name}_start"
            self.argument(
                Argument(start, "start", "int64", len(self.arguments) - 1),
                f"const {self.dialect.types['int64']} {start}",
            )
            self._head.append(f"{name} += {start};")

    def size(self, name: str, value: int) -> str:
        """An integer argument; the same name is one argument."""
        if not any(a.name == name for a in self.arguments):
            self.argument(Argument(name, "size", self.index_dtype, value=value), f"const {self.index} {name}")
        return name

    def source(
        self,
        group: Group,
        statements: Statements,
        body: Iterable[str],
        local: int,
        groups: int,
        segments: tuple[tuple[int, int], ...] = (),
        operands: tuple[tuple[tuple[str, int], ...], ...] = (),
        part: str = "",
    ) -> Source:
        """The finished kernel."""
        name = group.name + part
        head = self.dialect.kernel.format(name=name, local=local)
        for argument in self.arguments:
            statements.uses(argument.dtype)
        parameters = ",\n".join(indented(self._parameters))
        lines = [*group.comment, *statements.prelude(), f"{head}(", f"{parameters})", "{"]
        lines += [*indented(self._head), *indented(body), "}", ""]
        return Source(
            name, "\n".join(lines), tuple(self.arguments), local, groups, self.dialect.name, segments, operands
        )


def coordinates(index: str, source: str, prefix: str, names: Sequence[str], used: Iterable[int]) -> list[str]:
    """Statements that split a linear index into coordinates along axes of the sizes named; only those used."""
    wanted = set(used)
    lines: list[str] = []
    rest = source
    for k in range(len(names) - 1, -1, -1):
        if not any(w <= k for w in wanted):
            break
        if k == 0:
            lines.append(f"const {index} {prefix}0 = {rest};")
            break
        if k in wanted:
            lines.append(f"const {index} {prefix}{k} = {rest} % {names[k]};")
        if any(w < k for w in wanted):
            quotient = f"{prefix}{k}_" if k > 1 else f"{rest} / {names[k]}"
            if k > 1:
                lines.append(f"const {index} {quotient} = {rest} / {names[k]};")
            rest = quotient
    return lines


def offset_text(
    sig: Signature, operand: str, prefix: str, strides: Sequence[int], at: str = "", stride: str = ""
) -> str:
    """An operand's offset as a sum over coordinates; strides other than 0 and 1 are arguments.

    Args:
        at: what to add to, e.g. an offset computed before.
        stride: what the stride arguments are called after the operand, if not like the coordinates.
    """
    terms = [at] if at else []
    for k, step in enumerate(strides):
        if step == 1:
            terms.append(f"{prefix}{k}")
        elif step:
            terms.append(f"{prefix}{k} * {sig.size(f'{operand}_{stride or prefix}{k}', step)}")
    return " + ".join(terms) or "0"
