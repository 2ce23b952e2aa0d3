"""A fused group as the emitter sees it: its nodes, operands and names, and its nodes as C statements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kcore.codegen.dialect import Dialect, compute_dtype
from kcore.dtypes import is_float
from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.graph.fuse_reduction import FUSED_REDUCTION

#: Ops whose expression yields 0 or 1 already, whatever the dtype of the operands.
TRUTH = re.compile(r"==|!=|<|>|&&|\|\||!|^is\w+\(")
_CALL = re.compile(r"\b([a-z_]\w*)\s*(?=\()")


@dataclass
class Group:
    """The nodes one kernel computes.

    Attributes:
        nodes: in program order.
        inputs: (value, index among the node's inputs); scalar constants are none, they become literals.
        outputs: (value, index among the node's outputs).
        segments, shared: as in a fused node.
        body: the graph the nodes come from.
    """

    nodes: list[Node]
    inputs: list[tuple[Value, int]]
    outputs: list[tuple[Value, int]]
    segments: int = 1
    shared: int = 0

    @property
    def reduction(self) -> Node | None:
        """The node that reduces, if there is one."""
        return next((n for n in self.nodes if n.op.family == "reduction"), None)

    @property
    def name(self) -> str:
        """A C identifier made of the layer (last part of the path) and the ops."""
        paths = [n.path for n in self.nodes if n.path]
        layer = paths[-1].rsplit("/", 1)[-1] if paths else "graph"
        ops = dict.fromkeys(n.op.name for n in self.nodes)
        text = re.sub(r"\W+", "_", "_".join([layer, *ops]), flags=re.ASCII)[:63].strip("_")
        return f"k_{text}" if text[0].isdigit() else text

    @property
    def comment(self) -> list[str]:
        """Where the group comes from: one line per layer path, with its ops."""
        lines: list[tuple[str, list[str]]] = []
        for node in self.nodes:
            if not lines or lines[-1][0] != node.path:
                lines.append((node.path, []))
            lines[-1][1].append(node.op.name)
        return [f"// {_plain(path) or 'graph'}: {_plain(', '.join(ops))}" for path, ops in lines]


def _plain(text: str) -> str:
    """Text that cannot end or continue a comment."""
    return re.sub(r"[^\x20-\x7e]|\\", "_", text)


def group_of(node: Node) -> Group:
    """The group a node stands for: a fused node's body, or the node alone."""
    if node.op in (FUSED, FUSED_PRODUCT, FUSED_REDUCTION):
        body: Graph = node.attrs["body"]
        segments, shared = node.attrs.get("segments", 1), node.attrs.get("shared", 0)
        return Group(
            list(body.nodes),
            [(v, i) for i, v in enumerate(body.inputs)],
            [(v, i) for i, v in enumerate(body.outputs)],
            segments,
            shared,
        )
    inputs: dict[Value, int] = {}
    for i, value in enumerate(node.inputs):
        if value is not None and (value.constant is None or value.size != 1):
            inputs.setdefault(value, i)
    return Group([node], list(inputs.items()), [(node.outputs[0], 0)])


@dataclass
class Statements:
    """Turns nodes into C statements, and remembers which helpers and preludes they need."""

    dialect: Dialect
    number: Mapping[Node, int]
    helpers: dict[str, None] = field(default_factory=dict)
    dtypes: dict[str, None] = field(default_factory=dict)

    def of(self, nodes: Iterable[Node], names: dict[Value, str], suffix: str = "") -> list[str]:
        """One statement per node; `names` holds the C names of the operands and gets those of the results."""
        lines = []
        for node in nodes:
            value = node.outputs[0]
            name = f"v{self.number[node]}{suffix}"
            text = self.expression(node, [self.operand(v, names) for v in node.sources])
            self.uses(value.dtype)
            lines.append(f"const {self.type(value.dtype)} {name} = {text};  // {_plain(node.op.name)}")
            names[value] = name
        return lines

    def uses(self, dtype: str) -> None:
        self.dtypes.setdefault(dtype)

    def type(self, dtype: str) -> str:
        """C type in which values of that dtype are computed."""
        return self.dialect.type(dtype)

    def load(self, dtype: str, pointer: str, index: str) -> str:
        """The element at an index."""
        self.uses(dtype)
        return self.dialect.load(dtype, pointer, index)

    def store(self, dtype: str, pointer: str, index: str, value: str) -> str:
        """A statement that writes the element at an index."""
        self.uses(dtype)
        return self.dialect.store(dtype, pointer, index, value)

    def operand(self, value: Value, names: Mapping[Value, str]) -> str:
        known = names.get(value)
        if known is not None:
            return known
        array = value.constant
        assert array is not None, value
        return self.dialect.literal(array.reshape(())[()], value.dtype)

    def expression(self, node: Node, operands: Sequence[str]) -> str:
        """The node's C expression; every operand is a name or a literal, so nothing needs parentheses."""
        template = node.op.expr
        if template is None:
            raise ValueError(f"op {node.op.name!r} has no C expression ({node.location()})")
        source, target = node.sources[0].dtype, node.outputs[0].dtype
        if "{dtype}" in template:
            return self.converted(operands[0], source, target)
        if template.startswith("{0} ?") and is_float(source):  # OpenCL C takes no float for a condition
            operands = [f"({operands[0]} != 0)", *operands[1:]]
        return self.filled(template, operands, source, target, node.attrs)

    def filled(
        self, template: str, operands: Sequence[str], source: str, target: str, attrs: Mapping[str, Any] | None = None
    ) -> str:
        """A template with its operands, functions resolved for operands of dtype `source`."""

        def called(match: re.Match[str]) -> str:
            name, helper = self.called(match[1], source)
            if helper is not None:
                self.helpers.setdefault(helper)
            return name

        text = _CALL.sub(called, template)
        literals = {k: self.dialect.literal(v, target) for k, v in (attrs or {}).items() if isinstance(v, int | float)}
        text = text.format(*operands, **literals)
        return self.truth(text, source, bool(TRUTH.search(template))) if target == "bool" else text

    def called(self, name: str, dtype: str) -> tuple[str, str | None]:
        """What a function of an op's expression is called, and the helper that defines it, if any."""
        return self.dialect.call(name, dtype)

    def truth(self, text: str, source: str, known: bool) -> str:
        """An expression on operands of dtype `source` as 0 or 1; `known` if it is a comparison or the like."""
        return text if known else f"({text}) != 0"

    def converted(self, operand: str, source: str, target: str) -> str:
        """A cast: anything but zero is true, and 16-bit floats are rounded."""
        if target == "bool":
            return operand if source == "bool" else f"{operand} != 0"
        self.uses(target)
        ctype = self.dialect.type(target)
        text = operand if compute_dtype(source) == compute_dtype(target) else f"({ctype}){operand}"
        rounder = self.dialect.rounds.get(target)
        return f"{rounder}({text})" if rounder and source != target else text

    def prelude(self) -> list[str]:
        """Extensions and helper functions that must stand before the kernel."""
        texts = [text for d in sorted(self.dtypes) for text in self.prelude_of(d)]
        # pragmas and includes first
        texts.sort(key=lambda t: not t.startswith("#"))
        lines = texts + list(self.helpers)
        return [*lines, ""] if lines else []

    def prelude_of(self, dtype: str) -> list[str]:
        """What must stand before a kernel that uses a dtype."""
        text = self.dialect.preludes.get(dtype)
        return [] if text is None else [text.rstrip("\n")]


def numbered(nodes: Sequence[Node]) -> dict[Node, int]:
    """A number for each node, for the names of its results."""
    return {node: i for i, node in enumerate(nodes)}


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Lines moved to the right."""
    return ["    " * depth + line if line else line for line in lines]
