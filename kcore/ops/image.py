"""`keras.ops.image`: images of another size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.graph.op import OPS, In, Spec, composite, sample
from kcore.ops.elementwise import cast, clip
from kcore.ops.elementwise import round as rounded
from kcore.ops.indexing import gather
from kcore.ops.linear_maps import along_axis, repeat_along
from kcore.ops.shape import expand_dims, pad, reshape

__all__: list[str] = []  # `ops.image.resize`, not `ops.resize`


# -- interpolation ---------------------------------------------------------------------------------------------------


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - x)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys's cubic convolution with a = -1/2 (Keys 1981)."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x <= radius, np.sinc(x) * np.sinc(x / radius), 0.0)


#: Weight of a pixel by its distance from where the image is read, in pixels.
FILTERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}

INTERPOLATIONS = ("nearest", *FILTERS)


def resize_weights(size: int, target: int, interpolation: str, antialias: bool) -> np.ndarray:
    """How much each of `size` pixels adds to each of `target` ones, ``(size, target)``.

    Pixels are squares whose centres lie at half-integers. Weights of pixels beyond the border go to those within.
    """
    step = size / target
    spread = max(step, 1.0) if antialias else 1.0
    read_at = (np.arange(target) + 0.5) * step - 0.5
    weights = FILTERS[interpolation](np.abs(read_at[None, :] - np.arange(size)[:, None]) / spread)
    return weights / weights.sum(axis=0, keepdims=True)


def _resize_infer(x: Spec, *, size: tuple[int, int], interpolation: str, antialias: bool = False) -> Spec:
    if x.ndim != 4:
        raise ValueError(f"resize: expected images (batch, height, width, channels); received {x}")
    if 0 in x.shape[1:3]:
        raise ValueError(f"resize: there is nothing to resize in {x}")
    if interpolation != "nearest" and not x.dtype.startswith(("float", "bfloat")):
        raise ValueError(f"resize: {interpolation!r} interpolates floating-point images; received {x}")
    return Spec((x.shape[0], *size, x.shape[3]), x.dtype)


@composite(
    "image",
    "resize",
    infer=_resize_infer,
    tolerance={"float32": (2e-5, 2e-5)},  # two sums over a whole axis
    samples=[
        *(sample((2, 3, 5, 2), size=(6, 7), interpolation=kind) for kind in INTERPOLATIONS),
        *(sample((1, 7, 4, 3), size=(3, 8), interpolation=kind, antialias=True) for kind in FILTERS),
        sample((2, 4, 4, 3), size=(8, 12), interpolation="nearest"),
        sample((0, 4, 4, 3), size=(8, 8), interpolation="bilinear"),
        sample((3, 17, 15, 4), size=(33, 31), interpolation="bicubic", grad=False),
        sample(In((2, 2, 2, 1), 0, 9, dtype="int32"), size=(3, 4), interpolation="nearest", grad=False),
    ],
)
def _resize(x, *, size, interpolation, antialias=False):
    """Images (batch, height, width, channels) in another height and width, one axis after the other."""
    if interpolation == "nearest" and not any(n % d for n, d in zip(size, x.shape[1:3], strict=True)):
        return repeat_along(x, {1: size[0] // x.shape[1], 2: size[1] // x.shape[2]})
    for axis, target in ((1, size[0]), (2, size[1])):
        d = x.shape[axis]
        if target == d:
            continue
        if interpolation == "nearest":
            x = _nearest(x, target, axis)
        else:
            x = along_axis(x, resize_weights(d, target, interpolation, antialias), axis)
    return x


def _nearest(x: Any, target: int, axis: int) -> Any:
    """Rows picked by their centres."""
    d = x.shape[axis]
    rows = np.floor((np.arange(target, dtype=np.float32) + 0.5) * d / target).astype(np.int32)
    return gather(x, rows, axis=axis)


# -- the Keras function ----------------------------------------------------------------------------------------------


def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Images in another height and width.

    Args:
        images: (batch, height, width, channels), or one image without the batch; channels first if `data_format` says
            so.
        size: height and width of the result.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        antialias: whether an image that gets smaller is smoothed first; not for ``"nearest"``.
        crop_to_aspect_ratio: whether the image is first cut, evenly on both sides, to the ratio of `size`.
        pad_to_aspect_ratio: whether the image is first padded, evenly on both sides, to the ratio of `size`.
        fill_mode: ``"constant"``.
        fill_value: the value padded with.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns:
        The images' dtype, in the images' layout. Integer images are interpolated in float32 and rounded; ends of the
        integer range are not exceeded.

    Raises:
        ValueError: images of another rank, a size that is not two positive integers, an unknown interpolation, both
            ways of keeping the ratio, or another `fill_mode`.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(4, dtype="float32"), (1, 2, 2, 1))
        >>> ops.convert_to_numpy(ops.image.resize(x, (2, 4)))[0, :, :, 0]
        array([[0.  , 0.25, 0.75, 1.  ],
               [2.  , 2.25, 2.75, 3.  ]], dtype=float32)

    Source: `keras.ops.image.resize`.
    """
    x = images if hasattr(images, "shape") and isinstance(images.dtype, str) else OPS["identity"](images)
    height, width = _size(size)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"resize: expected interpolation to be one of {INTERPOLATIONS}; received {interpolation!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio may be True")
    if fill_mode != "constant":
        raise ValueError(f"resize: expected fill_mode to be 'constant'; received {fill_mode!r}")
    if len(x.shape) not in (3, 4):
        raise ValueError(f"resize: expected an image (rank 3) or a batch of them (rank 4); received shape {x.shape}")
    single = len(x.shape) == 3
    if single:
        x = expand_dims(x, 0)
    first = config.standardize_data_format(data_format) == "channels_first"
    if first:
        x = OPS["transpose"](x, axes=(0, 2, 3, 1))
    if crop_to_aspect_ratio:
        x = _cropped(x, height, width)
    if pad_to_aspect_ratio:
        x = _padded(x, height, width, fill_value)
    exact = interpolation == "nearest" or "float" in x.dtype
    y = _resize(
        x if exact else cast(x, "float32"),
        size=(height, width),
        interpolation=interpolation,
        antialias=bool(antialias) and interpolation != "nearest",
    )
    if not exact:
        y = cast(_in_range(rounded(y), x.dtype), x.dtype)
    if first:
        y = OPS["transpose"](y, axes=(0, 3, 1, 2))
    return reshape(y, y.shape[1:]) if single else y


def _size(size: Any) -> tuple[int, int]:
    values = tuple(size) if isinstance(size, Sequence | np.ndarray) else ()
    if len(values) != 2 or any(not hasattr(v, "__index__") or v <= 0 for v in values):
        raise ValueError(f"resize: expected size to be two positive integers (height, width); received {size!r}")
    return int(values[0]), int(values[1])


def _cropped(x: Any, height: int, width: int) -> Any:
    """The middle of the images that has the ratio of the target."""
    h, w = x.shape[1:3]
    high, wide = max(min(h, w * height // width), 1), max(min(w, h * width // height), 1)
    top, left = (h - high) // 2, (w - wide) // 2
    return x[:, top : top + high, left : left + wide, :]


def _padded(x: Any, height: int, width: int, value: float) -> Any:
    """The images with a border that gives them the ratio of the target."""
    h, w = x.shape[1:3]
    top, left = (max(h, w * height // width) - h) // 2, (max(w, h * width // height) - w) // 2
    return pad(x, ((0, 0), (top, top), (left, left), (0, 0)), constant_values=value)


def _in_range(x: Any, dtype: str) -> Any:
    """Values of interpolated images within what a short integer holds: bicubic and Lanczos overshoot."""
    if np.dtype(dtype).itemsize > 2:
        return x
    limits = np.iinfo(dtype)
    return clip(x, float(limits.min), float(limits.max))
