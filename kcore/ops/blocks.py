"""Blocks of tensors: space to depth and back, unfolded windows, rearranged axes, traces, other views of the bits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.dtypes import is_float, itemsize, numpy_dtype, result_type, standardize_dtype
from kcore.graph.op import In, Spec, primitive, sample
from kcore.ops.elementwise import cast, log, square
from kcore.ops.indexing import gather, scatter_add
from kcore.ops.reduction import mean
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import _tensor, moveaxis, pad, reshape, transpose
from kcore.ops.shapes import canonical_axis
from kcore.ops.windows import out_sizes, per_axis
from kcore.runtime.tensor import KerasTensor

__all__ = ["depth_to_space", "fold", "psnr", "rearrange", "space_to_depth", "trace", "unfold", "view"]


# -- depth and space -------------------------------------------------------------------------------------------------


def _block(function: str, x: Any, block_size: int, data_format: str) -> tuple[Any, int, bool]:
    x = _tensor(x)
    if not hasattr(block_size, "__index__") or block_size < 2:
        raise ValueError(f"{function}: expected block_size to be an integer of at least 2; received {block_size!r}")
    if len(x.shape) != 4:
        raise ValueError(f"{function}: expected a tensor of rank 4; received shape {tuple(x.shape)}")
    return x, int(block_size), config.standardize_data_format(data_format) == "channels_first"


def _times(size: int | None, factor: int) -> int | None:
    return None if size is None else size * factor


def _parted(function: str, x: Any, size: int | None, by: int, what: str) -> int | None:
    if size is not None and size % by:
        raise ValueError(f"{function}: expected {what} to be a multiple of {by}; received shape {tuple(x.shape)}")
    return None if size is None else size // by


def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Channels spread over blocks of pixels: (n, h, w, c r^2) becomes (n, h r, w r, c).

    Args:
        x: (batch, height, width, channels), or channels first if `data_format` says so.
        block_size: height and width r of a block, at least 2; the channels are a multiple of its square.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Returns: a tensor of x's dtype, with r times the height and width, and the channels divided by r^2.

    Raises:
        ValueError: another rank, a block below 2, or channels that cannot be spread.

    Example:
        >>> from kcore import ops
        >>> ops.depth_to_space(ops.ones((1, 2, 2, 12)), 2).shape
        (1, 4, 4, 3)

    Source: `keras.ops.depth_to_space`.
    """
    x, r, first = _block("depth_to_space", x, block_size, data_format)
    if first:
        n, c, h, w = x.shape
        c = _parted("depth_to_space", x, c, r * r, "the channels")
        y = transpose(reshape(x, (n, c, r, r, h, w)), (0, 1, 4, 2, 5, 3))
        return reshape(y, (n, c, _times(h, r), _times(w, r)))
    n, h, w, c = x.shape
    c = _parted("depth_to_space", x, c, r * r, "the channels")
    y = transpose(reshape(x, (n, h, w, r, r, c)), (0, 1, 3, 2, 4, 5))
    return reshape(y, (n, _times(h, r), _times(w, r), c))


def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Blocks of pixels gathered in channels: (n, h r, w r, c) becomes (n, h, w, c r^2).

    Args:
        x: (batch, height, width, channels), or channels first if `data_format` says so.
        block_size: height and width r of a block, at least 2; the images' are multiples of it.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Returns: a tensor of x's dtype, with height and width divided by r, and r^2 times the channels.

    Raises:
        ValueError: another rank, a block below 2, or images that are no multiple of it.

    Example:
        >>> from kcore import ops
        >>> ops.space_to_depth(ops.ones((1, 4, 4, 3)), 2).shape
        (1, 2, 2, 12)

    Source: `keras.ops.space_to_depth`.
    """
    x, r, first = _block("space_to_depth", x, block_size, data_format)
    n, c, h, w = x.shape if first else (x.shape[0], x.shape[3], *x.shape[1:3])
    h, w = (_parted("space_to_depth", x, d, r, "height and width") for d in (h, w))
    if h is None or w is None:
        deep = _times(c, r * r)
        return KerasTensor((n, deep, h, w) if first else (n, h, w, deep), x.dtype)
    if first:
        y = transpose(reshape(x, (n, c, h, r, w, r)), (0, 1, 3, 5, 2, 4))
        return reshape(y, (n, _times(c, r * r), h, w))
    y = transpose(reshape(x, (n, h, r, w, r, c)), (0, 1, 3, 2, 4, 5))
    return reshape(y, (n, h, w, _times(c, r * r)))


# -- windows ---------------------------------------------------------------------------------------------------------


def _windows(
    function: str, sizes: Sequence[int], kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[tuple[int, ...], tuple[int, ...], list[np.ndarray]]:
    """The kernel's sizes, the padding, and for each axis the padded places of each window, (windows, width)."""
    window = per_axis(kernel_size, 2, "kernel_size", function)
    spread, steps = per_axis(dilation, 2, "dilation", function), per_axis(stride, 2, "stride", function)
    margins = (padding, padding) if isinstance(padding, int) else tuple(int(p) for p in padding)
    if len(margins) != 2 or min(margins) < 0:
        raise ValueError(f"{function}: expected padding to be one or 2 non-negative integers; received {padding!r}")
    counts = out_sizes(sizes, window, steps, tuple((p, p) for p in margins), spread, function)
    at = [
        (np.arange(n)[:, None] * step + np.arange(width)[None, :] * distance).astype(np.int32)
        for n, step, width, distance in zip(counts, steps, window, spread, strict=True)
    ]
    return window, margins, at


def unfold(
    x: Any,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Any:
    """The windows of images that a convolution would see, as columns (im2col).

    Args:
        x: (batch, channels, height, width): channels first, whatever the configuration says.
        kernel_size: height and width of a window; one number for both.
        dilation: distance of the pixels of a window.
        padding: zeros added on all sides.
        stride: distance of windows.

    Returns: (batch, channels * kernel height * kernel width, windows), of x's dtype.

    Raises:
        ValueError: another rank, numbers that are not positive, or a window larger than the images.

    Example:
        >>> from kcore import ops
        >>> ops.unfold(ops.ones((1, 2, 4, 4)), 2, stride=2).shape
        (1, 8, 4)

    Source: `keras.ops.unfold`.
    """
    x = _tensor(x)
    if len(x.shape) != 4 or None in x.shape[1:]:
        raise ValueError(f"unfold: expected images (batch, channels, height, width); received shape {tuple(x.shape)}")
    n, c, *sizes = x.shape
    window, margins, at = _windows("unfold", sizes, kernel_size, dilation, padding, stride)
    if any(margins):
        x = pad(x, ((0, 0), (0, 0), *((p, p) for p in margins)))
    y = gather(gather(x, at[1], axis=3), at[0], axis=2)  # (n, c, rows, kernel, columns, kernel)
    y = transpose(y, (0, 1, 3, 5, 2, 4))
    return reshape(y, (n, c * math.prod(window), len(at[0]) * len(at[1])))


def fold(
    x: Any,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Any:
    """Columns of windows put together to images again, added where they overlap (col2im): the transpose of `unfold`.

    Args:
        x: (batch, channels * kernel height * kernel width, windows).
        output_size: height and width of the images; one number for both.
        kernel_size: as in `unfold`.
        dilation: as in `unfold`.
        padding: as in `unfold`.
        stride: as in `unfold`.

    Returns: (batch, channels, height, width), of x's dtype.

    Raises:
        ValueError: another rank, or sizes that do not fit.

    Example:
        >>> from kcore import ops
        >>> ops.fold(ops.ones((1, 8, 4)), 4, 2, stride=2).shape
        (1, 2, 4, 4)

    Source: `keras.ops.fold`.
    """
    x = _tensor(x)
    sizes = per_axis(output_size, 2, "output_size", "fold")
    window, margins, at = _windows("fold", sizes, kernel_size, dilation, padding, stride)
    rows, columns = map(len, at)
    if len(x.shape) != 3 or x.shape[1] % math.prod(window) or x.shape[2] != rows * columns:
        raise ValueError(
            f"fold: expected x (batch, a multiple of {math.prod(window)}, {rows * columns}) for images of {sizes}; "
            f"received shape {tuple(x.shape)}"
        )
    n, c = x.shape[0], x.shape[1] // math.prod(window)
    y = transpose(reshape(x, (n, c, *window, rows, columns)), (0, 1, 4, 2, 5, 3))
    y = scatter_add(at[1], y, axis=4, size=sizes[1] + 2 * margins[1])
    y = scatter_add(at[0], y, axis=2, size=sizes[0] + 2 * margins[0])
    return y[:, :, margins[0] : margins[0] + sizes[0], margins[1] : margins[1] + sizes[1]]


# -- axes by name ----------------------------------------------------------------------------------------------------

_AXIS = re.compile(r"\w+|\([\w\s]*\)")


def _groups(pattern: str, side: str) -> list[list[str]]:
    if _AXIS.sub("", side).strip():
        raise ValueError(f"rearrange: expected names of axes and groups in parentheses; received pattern {pattern!r}")
    return [part.strip("()").split() for part in _AXIS.findall(side)]


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Axes taken apart, reordered and joined, as a pattern of names says.

    Args:
        tensor: a tensor.
        pattern: names of its axes, an arrow, names of the result's; a group in parentheses is one axis of several.
        **axes_lengths: sizes of the axes in groups of the left side; one in each group is found by itself.

    Returns: the same elements in another shape.

    Raises:
        ValueError: a pattern that cannot be read, names that differ on both sides, or sizes that do not fit.

    Example:
        >>> from kcore import ops
        >>> images = ops.ones((8, 6, 4, 3))
        >>> ops.rearrange(images, "b h w c -> b c h w").shape
        (8, 3, 6, 4)
        >>> ops.rearrange(images, "b (h1 h) w c -> (b h1) h w c", h1=2).shape
        (16, 3, 4, 3)

    Source: `keras.ops.rearrange`.
    """
    x = _tensor(tensor)
    left, arrow, right = pattern.partition("->")
    inner, outer = _groups(pattern, left), _groups(pattern, right)
    names, wanted = sum(inner, []), sum(outer, [])
    if not arrow or sorted(names) != sorted(wanted) or len(set(names)) != len(names):
        raise ValueError(f"rearrange: expected the same names, each once, on both sides; received pattern {pattern!r}")
    if len(inner) != len(x.shape) or set(axes_lengths) - set(names):
        raise ValueError(
            f"rearrange: pattern {pattern!r} does not fit a tensor of shape {tuple(x.shape)} "
            f"with the sizes {axes_lengths}"
        )
    sizes: dict[str, int | None] = dict(axes_lengths)
    for group, size in zip(inner, x.shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        known = math.prod(axes_lengths[name] for name in group if name not in unknown)
        if len(unknown) > 1 or (size is not None and (size % known or (not unknown and size != known))):
            raise ValueError(
                f"rearrange: an axis of size {size} cannot be taken apart as ({' '.join(group)}) "
                f"with the sizes {axes_lengths}"
            )
        sizes.update(dict.fromkeys(unknown, None if size is None else size // known))
    x = transpose(reshape(x, [sizes[name] for name in names]), [names.index(name) for name in wanted])
    joined = [[sizes[name] for name in group] for group in outer]
    return reshape(x, [None if None in group else math.prod(group) for group in joined])


# -- the rest --------------------------------------------------------------------------------------------------------


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sums along a diagonal.

    Args:
        x: a tensor of rank 2 or more.
        offset: which diagonal: above the main one if positive, below if negative.
        axis1: the axis of the rows.
        axis2: the axis of the columns.

    Returns: x without the two axes; of integers shorter than 32 bits and of bools the sum has 32.

    Raises:
        ValueError: axes that are not there, or the same twice.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> int(ops.trace(np.arange(9).reshape(3, 3)))
        12

    Source: `keras.ops.trace`.
    """
    x = _tensor(x)
    rank = len(x.shape)
    first, second = (canonical_axis(a, rank, "trace: axis") for a in (axis1, axis2))
    if first == second:
        raise ValueError(f"trace: expected two axes of shape {tuple(x.shape)}; received {axis1} and {axis2}")
    if x.dtype in ("bool", "int8", "int16"):
        x = cast(x, "int32")
    elif x.dtype in ("uint8", "uint16"):
        x = cast(x, "uint32")
    x = moveaxis(x, (first, second), (-2, -1))
    *rest, m, n = x.shape
    if m is None or n is None:
        raise ValueError(f"trace: the sizes of both axes must be known; received shape {tuple(x.shape)}")
    count = max(0, min(m, n - offset) if offset >= 0 else min(m + offset, n))
    if not count:
        return reduce_sum(x[..., :0], axis=(-2, -1))
    start = offset if offset >= 0 else -offset * n
    return reduce_sum(reshape(x, (*rest, m * n))[..., start : start + (count - 1) * (n + 1) + 1 : n + 1], axis=-1)


def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    """Peak signal-to-noise ratio in decibels: ``20 log10(max_val) - 10 log10(mean((x1 - x2)^2))``.

    Args:
        x1: a tensor.
        x2: a tensor of the same shape.
        max_val: the largest value there can be.

    Returns: a number; infinite where both are equal.

    Raises:
        ValueError: two shapes.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> round(float(ops.psnr(np.zeros(4), np.full(4, 0.1), max_val=1.0)), 3)
        20.0

    Source: `keras.ops.psnr`.
    """
    x1, x2 = _tensor(x1), _tensor(x2)
    if tuple(x1.shape) != tuple(x2.shape):
        raise ValueError(f"psnr: expected two tensors of one shape; received {tuple(x1.shape)} and {tuple(x2.shape)}")
    dtype = result_type(x1.dtype, x2.dtype)
    dtype = dtype if is_float(dtype) else result_type(dtype, float)
    error = mean(square(cast(x1, dtype) - cast(x2, dtype)))
    return (log(cast(max_val, dtype)) * 2.0 - log(error)) * (10.0 / math.log(10.0))


def _view_infer(x: Spec, *, dtype: str) -> Spec:
    old, new = itemsize(x.dtype), itemsize(dtype)
    if old == new:
        return Spec(x.shape, dtype)
    if not x.ndim:
        raise ValueError(f"view: a scalar {x} cannot be seen as {dtype}, which has {new} bytes")
    size = None if x.shape[-1] is None else x.shape[-1] * old
    if size is not None and size % new:
        raise ValueError(f"view: the last axis of {x}, {size} bytes, is no multiple of the {new} bytes of {dtype}")
    return Spec((*x.shape[:-1], None if size is None else size // new), dtype)


@primitive(
    "copy",
    "view",
    infer=_view_infer,
    differentiable=False,
    samples=[
        sample(In((2,), dtype="int32", value=[0x3F800000, -0x40000000]), dtype="float32", grad=False),
        sample(In((2, 8), 0, 9, dtype="uint8"), dtype="int32", grad=False),
        sample(In((3,), -9, 9, dtype="int32"), dtype="uint8", grad=False),
    ],
)
def _view(x, *, dtype):
    """The same bits as another dtype; the last axis grows or shrinks."""
    return (
        np.ascontiguousarray(x)
        .view(numpy_dtype(dtype))
        .reshape(_view_infer(Spec(x.shape, x.dtype.name), dtype=dtype).shape)
    )


def view(x: Any, dtype: Any = None) -> Any:
    """The same bits as another dtype.

    Args:
        x: a tensor.
        dtype: the dtype; the last axis grows or shrinks if it has more or fewer bytes. None means x's own.

    Returns: a tensor of the dtype; it has no gradient.

    Raises:
        ValueError: a last axis that the dtype does not divide.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.view(np.array([1.0], "float32"), "int32").numpy().tolist() == [0x3F800000]
        True

    Source: `keras.ops.view`.
    """
    x = _tensor(x)
    wanted = x.dtype if dtype is None else standardize_dtype(dtype)
    return x if wanted == x.dtype else _view(x, dtype=wanted)
