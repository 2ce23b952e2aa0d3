"""Filters: Gaussian blur, Sobel's derivatives, and the structural similarity of two images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.dtypes import is_float, result_type
from kcore.ops.convolution import depthwise_conv
from kcore.ops.elementwise import cast, exp
from kcore.ops.image.layout import batched, is_first, rank_checked
from kcore.ops.image.resizing import in_range
from kcore.ops.reduction import mean
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import _tensor, broadcast_to, pad, reshape, stack, transpose
from kcore.ops.windows import per_axis


def gaussian_blur(
    images: Any,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Any:
    """Images smoothed by a Gaussian; beyond the border lie zeros.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        kernel_size: pixels that are averaged, along the width and along the height.
        sigma: standard deviation in pixels, along the width and along the height; numbers or tensors.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of the same shape and dtype; integers are averaged in float32 and rounded.

    Raises:
        ValueError: another rank, or sizes that are not two positive integers.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.array([0, 0, 1, 0, 0], "float32").reshape(1, 1, 5, 1)
        >>> ops.image.gaussian_blur(x, (3, 1)).numpy().ravel().round(4)
        array([0.    , 0.2741, 0.4519, 0.2741, 0.    ], dtype=float32)

    Source: `keras.ops.image.gaussian_blur`.
    """
    x, restored = batched("gaussian_blur", images, data_format)
    sizes = per_axis(tuple(int(n) for n in kernel_size), 2, "kernel_size", "gaussian_blur")
    dtype = x.dtype if is_float(x.dtype) else "float32"
    y = cast(x, dtype)
    for axis, size, spread in zip((2, 1), sizes, (sigma[0], sigma[1]), strict=True):
        if size > 1:
            before = (size - 1) // 2
            y = _along(y, _gaussian(size, spread, dtype), axis, (before, size - 1 - before))
    return restored(y if dtype == x.dtype else in_range(y, x.dtype))


def _gaussian(size: int, sigma: Any, dtype: str) -> Any:
    """Weights that add up to one."""
    at = np.arange(size) - (size - 1) / 2
    if isinstance(sigma, int | float | np.generic | np.ndarray):
        weights = np.exp(-0.5 * (at / np.asarray(sigma, "float64")) ** 2)
        return (weights / weights.sum()).astype(dtype)
    parts = at.astype(dtype) / cast(sigma, dtype)
    weights = exp(parts * parts * -0.5)
    return weights / reduce_sum(weights)


def _along(x: Any, weights: Any, axis: int, margins: tuple[int, int]) -> Any:
    """Channels-last images filtered along an axis, with zeros around them."""
    size, channels = weights.shape[0], x.shape[-1]
    if any(margins):
        x = pad(x, [margins if i == axis else (0, 0) for i in range(4)])
    shape = (size, 1, 1, 1) if axis == 1 else (1, size, 1, 1)
    kernel = broadcast_to(reshape(weights, shape), (*shape[:2], channels, 1))
    return depthwise_conv(x, kernel, padding="valid", data_format="channels_last")


def sobel_edges(images: Any, data_format: str | None = None) -> Any:
    """Sobel's derivatives of images down and across; beyond the border lie zeros.

    Args:
        images: (batch, height, width, channels), or channels first if `data_format` says so.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: the images' shape and two behind it, ``[dy, dx]``, in their dtype.

    Raises:
        ValueError: another rank.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.broadcast_to(np.arange(3, dtype="float32")[:, None], (1, 3, 3))[..., None]  # brighter further down
        >>> ops.image.sobel_edges(x).numpy()[0, 1, 1, 0].tolist()
        [8.0, 0.0]

    Source: `keras.ops.image.sobel_edges`.
    """
    x = _tensor(images)
    if len(x.shape) != 4:
        raise ValueError(f"sobel_edges: expected a batch of images (rank 4); received shape {tuple(x.shape)}")
    first = is_first(data_format)
    if first:
        x = transpose(x, (0, 2, 3, 1))
    dtype = x.dtype if is_float(x.dtype) else "float32"
    derivative, smooth = np.array([-1, 0, 1], dtype), np.array([1, 2, 1], dtype)
    y = cast(x, dtype)
    down, across = (
        _along(_along(y, a, 1, (1, 1)), b, 2, (1, 1)) for a, b in ((derivative, smooth), (smooth, derivative))
    )
    edges = stack([down, across], axis=-1)
    return cast(transpose(edges, (0, 3, 1, 2, 4)) if first else edges, x.dtype)


def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Any:
    """Structural similarity of images: how alike brightness, contrast and structure are, 1 for equal ones.

    Args:
        image1: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        image2: images of the same shape.
        max_val: the largest value of a pixel, 1 or 255 say.
        filter_size: height and width of the Gaussian window.
        filter_sigma: standard deviation of the window in pixels.
        k1: keeps the quotient of brightnesses from a division by nothing.
        k2: the same for contrasts.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: (batch,), or a number without the batch, of image1's dtype.

    Raises:
        ValueError: another rank, or images smaller than the window.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.random.default_rng(0).uniform(size=(1, 16, 16, 3)).astype("float32")
        >>> ops.image.ssim(x, x).numpy().round(4).tolist()
        [1.0]

    Source: `keras.ops.image.ssim`; Wang et al., 2004, "Image quality assessment: from error visibility to structural
    similarity".
    """
    first, second = rank_checked("ssim", image1, "image1"), rank_checked("ssim", image2, "image2")
    dtype = first.dtype if is_float(first.dtype) else result_type(first.dtype, float)
    x, _ = batched("ssim", cast(first, dtype), data_format)
    y, _ = batched("ssim", cast(second, dtype), data_format)
    weights = _gaussian(int(filter_size), float(filter_sigma), dtype)

    def window(values: Any) -> Any:
        return _along(_along(values, weights, 1, (0, 0)), weights, 2, (0, 0))

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_x, mean_y = window(x), window(y)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    var_x, var_y, both = window(x * x) - xx, window(y * y) - yy, window(x * y) - xy
    likeness = ((2.0 * xy + c1) * (2.0 * both + c2)) / ((xx + yy + c1) * (var_x + var_y + c2))
    result = cast(mean(likeness, axis=(1, 2, 3)), first.dtype)
    return reshape(result, ()) if len(first.shape) == 3 else result
