"""The rectified linear unit whose slope is learned."""

from __future__ import annotations

from typing import Any

from kcore import constraints, initializers, ops, regularizers
from kcore.declare import argument, optional
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.layer import Layer
from kcore.registry import public


def _axes(value: Any) -> list[int]:
    axes = list(value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(a, bool) or not hasattr(a, "__index__") for a in axes):
        raise ValueError("expected an integer or a list of integers")
    return axes


@public("keras.layers")
class PReLU(Layer):
    """Rectified linear unit with a learned slope: ``x`` above 0, ``alpha * x`` below.

    Args:
        alpha_initializer: first values of the slopes.
        alpha_regularizer: penalty on them.
        alpha_constraint: what they are mapped to after an update.
        shared_axes: axes along which one slope serves all, counted with the batch as axis 0: ``[1, 2]`` gives an image
            one slope per channel.

    Shapes:
        input and output of one shape; slopes of that shape without the batch, with 1 along `shared_axes`.

    Raises:
        ValueError: an axis in `shared_axes` that the input has not, or that is the batch.

    Example:
        >>> import numpy as np
        >>> PReLU(alpha_initializer="ones")(np.array([[-2.0, 3.0]], "float32")).numpy().tolist()
        [[-2.0, 3.0]]

    Source: He et al., arXiv:1502.01852; `keras.layers.PReLU`.
    """

    alpha_initializer: Any = argument("Zeros", initializers)
    alpha_regularizer: Any = argument(None, regularizers)
    alpha_constraint: Any = argument(None, constraints)
    shared_axes: Any = argument(None, optional(_axes))

    supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        rank = len(input_shape)
        shared = self.shared_axes or []
        if any(not (1 <= a < rank or -rank < a < 0) for a in shared):
            raise ValueError(
                f"{describe_layer(self)}: shared_axes={shared} must be axes of the input {tuple(input_shape)} beside "
                "the batch"
            )
        shared = [a % rank for a in shared]
        self.alpha = self.add_weight(
            tuple(1 if i in shared else d for i, d in enumerate(input_shape))[1:],
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        axes = {i: d for i, d in enumerate(input_shape) if i and i not in shared} if shared else {}
        self.input_spec = InputSpec(ndim=rank, axes=axes)

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)
