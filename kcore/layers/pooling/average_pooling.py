"""Average pooling over windows."""

from __future__ import annotations

from kcore import ops
from kcore.layers.pooling.base_pooling import BasePooling
from kcore.registry import public


@public("keras.layers", "AveragePooling1D", "AvgPool1D")
class AveragePooling1D(BasePooling):
    """The mean value in every window over time.

    Args:
        pool_size, strides, padding, data_format: see `BasePooling`.

    Shapes:
        input ``(batch, time, channels)``,
        output ``(batch, time / strides, channels)``.

    Example:
        >>> import numpy as np
        >>> AveragePooling1D()(np.ones((1, 4, 3), "float32")).shape
        (1, 2, 3)

    Source: `keras.layers.AveragePooling1D`.
    """

    rank = 1
    pool = ops.average_pool


@public("keras.layers", "AveragePooling2D", "AvgPool2D")
class AveragePooling2D(BasePooling):
    """The mean value in every window over images.

    Args:
        pool_size, strides, padding, data_format: see `BasePooling`.

    Shapes:
        input ``(batch, height, width, channels)``,
        output ``(batch, height / strides, width / strides, channels)``.

    Example:
        >>> import numpy as np
        >>> AveragePooling2D()(np.ones((1, 4, 4, 3), "float32")).shape
        (1, 2, 2, 3)

    Source: `keras.layers.AveragePooling2D`.
    """

    rank = 2
    pool = ops.average_pool


@public("keras.layers", "AveragePooling3D", "AvgPool3D")
class AveragePooling3D(BasePooling):
    """The mean value in every window over volumes.

    Args:
        pool_size, strides, padding, data_format: see `BasePooling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``,
        output ``(batch, depth / strides, height / strides, width / strides, channels)``.

    Example:
        >>> import numpy as np
        >>> AveragePooling3D()(np.ones((1, 4, 4, 4, 3), "float32")).shape
        (1, 2, 2, 2, 3)

    Source: `keras.layers.AveragePooling3D`.
    """

    rank = 3
    pool = ops.average_pool


#: Keras's other names.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
