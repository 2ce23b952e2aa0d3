"""Max pooling over everything."""

from __future__ import annotations

from kcore import ops
from kcore.layers.pooling.base_pooling import BaseGlobalPooling
from kcore.registry import public


@public("keras.layers", "GlobalMaxPooling1D", "GlobalMaxPool1D")
class GlobalMaxPooling1D(BaseGlobalPooling):
    """The largest over all of time, per channel.

    Args:
        data_format, keepdims: see `BaseGlobalPooling`.

    Shapes:
        input ``(batch, time, channels)``;
        output ``(batch, channels)``.

    Example:
        >>> import numpy as np
        >>> GlobalMaxPooling1D()(np.ones((1, 4, 3), "float32")).shape
        (1, 3)

    Source: `keras.layers.GlobalMaxPooling1D`.
    """

    rank = 1
    reduce = ops.max


@public("keras.layers", "GlobalMaxPooling2D", "GlobalMaxPool2D")
class GlobalMaxPooling2D(BaseGlobalPooling):
    """The largest over all of images, per channel.

    Args:
        data_format, keepdims: see `BaseGlobalPooling`.

    Shapes:
        input ``(batch, height, width, channels)``;
        output ``(batch, channels)``.

    Example:
        >>> import numpy as np
        >>> GlobalMaxPooling2D()(np.ones((1, 4, 4, 3), "float32")).shape
        (1, 3)

    Source: `keras.layers.GlobalMaxPooling2D`.
    """

    rank = 2
    reduce = ops.max


@public("keras.layers", "GlobalMaxPooling3D", "GlobalMaxPool3D")
class GlobalMaxPooling3D(BaseGlobalPooling):
    """The largest over all of volumes, per channel.

    Args:
        data_format, keepdims: see `BaseGlobalPooling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``;
        output ``(batch, channels)``.

    Example:
        >>> import numpy as np
        >>> GlobalMaxPooling3D()(np.ones((1, 4, 4, 4, 3), "float32")).shape
        (1, 3)

    Source: `keras.layers.GlobalMaxPooling3D`.
    """

    rank = 3
    reduce = ops.max


#: Keras's other names.
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
