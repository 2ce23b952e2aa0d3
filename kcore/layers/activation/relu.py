"""The rectified linear unit as a layer."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore.declare import argument, at_least, optional
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class ReLU(Layer):
    """Rectified linear unit: ``max(x, 0)``, with slope, limit and threshold if wanted.

    Args:
        max_value: upper limit, at least 0; None is none.
        negative_slope: slope below the threshold, at least 0.
        threshold: value at or below which the input is damped, at least 0.

    Shapes:
        input and output of one shape.

    Example:
        >>> import numpy as np
        >>> ReLU(max_value=1.0)(np.array([-1.0, 0.5, 2.0], "float32")).numpy().tolist()
        [0.0, 0.5, 1.0]

    Source: `keras.layers.ReLU`.
    """

    max_value: float | None = argument(None, optional(at_least(0.0)))
    negative_slope: float = argument(0.0, at_least(0.0))
    threshold: float = argument(0.0, at_least(0.0))

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)
