"""Layers that meant something else in an old Keras, as its files are loaded with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import ops
from kcore.declare import argument, one_of
from kcore.layers import GRU, LSTM, RNN, BatchNormalization, Bidirectional, Layer, SimpleRNN
from kcore.registry import register_serializable
from kcore.tree import map_structure


@register_serializable("kcore")
class OldBidirectional(Bidirectional):
    """`Bidirectional` of Keras before 2.4: at masked steps both directions repeat their last output.

    Since tf.keras 2.0, and in Keras 3, they give zeros there.

    Args:
        layer, merge_mode, weights, backward_layer: see `Bidirectional`.
    """

    def __init__(self, layer: Any, **kwargs: Any):
        super().__init__(layer, **kwargs)
        for direction in (self.forward_layer, self.backward_layer):
            if isinstance(direction, RNN):
                direction.zero_output_for_mask = False


@register_serializable("kcore")
class OldBatchNormalization(BatchNormalization):
    """`BatchNormalization` of Keras 1 in its modes without moving statistics, whose variables it has all the same.

    Args:
        mode: 1 normalizes each sample by itself along its last axis, 2 each batch, in inference too.
        axis, momentum, epsilon, ...: see `BatchNormalization`.
    """

    mode: int = argument(2, one_of(1, 2))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        x = ops.cast(inputs, self.variable_dtype)
        if self.mode == 2:
            outputs = ops.batch_norm_train(x, self.gamma, self.beta, self.axis, self.epsilon)[0]
        else:
            mean, variance = ops.moments(x, axes=[-1], keepdims=True)
            outputs = (x - mean) / (ops.sqrt(variance + self.epsilon) + self.epsilon) * self.gamma + self.beta
        return ops.cast(outputs, self.compute_dtype)


class _StepsFirst(Layer):
    """Before a recurrent layer: sequences and masks are ``(time, batch, ...)``, and so are its outputs of all steps.

    tf.keras had this as `time_major=True`, which Keras 3 has no more.
    """

    return_sequences: bool
    return_state: bool

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(_exchanged(sequences_shape), initial_state_shape)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        mask = None if mask is None else map_structure(_turned, mask)
        result = super().call(_turned(sequences), initial_state=initial_state, mask=mask, training=training)
        return self._outputs(result, _turned)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        return self._outputs(super().compute_output_shape(_exchanged(sequences_shape), initial_state_shape), _exchanged)

    def _outputs(self, result: Any, turn: Callable[[Any], Any]) -> Any:
        """What the layer gives, its outputs changed and its states as they are."""
        if not self.return_sequences:
            return result
        both = getattr(self, "merge_mode", "") is None
        if self.return_state or both:
            return tuple(turn(part) if i < 1 + both else part for i, part in enumerate(result))
        return turn(result)


def _turned(x: Any) -> Any:
    return ops.swapaxes(x, 0, 1)


def _exchanged(shape: Any) -> tuple:
    return (shape[1], shape[0], *shape[2:])


@register_serializable("kcore")
class StepsFirstRNN(_StepsFirst, RNN):
    """`RNN` with `time_major=True`: sequences are ``(time, batch, ...)``.

    Args:
        cell, return_sequences, ...: see `RNN`.
    """

    stored_as = "RNN"


@register_serializable("kcore")
class StepsFirstSimpleRNN(_StepsFirst, SimpleRNN):
    """`SimpleRNN` with `time_major=True`: sequences are ``(time, batch, ...)``.

    Args:
        units, activation, ...: see `SimpleRNN`.
    """

    stored_as = "SimpleRNN"


@register_serializable("kcore")
class StepsFirstGRU(_StepsFirst, GRU):
    """`GRU` with `time_major=True`: sequences are ``(time, batch, ...)``.

    Args:
        units, activation, ...: see `GRU`.
    """

    stored_as = "GRU"


@register_serializable("kcore")
class StepsFirstLSTM(_StepsFirst, LSTM):
    """`LSTM` with `time_major=True`: sequences are ``(time, batch, ...)``.

    Args:
        units, activation, ...: see `LSTM`.
    """

    stored_as = "LSTM"


@register_serializable("kcore")
class StepsFirstBidirectional(_StepsFirst, Bidirectional):
    """`Bidirectional` of layers with `time_major=True`: sequences are ``(time, batch, ...)``, the layers' are not.

    Args:
        layer, merge_mode, weights, backward_layer: see `Bidirectional`.
    """

    stored_as = "Bidirectional"


#: Class -> the class that it is with `time_major=True`.
STEPS_FIRST: dict[str, type[Layer]] = {
    "RNN": StepsFirstRNN,
    "SimpleRNN": StepsFirstSimpleRNN,
    "GRU": StepsFirstGRU,
    "LSTM": StepsFirstLSTM,
    "Bidirectional": StepsFirstBidirectional,
}
