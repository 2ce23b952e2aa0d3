"""A penalty on what passes through."""

from __future__ import annotations

from typing import Any

from kcore import regularizers
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class ActivityRegularization(Layer):
    """Passes its input on and adds ``l1 * sum(|x|) + l2 * sum(x^2)`` per sample to the loss.

    Args:
        l1: factor of the absolute values, at least 0.
        l2: factor of the squares, at least 0.

    Shapes:
        input and output of one shape.

    Example:
        >>> import numpy as np
        >>> layer = ActivityRegularization(l2=0.5)
        >>> y = layer(np.array([[1.0, 3.0]], "float32"))
        >>> float(layer.losses[0])
        5.0

    Source: `keras.layers.ActivityRegularization`.
    """

    l1: float = argument(0.0)
    l2: float = argument(0.0)

    supports_masking = True

    def __post_init__(self) -> None:
        self.activity_regularizer = regularizers.L1L2(l1=self.l1, l2=self.l2)

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "activity_regularizer"}
