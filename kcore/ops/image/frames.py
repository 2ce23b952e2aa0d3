"""Frames: images cut out of larger ones, and put into larger ones."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from kcore.ops.image.layout import is_first, rank_checked
from kcore.ops.shape import pad
from kcore.runtime.tensor import KerasTensor


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """A window of images: of top, bottom and height two are given, and of left, right and width.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        top_cropping: rows taken away above.
        left_cropping: columns taken away on the left.
        bottom_cropping: rows taken away below.
        right_cropping: columns taken away on the right.
        target_height: rows that stay.
        target_width: columns that stay.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: the window, in the images' layout and dtype.

    Raises:
        ValueError: another rank, not two of three, a negative number, or a window that does not lie in the images.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(12, dtype="float32"), (1, 3, 4, 1))
        >>> y = ops.image.crop_images(x, top_cropping=1, left_cropping=2, target_height=2, target_width=1)
        >>> ops.convert_to_numpy(y).ravel()
        array([ 6., 10.], dtype=float32)

    Source: `keras.ops.image.crop_images`.
    """
    x = rank_checked("crop_images", images)
    key = [builtins.slice(None)] * len(x.shape)
    axes = (-2, -1) if is_first(data_format) else (-3, -2)
    rows = {"top_cropping": top_cropping, "bottom_cropping": bottom_cropping, "target_height": target_height}
    columns = {"left_cropping": left_cropping, "right_cropping": right_cropping, "target_width": target_width}
    for axis, given in zip(axes, (rows, columns), strict=True):
        before, _, length = _parts("crop_images", given, x.shape[axis], shrinks=True)
        if x.shape[axis] is not None:
            key[axis] = builtins.slice(before, before + length)
        elif before is None:
            key[axis] = builtins.slice(0, length)  # which ones they are is known once the size is
        else:
            key[axis] = builtins.slice(before, None if length is None else before + length)
    return x[tuple(key)]


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Images with zeros around them: of top, bottom and height two are given, and of left, right and width.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        top_padding: rows of zeros above.
        left_padding: columns of zeros on the left.
        bottom_padding: rows of zeros below.
        right_padding: columns of zeros on the right.
        target_height: rows of the result.
        target_width: columns of the result.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: the larger images, in their layout and dtype.

    Raises:
        ValueError: another rank, not two of three, a negative number, or a target smaller than the images.

    Example:
        >>> from kcore import ops
        >>> x = ops.ones((1, 1, 2, 1))
        >>> y = ops.image.pad_images(x, top_padding=1, left_padding=1, target_height=2, target_width=3)
        >>> ops.convert_to_numpy(y)[0, :, :, 0].tolist()
        [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]

    Source: `keras.ops.image.pad_images`.
    """
    x = rank_checked("pad_images", images)
    widths, shape = [(0, 0)] * len(x.shape), list(x.shape)
    axes = (-2, -1) if is_first(data_format) else (-3, -2)
    rows = {"top_padding": top_padding, "bottom_padding": bottom_padding, "target_height": target_height}
    columns = {"left_padding": left_padding, "right_padding": right_padding, "target_width": target_width}
    for axis, given in zip(axes, (rows, columns), strict=True):
        before, after, length = _parts("pad_images", given, x.shape[axis], shrinks=False)
        shape[axis] = length
        widths[axis] = (before or 0, after or 0)
    if None in x.shape:
        return KerasTensor(tuple(shape), x.dtype)
    return pad(x, widths)


def _parts(function: str, given: Mapping[str, Any], size: int | None, shrinks: bool) -> tuple[Any, Any, Any]:
    """Before, after and length along one axis, from two of them and the size; None where only the size can tell."""
    said = ", ".join(f"{name}={value}" for name, value in given.items())
    if list(given.values()).count(None) != 1:
        raise ValueError(f"{function}: expected exactly two of {', '.join(given)}; received {said}")
    before, after, length = given.values()
    if any(v is not None and v < 0 for v in given.values()):
        raise ValueError(f"{function}: expected non-negative numbers; received {said}")
    if size is not None:
        whole = size if shrinks else length
        inner = length if shrinks else size
        if length is None:
            length = size - before - after if shrinks else size + before + after
        elif before is None:
            before = whole - inner - after
        else:
            after = whole - inner - before
        if min(before, after, length) < 0:
            parts = dict(zip(given, (before, after, length), strict=True))
            name, value = next((n, v) for n, v in parts.items() if v < 0)
            raise ValueError(f"{function}: images of {size} there do not allow {said}: that makes {name}={value}")
    return before, after, length
