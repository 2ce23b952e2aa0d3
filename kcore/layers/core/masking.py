"""Masks for time steps that hold nothing."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class Masking(Layer):
    """A time step is masked where all its features equal `mask_value`; masked steps become zeros.

    Args:
        mask_value: the value that stands for nothing.

    Shapes:
        input and output ``(batch, time, features)``.

    Example:
        >>> import numpy as np
        >>> Masking()(np.array([[[1.0], [0.0]]], "float32"))._keras_mask.numpy().tolist()
        [[True, False]]

    Source: `keras.layers.Masking`.
    """

    mask_value: float = argument(0.0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * ops.cast(kept, inputs.dtype)
