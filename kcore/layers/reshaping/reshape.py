"""Every sample in another shape."""

from __future__ import annotations

import math
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
        batch, *sample = inputs.shape
        if None in sample:
            # of a symbolic tensor: -1 is a size not known yet, and so is that of the batch
            target: tuple[int | None, ...] = tuple(None if d == -1 else d for d in self.target_shape)
        else:
            target = self._filled(math.prod(sample), inputs.shape)
        if batch is None and None not in target:
            batch = -1
        return ops.reshape(inputs, (batch, *target))

    def _filled(self, size: int, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """The target with a number for -1."""
        rest = math.prod(d for d in self.target_shape if d != -1)
        fits = size == rest if -1 not in self.target_shape else rest and size % rest == 0
        if not fits:
            raise ValueError(
                f"layer {self.name!r}: cannot reshape samples of shape {shape[1:]} ({size} elements) "
                f"into {self.target_shape}"
            )
        return tuple(size // rest if d == -1 else d for d in self.target_shape)
