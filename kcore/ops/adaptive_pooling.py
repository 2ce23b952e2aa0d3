"""Pooling to a given size: windows that follow from the sizes before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.graph.op import Spec, composite, sample
from kcore.ops.convolution import channels_first, channels_last
from kcore.ops.indexing import gather
from kcore.ops.linear_maps import along_axis
from kcore.ops.pooling import average_pool, max_pool
from kcore.ops.reduction import max as largest
from kcore.ops.windows import per_axis

__all__ = ["adaptive_average_pool", "adaptive_max_pool"]

_SAMPLES = [
    sample((2, 7, 3), output_size=(3,)),
    sample((2, 6, 5, 3), output_size=(2, 4)),
    sample((2, 6, 4, 3), output_size=(3, 2)),
    sample((1, 3, 2, 2), output_size=(5, 3)),
    sample((1, 4, 5, 3, 2), output_size=(2, 2, 3)),
    sample((0, 5, 5, 2), output_size=(2, 2)),
    sample((3, 31, 17, 16), output_size=(7, 7), grad=False),
]


def _windows(size: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """First element of each window, and the one after its last."""
    places = np.arange(target + 1) * size
    return places[:-1] // target, -(-places[1:] // target)


def _infer(x: Spec, *, output_size: tuple[int, ...]) -> Spec:
    return Spec((x.shape[0], *output_size, x.shape[-1]), x.dtype)


def _even(x: Any, output_size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The window all places share, if the sizes are multiples of those wanted."""
    sizes = x.shape[1:-1]
    if any(d % n for d, n in zip(sizes, output_size, strict=True)):
        return None
    return tuple(d // n for d, n in zip(sizes, output_size, strict=True))


@composite("pooling", "adaptive_average_pool", infer=_infer, promote="float", samples=_SAMPLES)
def _adaptive_average_pool(x, *, output_size):
    """The mean over windows that make (batch, *spatial, channels) into (batch, *output_size, channels)."""
    window = _even(x, output_size)
    if window is not None and 0 not in window:
        return average_pool(x, window, data_format="channels_last")
    for axis, target in enumerate(output_size, 1):
        first, last = _windows(x.shape[axis], target)
        places = np.arange(x.shape[axis])[:, None]
        x = along_axis(x, ((places >= first) & (places < last)) / (last - first), axis)
    return x


@composite("pooling", "adaptive_max_pool", infer=_infer, samples=_SAMPLES)
def _adaptive_max_pool(x, *, output_size):
    """The largest over windows that make (batch, *spatial, channels) into (batch, *output_size, channels)."""
    window = _even(x, output_size)
    if window is not None and 0 not in window:
        return max_pool(x, window, data_format="channels_last")
    for axis, target in enumerate(output_size, 1):
        first, last = _windows(x.shape[axis], target)
        offsets = np.arange((last - first).max())  # a shorter window reads its last element again
        places = np.minimum(first[:, None] + offsets, last[:, None] - 1).astype(np.int32)
        x = largest(gather(x, places, axis=axis), axis=axis + 1)
    return x


def _pool(op: Any, inputs: Any, output_size: Any, data_format: str | None) -> Any:
    rank = len(inputs.shape) - 2
    if rank < 1:
        raise ValueError(f"{op.name}: expected inputs of rank 3 or more; received shape {tuple(inputs.shape)}")
    output_size = per_axis(output_size, rank, "output_size", op.name)
    first = config.standardize_data_format(data_format) == "channels_first"
    x = channels_last(inputs) if first else inputs
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{op.name}: there is nothing to pool in inputs of shape {tuple(inputs.shape)}")
    y = op(x, output_size=output_size)
    return channels_first(y) if first else y


def adaptive_average_pool(inputs: Any, output_size: int | Sequence[int], data_format: str | None = None) -> Any:
    """The mean over windows that make the spatial axes `output_size` long.

    Window i of m, along an axis of n elements, goes from ``floor(i * n / m)`` to before ``ceil((i + 1) * n / m)``.

    Args:
        inputs: float, (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        output_size: one integer, or one for each spatial axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns:
        float, (batch, *output_size, channels), channels where the inputs have them.

    Raises:
        ValueError: inputs without spatial axes or with an empty one, or another number of sizes than these.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(5, dtype="float32"), (1, 5, 1))
        >>> ops.convert_to_numpy(ops.adaptive_average_pool(x, 2)).ravel()
        array([1., 3.], dtype=float32)

    Source: `keras.ops.adaptive_average_pool`.
    """
    return _pool(_adaptive_average_pool, inputs, output_size, data_format)


def adaptive_max_pool(inputs: Any, output_size: int | Sequence[int], data_format: str | None = None) -> Any:
    """The largest element of windows that make the spatial axes `output_size` long.

    Args:
        inputs, output_size, data_format: as in `adaptive_average_pool`.

    Returns:
        The inputs' dtype, (batch, *output_size, channels), channels where the inputs have them.

    Raises:
        ValueError: inputs without spatial axes or with an empty one, or another number of sizes than these.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(5, dtype="float32"), (1, 5, 1))
        >>> ops.convert_to_numpy(ops.adaptive_max_pool(x, 2)).ravel()
        array([2., 4.], dtype=float32)

    Source: `keras.ops.adaptive_max_pool`.
    """
    return _pool(_adaptive_max_pool, inputs, output_size, data_format)
