"""Convolution over volumes."""

from __future__ import annotations

from kcore.layers.convolution.base_conv import BaseConv
from kcore.registry import public


@public("keras.layers", "Conv3D", "Convolution3D")
class Conv3D(BaseConv):
    """Convolution over volumes: a window of weights moves along three axes.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups: see `BaseConv`.
        activation, use_bias, kernel_initializer, ...: see `Dense`.

    Shapes:
        input ``(batch, depth, height, width, channels)``, output ``(batch, depth, height, width, filters)``;
        kernel ``(kd, kh, kw, channels / groups, filters)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> Conv3D(4, 3)(np.ones((2, 8, 8, 8, 3), "float32")).shape
        (2, 6, 6, 6, 4)

    Source: `keras.layers.Conv3D`.
    """

    rank = 3


#: Keras's other name.
Convolution3D = Conv3D
