"""Values on another scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config, ops
from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import deserialize, public


def _factor(value: Any) -> Any:
    """A number, or a list or array of numbers; also as a configuration describes it."""
    value = deserialize(value) if isinstance(value, dict) else value
    if np.asarray(value).dtype.kind not in "iuf":
        raise ValueError("expected a number, or an array of numbers that broadcasts to the input")
    return value


@public("keras.layers")
class Rescaling(Layer):
    """Multiplies by a factor and adds an offset: ``inputs * scale + offset``, in training and outside of it.

    Args:
        scale: factor; ``1 / 255`` brings bytes to 0 to 1. An array, such as one value per channel, broadcasts to the
            input.
        offset: what is added after that; a number or an array.

    Shapes:
        input of any shape, numbers of any dtype; output of the same shape in the layer's compute dtype.

    Example:
        >>> import numpy as np
        >>> Rescaling(1 / 127.5, offset=-1)(np.array([[0, 255]], "uint8")).numpy().tolist()
        [[-1.0, 1.0]]

    Source: `keras.layers.Rescaling`.
    """

    scale: Any = argument(kind=_factor)
    offset: Any = argument(0.0, _factor)

    supports_masking = True

    def __post_init__(self) -> None:
        self.autocast = False

    def call(self, inputs: Any) -> Any:
        scale = np.asarray(self.scale)
        if scale.ndim and config.image_data_format() == "channels_first":
            scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))  # one value per channel of an image
        dtype = self.compute_dtype
        return ops.cast(inputs, dtype) * ops.cast(scale, dtype) + ops.cast(np.asarray(self.offset), dtype)
