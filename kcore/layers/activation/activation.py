"""Any activation function as a layer."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class Activation(Layer):
    """Applies a function to its input.

    Args:
        activation: name or function.

    Shapes:
        input and output of one shape.

    Example:
        >>> import numpy as np
        >>> Activation("relu")(np.array([-1.0, 2.0], "float32")).numpy().tolist()
        [0.0, 2.0]

    Source: `keras.layers.Activation`.
    """

    activation: Any = argument(kind=activations)

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)
