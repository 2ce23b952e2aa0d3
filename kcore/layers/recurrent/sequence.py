"""Recurrent layers that make their cell themselves, and run a whole sequence as one op where they can."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import ops
from kcore.declare import Configurable
from kcore.layers.input_spec import InputSpec
from kcore.layers.recurrent.rnn import RNN


class SequenceRNN(RNN):
    """Base of SimpleRNN, GRU and LSTM.

    A subclass has the arguments of its cell and none called `cell`, says `cell_type` and `cell_name`, whether its cell
    is one that an op knows (`is_one_op`), and calls the op (`run_op`).
    """

    cell_type: ClassVar[type[Configurable]]
    cell_name: ClassVar[str]

    input_spec = InputSpec(ndim=3)

    def __post_init__(self) -> None:
        shared = {name: getattr(self, name) for name in self.cell_type.arguments}
        self.cell = self.cell_type(**shared, dtype=self.dtype_policy, trainable=self.trainable, name=self.cell_name)
        super().__post_init__()

    def is_one_op(self) -> bool:
        """Whether the op computes what the cell does."""
        raise NotImplementedError(f"{type(self).__name__} does not implement is_one_op()")

    def run_op(self, sequences: Any, states: list[Any], mask: Any) -> tuple[Any, ...]:
        """Outputs ``(batch, time, units)`` in the places of their inputs, and the last states; None is zeros."""
        raise NotImplementedError(f"{type(self).__name__} does not implement run_op()")

    def walk(self, sequences: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        cell = self.cell
        if not self.is_one_op() or (training and cell.recurrent_dropout):
            return super().walk(sequences, states, mask, training)
        if training and cell.dropout:
            sequences = sequences * ops.expand_dims(cell.get_dropout_mask(sequences[:, 0]), 1)
            cell.reset_dropout_masks()
        outputs, *states = self.run_op(sequences, [None] * cell.state_count if states is None else states, mask)
        if mask is None:
            return states[0], outputs, states
        if self.zero_output_for_mask:
            outputs = ops.where(ops.expand_dims(mask, -1), outputs, 0.0)
        return outputs[:, self.last], outputs, states
