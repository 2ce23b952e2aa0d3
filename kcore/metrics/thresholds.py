"""Counts of right and wrong predictions at thresholds: what precision, recall, AUC and the like are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kcore import config, ops
from kcore.dtypes import numpy_dtype
from kcore.losses.loss import align_ranks, broadcasts, same_shape
from kcore.ops.indexing import scatter_add
from kcore.runtime import convert_to_tensor

#: Below every prediction: what is not among the `top_k` gets it.
LEAST = -1e10


class Counts(NamedTuple):
    """Weights of the predictions of each kind, ``(thresholds,)`` or ``(thresholds, labels)``."""

    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any


def check_thresholds(value: Any) -> Any:
    """One threshold or a list of them, each between 0 and 1; None stays None."""
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    wrong = [t for t in given if t is None or not 0 <= t <= 1]
    if wrong or (isinstance(value, list | tuple) and not value):
        raise ValueError(f"expected numbers between 0 and 1, got {wrong[0] if wrong else 'none'}")
    return value


class Thresholds:
    """Thresholds that predictions must exceed to be positive.

    Args:
        values: at least one number, in any order.
    """

    def __init__(self, values: Sequence[float]):
        self.values = [float(v) for v in values]
        count = len(self.values)
        self._order = np.argsort(self.values, kind="stable")
        inner = [0.0, *self.values[1:-1], 1.0]
        # the outermost may lie a little outside of [0, 1], so that 0 is above the first
        self._outside = self.values[0] < 0 or self.values[-1] > 1
        ends = inner if self._outside else self.values
        even = np.arange(count, dtype=np.float32) / max(count - 1, 1)
        self._even = count > 2 and np.allclose(ends, even, atol=config.epsilon())

    def __len__(self) -> int:
        return len(self.values)

    def passed(self, y_pred: Any) -> Any:
        """How many of the thresholds, smallest first, each prediction exceeds: int32."""
        if not self._even:
            return ops.searchsorted(np.sort(self.values).astype(y_pred.dtype), y_pred)
        steps = ops.ceil(ops.minimum(y_pred, 1.0) * float(len(self) - 1))
        steps = ops.where(y_pred > 0, steps, 0.0)
        return ops.cast(ops.maximum(steps, 1.0) if self._outside else steps, "int32")

    def given(self, counts: Any) -> Any:
        """Counts in the order the thresholds were given in, instead of by size."""
        if np.array_equal(self._order, np.arange(len(self))):
            return counts
        return ops.take(counts, np.argsort(self._order).astype("int32"), axis=0)


def count(
    name: str,
    thresholds: Thresholds,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    top_k: int | None = None,
    class_id: int | None = None,
    per_label: bool = False,
    label_weights: Any = None,
    dtype: str = "float32",
) -> Counts:
    """Count the predictions of a batch that are right and wrong at each threshold.

    Where there are several thresholds each prediction falls into one of the bins between them, so that the cost does
    not grow with their number.

    Args:
        name: the metric's, for errors.
        thresholds: what a prediction must exceed to be positive.
        y_true: labels, ``(batch, ...)``; not 0 is positive.
        y_pred: predictions of that shape.
        sample_weight: ``(batch,)``, or of the labels' shape.
        top_k: only so many largest predictions of the last axis may be positive.
        class_id: the only entry of the last axis that counts.
        per_label: whether to count each column of ``(batch, labels)`` by itself.
        label_weights: weights of the last axis.
        dtype: of the counts.

    Raises:
        ValueError: shapes do not fit.
    """
    y_pred, y_true = ops.cast(convert_to_tensor(y_pred), dtype), ops.cast(convert_to_tensor(y_true), dtype)
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    y_pred, y_true = align_ranks(y_pred, y_true)
    if not same_shape(tuple(y_true.shape), tuple(y_pred.shape)):
        raise ValueError(
            f"metric {name!r}: y_true of shape {shapes[0]} and y_pred of shape {shapes[1]} must have the same shape; "
            "integer labels of several classes must be one-hot"
        )
    weight = None if sample_weight is None else _weight(sample_weight, len(y_true.shape), dtype)
    if top_k is not None:
        y_pred = _only_top(name, y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) < 2 or not -y_pred.shape[-1] <= class_id < y_pred.shape[-1]:
            raise ValueError(
                f"metric {name!r}: class_id={class_id} needs y_pred of shape (batch, ..., classes) with more classes "
                f"than that, got {shapes[1]}"
            )
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    weight = _whole(name, weight, "sample_weight", y_pred)
    if label_weights is not None:
        labels = _whole(name, convert_to_tensor(label_weights, dtype=dtype), "label_weights", y_pred)
        weight = labels if weight is None else weight * labels
    if len(thresholds) == 1:
        return _at(thresholds.values[0], y_true, y_pred, weight, dtype)
    return _binned(thresholds, y_true, y_pred, weight, dtype, y_pred.shape[-1] if per_label else None)


def _weight(sample_weight: Any, rank: int, dtype: str) -> Any:
    """A weight per sample gets a last axis, unless there is none."""
    weight = ops.expand_dims(convert_to_tensor(sample_weight, dtype=dtype), -1)
    return ops.squeeze(weight, -1) if len(weight.shape) == rank + 1 else weight


def _whole(name: str, weight: Any, what: str, y_pred: Any) -> Any:
    """A weight broadcast to the predictions."""
    if weight is None:
        return None
    shape = tuple(y_pred.shape)
    if len(weight.shape) > len(shape) or not broadcasts(tuple(weight.shape), shape):
        raise ValueError(f"metric {name!r}: {what}, as {tuple(weight.shape)}, does not fit y_pred, as {shape}")
    return ops.broadcast_to(weight, shape)


def _only_top(name: str, y_pred: Any, k: int) -> Any:
    """Predictions, and `LEAST` for those that are not among the k largest of the last axis."""
    if not y_pred.shape or k > y_pred.shape[-1]:
        raise ValueError(f"metric {name!r}: top_k={k} needs as many classes, got y_pred of shape {tuple(y_pred.shape)}")
    best = ops.expand_dims(ops.top_k(y_pred, k)[1], -1)
    chosen = ops.any(ops.equal(best, np.arange(y_pred.shape[-1], dtype="int32")), axis=-2)
    return ops.where(chosen, y_pred, LEAST)


def _at(threshold: float, y_true: Any, y_pred: Any, weight: Any, dtype: str) -> Counts:
    """Counts at one threshold, ``(1,)`` each."""
    label, positive = ops.not_equal(y_true, 0), y_pred > threshold
    value: Any = 1.0 if weight is None else weight

    def total(*conditions: Any) -> Any:
        return ops.reshape(ops.sum(ops.cast(ops.where(ops.logical_and(*conditions), value, 0.0), dtype)), (1,))

    unlabeled, negative = ops.logical_not(label), ops.logical_not(positive)
    return Counts(
        total(label, positive), total(unlabeled, positive), total(unlabeled, negative), total(label, negative)
    )


def _binned(thresholds: Thresholds, y_true: Any, y_pred: Any, weight: Any, dtype: str, labels: int | None) -> Counts:
    """Counts at several thresholds: a histogram over (label, thresholds passed), summed up."""
    bins, columns = len(thresholds) + 1, 1 if labels is None else labels
    at = thresholds.passed(y_pred) + ops.cast(ops.not_equal(y_true, 0), "int32") * bins
    if labels is not None:
        at = at * columns + np.arange(columns, dtype="int32")
    size = math.prod(y_pred.shape)
    values = np.ones(size, numpy_dtype(dtype)) if weight is None else ops.reshape(weight, (size,))
    histogram = scatter_add(ops.reshape(at, (size,)), values, size=2 * bins * columns)
    shape = (2, bins) if labels is None else (2, bins, labels)
    passed = ops.cumsum(ops.reshape(histogram, shape), axis=1)
    negatives, positives = (passed[i, :-1] for i in range(2))
    found = (passed[1, -1:] - positives, passed[0, -1:] - negatives, negatives, positives)
    return Counts(*map(thresholds.given, found))
