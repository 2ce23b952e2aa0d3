"""Images as files, pictures of Pillow and arrays."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kcore import config, ops
from kcore.dtypes import numpy_dtype, standardize_dtype
from kcore.extras import require

#: Ways of `load_img` to resize, which are Pillow's.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")

#: Colour modes, with what Pillow calls them and how many channels they have.
MODES = {"rgb": ("RGB", 3), "rgba": ("RGBA", 4), "grayscale": ("L", 1)}


def _pillow(purpose: str) -> Any:
    return require("PIL.Image", "images", purpose)


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A picture of Pillow made of an array.

    Args:
        x: ``(height, width, channels)`` with 1, 3 or 4 channels.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        scale: whether values are stretched to 0 to 255.
        dtype: in which it is computed; `kcore.config.floatx()` if None.

    Raises:
        ValueError: another rank or number of channels.
        MissingExtraError: Pillow is not installed.

    Example:
        >>> array_to_img(np.array([[[0.0], [1.0]]])).getpixel((1, 0))
        255

    Source: `keras.utils.array_to_img`.
    """
    pillow = _pillow("array_to_img")
    x = np.array(x, numpy_dtype(standardize_dtype(dtype or config.floatx())))
    if x.ndim != 3:
        raise ValueError(f"array_to_img: expected an image of rank 3, got the shape {x.shape}")
    if config.standardize_data_format(data_format) == "channels_first":
        x = x.transpose(1, 2, 0)
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels, got {x.shape[2]}")
    if scale:
        x = x - x.min()
        x = x / (x.max() or 1) * 255
    if x.shape[2] > 1:
        return pillow.fromarray(x.astype("uint8"))
    return pillow.fromarray(x[:, :, 0].astype("int32" if x.max() > 255 else "uint8"))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """An array made of a picture of Pillow.

    Args:
        img: the picture, or an array of rank 2 or 3.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        dtype: dtype of the array; `kcore.config.floatx()` if None.

    Returns:
        Array ``(height, width, channels)``, or channels first.

    Raises:
        ValueError: another rank.

    Example:
        >>> img_to_array(np.zeros((2, 3))).shape
        (2, 3, 1)

    Source: `keras.utils.img_to_array`.
    """
    x = np.asarray(img, numpy_dtype(standardize_dtype(dtype or config.floatx())))
    if x.ndim not in (2, 3):
        raise ValueError(f"img_to_array: expected an image of rank 2 or 3, got the shape {x.shape}")
    x = x[..., None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if config.standardize_data_format(data_format) == "channels_first" else x


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array to a file as an image.

    Args:
        path: path or open file.
        x: ``(height, width, channels)`` with 1, 3 or 4 channels.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        file_format: such as ``"png"``; what the path ends with if None.
        scale: whether values are stretched to 0 to 255.
        **kwargs: for Pillow's ``save``.

    Source: `keras.utils.save_img`.
    """
    if file_format is None and isinstance(path, (str, Path)):
        file_format = Path(path).suffix[1:].lower()
    file_format = {"jpg": "jpeg"}.get((file_format or "").lower(), file_format)
    picture = array_to_img(x, data_format, scale)
    if picture.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("save_img: JPEG has no transparency, so the fourth channel is left out", stacklevel=2)
        picture = picture.convert("RGB")
    picture.save(path, format=file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image file.

    Args:
        path: path or open file.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
        target_size: height and width to resize to; None leaves the size.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"hamming"``, ``"box"`` or ``"lanczos"``.
        keep_aspect_ratio: whether the middle is cut out in the ratio of `target_size` first.

    Returns:
        A picture of Pillow; `img_to_array` makes an array of it.

    Raises:
        ValueError: an unknown colour mode or interpolation.
        TypeError: something that is no path.
        MissingExtraError: Pillow is not installed.

    Source: `keras.utils.load_img`.
    """
    pillow = _pillow("load_img")
    if isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as file:
            picture = pillow.open(io.BytesIO(file.read()))
    elif hasattr(path, "read"):
        picture = pillow.open(path)
    else:
        raise TypeError(f"load_img: expected a path or an open file, got {path!r} of type {type(path).__name__}")
    picture = in_mode(picture, color_mode)
    if target_size is None or picture.size == (target_size[1], target_size[0]):
        return picture
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"load_img: interpolation={interpolation!r}: expected one of {', '.join(INTERPOLATIONS)}")
    box = None
    height, width = target_size
    if keep_aspect_ratio:
        tall = min(picture.height, picture.width * height // width)
        wide = min(picture.width, picture.height * width // height)
        top, left = (picture.height - tall) // 2, (picture.width - wide) // 2
        box = (left, top, left + wide, top + tall)
    return picture.resize((width, height), getattr(pillow.Resampling, interpolation.upper()), box=box)


def in_mode(picture: Any, color_mode: str) -> Any:
    """A picture in a colour mode; gray ones of more than 8 bits stay as they are."""
    if color_mode not in MODES:
        raise ValueError(f"color_mode={color_mode!r}: expected one of {', '.join(MODES)}")
    kept = ("L", "I;16", "I") if color_mode == "grayscale" else (MODES[color_mode][0],)
    return picture if picture.mode in kept else picture.convert(MODES[color_mode][0])


def smart_resize(x: Any, size: Any, interpolation: str = "bilinear", data_format: str | None = "channels_last") -> Any:
    """Images in another size without distortion: the middle is cut out in its ratio first.

    Args:
        x: ``(height, width, channels)`` or a batch of such.
        size: height and width.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Returns:
        An array if `x` is one, else a tensor.

    Example:
        >>> smart_resize(np.ones((4, 8, 1), "float32"), (2, 2)).shape
        (2, 2, 1)

    Source: `keras.preprocessing.image.smart_resize`.
    """
    resized = ops.image.resize(x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return ops.convert_to_numpy(resized) if isinstance(x, np.ndarray) else resized
