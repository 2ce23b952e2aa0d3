"""Separable convolutions."""

from __future__ import annotations

from kcore.layers.convolution.base_separable_conv import BaseSeparableConv
from kcore.registry import public


@public("keras.layers", "SeparableConv1D", "SeparableConvolution1D")
class SeparableConv1D(BaseSeparableConv):
    """Separable convolution over time: a depthwise one, then one over the channels of each place.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier: see `BaseSeparableConv`.
        activation, use_bias, depthwise_initializer, ...: see `BaseSeparableConv`.

    Shapes:
        input ``(batch, time, channels)``, output ``(batch, time, filters)``;
        depthwise kernel ``(k, channels, depth_multiplier)``, pointwise kernel
        ``(1, channels * depth_multiplier, filters)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> SeparableConv1D(4, 3)(np.ones((2, 8, 3), "float32")).shape
        (2, 6, 4)

    Source: `keras.layers.SeparableConv1D`.
    """

    rank = 1


@public("keras.layers", "SeparableConv2D", "SeparableConvolution2D")
class SeparableConv2D(BaseSeparableConv):
    """Separable convolution over images: a depthwise one, then one over the channels of each place.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier: see `BaseSeparableConv`.
        activation, use_bias, depthwise_initializer, ...: see `BaseSeparableConv`.

    Shapes:
        input ``(batch, height, width, channels)``, output ``(batch, height, width, filters)``;
        depthwise kernel ``(kh, kw, channels, depth_multiplier)``, pointwise kernel
        ``(1, 1, channels * depth_multiplier, filters)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> SeparableConv2D(4, 3)(np.ones((2, 8, 8, 3), "float32")).shape
        (2, 6, 6, 4)

    Source: `keras.layers.SeparableConv2D`.
    """

    rank = 2


#: Keras's other names.
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
