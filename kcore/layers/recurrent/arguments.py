"""The arguments that recurrent layers and their cells share."""

from __future__ import annotations

from typing import Any

from kcore import activations, constraints, initializers, regularizers
from kcore.declare import Configurable, argument, one_of, positive_int


def rate(value: float) -> float:
    """A share, brought between 0 and 1 as Keras does."""
    return min(1.0, max(0.0, value))


class RecurrentArguments(Configurable):
    """The arguments of a cell, which the layer made of it takes as well.

    Args:
        units: size of the output and of each state.
        activation: of the output or candidate.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: first values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: what the weights are mapped to after an update.
        dropout: share of the inputs that is dropped, one mask for all steps.
        recurrent_dropout: share of the state that is dropped, one mask for all steps.
        seed: integer that makes the masks deterministic.
    """

    units: int = argument(kind=positive_int)
    activation: Any = argument("tanh", activations)
    use_bias: bool = argument(True)
    kernel_initializer: Any = argument("glorot_uniform", initializers)
    recurrent_initializer: Any = argument("orthogonal", initializers)
    bias_initializer: Any = argument("zeros", initializers)
    kernel_regularizer: Any = argument(None, regularizers)
    recurrent_regularizer: Any = argument(None, regularizers)
    bias_regularizer: Any = argument(None, regularizers)
    kernel_constraint: Any = argument(None, constraints)
    recurrent_constraint: Any = argument(None, constraints)
    bias_constraint: Any = argument(None, constraints)
    dropout: float = argument(0.0, rate)
    recurrent_dropout: float = argument(0.0, rate)
    seed: int | None = argument(None)


class GatedArguments(RecurrentArguments):
    """The arguments of cells with gates.

    Args:
        recurrent_activation: of the gates.
        implementation: 2, or 1 with a mask per gate, as `recurrent_dropout` needs it.
    """

    recurrent_activation: Any = argument("sigmoid", activations, after="activation")
    implementation: int = argument(2, config=False, keyword=True)


class SequenceArguments(Configurable):
    """The arguments of recurrent layers that make their cell themselves.

    Args:
        activity_regularizer: penalty on the output.
    """

    activity_regularizer: Any = argument(None, regularizers, after="bias_regularizer")


class CudnnArguments(SequenceArguments):
    """The arguments of LSTM and GRU layers.

    Args:
        use_cudnn: accepted for Keras's sake; the kernel is the backend's choice.
    """

    use_cudnn: Any = argument("auto", one_of("auto", True, False), config=False, after="unroll")
