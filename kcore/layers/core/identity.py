"""A layer that does nothing."""

from __future__ import annotations

from typing import Any

from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class Identity(Layer):
    """Gives its inputs back: a place holder where no operation is wanted.

    Shapes:
        any tensor or structure of tensors, and the same again.

    Example:
        >>> import numpy as np
        >>> Identity()(np.array([1.0, 2.0], "float32")).numpy().tolist()
        [1.0, 2.0]

    Source: `keras.layers.Identity`.
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs
