"""Long short-term memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import activations, constraints, initializers, ops, regularizers
from kcore.declare import Configurable, argument, one_of, positive_int
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.layers.recurrent.dropout_cell import DropoutRNNCell
from kcore.layers.recurrent.rnn import RNN
from kcore.registry import public
from kcore.runtime.seeds import SeedGenerator


def _rate(value: float) -> float:
    return min(1.0, max(0.0, value))


class LSTMArguments(Configurable):
    """The arguments that `LSTM` and `LSTMCell` share.

    Args:
        units: size of the output and of both states.
        activation: of the candidate and the output.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: first values.
        unit_forget_bias: whether the forget gate's bias starts at one.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: what the weights are mapped to after an update.
        dropout: share of the inputs that is dropped, one mask for all steps.
        recurrent_dropout: share of the state that is dropped, one mask for all steps.
        seed: integer that makes the masks deterministic.
        implementation: 2, or 1 with a mask per gate, as `recurrent_dropout` needs it.
    """

    units: int = argument(kind=positive_int)
    activation: Any = argument("tanh", activations)
    recurrent_activation: Any = argument("sigmoid", activations)
    use_bias: bool = argument(True)
    kernel_initializer: Any = argument("glorot_uniform", initializers)
    recurrent_initializer: Any = argument("orthogonal", initializers)
    bias_initializer: Any = argument("zeros", initializers)
    unit_forget_bias: bool = argument(True)
    kernel_regularizer: Any = argument(None, regularizers)
    recurrent_regularizer: Any = argument(None, regularizers)
    bias_regularizer: Any = argument(None, regularizers)
    kernel_constraint: Any = argument(None, constraints)
    recurrent_constraint: Any = argument(None, constraints)
    bias_constraint: Any = argument(None, constraints)
    dropout: float = argument(0.0, _rate)
    recurrent_dropout: float = argument(0.0, _rate)
    seed: int | None = argument(None)
    implementation: int = argument(2, config=False, keyword=True)


@public("keras.layers")
class LSTMCell(DropoutRNNCell, LSTMArguments, Layer):
    """One step of an LSTM.

    ``i, f, o = sigmoid(x W + h U + b); c = f * c + i * tanh(x W + h U + b); h = o * tanh(c)``, the columns of the
    kernels in the order i, f, c, o.

    Args:
        units, activation, recurrent_activation, ...: see `LSTMArguments`.

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

    def __post_init__(self) -> None:
        if self.recurrent_dropout:
            self.implementation = 1
        if self.implementation == 1:
            self.dropout_mask_count = 4
        self.seed_generator = SeedGenerator(self.seed)
        self.state_size = [self.units, self.units]
        self.output_size = self.units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            (input_shape[-1], 4 * self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, 4 * self.units),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (4 * self.units,),
                self._first_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _first_bias(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if not self.unit_forget_bias:
            return initializers.draw(self.bias_initializer, shape, dtype)
        parts = [initializers.draw(self.bias_initializer, (n * self.units,), dtype) for n in (1, 2)]
        return np.concatenate([parts[0], np.ones_like(parts[0]), parts[1]])

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        if self.implementation == 1:
            gates = self._separate_gates(inputs, h, training)
        else:
            if training and self.dropout:
                inputs = inputs * self.get_dropout_mask(inputs)
            z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
            gates = ops.split(z if self.bias is None else z + self.bias, 4, axis=1)
        i, f, candidate, o = gates
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(candidate)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def _separate_gates(self, inputs: Any, h: Any, training: bool) -> list[Any]:
        """The four gates, each from its own masked inputs and state."""
        masks = self.get_dropout_mask(inputs) if training and self.dropout else None
        state_masks = self.get_recurrent_dropout_mask(h) if training and self.recurrent_dropout else None
        kernels = ops.split(self.kernel, 4, axis=1)
        recurrent = ops.split(self.recurrent_kernel, 4, axis=1)
        biases = [0.0] * 4 if self.bias is None else ops.split(self.bias, 4, axis=0)
        return [
            ops.matmul(inputs if masks is None else inputs * masks[g], kernels[g])
            + ops.matmul(h if state_masks is None else h * state_masks[g], recurrent[g])
            + biases[g]
            for g in range(4)
        ]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for both states."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]


class SequenceArguments(Configurable):
    """The arguments of recurrent layers that make their cell themselves.

    Args:
        activity_regularizer: penalty on the output.
        use_cudnn: accepted for Keras's sake; the kernel is the backend's choice.
    """

    activity_regularizer: Any = argument(None, regularizers, after="bias_regularizer")
    use_cudnn: Any = argument("auto", one_of("auto", True, False), config=False, after="unroll")


@public("keras.layers")
class LSTM(LSTMArguments, SequenceArguments, RNN):
    """Long short-term memory over a sequence; see `LSTMCell` for a step.

    With the standard activations, and without recurrent dropout, the whole sequence is one op.

    Args:
        units, activation, recurrent_activation, ...: see `LSTMArguments`.
        activity_regularizer, use_cudnn: see `SequenceArguments`.
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

    input_spec = InputSpec(ndim=3)

    def __post_init__(self) -> None:
        shared = {name: getattr(self, name) for name in LSTMArguments.arguments}
        self.cell = LSTMCell(**shared, dtype=self.dtype_policy, trainable=self.trainable, name="lstm_cell")

    def walk(self, sequences: Any, states: list[Any], mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        cell = self.cell
        standard = cell.activation is activations.tanh and cell.recurrent_activation is activations.sigmoid
        if not standard or cell.implementation == 1:
            return super().walk(sequences, states, mask, training)
        if training and self.dropout:
            sequences = sequences * ops.expand_dims(cell.get_dropout_mask(sequences[:, 0]), 1)
            cell.reset_dropout_masks()
        h0, c0 = states
        weights = cell.kernel, cell.recurrent_kernel, cell.bias
        outputs, h, c = ops.lstm(sequences, h0, c0, *weights, mask=mask, reverse=self.go_backwards)
        if self.go_backwards:
            outputs = ops.flip(outputs, axis=1)  # in the order of the walk
            mask = None if mask is None else ops.flip(mask, axis=1)
        if mask is None:
            return h, outputs, [h, c]
        if self.zero_output_for_mask:
            outputs = ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), outputs, 0.0)
        return outputs[:, -1], outputs, [h, c]
