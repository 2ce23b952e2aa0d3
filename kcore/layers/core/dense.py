"""The densely connected layer."""

from __future__ import annotations

from typing import Any

from kcore import ops, regularizers
from kcore.declare import argument, only, positive_int
from kcore.layers.core.kernel_layer import KernelLayer
from kcore.layers.input_spec import InputSpec
from kcore.registry import public


@public("keras.layers")
class Dense(KernelLayer):
    """Every output depends on every input: ``activation(inputs @ kernel + bias)``.

    Args:
        units: size of the output.
        activation: name or function; linear if None.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: first values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties on weights and output.
        kernel_constraint, bias_constraint: what the weights are mapped to after an update.
        quantization_config: None; Keras's files carry it.

    Shapes:
        input ``(batch, ..., n)``, output ``(batch, ..., units)``; kernel ``(n, units)``, bias ``(units,)``.

    Raises:
        ValueError: an input of rank 1, or whose last dimension is not known or not that of the kernel.

    Example:
        >>> import numpy as np
        >>> layer = Dense(2, kernel_initializer="ones")
        >>> layer(np.array([[1.0, 2.0]], "float32")).numpy().tolist()
        [[3.0, 3.0]]

    Source: `keras.layers.Dense`.
    """

    units: int = argument(kind=positive_int)
    activity_regularizer: Any = argument(None, regularizers, config=False, after="bias_regularizer")
    quantization_config: Any = argument(None, only(None, "kcore does not quantize"), keyword=True)

    input_spec = InputSpec(min_ndim=2)
    supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.make_kernel((input_shape[-1], self.units), (self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs: Any) -> Any:
        return self.activation(ops.linear(inputs, self.kernel, self.bias))
