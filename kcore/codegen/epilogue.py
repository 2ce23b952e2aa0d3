"""What follows a product in its kernel: bias, activation, gradient of the activation, one element at a time."""

from __future__ import annotations

from kcore.codegen.group import Group, Statements, group_of, numbered
from kcore.codegen.signature import Signature
from kcore.codegen.wide import WideStatements, can_widen
from kcore.graph.core import Node, Value


class Epilogue:
    """The elementwise part of a product node; of a node that is a product and no more, it only stores the result.

    Args:
        node: a product, or a ``fused_product`` node.

    Attributes:
        product: the product itself; its operands are values of the body.
        inputs: for each operand of the product, its index among the node's inputs (None for an absent one).
        group: name and comment for the kernel, as `Signature.source` wants it.

    Example, within a generator::

        epilogue = Epilogue(node)
        epilogue.declare(sig)                                  # arguments e0, e1, ... and y0, y1, ...
        body += epilogue.element(statements, "total", index="i", column="c")
    """

    def __init__(self, node: Node):
        self.group: Group = group_of(node)
        self.product = self.group.nodes[0]
        place = dict(self.group.inputs)
        self.inputs: list[int | None] = [
            None if v is None else (place[v] if node.op is not self.product.op else i)
            for i, v in enumerate(self.product.inputs)
        ]
        total = self.product.outputs[0]
        self._after = self.group.nodes[1:]
        read = {v: None for n in self._after for v in n.sources}
        self._reads: list[tuple[Value, int]] = [(v, i) for v, i in self.group.inputs if v in read]
        self._total = total
        self._shape = total.shape

    @property
    def plain(self) -> bool:
        """Whether there is nothing but the result to store."""
        return not self._after

    def statements(self, sig: Signature) -> Statements:
        """A collector of statements for this group's nodes."""
        return Statements(sig.dialect, numbered(self.group.nodes))

    @property
    def widens(self) -> bool:
        """Whether what follows the product can be written for whole vectors."""
        return can_widen(self._after)

    def wide_statements(self, sig: Signature, width: int) -> WideStatements:
        """The same for vectors; only where `widens`. The kernel's own statements must take over its helpers."""
        return WideStatements(sig.dialect, numbered(self.group.nodes), width)

    def declare(self, sig: Signature) -> None:
        """Add the arguments: operands of the epilogue, then the outputs."""
        for j, (value, i) in enumerate(self._reads):
            sig.buffer(f"e{j}", "input", value.dtype, i, const=True)
        for j, (value, i) in enumerate(self.group.outputs):
            sig.buffer(f"y{j}", "output", value.dtype, i)

    def element(self, statements: Statements, total: str, index: str, column: str) -> list[str]:
        """Statements that finish one element, or with `WideStatements` as many neighbours along the last axis.

        Args:
            statements: from `statements` or `wide_statements`.
            total: C name of the product's element, of the product's (compute) dtype.
            index: its flat index in the result, as C text.
            column: its index along the last axis, as C text.
        """
        names: dict[Value, str] = {self._total: total}
        lines = []
        for j, (value, _) in enumerate(self._reads):
            at = "0" if value.size == 1 else index if value.shape == self._shape else column
            if value.size == 1 and isinstance(statements, WideStatements):
                statements.uses(value.dtype)
                load = statements.everywhere(statements.dialect.load(value.dtype, f"e{j}", at), value.dtype)
            else:
                load = statements.load(value.dtype, f"e{j}", at)
            lines.append(f"const {statements.type(value.dtype)} e{j}_ = {load};")
            names[value] = f"e{j}_"
        lines += statements.of(self._after, names)
        for j, (value, _) in enumerate(self.group.outputs):
            lines.append(statements.store(value.dtype, f"y{j}", index, names[value]))
        return lines
