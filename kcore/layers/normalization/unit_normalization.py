"""Normalization to length 1."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.dtypes import result_type
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.normalization.parameters import axes_kind, check_axes
from kcore.registry import public

#: A sample shorter than this is not brought to length 1.
SHORTEST = 1e-12


@public("keras.layers")
class UnitNormalization(Layer):
    """Divides each sample by its Euclidean length: ``x / sqrt(sum(x^2))``, the sum along `axis`.

    Args:
        axis: axis or axes of the vectors.

    Shapes:
        input and output of one shape.

    Raises:
        ValueError: an axis the input has not.

    Example:
        >>> import numpy as np
        >>> UnitNormalization()(np.array([[3.0, 4.0]], "float32")).numpy().round(4).tolist()[0]
        [0.6000000238418579, 0.800000011920929]

    Source: `keras.layers.UnitNormalization`.
    """

    axis: Any = argument(-1, axes_kind)

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        axes = check_axes(self.axis, inputs.shape, describe_layer(self))
        x = ops.cast(inputs, result_type(inputs.dtype, "float32"))  # half precision cannot hold the squares
        return ops.cast(ops.normalize(x, axis=axes, epsilon=SHORTEST), inputs.dtype)
