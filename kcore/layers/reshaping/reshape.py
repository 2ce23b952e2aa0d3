"""Every sample in another shape."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import public


def _target(value: Any) -> tuple[int, ...]:
    """Sizes, of which one may be -1."""
    sizes = tuple(value)
    if any(isinstance(d, bool) or not hasattr(d, "__index__") or d < -1 for d in sizes) or sizes.count(-1) > 1:
        raise ValueError("expected a tuple of sizes, at most one of them -1")
    return sizes


@public("keras.layers")
class Reshape(Layer):
    """Gives every sample another shape.

    Args:
        target_shape: the shape without the batch; one size may be -1, which is what is left.

    Shapes:
        input ``(batch, ...)``, output ``(batch, *target_shape)``.

    Raises:
        ValueError: the samples have another number of elements; the message names the layer and both shapes.

    Example:
        >>> import numpy as np
        >>> Reshape((-1, 2))(np.ones((3, 4), "float32")).shape
        (3, 2, 2)

    Source: `keras.layers.Reshape`.
    """

    target_shape: tuple[int, ...] = argument(kind=_target)

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], *self.target_shape))
