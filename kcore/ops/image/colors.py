"""Colours: RGB to grey, and between RGB and HSV."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.dtypes import float_range, is_float, result_type
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import cast, clip, equal, greater, less, maximum, minimum, mod, where
from kcore.ops.getitem import split
from kcore.ops.image.layout import channel_axis, rank_checked
from kcore.ops.shape import concatenate

#: Share of red, green and blue in what an eye sees as brightness (ITU-R BT.601).
LUMA = (0.2989, 0.5870, 0.1140)


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """Colour images as grey ones, ``0.2989 R + 0.5870 G + 0.1140 B``; grey images stay.

    Args:
        images: (batch, height, width, 3 or 1), or one image without the batch; channels first if `data_format` says so.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of one channel, of the same layout and dtype; integers are cut off, not rounded.

    Raises:
        ValueError: another rank or another number of channels.

    Example:
        >>> from kcore import ops
        >>> ops.image.rgb_to_grayscale(ops.ones((2, 4, 4, 3))).shape
        (2, 4, 4, 1)

    Source: `keras.ops.image.rgb_to_grayscale`.
    """
    x = rank_checked("rgb_to_grayscale", images)
    axis = channel_axis(data_format)
    if x.shape[axis] == 1:
        return x
    red, green, blue = _planes("rgb_to_grayscale", x, axis, "3 channels, or 1")
    dtype = x.dtype if is_float(x.dtype) else result_type(x.dtype, float)
    grey = sum(
        cast(plane, dtype) * np.asarray(part, dtype) for plane, part in zip((red, green, blue), LUMA, strict=True)
    )
    return cast(grey, x.dtype)


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Any:
    """RGB images as hue, saturation and value.

    Args:
        images: floats in [0, 1], (batch, height, width, 3), or one image without the batch; channels first if
            `data_format` says so.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of the same shape and dtype; a hue of 0 is red, 1/3 green, 2/3 blue.

    Raises:
        ValueError: another rank, another number of channels, or integers.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.image.rgb_to_hsv(np.array([[[0.0, 0.5, 0.0]]], "float32")).numpy().round(3).tolist()
        [[[0.3330000042915344, 1.0, 0.5]]]

    Source: `keras.ops.image.rgb_to_hsv`.
    """
    x, axis = _floats("rgb_to_hsv", images, data_format)
    zero, one = np.zeros((), x.dtype), np.ones((), x.dtype)
    x = where(less(absolute(x), np.asarray(float_range(x.dtype)[2], x.dtype)), zero, x)
    red, green, blue = _planes("rgb_to_hsv", x, axis)
    value = maximum(maximum(red, green), blue)
    spread = value - minimum(minimum(red, green), blue)
    some, coloured = greater(value, zero), greater(spread, zero)
    saturation = where(some, spread / where(some, value, one), zero)
    sixth = one / (6.0 * where(coloured, spread, one))
    hue = where(equal(value, green), sixth * (blue - red) + 2.0 / 6.0, sixth * (red - green) + 4.0 / 6.0)
    hue = where(equal(value, red), sixth * (green - blue), hue)
    hue = where(coloured, hue, zero) + cast(less(hue, zero), x.dtype)
    return concatenate([hue, saturation, value], axis=axis)


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Any:
    """Images of hue, saturation and value as RGB.

    Args:
        images: floats in [0, 1], (batch, height, width, 3), or one image without the batch; channels first if
            `data_format` says so.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of the same shape and dtype.

    Raises:
        ValueError: another rank, another number of channels, or integers.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.image.hsv_to_rgb(np.array([[[0.5, 1.0, 0.25]]], "float32")).numpy().tolist()
        [[[0.0, 0.25, 0.25]]]

    Source: `keras.ops.image.hsv_to_rgb`.
    """
    x, axis = _floats("hsv_to_rgb", images, data_format)
    hue, saturation, value = _planes("hsv_to_rgb", x, axis)
    turn = mod(hue, np.ones((), x.dtype)) * 6.0
    shares = (absolute(turn - 3.0) - 1.0, 2.0 - absolute(turn - 2.0), 2.0 - absolute(turn - 4.0))
    grey = 1.0 - saturation
    return concatenate([value * (grey + saturation * clip(share, 0.0, 1.0)) for share in shares], axis=axis)


def _floats(function: str, images: Any, data_format: str | None) -> tuple[Any, int]:
    x = rank_checked(function, images)
    if not is_float(x.dtype):
        raise ValueError(f"{function}: expected images of a floating-point dtype; received {x.dtype}{tuple(x.shape)}")
    return x, channel_axis(data_format)


def _planes(function: str, x: Any, axis: int, wanted: str = "3 channels") -> Any:
    if x.shape[axis] != 3:
        raise ValueError(
            f"{function}: expected images with {wanted}; received shape {tuple(x.shape)}, "
            f"{x.shape[axis]} channels on axis {axis}"
        )
    return split(x, 3, axis=axis)
