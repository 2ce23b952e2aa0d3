"""Convolution over time."""

from __future__ import annotations

from kcore.layers.convolution.base_conv import BaseConv
from kcore.registry import public


@public("keras.layers", "Conv1D", "Convolution1D")
class Conv1D(BaseConv):
    """Convolution over time: a window of weights moves along one axis.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups: see `BaseConv`.
        activation, use_bias, kernel_initializer, ...: see `Dense`.

    Shapes:
        input ``(batch, time, channels)``, output ``(batch, time, filters)``;
        kernel ``(k, channels / groups, filters)``, bias ``(filters,)``.

    Example:
        >>> import numpy as np
        >>> Conv1D(4, 3)(np.ones((2, 8, 3), "float32")).shape
        (2, 6, 4)

    Source: `keras.layers.Conv1D`.
    """

    rank = 1


#: Keras's other name.
Convolution1D = Conv1D
