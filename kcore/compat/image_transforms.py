"""Images turned, shifted, sheared, zoomed, tinted: the functions of ``keras.preprocessing.image``, on whole batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kcore.config import floatx, image_data_format
from kcore.extras import require

#: What is read beyond the border: a value, or the nearest pixel, or the image turned round (with or without its last
#: pixel twice), or the image again.
FILL_MODES = ("constant", "nearest", "reflect", "mirror", "wrap")

#: Pixels whose places are computed together: what stays in the cache.
PIXELS = 1 << 16


class Placement(NamedTuple):
    """Where pixel (i, j) of a result is read: at ``matrix @ (i, j) + offset`` of the image."""

    matrix: tuple[float, float, float, float]
    offset: tuple[float, float]


# -- geometry --------------------------------------------------------------------------------------------------------


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """One image, zoomed, sheared, shifted and rotated about its centre.

    Args:
        x: an image of three axes.
        theta, shear: angles in degrees.
        tx, ty: shifts in pixels. With rows before columns, `tx` moves along the columns and `ty` along the rows, and
            the centre of an image of h by w pixels is taken at row w/2 and column h/2: so do Keras 2 and 3.
        zx, zy: factors; above 1 more of the image is seen.
        row_axis, col_axis, channel_axis: which axis is which; the channels come first or last.
        fill_mode: "constant", "nearest", "reflect", "mirror" or "wrap": what lies beyond the border.
        cval: the value there if it is "constant".
        order: 0 for the nearest pixel, 1 for linear interpolation; 2 to 5 for splines, which need SciPy.

    Returns: an array of the shape and dtype of `x`.

    Raises:
        ValueError: axes that are none, an unknown `fill_mode` or `order`, or something that is not an image.
        MissingExtraError: an `order` above 1, and SciPy is not installed.

    Example:
        >>> x = np.arange(9.0).reshape(3, 3, 1)
        >>> apply_affine_transform(x, ty=1, row_axis=0, col_axis=1, channel_axis=2)[..., 0].tolist()
        [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0], [6.0, 7.0, 8.0]]

    Source: `keras.preprocessing.image.apply_affine_transform` (Keras 2).
    """
    x = np.asarray(x)
    axes = (row_axis, col_axis, channel_axis)
    if sorted(axes) != [0, 1, 2] or channel_axis == 1:
        raise ValueError(
            "apply_affine_transform: row_axis, col_axis and channel_axis must be 0, 1 and 2 in some order, with "
            f"channel_axis 0 or 2; received {row_axis}, {col_axis} and {channel_axis}"
        )
    if x.ndim != 3:
        raise ValueError(f"apply_affine_transform takes one image, of three axes; received shape {x.shape}")
    at = placement(x.shape, channel_axis, theta, tx, ty, shear, zx, zy, row_axis < col_axis)
    return warp(x[None], [at], channel_axis + 1, fill_mode, cval, order)[0]


def placement(
    shape: Sequence[int],
    channel_axis: int,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    swapped: bool = True,
) -> Placement | None:
    """Where the pixels of a transformed image are read, None if it stays as it is.

    Args:
        shape: of the image.
        channel_axis: 0 or 2; of the two others the earlier one is called rows here.
        theta, tx, ty, shear, zx, zy: as for `apply_affine_transform`.
        swapped: whether what moves the rows is to move the columns and the other way round.
    """
    if theta == shear == tx == ty == 0 and zx == zy == 1:
        return None
    height, width = shape[1:] if channel_axis == 0 else shape[:2]
    angle, slant = math.radians(theta), math.radians(shear)
    cos, sin = math.cos(angle), math.sin(angle)
    first = (cos * zx, (-cos * math.sin(slant) - sin * math.cos(slant)) * zy)  # rotation @ shear @ zoom
    second = (sin * zx, (-sin * math.sin(slant) + cos * math.cos(slant)) * zy)
    row, column = width / 2 - 0.5, height / 2 - 0.5  # exchanged: see `apply_affine_transform`
    if swapped:
        first, second = second[::-1], first[::-1]
        tx, ty, sin = ty, tx, -sin
    return Placement(
        (*first, *second),
        (
            row + cos * tx - sin * ty - (first[0] * row + first[1] * column),
            column + sin * tx + cos * ty - (second[0] * row + second[1] * column),
        ),
    )


def warp(
    x: np.ndarray, places: Sequence[Placement | None], channel_axis: int, fill_mode: str, cval: float, order: int
) -> np.ndarray:
    """Each image of a batch read at other places.

    Args:
        x: (batch, rows, columns, channels) or (batch, channels, rows, columns).
        places: one for each image; None leaves it as it is.
        channel_axis: 1 or 3.
        fill_mode, cval, order: as for `apply_affine_transform`.

    Returns: an array of the shape and dtype of `x`.
    """
    check_fill_mode(fill_mode)
    check_order(order)
    result = np.array(x)
    slanted = [i for i, at in enumerate(places) if at is not None and (order > 1 or any(at.matrix[1:3]))]
    upright = [i for i, at in enumerate(places) if at is not None and order < 2 and not any(at.matrix[1:3])]
    for i in upright:
        at = places[i]
        assert at is not None
        result[i] = _cast(_stretched(_floats(x[i]), at, channel_axis - 1, fill_mode, cval, order), x.dtype)
    together = max(1, PIXELS * x.shape[channel_axis] // max(1, x[0].size)) if len(x) else 1
    for start in range(0, len(slanted), together):
        chosen = slanted[start : start + together]
        planes = np.moveaxis(_floats(x[chosen]), channel_axis, 0)
        some = [at for at in (places[i] for i in chosen) if at is not None]
        if order > 1:
            read = _splined(planes, some, fill_mode, cval, order)
        else:
            read = _gathered(np.ascontiguousarray(planes), some, fill_mode, cval, order)
        result[chosen] = _cast(np.moveaxis(read, 0, channel_axis), x.dtype)
    return result


def check_fill_mode(fill_mode: str) -> None:
    """Raise ValueError unless it is one of `FILL_MODES`."""
    if fill_mode not in FILL_MODES:
        raise ValueError(f"fill_mode is one of {', '.join(FILL_MODES)}; received {fill_mode!r}")


def check_order(order: int) -> None:
    """Raise ValueError unless it is an order of interpolation that there is."""
    if isinstance(order, bool) or order not in range(6):
        raise ValueError(f"the order of interpolation is an integer from 0 to 5, received {order!r}")


def _floats(x: np.ndarray) -> np.ndarray:
    return x if x.dtype in (np.float32, np.float64) else x.astype("float32" if x.dtype.itemsize < 3 else "float64")


def _cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind not in "iu":
        return x.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.trunc(x + np.copysign(0.5, x)), limits.min, limits.max).astype(dtype)


def _within(at: np.ndarray, size: int, fill_mode: str) -> np.ndarray:
    """Places of an axis, each moved to where it is read between the first and the last pixel."""
    last = size - 1
    if fill_mode == "wrap":
        at = np.where((at < 0) | (at > last), at % max(last, 1), at)
    elif fill_mode == "mirror":
        at = last - np.abs(last - np.abs(at) % max(2 * last, 1))
    elif fill_mode == "reflect":
        at = np.abs(at + 0.5) % (2 * size)
        at = size - np.abs(size - at) - 0.5
    return np.clip(at, 0, last)


def _neighbours(at: np.ndarray, size: int, fill_mode: str, order: int, dtype: np.dtype) -> tuple[np.ndarray, Any]:
    """Index of the pixel before (order 0: nearest to) each place of an axis, and how far the place is from it."""
    at = _within(at, size, fill_mode)
    if order == 0:
        return np.minimum((at + 0.5).astype(np.intp), size - 1), None
    low = np.minimum(at.astype(np.intp), max(size - 2, 0))
    return low, (at - low).astype(dtype)


def _gathered(planes: np.ndarray, places: Sequence[Placement], fill_mode: str, cval: float, order: int) -> np.ndarray:
    """Planes (channels, batch, rows, columns) read at any places, by gathering pixels."""
    channels, batch, height, width = planes.shape
    matrix = np.array([at.matrix for at in places]).T[..., None, None]
    offset = np.array([at.offset for at in places]).T[..., None, None]
    i, j = np.arange(height)[:, None], np.arange(width)
    rows = (offset[0] + matrix[0] * i) + matrix[1] * j
    columns = (offset[1] + matrix[2] * i) + matrix[3] * j
    low, down = _neighbours(rows, height, fill_mode, order, planes.dtype)
    left, right = _neighbours(columns, width, fill_mode, order, planes.dtype)
    index = low * width + left + (np.arange(batch) * (height * width))[:, None, None]
    flat = planes.reshape(channels, -1)
    result = np.empty_like(planes)
    for plane, out in zip(flat, result, strict=True):
        if order == 0:
            np.take(plane, index, out=out, mode="clip")
            continue
        upper = _between(plane, index, int(width > 1), right)
        if height == 1:
            out[:] = upper
            continue
        below = _between(plane, index + width, int(width > 1), right)
        below -= upper
        below *= down
        np.add(upper, below, out=out)
    if fill_mode == "constant":
        result[:, (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)] = cval
    return result


def _between(plane: np.ndarray, index: np.ndarray, step: int, part: np.ndarray) -> np.ndarray:
    """Values `part` of the way from the pixels of an index to those `step` further on."""
    start = plane[index]
    way = plane[step:][index]
    way -= start
    way *= part
    way += start
    return way


def _stretched(image: np.ndarray, at: Placement, channel_axis: int, fill_mode: str, cval: float, order: int) -> Any:
    """One image read at places that are the same in every row and column: shifted and zoomed, axis by axis."""
    height, width = image.shape[1:] if channel_axis == 0 else image.shape[:2]
    lines = image.reshape(-1, height, width) if channel_axis == 0 else image.reshape(1, height, -1)
    rows, columns = at.offset[0] + at.matrix[0] * np.arange(height), at.offset[1] + at.matrix[3] * np.arange(width)
    low, down = _neighbours(rows, height, fill_mode, order, image.dtype)
    left, right = _neighbours(columns, width, fill_mode, order, image.dtype)
    lines = _along(lines, 1, low, None if down is None else down[:, None], height)
    if channel_axis == 0:
        result = _along(lines, 2, left, right, width)
    else:
        pixels = lines.reshape(height, width, -1)
        result = _along(pixels, 1, left, None if right is None else right[:, None], width)
    result = result.reshape(image.shape)
    if fill_mode == "constant":
        planes = result if channel_axis == 0 else result.transpose(2, 0, 1)
        planes[:, (rows < 0) | (rows > height - 1)] = cval
        planes[:, :, (columns < 0) | (columns > width - 1)] = cval
    return result


def _along(x: np.ndarray, axis: int, low: np.ndarray, part: Any, size: int) -> np.ndarray:
    start = np.take(x, low, axis)
    if part is None or size == 1 or not part.any():
        return start
    way = np.take(x, low + 1, axis)
    way -= start
    way *= part
    way += start
    return way


def _splined(planes: np.ndarray, places: Sequence[Placement], fill_mode: str, cval: float, order: int) -> np.ndarray:
    ndimage = require("scipy.ndimage", "sklearn", f"interpolation of order {order}")  # scikit-learn brings SciPy
    result = np.empty(planes.shape, planes.dtype)
    for plane, out in zip(planes, result, strict=True):
        for image, at, to in zip(plane, places, out, strict=True):
            matrix = np.reshape(at.matrix, (2, 2))
            ndimage.affine_transform(image, matrix, at.offset, output=to, order=order, mode=fill_mode, cval=cval)
    return result


# -- brightness and colour -------------------------------------------------------------------------------------------


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """One image, brighter or darker, in whole steps from 0 to 255.

    Args:
        x: an image of three axes with 1, 3 or 4 channels, of which a fourth stays.
        brightness: the factor.
        scale: take the smallest value for 0 and the largest for 255. Else that is done for values outside
            [0, 255] only, and undone afterwards.

    Returns: an array of the shape of `x`, floatx.

    Example:
        >>> apply_brightness_shift(np.full((1, 1, 3), 101.0), 0.5, scale=False).tolist()
        [[[50.0, 50.0, 50.0]]]

    Source: `keras.preprocessing.image.apply_brightness_shift` (Keras 2).
    """
    return brightened(x, brightness, scale, 2 if image_data_format() == "channels_last" else 0)


def brightened(x: Any, brightness: float, scale: bool, channel_axis: int) -> np.ndarray:
    """`apply_brightness_shift` of an image whose axes are known."""
    x = np.asarray(x, floatx())
    if x.ndim != 3 or x.shape[channel_axis] not in (1, 3, 4):
        raise ValueError(f"brightness is that of an image with 1, 3 or 4 channels; received shape {x.shape}")
    low, high = float(x.min()), float(x.max())
    outside = low < 0 or high > 255
    if scale or outside:
        levels = x - low
        largest = levels.max()
        levels = levels / (largest or 1) * 255
    else:
        levels = x
    levels = np.trunc(levels)
    result = np.trunc(np.clip(levels * np.float32(brightness), 0, 255)).astype(x.dtype)
    if x.shape[channel_axis] == 4:
        opacity: list[Any] = [slice(None)] * 3
        opacity[channel_axis] = 3
        result[tuple(opacity)] = levels[tuple(opacity)]
    return result / 255 * (high - low) + low if outside and not scale else result


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """One image with a number added to it, cut off at its smallest and its largest value.

    Example:
        >>> apply_channel_shift(np.array([[[0.0, 1.0, 4.0]]]), 2.0).tolist()
        [[[2.0, 3.0, 4.0]]]

    Source: `keras.preprocessing.image.apply_channel_shift` (Keras 2).
    """
    x = np.asarray(x)
    return np.clip(x + intensity, x.min(), x.max())


# -- at random -------------------------------------------------------------------------------------------------------


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """One image rotated by up to `rg` degrees to either side; the other arguments are `apply_affine_transform`'s.

    Source: `keras.preprocessing.image.random_rotation` (Keras 2).
    """
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(
        x, theta, 0, 0, 0, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
    )


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """One image shifted by up to the shares `wrg` of its width and `hrg` of its height to either side.

    Source: `keras.preprocessing.image.random_shift` (Keras 2).
    """
    x = np.asarray(x)
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(
        x, 0, tx, ty, 0, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
    )


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """One image sheared by up to `intensity` degrees to either side.

    Source: `keras.preprocessing.image.random_shear` (Keras 2).
    """
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(
        x, 0, 0, 0, shear, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
    )


def random_zoom(
    x: Any,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """One image zoomed by two factors between those of `zoom_range`, one for each axis.

    Source: `keras.preprocessing.image.random_zoom` (Keras 2).
    """
    low, high = pair("zoom_range", zoom_range)
    zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
    return apply_affine_transform(
        x, 0, 0, 0, 0, zx, zy, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
    )


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """`apply_channel_shift` by up to `intensity_range` to either side.

    Source: `keras.preprocessing.image.random_channel_shift` (Keras 2).
    """
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Any, brightness_range: Sequence[float], scale: bool = True) -> np.ndarray:
    """`apply_brightness_shift` by a factor between the two of `brightness_range`.

    Source: `keras.preprocessing.image.random_brightness` (Keras 2).
    """
    low, high = pair("brightness_range", brightness_range)
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)


def pair(argument: str, value: Any) -> tuple[float, float]:
    """The two numbers of a range."""
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != 2:
        raise ValueError(f"{argument} is a tuple or list of two numbers; received {value!r}")
    return value[0], value[1]
