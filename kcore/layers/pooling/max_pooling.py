"""Max pooling over windows."""

from __future__ import annotations

from kcore import ops
from kcore.layers.pooling.base_pooling import BasePooling
from kcore.registry import public


@public("keras.layers", "MaxPooling1D", "MaxPool1D")
class MaxPooling1D(BasePooling):
    """The largest value in every window over time.

    Args:
        pool_size, strides, padding, data_format: see `BasePooling`.

    Shapes:
        input ``(batch, time, channels)``,
        output ``(batch, time / strides, channels)``.

    Example:
        >>> import numpy as np
        >>> MaxPooling1D()(np.ones((1, 4, 3), "float32")).shape
        (1, 2, 3)

    Source: `keras.layers.MaxPooling1D`.
    """

    rank = 1
    pool = ops.max_pool


@public("keras.layers", "MaxPooling2D", "MaxPool2D")
class MaxPooling2D(BasePooling):
    """The largest value in every window over images.

    Args:
        pool_size, strides, padding, data_format: see `BasePooling`.

    Shapes:
        input ``(batch, height, width, channels)``,
        output ``(batch, height / strides, width / strides, channels)``.

    Example:
        >>> import numpy as np
        >>> MaxPooling2D()(np.ones((1, 4, 4, 3), "float32")).shape
        (1, 2, 2, 3)

    Source: `keras.layers.MaxPooling2D`.
    """

    rank = 2
    pool = ops.max_pool


@public("keras.layers", "MaxPooling3D", "MaxPool3D")
class MaxPooling3D(BasePooling):
    """The largest value in every window over volumes.

    Args:
        pool_size, strides, padding, data_format: see `BasePooling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``,
        output ``(batch, depth / strides, height / strides, width / strides, channels)``.

    Example:
        >>> import numpy as np
        >>> MaxPooling3D()(np.ones((1, 4, 4, 4, 3), "float32")).shape
        (1, 2, 2, 2, 3)

    Source: `keras.layers.MaxPooling3D`.
    """

    rank = 3
    pool = ops.max_pool


#: Keras's other names.
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
