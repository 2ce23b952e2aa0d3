"""The area under a curve of two shares over all thresholds: ROC, precision-recall, and precision-recall gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config, ops
from kcore.declare import argument, one_of, optional, positive_int
from kcore.metrics.confusion import Counting
from kcore.metrics.thresholds import check_thresholds
from kcore.registry import public
from kcore.runtime import Variable, convert_to_tensor


def _several(value: Any) -> int:
    if positive_int(value) < 2:
        raise ValueError("expected an integer of at least 2")
    return int(value)


def _curve(value: Any) -> str:
    return one_of("ROC", "PR", "PRGAIN")(value.upper() if value in ("roc", "pr", "prgain") else value)


def _summation(value: Any) -> str:
    known = ("interpolation", "majoring", "minoring")
    return one_of(*known)(value.lower() if isinstance(value, str) and value.lower() in known else value)


def _numbers(value: Any) -> list[float]:
    return [float(v) for v in np.asarray(value).reshape(-1)]


@public("keras.metrics", "AUC")
class AUC(Counting):
    """Area under the ROC curve, or under another curve of two shares over all thresholds.

    Each prediction is put into one of the bins between the thresholds; the curve has a point at each threshold.

    Args:
        num_thresholds: how many thresholds from 0 to 1, both ends included.
        curve: ``"ROC"`` (true over false positive rate), ``"PR"`` (precision over recall) or ``"PRGAIN"``.
        summation_method: height of the curve between two points: ``"interpolation"`` (the mean; for PR of the counts,
            not of the precision), ``"minoring"`` (the lower one) or ``"majoring"``.
        name, dtype: see `Metric`.
        thresholds: thresholds of your own between 0 and 1, instead of `num_thresholds`.
        multi_label: whether each column of ``(batch, labels)`` has a curve of its own; the result is the mean.
        num_labels: how many columns; found at the first batch if None.
        label_weights: weights of the columns: in the mean if `multi_label`, else of the predictions.
        from_logits: whether predictions are logits, to be put through a sigmoid.

    Raises:
        ValueError: a threshold outside of [0, 1], shapes of labels and predictions that differ, or predictions of
            another rank than 2 with `multi_label`.

    Example:
        >>> float(AUC()([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
        0.75

    Source: `keras.metrics.AUC`; for PR, Davis and Goadrich, 2006; for PRGAIN, Flach and Kull, 2015.
    """

    _direction = "up"

    kept = ("true_positives", "false_positives", "true_negatives", "false_negatives")

    num_thresholds: int = argument(200, _several)
    curve: str = argument("ROC", _curve)
    summation_method: str = argument("interpolation", _summation)
    name: Any = argument(None)
    dtype: Any = argument(None)
    thresholds: Any = argument(None, check_thresholds, attr="_given_thresholds", config=False)
    multi_label: bool = argument(False)
    num_labels: int | None = argument(None, optional(positive_int))
    label_weights: Any = argument(None, optional(_numbers))
    from_logits: bool = argument(False)

    _given_thresholds: Any
    true_positives: Variable

    def __post_init__(self) -> None:
        given = self._given_thresholds
        if given is not None:
            inner = sorted(float(t) for t in given)
            self.num_thresholds = len(inner) + 2
        else:
            inner = [i / (self.num_thresholds - 1) for i in range(1, self.num_thresholds - 1)]
        #: The first and the last lie a little outside of [0, 1], so that 0 is above the first and 1 below the last.
        self.thresholds = [-config.epsilon(), *inner, 1.0 + config.epsilon()]
        self._built = False
        if not self.multi_label:
            if self.num_labels is not None:
                raise ValueError(f"AUC: num_labels={self.num_labels} is for multi_label=True")
            self._build(None)
        elif self.num_labels is not None:
            self._build(self.num_labels)

    def _build(self, labels: int | None) -> None:
        weights = self.label_weights
        if labels is not None and weights is not None and len(weights) != labels:
            raise ValueError(f"metric {self.name!r}: {len(weights)} label_weights do not fit {labels} labels")
        self._begin(self.thresholds, (self.num_thresholds, *(() if labels is None else (labels,))))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels 0 or 1, ``(batch, ...)``.
            y_pred: probabilities, or logits, of that shape.
            sample_weight: weight per sample or value.
        """
        y_pred = convert_to_tensor(y_pred)
        if self.multi_label:
            if len(y_pred.shape) != 2:
                raise ValueError(
                    f"metric {self.name!r}: with multi_label=True y_pred must have the shape (batch, labels), "
                    f"got {tuple(y_pred.shape)}"
                )
            if not self._built:
                self._build(y_pred.shape[1])
            columns = self.true_positives.shape[1]
            if y_pred.shape[1] != columns:
                raise ValueError(
                    f"metric {self.name!r}: expected {columns} labels, got y_pred of shape {tuple(y_pred.shape)}"
                )
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        weights = None if self.multi_label else self.label_weights
        self._add(y_true, y_pred, sample_weight, per_label=self.multi_label, label_weights=weights)

    def result(self) -> Any:
        if not self._built:
            return convert_to_tensor(0.0)
        tp, fp, tn, fn = (getattr(self, name).value for name in self.kept)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._over_labels(_pr_area(tp, fp, fn))
        recall = ops.divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, ops.divide_no_nan(tp, tp + fp)
        else:
            odds = ops.divide_no_nan(tp + fn, tn + fp)
            none = ops.equal(tp, 0.0)
            x = ops.maximum(ops.where(none, 0.0, 1.0 - odds * ops.divide_no_nan(fn, tp)), 0.0)
            y = ops.where(none, 1.0, 1.0 - odds * ops.divide_no_nan(fp, tp))
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            height = (left + right) / 2.0
        else:
            height = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(left, right)
        return self._over_labels((x[:-1] - x[1:]) * height)

    def _over_labels(self, areas: Any) -> Any:
        """Sum of the areas between thresholds, and the mean over labels if each has a curve."""
        if not self.multi_label:
            return ops.sum(areas)
        by_label = ops.sum(areas, axis=0)
        if self.label_weights is None:
            return ops.mean(by_label)
        weights = convert_to_tensor(self.label_weights, dtype=by_label.dtype)
        return ops.divide_no_nan(ops.sum(by_label * weights), ops.sum(weights))

    def get_config(self) -> dict[str, Any]:
        given = {} if self._given_thresholds is None else {"thresholds": self.thresholds[1:-1]}
        return {**super().get_config(), **given}


def _pr_area(tp: Any, fp: Any, fn: Any) -> Any:
    """Areas under the precision-recall curve, with counts (not precision) linear between two thresholds."""
    positive = tp + fp
    before, after = positive[:-1], positive[1:]
    gained = tp[:-1] - tp[1:]
    slope = ops.divide_no_nan(gained, ops.maximum(before - after, 0.0))
    intercept = tp[1:] - slope * after
    both = ops.logical_and(before > 0, after > 0)
    ratio = ops.where(both, ops.divide_no_nan(before, ops.maximum(after, 0.0)), 1.0)
    area = slope * (gained + intercept * ops.log(ratio))
    return ops.divide_no_nan(area, ops.maximum(tp[1:] + fn[1:], 0.0))
