"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

from kcore import activations, ops
from kcore.declare import argument, one_of
from kcore.layers.recurrent.arguments import CudnnArguments, GatedArguments
from kcore.layers.recurrent.recurrent_cell import RecurrentCell
from kcore.layers.recurrent.sequence import SequenceRNN
from kcore.registry import public


class GRUArguments(GatedArguments):
    """The arguments that `GRU` and `GRUCell` share, besides those of `RecurrentArguments` and `GatedArguments`.

    Args:
        reset_after: whether the reset gate acts behind the product with the state, as on GPUs, or before it.
    """

    reset_after: bool = argument(True, after="recurrent_dropout")


@public("keras.layers")
class GRUCell(GRUArguments, RecurrentCell):
    """One step of a GRU.

    ``z, r = sigmoid(x W + h U + b); h = z * h + (1 - z) * tanh(x W + r * (h U + b') + b)``, the columns of the
    kernels in the order z, r, h; without `reset_after` the candidate is ``tanh(x W + (r * h) U + b)``.

    Args:
        units, activation, use_bias, ...: see `RecurrentArguments`.
        recurrent_activation, implementation: see `GatedArguments`.
        reset_after: whether the reset gate acts behind the product with the state or before it.

    Shapes:
        inputs ``(batch, features)``, states ``[h]`` of ``(batch, units)``; kernel ``(features, 3 units)``, recurrent
        kernel ``(units, 3 units)``, bias ``(2, 3 units)`` for inputs and state, or ``(3 units,)`` without
        `reset_after`.

    Example:
        >>> import numpy as np
        >>> cell = GRUCell(4)
        >>> output, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 1)

    Source: Cho et al. 2014; `keras.layers.GRUCell`.
    """

    gates = 3

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        (h,) = states
        inputs, dropped = self.drop_inputs(inputs, training), self.drop_state(h, training)
        bias, state_bias = self._biases()
        x_z, x_r, x_g = self.split(self.product(inputs, self.kernel, bias))
        if self.reset_after:
            h_z, h_r, inner = self.split(self.product(dropped, self.recurrent_kernel, state_bias))
        else:
            h_z, h_r = self.split(self.product(dropped, self.recurrent_kernel[:, : 2 * self.units]))
        z, r = self.recurrent_activation(x_z + h_z), self.recurrent_activation(x_r + h_r)
        if self.reset_after:
            inner = r * inner
        else:
            kept = dropped[2] if isinstance(dropped, list) else dropped
            inner = ops.matmul(r * kept, self.recurrent_kernel[:, 2 * self.units :])
        h = z * h + (1.0 - z) * self.activation(x_g + inner)
        return h, [h]

    def _biases(self) -> tuple[Any, Any]:
        """The biases of inputs and state; None where there is none."""
        if self.bias is None:
            return None, None
        return (self.bias[0], self.bias[1]) if self.reset_after else (self.bias, None)

    def is_standard(self) -> bool:
        return self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid

    def run_op(self, sequences: Any, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, ...]:
        (h0,) = states
        return ops.gru(sequences, h0, self.kernel, self.recurrent_kernel, self.bias, mask, reverse, self.reset_after)


GRUCell.cell_of_op = GRUCell


@public("keras.layers")
class GRU(GRUArguments, CudnnArguments, SequenceRNN):
    """A gated recurrent unit over a sequence; see `GRUCell` for a step.

    With the standard activations, and without recurrent dropout, the whole sequence is one op.

    Args:
        units, activation, use_bias, ...: see `RecurrentArguments`.
        recurrent_activation, reset_after: see `GRUCell`.
        activity_regularizer, use_cudnn: see `CudnnArguments`.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: see `RNN`.

    Shapes:
        sequences ``(batch, time, features)``, mask ``(batch, time)``; output ``(batch, units)``, or
        ``(batch, time, units)`` with `return_sequences`; state ``(batch, units)``.

    Example:
        >>> import numpy as np
        >>> GRU(4, return_sequences=True)(np.ones((2, 3, 5), "float32")).shape
        (2, 3, 4)

    Source: Cho et al. 2014; `keras.layers.GRU`.
    """

    reset_after: bool = argument(True, after="unroll")
    use_cudnn: Any = argument("auto", one_of("auto", True, False), config=False, after="reset_after")

    #: Made from the arguments, not one itself.
    cell: Any = None
    cell_type = GRUCell
    cell_name = "gru_cell"
