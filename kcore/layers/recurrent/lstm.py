"""Long short-term memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import activations, initializers, ops
from kcore.declare import argument
from kcore.layers.recurrent.arguments import CudnnArguments, GatedArguments
from kcore.layers.recurrent.recurrent_cell import RecurrentCell
from kcore.layers.recurrent.sequence import SequenceRNN
from kcore.registry import public


class LSTMArguments(GatedArguments):
    """The arguments that `LSTM` and `LSTMCell` share, besides those of `RecurrentArguments` and `GatedArguments`.

    Args:
        unit_forget_bias: whether the forget gate's bias starts at one.
    """

    unit_forget_bias: bool = argument(True, after="bias_initializer")


@public("keras.layers")
class LSTMCell(LSTMArguments, RecurrentCell):
    """One step of an LSTM.

    ``i, f, o = sigmoid(x W + h U + b); c = f * c + i * tanh(x W + h U + b); h = o * tanh(c)``, the columns of the
    kernels in the order i, f, c, o.

    Args:
        units, activation, use_bias, ...: see `RecurrentArguments`.
        recurrent_activation, implementation: see `GatedArguments`.
        unit_forget_bias: whether the forget gate's bias starts at one.

    Shapes:
        inputs ``(batch, features)``, states ``[h, c]`` each ``(batch, units)``; kernel ``(features, 4 units)``,
        recurrent kernel ``(units, 4 units)``, bias ``(4 units,)``.

    Example:
        >>> import numpy as np
        >>> cell = LSTMCell(4)
        >>> output, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 2)

    Source: Hochreiter and Schmidhuber 1997; `keras.layers.LSTMCell`.
    """

    gates = 4
    state_count = 2

    def first_bias(self) -> Any:
        return self._open_forget_gates if self.unit_forget_bias else self.bias_initializer

    def _open_forget_gates(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        parts = [initializers.draw(self.bias_initializer, (n * self.units,), dtype) for n in (1, 2)]
        return np.concatenate([parts[0], np.ones_like(parts[0]), parts[1]])

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        x = self.product(self.drop_inputs(inputs, training), self.kernel, self.bias)
        state = self.product(self.drop_state(h, training), self.recurrent_kernel)
        if isinstance(x, list) or isinstance(state, list):
            gates = [a + b for a, b in zip(self.split(x), self.split(state), strict=True)]
        else:
            gates = self.split(x + state)
        i, f, candidate, o = gates
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(candidate)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def is_standard(self) -> bool:
        return self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid

    def run_op(self, sequences: Any, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, ...]:
        h0, c0 = states
        return ops.lstm(sequences, h0, c0, self.kernel, self.recurrent_kernel, self.bias, mask, reverse)


LSTMCell.cell_of_op = LSTMCell


@public("keras.layers")
class LSTM(LSTMArguments, CudnnArguments, SequenceRNN):
    """Long short-term memory over a sequence; see `LSTMCell` for a step.

    With the standard activations, and without recurrent dropout, the whole sequence is one op.

    Args:
        units, activation, use_bias, ...: see `RecurrentArguments`.
        recurrent_activation, unit_forget_bias: see `LSTMCell`.
        activity_regularizer, use_cudnn: see `CudnnArguments`.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: see `RNN`.

    Shapes:
        sequences ``(batch, time, features)``, mask ``(batch, time)``; output ``(batch, units)``, or
        ``(batch, time, units)`` with `return_sequences`; states ``(batch, units)``.

    Example:
        >>> import numpy as np
        >>> LSTM(4)(np.ones((2, 3, 5), "float32")).shape
        (2, 4)

    Source: Hochreiter and Schmidhuber 1997; `keras.layers.LSTM`.
    """

    #: Made from the arguments, not one itself.
    cell: Any = None
    cell_type = LSTMCell
    cell_name = "lstm_cell"
