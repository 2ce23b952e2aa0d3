"""Normalization by the root mean square."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.normalization.parameters import axes_kind, check_axes
from kcore.registry import public


@public("keras.layers")
class RMSNormalization(Layer):
    """Divides each sample by its root mean square: ``x / sqrt(mean(x^2) + epsilon) * scale``, the mean along `axis`.

    Args:
        axis: axis or axes that are normalized.
        epsilon: added to the mean square.

    Shapes:
        input and output of one shape; scale of the shape of `axis`.

    Raises:
        ValueError: an axis the input has not.

    Example:
        >>> import numpy as np
        >>> RMSNormalization(epsilon=0.0)(np.array([[1.0, 7.0]], "float32")).numpy().round(2).tolist()[0]
        [0.20000000298023224, 1.399999976158142]

    Source: Zhang and Sennrich, arXiv:1910.07467; `keras.layers.RMSNormalization`.
    """

    axis: Any = argument(-1, axes_kind)
    epsilon: float = argument(1e-6)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        axes = check_axes(self.axis, input_shape, describe_layer(self))
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        self.scale = self.add_weight(tuple(input_shape[a] for a in axes), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return ops.rms_normalization(inputs, scale=self.scale, axis=self.axis, epsilon=self.epsilon)
