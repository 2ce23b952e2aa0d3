"""Layers that meant something else in an old Keras, as its files are loaded with them."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument, one_of
from kcore.layers import RNN, BatchNormalization, Bidirectional
from kcore.registry import register_serializable


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
