"""Softmax as a layer."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import public

#: What masked logits become: far below others, yet finite when two are added.
MASKED = {"float16": -3e4}
MASKED_DEFAULT = -1e9


@public("keras.layers")
class Softmax(Layer):
    """Softmax along one or several axes: ``exp(x) / sum(exp(x))``.

    Args:
        axis: axis, or list of axes.

    Shapes:
        input and output of one shape; the mask broadcasts to it, and masked entries become 0.

    Example:
        >>> import numpy as np
        >>> Softmax()(np.zeros((1, 2), "float32")).numpy().tolist()
        [[0.5, 0.5]]

    Source: `keras.layers.Softmax`.
    """

    axis: Any = argument(-1)

    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            mask = ops.cast(mask, "bool")
            inputs = ops.where(mask, inputs, MASKED.get(inputs.dtype, MASKED_DEFAULT))
        axes = self.axis if isinstance(self.axis, list | tuple) else (self.axis,)
        if len(axes) == 1:
            outputs = ops.softmax(inputs, axis=axes[0])
        else:
            outputs = ops.exp(inputs - ops.logsumexp(inputs, axis=tuple(axes), keepdims=True))
        return outputs if mask is None else ops.where(mask, outputs, 0.0)
