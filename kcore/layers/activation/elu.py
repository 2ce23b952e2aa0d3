"""The exponential linear unit as a layer."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class ELU(Layer):
    """Exponential linear unit: ``x`` above 0, ``alpha * (exp(x) - 1)`` below.

    Args:
        alpha: minus the value it tends to far below 0.

    Shapes:
        input and output of one shape.

    Example:
        >>> import numpy as np
        >>> ELU(alpha=2.0)(np.array([-100.0, 3.0], "float32")).numpy().tolist()
        [-2.0, 3.0]

    Source: Clevert et al., arXiv:1511.07289; `keras.layers.ELU`.
    """

    alpha: float = argument(1.0)

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)
