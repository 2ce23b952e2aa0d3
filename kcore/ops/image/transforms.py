"""Geometry: images moved by affine and perspective maps, and warped at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.dtypes import is_float, result_type
from kcore.ops.elementwise import cast
from kcore.ops.image.filters import gaussian_blur
from kcore.ops.image.layout import batched, order_of, pixels
from kcore.ops.image.sampling import fill_mode_checked, read, rounded_away
from kcore.ops.random import random_normal
from kcore.ops.shape import _tensor, expand_dims, reshape
from kcore.runtime.seeds import draw_seed


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Images seen through an affine or projective map of their pixels.

    A row ``[a0, a1, a2, b0, b1, b2, c0, c1]`` says that pixel (x, y) of the result is read at
    ``((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k)`` with ``k = c0 x + c1 y + 1``; x counts columns, y rows.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        transform: (batch, 8), or (8,) for all images.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: what lies beyond the border: ``"constant"``, ``"nearest"``, ``"wrap"``, ``"mirror"`` or
            ``"reflect"``, as for `map_coordinates`.
        fill_value: what lies there if `fill_mode` is "constant".
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of the same shape and dtype; integers are interpolated in float32 and rounded.

    Raises:
        ValueError: images of another rank, a transform of another shape, an unknown interpolation or `fill_mode`.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
        >>> shift = np.array([1, 0, 0.5, 0, 1, 0, 0, 0], "float32")  # half a pixel to the left
        >>> ops.image.affine_transform(x, shift, fill_mode="nearest").numpy().ravel()
        array([0.5, 1.5, 2.5, 3. ], dtype=float32)

    Source: `keras.ops.image.affine_transform`.
    """
    order = order_of("affine_transform", interpolation)
    fill_mode_checked("affine_transform", fill_mode)
    x, restored = batched("affine_transform", images, data_format)
    transform = _tensor(transform)
    if len(transform.shape) not in (1, 2) or transform.shape[-1] != 8:
        raise ValueError(
            f"affine_transform: expected transform to be (8,) or (batch, 8); received shape {tuple(transform.shape)}"
        )
    rows = transform if len(transform.shape) == 2 else expand_dims(transform, 0)
    rows = cast(rows, result_type(rows.dtype if is_float(rows.dtype) else "float32", "float32"))
    a0, a1, a2, b0, b1, b2, c0, c1 = (reshape(rows[:, i], (-1, 1, 1)) for i in range(8))
    at_x, at_y = _grid(*pixels(x), rows.dtype)
    scale = c0 * at_x + c1 * at_y + 1.0
    columns, lines = (a0 * at_x + a1 * at_y + a2) / scale, (b0 * at_x + b1 * at_y + b2) / scale
    return restored(_read_images(x, lines, columns, order, fill_mode, fill_value))


def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Images seen through the perspective that takes four points to four others.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        start_points: four points (x, y) of the images, (batch, 4, 2), or (4, 2) for all of them; no three on a line.
        end_points: where those points are in the result, of the same shape.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_value: what lies beyond the border.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of the same shape and dtype; integers are interpolated in float32 and rounded.

    Raises:
        ValueError: images of another rank, points of another shape, or an unknown interpolation.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
        >>> corners = np.array([[0, 0], [0, 3], [3, 0], [3, 3]], "float32")
        >>> y = ops.image.perspective_transform(x, corners, corners[[2, 3, 0, 1]])  # left and right exchanged
        >>> y.numpy()[0, 0, :, 0].round(4).tolist()
        [3.0, 2.0, 1.0, 0.0]

    Source: `keras.ops.image.perspective_transform`.
    """
    order = order_of("perspective_transform", interpolation)
    x, restored = batched("perspective_transform", images, data_format)
    start, end = _tensor(start_points), _tensor(end_points)
    for name, points in (("start_points", start), ("end_points", end)):
        if len(points.shape) not in (2, 3) or tuple(points.shape[-2:]) != (4, 2):
            raise ValueError(
                f"perspective_transform: expected {name} to be (4, 2) or (batch, 4, 2); "
                f"received shape {tuple(points.shape)}"
            )
    if start.shape != end.shape:
        raise ValueError(
            f"perspective_transform: expected start_points and end_points of one shape; "
            f"received {tuple(start.shape)} and {tuple(end.shape)}"
        )
    dtype = result_type(*(p.dtype if is_float(p.dtype) else "float32" for p in (start, end)), "float32")
    sources, targets = _points(start, dtype), _points(end, dtype)
    at_x, at_y = _grid(*pixels(x), dtype)
    columns, lines = _perspective(sources, targets, at_x, at_y)
    return restored(_read_images(x, lines, columns, order, "constant", fill_value))


def _points(points: Any, dtype: str) -> list[tuple[Any, Any]]:
    """The coordinates x and y of each point, (batch, 1, 1)."""
    points = cast(points if len(points.shape) == 3 else expand_dims(points, 0), dtype)
    return [(reshape(points[:, i, 0], (-1, 1, 1)), reshape(points[:, i, 1], (-1, 1, 1))) for i in range(4)]


def _perspective(sources: Sequence[tuple], targets: Sequence[tuple], x: Any, y: Any) -> tuple[Any, Any]:
    """Where (x, y) comes from, if each target comes from its source.

    In homogeneous coordinates whose origin is the first point, three of the points are a basis, in which the map is
    diagonal; the fourth point gives the diagonal. Nothing has to be solved.
    """
    (from_x, from_y), (to_x, to_y) = sources[0], targets[0]
    p, p_share = _basis([(a - from_x, b - from_y) for a, b in sources[1:]])
    q, q_share = _basis([(a - to_x, b - to_y) for a, b in targets[1:]])
    x, y = x - to_x, y - to_y
    (q1x, q1y), (q2x, q2y) = q
    # coordinates of (x, y, 1) in the basis (0, 0, 1), q1, q2, times what the cross product of q1 and q2 is
    first, second = x * q2y - y * q2x, y * q1x - x * q1y
    origin = (q1x * q2y - q1y * q2x) - first - second
    w0, w1, w2 = (part * up / down for part, up, down in zip((origin, first, second), p_share, q_share, strict=True))
    (p1x, p1y), (p2x, p2y) = p
    scale = w0 + w1 + w2
    return (w1 * p1x + w2 * p2x) / scale + from_x, (w1 * p1y + w2 * p2y) / scale + from_y


def _basis(points: Sequence[tuple]) -> tuple[list[tuple], tuple]:
    """Two of three points, and the shares of the origin and of those two in the third, up to a common factor."""
    (ax, ay), (bx, by), (cx, cy) = points
    first, second = cx * by - cy * bx, ax * cy - ay * cx
    return [(ax, ay), (bx, by)], ((ax * by - ay * bx) - first - second, first, second)


def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Any:
    """Images warped at random: each pixel is read where smoothed noise moves it to.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        alpha: how far pixels move.
        sigma: standard deviation of the noise, and of the Gaussian that smooths it, in pixels.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: what lies beyond the border, as for `map_coordinates`.
        fill_value: what lies there if `fill_mode` is "constant".
        seed: an int, a `keras.random.SeedGenerator`, or None for the global one.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns: images of the same shape and dtype; integers are interpolated in float32 and rounded.

    Raises:
        ValueError: images of another rank, an unknown interpolation or `fill_mode`.

    Example:
        >>> from kcore import ops
        >>> x = ops.ones((1, 8, 8, 3))
        >>> bool(ops.all(ops.abs(ops.image.elastic_transform(x, seed=1) - 1.0) < 1e-5))
        True

    Source: `keras.ops.image.elastic_transform`.
    """
    order = order_of("elastic_transform", interpolation)
    fill_mode_checked("elastic_transform", fill_mode)
    x, restored = batched("elastic_transform", images, data_format)
    height, width = pixels(x)
    dtype = result_type(x.dtype if is_float(x.dtype) else "float32", "float32")
    reach = int(6 * float(sigma)) | 1
    noise = random_normal(draw_seed(seed), shape=(x.shape[0], height, width, 2), dtype=dtype) * float(sigma)
    moves = gaussian_blur(noise, (reach, reach), (float(sigma), float(sigma)), data_format="channels_last")
    at_x, at_y = _grid(height, width, dtype)
    columns, lines = (at + float(alpha) * moves[..., i] for i, at in enumerate((at_x, at_y)))
    return restored(_read_images(x, lines, columns, order, fill_mode, fill_value))


def _grid(height: int, width: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The column and the row of each pixel, (1, 1, width) and (1, height, 1)."""
    return np.arange(width).astype(dtype)[None, None, :], np.arange(height).astype(dtype)[None, :, None]


def _read_images(x: Any, lines: Any, columns: Any, order: int, fill_mode: str, fill_value: float) -> Any:
    dtype = result_type(x.dtype if is_float(x.dtype) else "float32", "float32")
    y = read(cast(x, dtype), (lines, columns), order, fill_mode, fill_value)
    return cast(y if is_float(x.dtype) else rounded_away(y), x.dtype)
