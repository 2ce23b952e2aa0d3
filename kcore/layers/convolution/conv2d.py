"""Convolution over images."""

from __future__ import annotations

from kcore.layers.convolution.base_conv import BaseConv
from kcore.registry import public


@public("keras.layers", "Conv2D", "Convolution2D")
class Conv2D(BaseConv):
    """Convolution over images: a window of weights moves along two axes.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups: see `BaseConv`.
        activation, use_bias, kernel_initializer, ...: see `Dense`.

    Shapes:
        input ``(batch, height, width, channels)``, output ``(batch, height, width, filters)``;
        kernel ``(kh, kw, channels / groups, filters)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> Conv2D(4, 3)(np.ones((2, 8, 8, 3), "float32")).shape
        (2, 6, 6, 4)

    Source: `keras.layers.Conv2D`.
    """

    rank = 2


#: Keras's other name.
Convolution2D = Conv2D
