"""What the cells of SimpleRNN, GRU and LSTM share: their weights, dropout masks and first states."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.layers.layer import Layer
from kcore.layers.recurrent.dropout_cell import DropoutRNNCell
from kcore.runtime.seeds import SeedGenerator
from kcore.tree import flatten


class RecurrentCell(DropoutRNNCell, Layer):
    """Base of cells with a kernel, a recurrent kernel and a bias, each for several gates side by side.

    A subclass has the arguments of `RecurrentArguments`, says its `gates` and `state_count`, and computes in `call`.
    A whole sequence of it is one op (`run_op`) where its activations are those the op has (`is_standard`).
    """

    #: Blocks of `units` columns in the weights.
    gates: int
    #: States of `units` each.
    state_count: int = 1
    implementation: int = 2
    units: int

    def __post_init__(self) -> None:
        if self.gates > 1:
            if self.recurrent_dropout:
                self.implementation = 1
            if self.implementation == 1:
                self.dropout_mask_count = self.gates
        self.seed_generator = SeedGenerator(self.seed)
        self.state_size = self.units if self.state_count == 1 else [self.units] * self.state_count
        self.output_size = self.units

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias."""
        return (self.gates * self.units,)

    def first_bias(self) -> Any:
        """The bias's initializer."""
        return self.bias_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        columns = self.gates * self.units
        self.kernel = self.add_weight(
            (input_shape[-1], columns),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, columns),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape,
                self.first_bias(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for every state."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(self.state_count)]

    def product(self, x: Any, weights: Any, bias: Any = None) -> Any:
        """What inputs or state give to the gates, side by side; a list of one per gate where each has its own copy.

        Args:
            x: ``(batch, features)``, or a list of such copies, each with a mask of its own.
            weights: ``(features, gates * units)``.
            bias: ``(gates * units,)`` or None.
        """
        if not isinstance(x, list):
            product = ops.matmul(x, weights)
            return product if bias is None else product + bias  # before the state's, so for all steps at once
        columns = self.split(weights)
        parts = [ops.matmul(copy, w) for copy, w in zip(x, columns, strict=False)]
        return parts if bias is None else [p + b for p, b in zip(parts, self.split(bias), strict=True)]

    def split(self, x: Any) -> list[Any]:
        """The parts of each gate, which lie side by side along the last axis unless they are in a list already."""
        return x if isinstance(x, list) else ops.split(x, x.shape[-1] // self.units, axis=-1)

    # -- a whole sequence --------------------------------------------------------------------------------------------

    #: The class whose `call` the op computes; none for a cell without one.
    cell_of_op: type | None = None

    def is_one_op(self, training: bool) -> bool:
        """Whether an op computes a whole sequence of what this cell does step by step."""
        whole, own = self.cell_of_op, type(self)
        if whole is None or self.activity_regularizer is not None or not self.is_standard():
            return False
        if own.call is not whole.call or own.get_initial_state is not RecurrentCell.get_initial_state:  # type: ignore[attr-defined]
            return False
        several_masks = self.dropout and self.dropout_mask_count
        return not (training and (self.recurrent_dropout or several_masks))

    def is_standard(self) -> bool:
        """Whether the activations are those of the op."""
        raise NotImplementedError(f"{type(self).__name__} does not implement is_standard()")

    def run_op(self, sequences: Any, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, ...]:
        """Outputs ``(batch, time, units)`` in the places of their inputs, and the last states; None is zeros."""
        raise NotImplementedError(f"{type(self).__name__} does not implement run_op()")

    def walk(self, sequences: Any, states: Any, mask: Any, reverse: bool, training: bool) -> tuple[Any, list[Any]]:
        """A whole sequence by the op, its inputs dropped with one mask for all steps: outputs and last states."""
        if training and self.dropout:
            sequences = sequences * ops.expand_dims(self.get_dropout_mask(sequences[:, 0]), 1)
            self.reset_dropout_masks()
        starts = [None] * self.state_count if states is None else flatten(states)
        outputs, *last = self.run_op(sequences, starts, mask, reverse)
        return outputs, last
