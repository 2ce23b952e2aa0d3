"""Signals in time: overlapping sequences, and the short-time Fourier transform with its inverse."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from kcore.ops.elementwise import cast, greater, where
from kcore.ops.fft import irfft, pair, rfft
from kcore.ops.indexing import gather, scatter_add
from kcore.ops.shape import _tensor, broadcast_to, pad, reshape

__all__ = ["extract_sequences", "istft", "stft"]


def _places(count: int, length: int, stride: int) -> np.ndarray:
    return (np.arange(count)[:, None] * stride + np.arange(length)[None, :]).astype(np.int32)


def _check_stride(function: str, sequence_stride: Any) -> None:
    if not isinstance(sequence_stride, int | np.integer) or sequence_stride <= 0:
        raise ValueError(f"{function}: expected sequence_stride to be a positive integer; received {sequence_stride!r}")


def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    """Sequences of the last axis that begin at equal distances, and may overlap.

    Args:
        x: (..., n).
        sequence_length: elements of a sequence.
        sequence_stride: from the beginning of one to that of the next.

    Returns: (..., 1 + (n - sequence_length) // sequence_stride, sequence_length), of x's dtype.

    Raises:
        ValueError: a scalar, a stride below 1, or a tensor shorter than a sequence.

    Example:
        >>> from kcore import ops
        >>> ops.extract_sequences(ops.arange(6), 3, 2).numpy().tolist()
        [[0, 1, 2], [2, 3, 4]]

    Source: `keras.ops.extract_sequences`.
    """
    _check_stride("extract_sequences", sequence_stride)
    x = _tensor(x)
    if not x.shape:
        raise ValueError("extract_sequences: expected a tensor of rank 1 or more; received a scalar")
    n = x.shape[-1]
    if n is None:
        raise ValueError(f"extract_sequences: the last size must be known; received shape {tuple(x.shape)}")
    if not 0 < sequence_length <= n:
        raise ValueError(
            f"extract_sequences: expected sequence_length to be from 1 to {n}, the last size of shape "
            f"{tuple(x.shape)}; received {sequence_length}"
        )
    count = 1 + (n - sequence_length) // sequence_stride
    if sequence_stride == sequence_length:
        return reshape(x[..., : count * sequence_length], (*x.shape[:-1], count, sequence_length))
    return gather(x, _places(count, sequence_length, sequence_stride), axis=len(x.shape) - 1)


def _window(function: str, window: Any, sequence_length: int, fft_length: int, dtype: str) -> Any:
    """The window with zeros around it, (fft_length,)."""
    before = (fft_length - sequence_length) // 2
    after = fft_length - sequence_length - before
    if window is None:
        return np.ones(fft_length, dtype)
    if isinstance(window, str):
        shares = {"hann": 0.5, "hamming": 0.54}
        if window not in shares:
            raise ValueError(
                f"{function}: expected window to be 'hann', 'hamming', a tensor or None; received {window!r}"
            )
        turns = 2 * np.pi * np.arange(sequence_length) / sequence_length
        values = shares[window] - (1 - shares[window]) * np.cos(turns) if sequence_length > 1 else np.ones(1)
        return np.pad(values, (before, after)).astype(dtype)
    window = _tensor(window)
    if tuple(window.shape) != (sequence_length,):
        raise ValueError(
            f"{function}: expected a window of shape ({sequence_length},), the sequence_length; "
            f"received shape {tuple(window.shape)}"
        )
    return pad(cast(window, dtype), ((before, after),))


def _check_lengths(function: str, sequence_length: int, fft_length: int) -> None:
    if fft_length < sequence_length:
        raise ValueError(
            f"{function}: expected fft_length to be sequence_length or more; received fft_length={fft_length} and "
            f"sequence_length={sequence_length}"
        )


def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Any, Any]:
    """The short-time Fourier transform: frequencies of windowed sequences of the last axis.

    Args:
        x: (..., n), float32 or float64.
        sequence_length: elements that the window lets through.
        sequence_stride: from the beginning of one sequence to that of the next.
        fft_length: elements of a sequence, with zeros around the window.
        window: ``"hann"``, ``"hamming"``, a tensor (sequence_length,), or None for none.
        center: whether x is reflected at both ends, so that the t-th sequence has its middle at ``t * stride``.

    Returns: real and imaginary parts, each (..., sequences, fft_length // 2 + 1), of x's dtype.

    Raises:
        ValueError: a stride below 1, a window of another length or name, or an fft_length below the sequence_length.
        TypeError: another dtype.

    Example:
        >>> from kcore import ops
        >>> re, im = ops.stft(ops.ones((1, 8)), sequence_length=4, sequence_stride=2, fft_length=4)
        >>> re.shape, re.numpy()[0, 1].round(4).tolist()
        ((1, 5, 3), [2.0, -1.0, 0.0])

    Source: `keras.ops.stft`.
    """
    _check_stride("stft", sequence_stride)
    _check_lengths("stft", sequence_length, fft_length)
    x = _tensor(x)
    if x.dtype not in ("float32", "float64"):
        raise TypeError(f"stft: expected float32 or float64; received {x.dtype}")
    weights = _window("stft", window, sequence_length, fft_length, x.dtype)
    if center:
        x = pad(x, [(0, 0)] * (len(x.shape) - 1) + [(fft_length // 2,) * 2], mode="reflect")
    return rfft(extract_sequences(x, fft_length, sequence_stride) * weights)


def istft(
    x: tuple[Any, Any],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """The signal whose short-time Fourier transform comes closest to the one given: the inverse of `stft`.

    Sequences are windowed again, added where they overlap, and divided by the sum of the windows' squares. Without a
    window the result is ``fft_length / sequence_stride`` times the signal, as in Keras on every engine.

    Args:
        x: real and imaginary parts, each (..., sequences, fft_length // 2 + 1), float.
        sequence_length: as in `stft`.
        sequence_stride: as in `stft`.
        fft_length: as in `stft`.
        length: elements of the result; None means all that the sequences say.
        window: as in `stft`.
        center: as in `stft`; the ends that were reflected are cut off.

    Returns: (..., length), of the parts' dtype.

    Raises:
        ValueError: no pair of tensors of one shape, a stride below 1, a window of another length or name, or an
            fft_length below the sequence_length.

    Example:
        >>> from kcore import ops
        >>> x = ops.arange(8, dtype="float32")
        >>> ops.istft(ops.stft(x, 4, 2, 4), 4, 2, 4).numpy().round(4).tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]

    Source: `keras.ops.istft`.
    """
    _check_stride("istft", sequence_stride)
    _check_lengths("istft", sequence_length, fft_length)
    re, im, dtype = pair("istft", x, rank=2)
    weights = _window("istft", window, sequence_length, fft_length, re.dtype)
    count = re.shape[-2]
    if count is None:
        raise ValueError(f"istft: the number of sequences must be known; received shape {tuple(re.shape)}")
    frames = irfft((re, im), fft_length) * weights
    size, places = fft_length + sequence_stride * (count - 1), _places(count, fft_length, sequence_stride)
    total = scatter_add(places, frames, axis=len(re.shape) - 2, size=size)
    squares = scatter_add(places, broadcast_to(_tensor(weights * weights), places.shape), axis=0, size=size)
    y = total / where(greater(squares, 1e-10), squares, np.ones((), re.dtype))
    if window is None:
        y = y * (fft_length / sequence_stride)
    start = fft_length // 2 if center else 0
    stop = size - start if length is None else min(start + length, size)
    return cast(y[(..., builtins.slice(start, stop))], dtype)
