"""Sequences of unequal length as one array, and windows cut from a long series."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kcore.runtime.seeds import host_permutation


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of unequal length as one array, padded and cut to one length.

    Args:
        sequences: sequences of numbers, or of equally shaped arrays; strings with ``dtype=object``.
        maxlen: length of all; that of the longest if None.
        dtype: dtype of the result.
        padding: ``"pre"`` or ``"post"``: at which end short ones are filled.
        truncating: ``"pre"`` or ``"post"``: at which end long ones are cut.
        value: what fills.

    Returns:
        Array of shape ``(len(sequences), maxlen, ...)``.

    Raises:
        ValueError: something that is not a sequence, elements of different shapes, or an unknown side.

    Example:
        >>> pad_sequences([[1], [2, 3, 4]], maxlen=2).tolist()
        [[0, 1], [3, 4]]

    Source: `keras.utils.pad_sequences`.
    """
    for argument, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {argument} must be 'pre' or 'post', received {side!r}")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: expected a list of sequences, received a {type(sequences).__name__}")
    for position, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"pad_sequences: expected a sequence at position {position}, found {sequence!r}")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(f"pad_sequences: value={value!r} does not fit dtype {dtype!r}; for strings pass dtype=object")
    if maxlen is None:
        maxlen = max(map(len, sequences), default=0)
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    padded = np.full((len(sequences), maxlen, *shape), value, dtype)
    for position, (row, sequence) in enumerate(zip(padded, sequences, strict=True)):
        cut = sequence[max(len(sequence) - maxlen, 0) :] if truncating == "pre" else sequence[:maxlen]
        kept = np.asarray(cut, dtype)
        if not len(kept):
            continue
        if kept.shape[1:] != shape:
            raise ValueError(
                f"pad_sequences: the elements at position {position} have shape {kept.shape[1:]}, those before {shape}"
            )
        row[slice(len(kept)) if padding == "post" else slice(maxlen - len(kept), maxlen)] = kept
    return padded


class Windows:
    """Batches of windows of a series; an iterable of known length that starts anew each time.

    `timeseries_dataset_from_array` makes it. The windows are gathered batch by batch: the series is never copied.
    """

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray | None,
        starts: np.ndarray,
        offsets: np.ndarray,
        batch_size: int | None,
        shuffle: bool,
        seed: int | None,
    ):
        self._data, self._targets = data, targets
        self._starts, self._offsets = starts, offsets
        self._batch_size, self._shuffle, self._seed = batch_size, shuffle, seed
        self._passes = 0

    def __len__(self) -> int:
        """Number of batches, or of windows where they are not batched."""
        return -(-len(self._starts) // (self._batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        starts = self._starts
        if self._shuffle:
            seed = None if self._seed is None else (self._seed, self._passes)
            starts = starts[host_permutation(len(starts), seed)]
            self._passes += 1
        for at in range(0, len(starts), self._batch_size or 1):
            chosen = starts[at : at + self._batch_size] if self._batch_size else starts[at]
            x = self._data[chosen[..., None] + self._offsets]
            yield x if self._targets is None else (x, self._targets[chosen])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> Windows:
    """Windows of a series as batches, for `fit`, `evaluate` and `predict`.

    The window that begins at time t holds ``data[t], data[t + sampling_rate], ...``, `sequence_length` of them, and
    goes with ``targets[t]``.

    Args:
        data: ``(time, ...)``.
        targets: ``(time, ...)``; None for windows alone.
        sequence_length: times in a window.
        sequence_stride: times between the beginnings of two windows.
        sampling_rate: times between two entries of a window.
        batch_size: windows in a batch; None for single windows.
        shuffle: whether the windows come in another order each time.
        seed: of that order; None draws it from the stream that `set_random_seed` starts.
        start_index, end_index: only times from `start_index` (included) to `end_index` (not included) are used.

    Returns:
        An iterable of known length over ``x`` or ``(x, y)``: x ``(batch, sequence_length, ...)``, y ``(batch, ...)``.

    Raises:
        ValueError: a number outside its range, or no room for a single window.

    Example:
        >>> series = np.arange(10)
        >>> for x, y in timeseries_dataset_from_array(series[:-3], series[3:], 3, batch_size=2, end_index=5):
        ...     print(x.tolist(), y.tolist())
        [[0, 1, 2], [1, 2, 3]] [3, 4]
        [[2, 3, 4]] [5]

    Source: `keras.utils.timeseries_dataset_from_array`.
    """
    data = np.asarray(data)
    targets = None if targets is None else np.asarray(targets)
    length = len(data)
    start = 0 if start_index is None else _whole("start_index", start_index, 0, length - 1)
    end = length if end_index is None else _whole("end_index", end_index, start + 1, length)
    _whole("sequence_length", sequence_length, 1)
    _whole("sequence_stride", sequence_stride, 1)
    _whole("sampling_rate", sampling_rate, 1)
    if batch_size is not None:
        _whole("batch_size", batch_size, 1)
    data = data[start:end]
    count = len(data) - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = targets[start:end]
        count = min(count, len(targets))
    if count < 1:
        raise ValueError(
            f"timeseries_dataset_from_array: a window of {sequence_length} times at rate {sampling_rate} does not fit "
            f"into {len(data)} times of data" + ("" if targets is None else f" with {len(targets)} targets")
        )
    offsets = np.arange(sequence_length) * sampling_rate
    return Windows(data, targets, np.arange(0, count, sequence_stride), offsets, batch_size, shuffle, seed)


def _whole(argument: str, value: Any, lowest: int, highest: int | None = None) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < lowest:
        raise ValueError(
            f"timeseries_dataset_from_array: {argument} must be an integer from {lowest} on, received {value!r}"
        )
    if highest is not None and value > highest:
        raise ValueError(
            f"timeseries_dataset_from_array: {argument} must be an integer from {lowest} to {highest}, "
            f"received {value!r}"
        )
    return operator.index(value)
