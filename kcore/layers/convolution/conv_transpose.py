"""Transposed convolutions."""

from __future__ import annotations

from typing import Any

from kcore.declare import argument
from kcore.layers.convolution.base_conv_transpose import BaseConvTranspose
from kcore.registry import public


@public("keras.layers", "Conv1DTranspose", "Convolution1DTranspose")
class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution over time: the gradient of a convolution, which makes time larger.

    Args:
        filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate: see
            `BaseConvTranspose`.
        activation, use_bias, kernel_initializer, ...: see `Dense`.

    Shapes:
        input ``(batch, time, channels)``, output ``(batch, time, filters)``;
        kernel ``(k, filters, channels)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> Conv1DTranspose(4, 3, strides=2)(np.ones((2, 8, 3), "float32")).shape
        (2, 17, 4)

    Source: `keras.layers.Conv1DTranspose`.
    """

    rank = 1


@public("keras.layers", "Conv2DTranspose", "Convolution2DTranspose")
class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution over images: the gradient of a convolution, which makes height and width larger.

    Args:
        filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate: see
            `BaseConvTranspose`.
        activation, use_bias, kernel_initializer, ...: see `Dense`.

    Shapes:
        input ``(batch, height, width, channels)``, output ``(batch, height, width, filters)``;
        kernel ``(kh, kw, filters, channels)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> Conv2DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 8, 8, 3), "float32")).shape
        (2, 16, 16, 4)

    Source: `keras.layers.Conv2DTranspose`.
    """

    rank = 2


@public("keras.layers", "Conv3DTranspose", "Convolution3DTranspose")
class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution over volumes: the gradient of a convolution, which makes depth, height, width larger.

    Args:
        filters, kernel_size, strides, padding, data_format, output_padding, dilation_rate: see
            `BaseConvTranspose`.
        activation, use_bias, kernel_initializer, ...: see `Dense`.

    Shapes:
        input ``(batch, depth, height, width, channels)``, output ``(batch, depth, height, width, filters)``;
        kernel ``(kd, kh, kw, filters, channels)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> Conv3DTranspose(4, 3)(np.ones((2, 4, 4, 4, 3), "float32")).shape
        (2, 6, 6, 6, 4)

    Source: `keras.layers.Conv3DTranspose`.
    """

    rank = 3

    output_padding: Any = argument(None, after="data_format")


#: Keras's other names.
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
