"""What differs between the recurrent cells: their gates, where these lie in weights and bias, and their formulas.

The generators know only *slots*: sums that a step makes for each unit, one after the other. Those that inputs go into
come first, those that the state goes into last; most are both. Formulas are lines of C for a vector of units (or one).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from kcore.graph.core import Node
from kcore.kernels.tiles import Real


class Cell(ABC):
    """One kind of cell.

    Attributes:
        inputs, outputs: operands of the op, in order, as kernels call them.
        grad_inputs, grad_outputs: those of its gradient.
        slots: names of the slots; with these the gradient is told what a step made.
        kernel_blocks, recurrent_blocks: per slot, which block of `units` columns of the weights goes into it.
        bias_blocks: per slot, which blocks of the bias go into it.
        kept: forward output that holds all slots of all steps after their activation, or None.
        remembers: names of what the formulas ask for beside the slots: ``c_old``, ``h_old``.
        recalls: the same of the gradient's formulas: ``c_old``, ``c``, ``h_old``, ``h``.
        late: how many slots, the last ones, the state goes into only as the early ones let it through (`kept`). Such a
            step is two sweeps over the units: `early`, then `step`.
        carried: name of the early slot that `step` asks for.
    """

    inputs: ClassVar[tuple[str, ...]]
    outputs: ClassVar[tuple[str, ...]]
    grad_inputs: ClassVar[tuple[str, ...]]
    grad_outputs: ClassVar[tuple[str, ...]]
    slots: ClassVar[str]
    kernel_blocks: ClassVar[tuple[int | None, ...]]
    recurrent_blocks: ClassVar[tuple[int | None, ...]]
    bias_blocks: ClassVar[tuple[tuple[int, ...], ...]]
    kept: ClassVar[str | None] = "gates"
    remembers: ClassVar[frozenset[str]] = frozenset()
    recalls: ClassVar[frozenset[str]] = frozenset()
    late: ClassVar[int] = 0
    carried: ClassVar[str] = ""

    @abstractmethod
    def step(self, real: Real, sums: Sequence[str]) -> list[str]:
        """Lines that define the slots, and `h` (and `c`) as variables, from the sums; of `late` slots only, if any."""

    def early(self, real: Real, sums: Sequence[str]) -> list[str]:
        """Lines that define the early slots and `kept`, from their sums."""
        raise NotImplementedError(f"{type(self).__name__} has no late slots")

    def late_slopes(self, real: Real) -> tuple[int, str, str]:
        """Of the gradient `to_kept`: the slot it goes to, the gradient of its sum, and what is handed on to h."""
        raise NotImplementedError(f"{type(self).__name__} has no late slots")

    @abstractmethod
    def slopes(self, real: Real) -> tuple[list[str], list[str], str, str]:
        """The gradient of one step, from `to_h`, the slots and what it recalls.

        Returns lines before, the gradient of each slot's sum (``""`` for that of `late_slopes`), and what is handed on
        of the gradients of h and of c (``""`` where it is nothing, or there is no c).
        """

    @property
    def count(self) -> int:
        """How many slots there are."""
        return len(self.slots)

    @property
    def early_count(self) -> int:
        """How many slots the state goes into as it is."""
        return self.count - self.late

    @property
    def has_cell(self) -> bool:
        """Whether there is a second state, c."""
        return "c0" in self.inputs

    @property
    def blocks(self) -> int:
        """Blocks of columns of both weight matrices."""
        return sum(b is not None for b in self.kernel_blocks)

    @property
    def input_slots(self) -> list[int]:
        """Slots that the inputs go into, in the order of the slots."""
        return [s for s, b in enumerate(self.kernel_blocks) if b is not None]

    @property
    def state_slots(self) -> list[int]:
        """Slots that the state goes into, in the order of the slots."""
        return [s for s, b in enumerate(self.recurrent_blocks) if b is not None]

    @property
    def bias_size(self) -> int:
        """Blocks of `units` in the bias."""
        return sum(map(len, self.bias_blocks))

    def slot_of(self, block: int, *, state: bool) -> int:
        """The slot that a block of columns of the (recurrent) kernel goes into."""
        return (self.recurrent_blocks if state else self.kernel_blocks).index(block)


class LSTM(Cell):
    """i, f, g, o; ``c = f c + i g``, ``h = o tanh(c)``."""

    inputs = ("x", "h0", "c0", "kernel_", "recurrent", "bias", "mask")
    outputs = ("hidden", "last_h", "last_c", "cells", "gates")
    grad_inputs = (
        "g_hidden", "g_h", "g_c", "x", "h0", "c0", "kernel_", "recurrent", "mask", "hidden", "cells", "gates",
    )  # fmt: skip
    grad_outputs = ("dx", "dh0", "dc0", "d_kernel", "d_recurrent", "d_bias")
    slots = "ifgo"
    kernel_blocks = (0, 1, 2, 3)
    recurrent_blocks = (0, 1, 2, 3)
    bias_blocks = ((0,), (1,), (2,), (3,))
    remembers = frozenset(("c_old",))
    recalls = frozenset(("c_old", "c"))

    def step(self, real: Real, sums: Sequence[str]) -> list[str]:
        v = real.vector
        return [
            f"const {v} i = sigmoid({sums[0]});",
            f"const {v} f = sigmoid({sums[1]});",
            f"const {v} g = tanh({sums[2]});",
            f"const {v} o = sigmoid({sums[3]});",
            f"{v} c = {real.multiply_add('f', 'c_old', 'i * g')};",
            f"{v} h = o * tanh(c);",
        ]

    def slopes(self, real: Real) -> tuple[list[str], list[str], str, str]:
        v, one = real.vector, real.number(1)
        before = [
            f"const {v} flat = tanh(c);",
            f"const {v} to_c = {real.multiply_add('to_h * o', f'({one} - flat * flat)', 'dc_now')};",
        ]
        slopes = [
            f"to_c * g * (i * ({one} - i))",
            f"to_c * c_old * (f * ({one} - f))",
            f"to_c * i * ({one} - g * g)",
            f"to_h * flat * (o * ({one} - o))",
        ]
        return before, slopes, "", "to_c * f"


class GRU(Cell):
    """g, z, r, and a, the state's share of g; ``g = tanh(g + r a)``, ``h = z h + (1 - z) g``."""

    inputs = ("x", "h0", "kernel_", "recurrent", "bias", "mask")
    outputs = ("hidden", "last_h", "gates")
    grad_inputs = ("g_hidden", "g_h", "x", "h0", "kernel_", "recurrent", "mask", "hidden", "gates")
    grad_outputs = ("dx", "dh0", "d_kernel", "d_recurrent", "d_bias")
    slots = "gzra"
    kernel_blocks: ClassVar[tuple[int | None, ...]] = (2, 0, 1, None)
    recurrent_blocks: ClassVar[tuple[int | None, ...]] = (None, 0, 1, 2)
    bias_blocks: ClassVar[tuple[tuple[int, ...], ...]] = ((2,), (0, 3), (1, 4), (5,))
    remembers = frozenset(("h_old",))
    recalls = frozenset(("h_old",))

    def step(self, real: Real, sums: Sequence[str]) -> list[str]:
        v = real.vector
        return [
            f"const {v} z = sigmoid({sums[1]});",
            f"const {v} r = sigmoid({sums[2]});",
            f"const {v} a = {sums[3]};",
            f"const {v} g = tanh({real.multiply_add('r', 'a', sums[0])});",
            f"{v} h = {real.multiply_add('z', '(h_old - g)', 'g')};",
        ]

    def slopes(self, real: Real) -> tuple[list[str], list[str], str, str]:
        v, one = real.vector, real.number(1)
        before = [f"const {v} to_g = to_h * ({one} - z) * ({one} - g * g);"]
        slopes = [
            "to_g",
            f"to_h * (h_old - g) * (z * ({one} - z))",
            f"to_g * a * (r * ({one} - r))",
            "to_g * r",
        ]
        return before, slopes, "to_h * z", ""


class ResetBefore(GRU):
    """z, r, g; ``g = tanh(g)`` with the state's share from ``kept = r h``, ``h = z h + (1 - z) g``."""

    slots = "zrg"
    kernel_blocks = (0, 1, 2)
    recurrent_blocks = (0, 1, 2)
    bias_blocks = ((0,), (1,), (2,))
    late = 1
    carried = "z"

    def early(self, real: Real, sums: Sequence[str]) -> list[str]:
        v = real.vector
        return [
            f"const {v} z = sigmoid({sums[0]});",
            f"const {v} r = sigmoid({sums[1]});",
            f"const {v} kept = r * h_old;",
        ]

    def step(self, real: Real, sums: Sequence[str]) -> list[str]:
        v = real.vector
        return [f"const {v} g = tanh({sums[0]});", f"{v} h = {real.multiply_add('z', '(h_old - g)', 'g')};"]

    def slopes(self, real: Real) -> tuple[list[str], list[str], str, str]:
        one = real.number(1)
        to_z, to_g = f"to_h * (h_old - g) * (z * ({one} - z))", f"to_h * ({one} - z) * ({one} - g * g)"
        return [], [to_z, "", to_g], "to_h * z", ""

    def late_slopes(self, real: Real) -> tuple[int, str, str]:
        return 1, f"to_kept * h_old * (r * ({real.number(1)} - r))", "to_kept * r"


class SimpleRNN(Cell):
    """``h = tanh(s)``."""

    inputs = ("x", "h0", "kernel_", "recurrent", "bias", "mask")
    outputs = ("hidden", "last_h")
    grad_inputs = ("g_hidden", "g_h", "x", "h0", "kernel_", "recurrent", "mask", "hidden")
    grad_outputs = ("dx", "dh0", "d_kernel", "d_recurrent", "d_bias")
    slots = "s"
    kernel_blocks = (0,)
    recurrent_blocks = (0,)
    bias_blocks = ((0,),)
    kept = None
    recalls = frozenset(("h",))

    def step(self, real: Real, sums: Sequence[str]) -> list[str]:
        return [f"{real.vector} h = tanh({sums[0]});"]

    def slopes(self, real: Real) -> tuple[list[str], list[str], str, str]:
        return [], [f"to_h * ({real.number(1)} - h * h)"], "", ""


#: The cells by the name of their op, or of that form of it.
CELLS: dict[str, Cell] = {"lstm": LSTM(), "gru": GRU(), "gru_reset_before": ResetBefore(), "simple_rnn": SimpleRNN()}
#: The ops they are of.
OPERATIONS = ("lstm", "gru", "simple_rnn")


def cell_of(node: Node) -> Cell:
    """The kind of cell of a recurrent node, or of its gradient."""
    name = node.op.name.removesuffix("_grad")
    return CELLS[name if node.attrs.get("reset_after", True) else f"{name}_reset_before"]


def sigmoid(real: Real) -> list[str]:
    """The helper that formulas of gates call."""
    v, one = real.vector, real.number(1)
    return [f"{real.dialect.function} {v} sigmoid(const {v} z) {{ return {one} / ({one} + exp(-z)); }}"]


def table(name: str, blocks: Sequence[int | None]) -> tuple[list[str], Callable[[str], str]]:
    """A map from slots to blocks in C: lines before the kernel, and the expression of a slot's block, -1 for none."""
    if tuple(blocks) == tuple(range(len(blocks))):
        return [], lambda slot: slot
    values = ", ".join(str(-1 if b is None else b) for b in blocks)
    return [f"__constant int {name}[{len(blocks)}] = {{{values}}};"], lambda slot: f"{name}[{slot}]"
