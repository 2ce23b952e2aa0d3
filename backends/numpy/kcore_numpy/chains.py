"""What several elementwise nodes of a chain are in one pass over memory: scaled sums, shifted quotients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kcore.backend.kernel import Thunk
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node, Value
from kcore_numpy import vectors
from kcore_numpy.blas import combination, combines


@dataclass(frozen=True)
class Joined:
    """An instruction that takes the place of several nodes.

    Attributes:
        output: what it computes.
    """

    output: Value

    @property
    def sources(self) -> list[Value]:
        """What it reads."""
        raise NotImplementedError

    def bind(self, arrays: dict[Value, np.ndarray], out: np.ndarray) -> Thunk:
        """A thunk that computes it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Quotient(Joined):
    """``x / (y + shift)``."""

    x: Value
    y: Value
    shift: float

    @property
    def sources(self) -> list[Value]:
        return [self.x, self.y]

    def bind(self, arrays: dict[Value, np.ndarray], out: np.ndarray) -> Thunk:
        return vectors.quotient(arrays[self.x], arrays[self.y], self.shift, out)


@dataclass(frozen=True)
class Sum(Joined):
    """``a * x + b * y``, which BLAS computes in one pass; `a` is a number or the value that holds it."""

    a: float | Value
    sign: float
    x: Value
    b: float
    y: Value

    @property
    def sources(self) -> list[Value]:
        return [self.x, self.y, *([self.a] if isinstance(self.a, Value) else [])]

    def bind(self, arrays: dict[Value, np.ndarray], out: np.ndarray) -> Thunk:
        factor: float | Callable[[], float]
        if isinstance(self.a, Value):
            item, sign = arrays[self.a].item, self.sign
            factor = lambda: sign * item()  # noqa: E731
        else:
            factor = self.sign * self.a
        return combination(factor, arrays[self.x], self.b, arrays[self.y], out)


def instructions(body: Graph, flat: bool) -> list[Node | Joined]:
    """The chain's nodes; where all operands are flat, those that make a scaled sum joined to one.

    Moving averages, ``a + (b - a) * c`` or ``a * d + b * c``, and steps, ``a - b * c`` and ``a - (b * c) / d``, are
    what optimizers consist of.
    """
    if (
        not flat
        or body.nodes[-1].outputs[0].size == 1
        or not all(combines(numpy_dtype(v.dtype)) for node in body.nodes for v in node.outputs)
    ):
        return list(body.nodes)
    sums = _Sums(body)
    for node in body.nodes:
        if node.op.name in ("add", "subtract"):
            sums.join(node)
    for node in body.nodes:
        if node.op.name == "divide":
            sums.divide(node)
    return [sums.joined.get(node, node) for node in body.nodes if node not in sums.gone]


class _Term(NamedTuple):
    """An operand of a sum as a scaled array, the nodes that vanish with it, and a quotient in another's place."""

    x: Value
    scale: float | Value = 1.0
    gone: tuple[Node, ...] = ()
    quotient: tuple[Node, Node] | None = None


class _Sums:
    """Finds the scaled sums of a chain.

    Attributes:
        joined: node -> what takes its place.
        gone: nodes that are part of another's sum.
    """

    def __init__(self, body: Graph):
        self.shape = body.nodes[-1].outputs[0].shape
        self.dtype = numpy_dtype(body.nodes[-1].outputs[0].dtype)
        self.uses = Counter(v for node in body.nodes for v in node.sources)
        self.uses.update(body.outputs)
        self.joined: dict[Node, Node | Joined] = {}
        self.gone: set[Node] = set()

    def join(self, node: Node) -> None:
        """Replace a sum or difference by a scaled sum where that saves a pass."""
        sign = 1.0 if node.op.name == "add" else -1.0
        left, right = node.inputs
        found = self._average(node) if sign > 0 else None
        if found is None:
            one, two = self._term(left), self._term(right)
            if one is None or two is None or not (one.gone or two.gone):
                return
            if isinstance(one.scale, float) and one.quotient is None:
                found = Sum(node.outputs[0], two.scale, sign, two.x, one.scale, one.x)
            elif isinstance(two.scale, float) and two.quotient is None:
                found = Sum(node.outputs[0], one.scale, 1.0, one.x, sign * two.scale, two.x)
            else:
                return
            self.gone.update(one.gone, two.gone)
            self.joined.update(t.quotient for t in (one, two) if t.quotient is not None)
        self.joined[node] = found

    def divide(self, node: Node) -> None:
        """Replace a division by a sum of an array and a number."""
        quotient = self.joined.get(node, node)
        if node in self.gone or not isinstance(quotient, Node) or not vectors.has_quotients(self.dtype):
            return
        x, y = quotient.inputs
        shifted = self._only(y, "add")
        for value, number in (shifted.inputs, shifted.inputs[::-1]) if shifted else ():
            shift = _number(number)
            if shift is not None and x is not None and value is not None and self._whole(x) and self._whole(value):
                self.gone.add(shifted)  # type: ignore[arg-type]
                self.joined[node] = Quotient(quotient.outputs[0], x, value, shift)
                return

    def _average(self, node: Node) -> Sum | None:
        """``a + (b - a) * c``."""
        for a, scaled in (node.inputs, node.inputs[::-1]):
            product = self._only(scaled, "multiply")
            for value, scale in (product.inputs, product.inputs[::-1]) if product else ():
                change, c = self._only(value, "subtract"), _number(scale)
                if change is None or c is None or not 0 < c < 1 or change.inputs[1] is not a:
                    continue
                b = change.inputs[0]
                if a is not None and b is not None and self._whole(a) and self._whole(b):
                    self.gone |= {product, change}  # type: ignore[arg-type]
                    return Sum(node.outputs[0], c, 1.0, b, 1.0 - c, a)
        return None

    def _term(self, value: Value | None) -> _Term | None:
        """A whole array as a scaled one; ``(x c) / d`` as c times ``x / d``."""
        if value is None or not self._whole(value):
            return None
        quotient = self._only(value, "divide")
        product = self._only(quotient.inputs[0] if quotient else value, "multiply")
        for x, scale in (product.inputs, product.inputs[::-1]) if product else ():
            if x is None or scale is None or not self._whole(x) or scale.size != 1:
                continue
            number = _number(scale)
            factor: float | Value = scale if number is None else number
            if quotient is None:
                return _Term(x, factor, (product,))  # type: ignore[arg-type]
            ratio = Node(quotient.op, (x, quotient.inputs[1]), quotient.attrs, [v.spec for v in quotient.outputs])
            return _Term(ratio.outputs[0], factor, (product,), (quotient, ratio))  # type: ignore[arg-type]
        return _Term(value)

    def _only(self, value: Value | None, op: str) -> Node | None:
        """The node of this op that makes a value which one other node reads, and that stands for itself still."""
        node = None if value is None else value.node
        if (
            value is None
            or node is None
            or node.op.name != op
            or self.uses[value] != 1
            or node in self.joined
            or node in self.gone
        ):
            return None
        return node

    def _whole(self, value: Value) -> bool:
        return value.shape == self.shape and value.constant is None


def _number(value: Value | None) -> float | None:
    constant = None if value is None else value.constant
    return float(constant.reshape(())) if constant is not None and constant.size == 1 else None
