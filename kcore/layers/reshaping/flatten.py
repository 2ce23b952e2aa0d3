"""All dimensions but the batch as one."""

from __future__ import annotations

import math
from typing import Any

from kcore import config, ops
from kcore.declare import argument
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class Flatten(Layer):
    """Flattens every sample to a vector.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, whose channels are moved last before flattening.

    Shapes:
        input ``(batch, ...)``, output ``(batch, n)``.

    Example:
        >>> import numpy as np
        >>> Flatten()(np.ones((2, 3, 4), "float32")).shape
        (2, 12)

    Source: `keras.layers.Flatten`.
    """

    data_format: Any = argument(None, config.standardize_data_format)

    input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        shape = inputs.shape
        if self.data_format == "channels_first" and len(shape) > 1:
            inputs = ops.transpose(inputs, (0, *range(2, len(shape)), 1))
        if None in shape[1:]:
            return ops.reshape(inputs, (shape[0], -1))
        return ops.reshape(inputs, (-1 if shape[0] is None else shape[0], math.prod(shape[1:])))
