"""Patches: the windows of images and volumes, each flattened into channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.ops.image.layout import is_first
from kcore.ops.indexing import gather
from kcore.ops.shape import _tensor, expand_dims, pad, reshape, transpose
from kcore.ops.shapes import size_of
from kcore.ops.windows import out_sizes, pairs, per_axis


def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The windows of images, each as one vector of its pixels.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so. With three sizes, volumes (batch, depth, height, width, channels).
        size: height and width of a patch, or one number for both; with three numbers, depth, height and width.
        strides: distance of patches; None means `size`.
        dilation_rate: distance of the pixels of a patch.
        padding: ``"valid"``, or ``"same"`` with zeros around the images.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: (batch, rows, columns, height * width * channels), channels where the images have them, without the batch
        if there was none.

    Raises:
        ValueError: another rank, sizes that are not positive, an unknown padding, or a patch larger than the images.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(16), (1, 4, 4, 1))
        >>> ops.convert_to_numpy(ops.image.extract_patches(x, 2))[0, 0].tolist()
        [[0, 1, 4, 5], [2, 3, 6, 7]]

    Source: `keras.ops.image.extract_patches`.
    """
    rank = 3 if not isinstance(size, int) and len(size) == 3 else 2
    return _patches("extract_patches", images, rank, size, strides, dilation_rate, padding, data_format)


def extract_patches_3d(
    volumes: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The windows of volumes, each as one vector of its voxels.

    Args:
        volumes: (batch, depth, height, width, channels), or one volume without the batch; channels first if
            `data_format` says so.
        size: depth, height and width of a patch, or one number for all.
        strides: distance of patches; None means `size`.
        dilation_rate: distance of the voxels of a patch.
        padding: ``"valid"``, or ``"same"`` with zeros around the volumes.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: (batch, *places, depth * height * width * channels), channels where the volumes have them, without the
        batch if there was none.

    Raises:
        ValueError: another rank, sizes that are not positive, an unknown padding, or a patch larger than the volumes.

    Example:
        >>> from kcore import ops
        >>> ops.image.extract_patches_3d(ops.ones((1, 4, 4, 4, 2)), 2).shape
        (1, 2, 2, 2, 16)

    Source: `keras.ops.image.extract_patches_3d`.
    """
    return _patches("extract_patches_3d", volumes, 3, size, strides, dilation_rate, padding, data_format)


def _patches(
    function: str,
    x: Any,
    rank: int,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None,
    dilation_rate: int | Sequence[int],
    padding: str,
    data_format: str | None,
) -> Any:
    x = _tensor(x)
    if len(x.shape) not in (rank + 1, rank + 2):
        raise ValueError(
            f"{function}: expected inputs of rank {rank + 1}, or {rank + 2} with a batch; "
            f"received shape {tuple(x.shape)}"
        )
    window = per_axis(size, rank, "size", function)
    steps = per_axis(strides or size, rank, "strides", function)
    spread = per_axis(dilation_rate, rank, "dilation_rate", function)
    single, first = len(x.shape) == rank + 1, is_first(data_format)
    if single:
        x = expand_dims(x, 0)
    if first:
        x = transpose(x, (0, *range(2, rank + 2), 1))
    batch, *sizes, channels = x.shape
    if channels is None or None in sizes:
        raise ValueError(f"{function}: sizes and channels must be known; received shape {tuple(x.shape)}")
    margins = pairs(padding, sizes, window, steps, spread, function)
    places = out_sizes(sizes, window, steps, margins, spread, function)
    if any(any(pair) for pair in margins):
        x = pad(x, ((0, 0), *margins, (0, 0)))
    for i, (n, width, step, distance) in enumerate(zip(places, window, steps, spread, strict=True)):
        axis = 1 + 2 * i  # the axes before are (places, width) pairs by now
        if width == step and distance == 1 and x.shape[axis] == n * width:
            x = reshape(x, (*x.shape[:axis], n, width, *x.shape[axis + 1 :]))
        else:
            at = np.arange(n)[:, None] * step + np.arange(width)[None, :] * distance
            x = gather(x, at.astype(np.int32), axis=axis)
    x = transpose(x, (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1))
    y = reshape(x, (batch, *places, size_of((*window, channels))))
    if first:
        y = transpose(y, (0, rank + 1, *range(1, rank + 1)))
    return reshape(y, y.shape[1:]) if single else y
