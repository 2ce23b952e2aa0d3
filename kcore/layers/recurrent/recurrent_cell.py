"""What the cells of SimpleRNN, GRU and LSTM share: their weights, dropout masks and first states."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.layers.layer import Layer
from kcore.layers.recurrent.dropout_cell import DropoutRNNCell
from kcore.runtime.seeds import SeedGenerator


class RecurrentCell(DropoutRNNCell, Layer):
    """Base of cells with a kernel, a recurrent kernel and a bias, each for several gates side by side.

    A subclass has the arguments of `RecurrentArguments`, says its `gates` and `state_count`, and computes in `call`.
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
