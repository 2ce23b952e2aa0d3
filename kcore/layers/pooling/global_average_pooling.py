"""Average pooling over everything."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.layers.pooling.base_pooling import BaseGlobalPooling
from kcore.registry import public


@public("keras.layers", "GlobalAveragePooling1D", "GlobalAvgPool1D")
class GlobalAveragePooling1D(BaseGlobalPooling):
    """The mean over all of time, per channel.

    Args:
        data_format, keepdims: see `BaseGlobalPooling`.

    Shapes:
        input ``(batch, time, channels)``; a mask ``(batch, time)`` leaves steps out of the mean;
        output ``(batch, channels)``.

    Example:
        >>> import numpy as np
        >>> GlobalAveragePooling1D()(np.ones((1, 4, 3), "float32")).shape
        (1, 3)

    Source: `keras.layers.GlobalAveragePooling1D`.
    """

    rank = 1
    reduce = ops.mean

    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        kept = ops.expand_dims(ops.cast(mask, "bool"), 2 if self.data_format == "channels_last" else 1)
        total = ops.sum(ops.where(kept, inputs, 0), axis=self.axes, keepdims=self.keepdims)
        return total / ops.sum(ops.cast(kept, inputs.dtype), axis=self.axes, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


@public("keras.layers", "GlobalAveragePooling2D", "GlobalAvgPool2D")
class GlobalAveragePooling2D(BaseGlobalPooling):
    """The mean over all of images, per channel.

    Args:
        data_format, keepdims: see `BaseGlobalPooling`.

    Shapes:
        input ``(batch, height, width, channels)``;
        output ``(batch, channels)``.

    Example:
        >>> import numpy as np
        >>> GlobalAveragePooling2D()(np.ones((1, 4, 4, 3), "float32")).shape
        (1, 3)

    Source: `keras.layers.GlobalAveragePooling2D`.
    """

    rank = 2
    reduce = ops.mean


@public("keras.layers", "GlobalAveragePooling3D", "GlobalAvgPool3D")
class GlobalAveragePooling3D(BaseGlobalPooling):
    """The mean over all of volumes, per channel.

    Args:
        data_format, keepdims: see `BaseGlobalPooling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``;
        output ``(batch, channels)``.

    Example:
        >>> import numpy as np
        >>> GlobalAveragePooling3D()(np.ones((1, 4, 4, 4, 3), "float32")).shape
        (1, 3)

    Source: `keras.layers.GlobalAveragePooling3D`.
    """

    rank = 3
    reduce = ops.mean


#: Keras's other names.
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
