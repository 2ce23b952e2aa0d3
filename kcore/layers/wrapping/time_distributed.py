"""One layer applied to every step of a sequence."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.layers.calling import CallSignature
from kcore.layers.input_spec import describe_layer
from kcore.layers.wrapping.wrapper import Wrapper
from kcore.registry import public


@public("keras.layers")
class TimeDistributed(Wrapper):
    """Applies a layer to each step of a sequence by itself, always with the same weights.

    All steps are computed at once, as one large batch. A layer with moving statistics or states (BatchNormalization,
    a stateful RNN) sees the steps one after the other instead.

    Args:
        layer: what is applied to ``inputs[:, t]``.

    Shapes:
        inputs ``(batch, time, ...)``, mask ``(batch, time, ...)``, which goes to the layer if that takes one; output
        ``(batch, time, ...)`` with the layer's own output shape behind.

    Raises:
        ValueError: inputs of rank 2 or less; a mask that does not begin with batch and time.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> TimeDistributed(layers.Conv2D(4, 3))(np.ones((2, 5, 8, 8, 3), "float32")).shape
        (2, 5, 6, 6, 4)

    Source: `keras.layers.TimeDistributed`.
    """

    supports_masking = True

    def _step_shape(self, shape: Any) -> tuple:
        if not isinstance(shape, tuple | list) or len(shape) < 3 or any(isinstance(d, tuple | list) for d in shape):
            raise ValueError(
                f"{describe_layer(self)}: expected one input (batch, time, ...) of rank 3 or more, got shape {shape}"
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (shape[0], input_shape[1], *shape[1:])

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        self._step_shape(tuple(inputs.shape))
        batch, time = inputs.shape[:2]
        signature = CallSignature(self.layer.call)
        kwargs = {"training": training} if signature.has_training else {}
        if mask is not None and tuple(mask.shape[:2]) != (batch, time):
            raise ValueError(
                f"{describe_layer(self)}: the mask of inputs of shape {tuple(inputs.shape)} begins with {(batch, time)}"
                f" (batch, time), got a mask of shape {tuple(mask.shape)}"
            )
        masked = mask is not None and signature.has_mask
        if not self._keeps_state():
            rows = ops.reshape(inputs, (batch * time, *inputs.shape[2:]))
            if masked:
                kwargs["mask"] = ops.reshape(mask, (batch * time, *mask.shape[2:]))
            outputs = self.layer(rows, **kwargs)
            return ops.reshape(outputs, (batch, time, *outputs.shape[1:]))
        steps = []
        for t in range(time):
            if masked:
                kwargs["mask"] = mask[:, t]
            steps.append(self.layer(inputs[:, t], **kwargs))
        return ops.stack(steps, axis=1)

    def _keeps_state(self) -> bool:
        """Whether a call of the layer changes what the next one finds."""
        return any(layer._own[1] or getattr(layer, "stateful", False) for layer in self.layer._flatten_layers())
