"""The leaky rectified linear unit as a layer."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore.declare import argument, at_least, optional
from kcore.errors import warn_user
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class LeakyReLU(Layer):
    """Leaky rectified linear unit: ``x`` above 0, ``negative_slope * x`` below.

    Args:
        negative_slope: slope below 0, at least 0.
        alpha: older name of `negative_slope`; deprecated.

    Shapes:
        input and output of one shape.

    Raises:
        ValueError: a slope below 0, or None.

    Example:
        >>> import numpy as np
        >>> LeakyReLU(negative_slope=0.5)(np.array([-10.0, 5.0], "float32")).numpy().tolist()
        [-5.0, 5.0]

    Source: `keras.layers.LeakyReLU`.
    """

    negative_slope: float = argument(0.3, at_least(0.0))
    alpha: float | None = argument(None, optional(at_least(0.0)), config=False, keyword=True, attr="_alpha")

    _alpha: float | None

    supports_masking = True

    def __post_init__(self) -> None:
        if self._alpha is not None:
            warn_user("LeakyReLU: the argument alpha is now called negative_slope")
            self.negative_slope = self._alpha

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)
