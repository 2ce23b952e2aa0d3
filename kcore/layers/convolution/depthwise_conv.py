"""Depthwise convolutions."""

from __future__ import annotations

from kcore.layers.convolution.base_depthwise_conv import BaseDepthwiseConv
from kcore.registry import public


@public("keras.layers")
class DepthwiseConv1D(BaseDepthwiseConv):
    """Depthwise convolution over time: each channel has windows of its own and is convolved by itself.

    Args:
        kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate: see `BaseDepthwiseConv`.
        activation, use_bias, depthwise_initializer, ...: see `BaseDepthwiseConv`.

    Shapes:
        input ``(batch, time, channels)``, output ``(batch, time, channels * depth_multiplier)``;
        kernel ``(k, channels, depth_multiplier)``, bias ``(channels * depth_multiplier,)``.

    Example:
        >>> import numpy as np
        >>> DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 8, 3), "float32")).shape
        (2, 6, 6)

    Source: `keras.layers.DepthwiseConv1D`.
    """

    rank = 1


@public("keras.layers")
class DepthwiseConv2D(BaseDepthwiseConv):
    """Depthwise convolution over images: each channel has windows of its own and is convolved by itself.

    Args:
        kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate: see `BaseDepthwiseConv`.
        activation, use_bias, depthwise_initializer, ...: see `BaseDepthwiseConv`.

    Shapes:
        input ``(batch, height, width, channels)``, output ``(batch, height, width, channels * depth_multiplier)``;
        kernel ``(kh, kw, channels, depth_multiplier)``, bias ``(channels * depth_multiplier,)``.

    Example:
        >>> import numpy as np
        >>> DepthwiseConv2D(3, depth_multiplier=2)(np.ones((2, 8, 8, 3), "float32")).shape
        (2, 6, 6, 6)

    Source: `keras.layers.DepthwiseConv2D`.
    """

    rank = 2
