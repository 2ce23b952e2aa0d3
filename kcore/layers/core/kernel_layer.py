"""What layers with a kernel, a bias and an activation share."""

from __future__ import annotations

from typing import Any

from kcore import activations, constraints, initializers, ops, regularizers
from kcore.declare import argument
from kcore.layers.layer import Layer


class KernelLayer(Layer):
    """Base of the layers that compute ``activation(kernel * inputs + bias)``.

    A subclass declares its own arguments, calls `make_kernel` in `build`, and `finish` at the end of `call`.
    """

    activation: Any = argument(None, activations)
    use_bias: bool = argument(True)
    kernel_initializer: Any = argument("glorot_uniform", initializers)
    bias_initializer: Any = argument("zeros", initializers)
    kernel_regularizer: Any = argument(None, regularizers)
    bias_regularizer: Any = argument(None, regularizers)
    activity_regularizer: Any = argument(None, regularizers)
    kernel_constraint: Any = argument(None, constraints)
    bias_constraint: Any = argument(None, constraints)

    def make_kernel(
        self, shape: tuple[int | None, ...], bias_shape: tuple[int, ...] | None, initializer: Any = None
    ) -> None:
        """Make the kernel, and the bias where the layer has one."""
        self.kernel = self.add_weight(
            shape,
            initializer or self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias and bias_shape is not None:
            self.bias = self.add_weight(
                bias_shape,
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def finish(self, x: Any) -> Any:
        """Add the bias and apply the activation."""
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)
