"""Features brought to mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore import config, ops
from kcore.declare import argument
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.data_layer import DataLayer, batches_of
from kcore.registry import deserialize, public


def _axes(value: Any) -> tuple[int, ...]:
    """Kind of the argument: integers, none for one mean over everything."""
    if value is None:
        return ()
    axes = (value,) if hasattr(value, "__index__") else tuple(value)
    if any(not hasattr(a, "__index__") or isinstance(a, bool) for a in axes):
        raise ValueError("expected an integer, a tuple of integers or None")
    return tuple(int(a) for a in axes)


class _Numbers:
    """Kind of the argument: a number or an array of numbers, written to configurations as lists."""

    @staticmethod
    def get(value: Any) -> Any:
        value = deserialize(value) if isinstance(value, dict) else value
        if value is not None and np.asarray(value).dtype.kind not in "iufb":
            raise ValueError("expected a number, or an array of numbers that broadcasts to the kept axes")
        return value

    @staticmethod
    def serialize(value: Any) -> Any:
        return None if value is None else np.asarray(value).tolist()


class Statistics(DataLayer):
    """Base of `Normalization`: the mean and variance it computes with, shaped to broadcast to its input."""

    input_mean: Any
    input_variance: Any
    adapt_mean: Any
    adapt_variance: Any
    _broadcast_shape: tuple[int, ...]

    @property
    def mean(self) -> Any:
        """The mean, given or learned, with an axis of 1 where it is one for all; None before the layer is built."""
        return self._statistic(self.input_mean, "adapt_mean")

    @property
    def variance(self) -> Any:
        """The variance, given or learned, in the shape of `mean`."""
        return self._statistic(self.input_variance, "adapt_variance")

    def _statistic(self, given: Any, learned: str) -> Any:
        if not self.built:
            return None
        if given is None:
            return ops.cast(ops.reshape(getattr(self, learned), self._broadcast_shape), self.compute_dtype)
        kept = [size if i in self._kept else 1 for i, size in enumerate(self._broadcast_shape)]
        given = np.asarray(given)
        shape = [1] * len(kept)
        for axis, size in zip(reversed(self._kept), reversed(given.shape), strict=False):
            shape[axis] = size
        return ops.cast(np.broadcast_to(given.reshape(shape), kept), self.compute_dtype)

    _kept: tuple[int, ...]


@public("keras.layers")
class Normalization(Statistics):
    """Brings features to mean 0 and variance 1: ``(inputs - mean) / max(sqrt(variance), epsilon)``.

    Mean and variance are given, or learned from data by `adapt`, once, before training. Unlike those of
    `BatchNormalization` they do not change in training.

    Args:
        axis: the axis or axes along which every index has a mean and variance of its own; None for one of all.
        mean, variance: numbers, or arrays that broadcast to the kept axes; given together, or learned by `adapt`.
        invert: whether to go the other way: ``mean + inputs * max(sqrt(variance), epsilon)``.

    Shapes:
        input of any shape, numbers of any dtype; output of the same shape in the layer's compute dtype.

    Raises:
        ValueError: one of `mean` and `variance` without the other, or of another shape; an axis that the input does not
            have, or whose size is not known.

    Example:
        >>> layer = Normalization()
        >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0]], "float32"))
        >>> layer(np.array([[0.0, 9.0]], "float32")).numpy().tolist()
        [[-1.0, 1.0]]

    Source: `keras.layers.Normalization`.
    """

    axis: tuple[int, ...] = argument(-1, _axes)
    mean: Any = argument(None, _Numbers, attr="input_mean")
    variance: Any = argument(None, _Numbers, attr="input_variance")
    invert: bool = argument(False)

    supports_masking = True

    def __post_init__(self) -> None:
        who, mean, variance = describe_layer(self), self.input_mean, self.input_variance
        if (mean is None) != (variance is None):
            raise ValueError(f"{who}: mean and variance are given together; got mean={mean}, variance={variance}")
        if np.shape(mean) != np.shape(variance):
            raise ValueError(f"{who}: mean and variance have one shape; got {np.shape(mean)} and {np.shape(variance)}")
        if mean is not None and np.ndim(mean) > len(self.axis):
            raise ValueError(
                f"{who}: mean has {np.ndim(mean)} dimensions, but axis={self.axis} keeps only {len(self.axis)}"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        who, rank = describe_layer(self), len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"{who}: axis={self.axis} is not among those of the input {input_shape}")
        self._kept = tuple(sorted(a % rank for a in self.axis))
        for a in self._kept:
            if input_shape[a] is None:
                raise ValueError(
                    f"{who}: axis {a} has means of its own, so its size must be known; got an input of {input_shape}"
                )
        self._broadcast_shape = tuple(d if i in self._kept else 1 for i, d in enumerate(input_shape))  # type: ignore[misc]
        if self.input_mean is None:
            shape = tuple(input_shape[a] for a in self._kept)
            self.adapt_mean = self.add_weight(shape, "zeros", name="mean", trainable=False)
            self.adapt_variance = self.add_weight(shape, "ones", name="variance", trainable=False)
            #: Keras's files hold it; nothing counts with it.
            self.count = self.add_weight((), "zeros", dtype="int", name="count", trainable=False)

    def adapt(self, data: Any) -> None:
        """Learn mean and variance from data, in place of those known before.

        Args:
            data: an array or tensor; or batches of them: a `PyDataset`, a ``tf.data.Dataset``, a list or a generator,
                whose items are ``x`` or ``(x, ...)``. Read once, and summed up in float64.

        Raises:
            ValueError: no data, data of another shape than the layer was built for, or a layer that was given its mean.
        """
        who = describe_layer(self)
        if self.input_mean is not None:
            raise ValueError(f"{who}: adapt() has nothing to learn: mean and variance were given")
        total, mean, variance = 0, np.zeros(()), np.zeros(())
        whole = 0 in self.axis or (self.built and 0 in self._kept)
        for batch in batches_of(self, data, chunked=not whole):
            if not self.built:
                self.build(batch.shape)
            reduced = tuple(i for i in range(batch.ndim) if i not in self._kept)
            kept = tuple(batch.shape[a] for a in self._kept if a < batch.ndim)
            if batch.ndim != len(self._broadcast_shape) or kept != tuple(self._broadcast_shape[a] for a in self._kept):
                raise ValueError(
                    f"{who}: adapt() got data of shape {batch.shape}, but the layer was built for inputs with "
                    f"{len(self._broadcast_shape)} dimensions and sizes {self.adapt_mean.shape} along axis {self._kept}"
                )
            count = math.prod(batch.shape[i] for i in reduced)
            if not count:
                continue
            own_mean = np.mean(batch, axis=reduced, dtype="float64")
            own_variance = np.var(batch, axis=reduced, dtype="float64")
            share = count / (total + count)
            apart = own_mean - mean
            variance = variance * (1 - share) + own_variance * share + apart**2 * share * (1 - share)
            mean = mean + apart * share
            total += count
        if not total:
            raise ValueError(f"{who}: adapt() got no data")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def call(self, inputs: Any) -> Any:
        scale = ops.maximum(ops.sqrt(self.variance), config.epsilon())
        inputs = ops.cast(inputs, self.compute_dtype)
        return self.mean + inputs * scale if self.invert else (inputs - self.mean) / scale

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
