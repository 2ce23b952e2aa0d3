"""Inputs one after the other."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.input_spec import describe_layer
from kcore.layers.merging.base_merge import Merge
from kcore.registry import public


@public("keras.layers")
class Concatenate(Merge):
    """The inputs one after the other along an axis.

    Args:
        axis: the axis.

    Shapes:
        inputs of one shape but for `axis`, where the output has the sum of their sizes.

    Example:
        >>> import numpy as np
        >>> Concatenate()([np.ones((1, 2), "float32"), np.ones((1, 3), "float32")]).shape
        (1, 5)

    Source: `keras.layers.Concatenate`.
    """

    axis: int = argument(-1)

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)
        first = input_shape[0]
        axis = self.axis % len(first)
        for shape in input_shape[1:]:
            if len(shape) != len(first) or any(
                i != axis and None not in (m, n) and m != n for i, (m, n) in enumerate(zip(first, shape, strict=True))
            ):
                raise ValueError(
                    f"{describe_layer(self)}: inputs must have one shape but for axis {self.axis}, got "
                    f"{list(input_shape)}"
                )

    def merge(self, inputs: list[Any]) -> Any:
        return ops.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None or all(m is None for m in previous_mask):
            return None
        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                mask = ops.ones_like(x, dtype="bool")
            elif len(mask.shape) < len(x.shape):
                mask = ops.logical_or(ops.expand_dims(mask, -1), ops.zeros_like(x, dtype="bool"))
            masks.append(mask)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)


@public("keras.layers")
def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis, **kwargs)(inputs)
