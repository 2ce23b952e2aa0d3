"""What convolution and pooling share: per-axis arguments, padding, output sizes, and the walk over a window's taps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Pairs = tuple[tuple[int, int], ...]


def per_axis(value: int | Sequence[int], rank: int, name: str, op: str) -> tuple[int, ...]:
    """An int, or one int per spatial axis, as a tuple; each at least 1.

    Raises:
        ValueError: another number of values than `rank`, or a value below 1.
    """
    values = tuple(int(v) for v in value) if isinstance(value, Sequence | np.ndarray) else (int(value),) * rank
    if len(values) != rank or min(values, default=1) < 1:
        raise ValueError(f"{op}: expected {name} to be one or {rank} integers of at least 1; received {value!r}")
    return values


def pairs(
    padding: str | Sequence[Sequence[int]],
    sizes: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    op: str,
) -> Pairs:
    """``"valid"``, ``"same"`` or explicit pairs as the elements added before and after each spatial axis.

    "same" puts the odd element at the end. An axis of unknown size gets (0, 0): only its shape, unknown as well, is
    ever inferred from that.

    Raises:
        ValueError: another name, or pairs that are not one pair of non-negative integers per axis.
    """
    kind = padding.lower() if isinstance(padding, str) else padding
    if kind == "valid":
        return ((0, 0),) * len(sizes)
    if kind == "same":
        result = []
        for size, width, step, spread in zip(sizes, window, strides, dilation, strict=True):
            reach = (width - 1) * spread + 1
            total = 0 if size is None else max(0, (-(-size // step) - 1) * step + reach - size)
            result.append((total // 2, total - total // 2))
        return tuple(result)
    if isinstance(kind, str):
        raise ValueError(f"{op}: expected padding 'valid' or 'same'; received {padding!r}")
    result = [(int(low), int(high)) for low, high in kind]
    if len(result) != len(sizes) or any(v < 0 for pair in result for v in pair):
        raise ValueError(f"{op}: expected {len(sizes)} pairs of non-negative padding; received {padding!r}")
    return tuple(result)


def out_sizes(
    sizes: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int],
    op: str,
) -> tuple[Any, ...]:
    """Sizes of the spatial axes after sliding the window, None where unknown.

    Raises:
        ValueError: the window is larger than the padded input.
    """
    result: list[int | None] = []
    for axis, (size, width, step, (low, high), spread) in enumerate(
        zip(sizes, window, strides, padding, dilation, strict=True)
    ):
        reach = (width - 1) * spread + 1
        if size is not None and size + low + high < reach:
            raise ValueError(
                f"{op}: the window does not fit: it covers {reach} elements of spatial axis {axis}, "
                f"which has {size}, {size + low + high} with padding"
            )
        result.append(None if size is None else (size + low + high - reach) // step + 1)
    return tuple(result)


def taps(
    window: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For each offset in the window: the offset, and the slice of a padded (batch, *spatial, channels) array it reads.

    `sizes` are the output's spatial sizes. Used by the NumPy references.
    """
    for tap in np.ndindex(*window):
        yield (
            tap,
            (
                slice(None),
                *(
                    slice(t * d, t * d + (o - 1) * s + 1, s)
                    for t, o, s, d in zip(tap, sizes, strides, dilation, strict=True)
                ),
            ),
        )


def padded(x: np.ndarray, padding: Pairs, value: Any = 0) -> np.ndarray:
    """The array with its spatial axes padded, for the NumPy references."""
    return np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=value)


def interior(padding: Pairs, sizes: Sequence[int]) -> tuple[slice, ...]:
    """Where the unpadded array of these spatial sizes lies in the padded one."""
    return (slice(None), *(slice(low, low + size) for (low, _), size in zip(padding, sizes, strict=True)))
