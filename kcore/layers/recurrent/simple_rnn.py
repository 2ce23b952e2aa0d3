"""The recurrent network of one dense layer."""

from __future__ import annotations

from typing import Any

from kcore import activations, ops
from kcore.declare import argument
from kcore.layers.recurrent.arguments import RecurrentArguments, SequenceArguments
from kcore.layers.recurrent.recurrent_cell import RecurrentCell
from kcore.layers.recurrent.sequence import SequenceRNN
from kcore.registry import public


@public("keras.layers")
class SimpleRNNCell(RecurrentArguments, RecurrentCell):
    """One step of a simple recurrent network: ``h = activation(x W + h U + b)``.

    Args:
        units, activation, use_bias, ...: see `RecurrentArguments`.

    Shapes:
        inputs ``(batch, features)``, states ``[h]`` of ``(batch, units)``; kernel ``(features, units)``, recurrent
        kernel ``(units, units)``, bias ``(units,)``.

    Example:
        >>> import numpy as np
        >>> cell = SimpleRNNCell(4)
        >>> output, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 1)

    Source: Elman 1990; `keras.layers.SimpleRNNCell`.
    """

    gates = 1

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        (h,) = states
        inputs, h = self.drop_inputs(inputs, training), self.drop_state(h, training)
        h = self.activation(self.product(inputs, self.kernel, self.bias) + ops.matmul(h, self.recurrent_kernel))
        return h, [h]

    def is_standard(self) -> bool:
        return self.activation is activations.tanh

    def run_op(self, sequences: Any, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, ...]:
        (h0,) = states
        return ops.simple_rnn(sequences, h0, self.kernel, self.recurrent_kernel, self.bias, mask, reverse)


SimpleRNNCell.cell_of_op = SimpleRNNCell


@public("keras.layers")
class SimpleRNN(RecurrentArguments, SequenceArguments, SequenceRNN):
    """A simple recurrent network over a sequence; see `SimpleRNNCell` for a step.

    With tanh, and without recurrent dropout, the whole sequence is one op.

    Args:
        units, activation, use_bias, ...: see `RecurrentArguments`.
        activity_regularizer: penalty on the output.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: see `RNN`.

    Shapes:
        sequences ``(batch, time, features)``, mask ``(batch, time)``; output ``(batch, units)``, or
        ``(batch, time, units)`` with `return_sequences`; state ``(batch, units)``.

    Example:
        >>> import numpy as np
        >>> SimpleRNN(4)(np.ones((2, 3, 5), "float32")).shape
        (2, 4)

    Source: Elman 1990; `keras.layers.SimpleRNN`.
    """

    #: Not in Keras's configuration of this layer, but in that of its cell.
    seed: int | None = argument(None, config=False, after="unroll")

    #: Made from the arguments, not one itself.
    cell: Any = None
    cell_type = SimpleRNNCell
    cell_name = "simple_rnn_cell"
