"""Images of another size: interpolation along one axis after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.dtypes import int_range, is_float, result_type
from kcore.graph.op import In, Spec, composite, sample
from kcore.ops import elementwise
from kcore.ops.contraction import tensordot
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import cast, clip, greater, greater_equal, less_equal, logical_and, maximum, where
from kcore.ops.elementwise import round as rounded
from kcore.ops.image.layout import batched
from kcore.ops.indexing import gather
from kcore.ops.linear_maps import along_axis, repeat_along
from kcore.ops.reduction import amax, amin
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import _tensor, moveaxis, pad
from kcore.ops.shapes import canonical_axis

# -- interpolation ---------------------------------------------------------------------------------------------------


def _triangle(x: Any, xp: Any = np) -> Any:
    return xp.maximum(0.0, 1.0 - x)


def _cubic(x: Any, xp: Any = np) -> Any:
    """Keys's cubic convolution with a = -1/2 (Keys 1981)."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return xp.where(x < 1.0, near, xp.where(x < 2.0, far, 0.0))


def _lanczos(radius: int) -> Callable[..., Any]:
    def weigh(x: Any, xp: Any = np) -> Any:
        away = xp.where(x > 1e-3, x, 1.0) * np.pi
        waves = xp.sin(away) * xp.sin(away / radius) * radius / (away * away)
        return xp.where(x <= radius, xp.where(x > 1e-3, waves, 1.0), 0.0)

    return weigh


#: Weight of a pixel by its distance from where the image is read, in pixels; written for NumPy and for ops alike.
FILTERS: dict[str, Callable[..., Any]] = {
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
    height, width = _size(size)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"resize: expected interpolation to be one of {INTERPOLATIONS}; received {interpolation!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio may be True")
    if fill_mode != "constant":
        raise ValueError(f"resize: expected fill_mode to be 'constant'; received {fill_mode!r}")
    x, restored = batched("resize", images, data_format)
    if crop_to_aspect_ratio:
        x = _cropped(x, height, width)
    if pad_to_aspect_ratio:
        x = _padded(x, height, width, fill_value)
    exact = interpolation == "nearest" or is_float(x.dtype)
    y = _resize(
        x if exact else cast(x, "float32"),
        size=(height, width),
        interpolation=interpolation,
        antialias=bool(antialias) and interpolation != "nearest",
    )
    return restored(y if exact else in_range(y, x.dtype))


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


def in_range(x: Any, dtype: str) -> Any:
    """Floats rounded to an integer dtype; a short one is not exceeded where bicubic and Lanczos overshoot."""
    x = rounded(x)
    if np.dtype(dtype).itemsize <= 2:
        low, high = int_range(dtype)
        x = clip(x, float(low), float(high))
    return cast(x, dtype)


#: Names of the filters for `scale_and_translate`.
METHODS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "bilinear"),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), "bicubic"),
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}


def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Any:
    """A tensor stretched and moved along some axes: what lies at p comes to ``p * scale + translation``.

    Elements are intervals of length 1, the first from 0 to 1. What is read beyond the tensor is 0.

    Args:
        images: a tensor of any rank, of known sizes.
        output_shape: shape of the result, of the same rank.
        scale: (axes,), one factor for each of `spatial_dims`.
        translation: (axes,), in elements of the result.
        spatial_dims: the axes.
        method: ``"linear"`` (or ``"bilinear"``, ``"trilinear"``, ``"triangle"``), ``"cubic"`` (or ``"bicubic"``,
            ``"tricubic"``), ``"lanczos3"`` or ``"lanczos5"``.
        antialias: whether a tensor that gets smaller is smoothed first.

    Returns: `output_shape`, of the images' dtype; integers are interpolated in float32, rounded, and kept between the
        smallest and the largest of the images.

    Raises:
        ValueError: an unknown method, or shapes and axes that do not fit.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.array([0.0, 4.0], "float32")
        >>> two, none = np.array([2.0], "float32"), np.array([0.0], "float32")
        >>> ops.image.scale_and_translate(x, (4,), two, none, (0,), "linear").numpy().tolist()
        [0.0, 1.0, 3.0, 4.0]

    Source: `keras.ops.image.scale_and_translate`.
    """
    if method not in METHODS:
        raise ValueError(f"scale_and_translate: expected method to be one of {tuple(METHODS)}; received {method!r}")
    x, scale, translation = _tensor(images), _tensor(scale), _tensor(translation)
    rank, axes = len(x.shape), tuple(canonical_axis(d, len(x.shape), "scale_and_translate: axis") for d in spatial_dims)
    if len(output_shape) != rank:
        raise ValueError(
            f"scale_and_translate: expected an output_shape of rank {rank}, like images of shape {tuple(x.shape)}; "
            f"received {tuple(output_shape)}"
        )
    if tuple(scale.shape) != (len(axes),) or tuple(translation.shape) != (len(axes),):
        raise ValueError(
            f"scale_and_translate: expected scale and translation of shape ({len(axes)},), one for each of "
            f"spatial_dims {tuple(spatial_dims)}; received {tuple(scale.shape)} and {tuple(translation.shape)}"
        )
    dtype = result_type(scale.dtype, translation.dtype, float)
    y = x if is_float(x.dtype) else cast(x, "float32")
    for i, axis in enumerate(axes):
        weights = _stretch(
            x.shape[axis],
            int(output_shape[axis]),
            cast(scale[i], dtype),
            cast(translation[i], dtype),
            method,
            antialias,
        )
        y = moveaxis(tensordot(y, cast(weights, y.dtype), axes=((axis,), (0,))), -1, axis)
    if y.dtype != x.dtype:
        y = cast(clip(rounded(y), cast(amin(x), y.dtype), cast(amax(x), y.dtype)), x.dtype)
    return y


def _stretch(size: int, target: int, scale: Any, translation: Any, method: str, antialias: bool) -> Any:
    """`resize_weights` for a scale and a translation that are tensors; nothing is read beyond the border."""
    dtype = scale.dtype
    step = 1.0 / scale
    spread = maximum(step, 1.0) if antialias else 1.0
    read_at = (np.arange(target).astype(dtype) + np.asarray(0.5, dtype)) * step - translation * step - 0.5
    distance = absolute(read_at[None, :] - np.arange(size).astype(dtype)[:, None]) / spread
    weights = FILTERS[METHODS[method]](distance, elementwise)
    total = reduce_sum(weights, axis=0, keepdims=True)
    enough = greater(absolute(total), 1000.0 * float(np.finfo(np.float32).eps))
    inside = logical_and(greater_equal(read_at, -0.5), less_equal(read_at, size - 0.5))
    return where(logical_and(enough, inside[None, :]), weights / where(enough, total, 1.0), 0.0)
