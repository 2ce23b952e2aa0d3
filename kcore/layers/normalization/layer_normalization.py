"""Layer normalization."""

from __future__ import annotations

from typing import Any

from kcore import constraints, initializers, ops, regularizers
from kcore.declare import argument, only
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.normalization.parameters import add_gamma_and_beta
from kcore.registry import public


def _axes(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise TypeError("expected an integer or a list of integers")
    return value if isinstance(value, int) else sorted(value)


@public("keras.layers")
class LayerNormalization(Layer):
    """Normalizes each sample: ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, statistics along `axis`.

    Args:
        axis: axis or axes that are normalized.
        epsilon: added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        rms_scaling: False; Keras's files carry it.
        beta_initializer, gamma_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: what the weights are mapped to after an update.

    Shapes:
        input and output of one shape; weights of the shape of `axis`.

    Example:
        >>> import numpy as np
        >>> LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]], "float32")).numpy().tolist()
        [[-1.0, 1.0]]

    Source: Ba et al., arXiv:1607.06450; `keras.layers.LayerNormalization`.
    """

    axis: Any = argument(-1, _axes)
    epsilon: float = argument(0.001)
    center: bool = argument(True)
    scale: bool = argument(True)
    beta_initializer: Any = argument("zeros", initializers)
    gamma_initializer: Any = argument("ones", initializers)
    beta_regularizer: Any = argument(None, regularizers)
    gamma_regularizer: Any = argument(None, regularizers)
    beta_constraint: Any = argument(None, constraints)
    gamma_constraint: Any = argument(None, constraints)
    rms_scaling: bool = argument(False, only(False, "Keras deprecated it; use RMSNormalization"))

    supports_masking = True

    def __post_init__(self) -> None:
        self.autocast = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        if any(not -len(input_shape) <= a < len(input_shape) for a in axes):
            raise ValueError(
                f"{describe_layer(self)}: axis {self.axis} is out of bounds for the input shape {input_shape}"
            )
        self.axis = axes
        shape: Any = tuple(input_shape[a] for a in axes)
        add_gamma_and_beta(self, shape)

    def call(self, inputs: Any) -> Any:
        outputs = ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)
