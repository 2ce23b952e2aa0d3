"""F-scores: precision and recall in one number, per class or over all."""

from __future__ import annotations

from typing import Any

from kcore import config, ops
from kcore.declare import argument, one_of
from kcore.metrics.reduction import Declared
from kcore.registry import public
from kcore.runtime import Variable, convert_to_tensor


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError("expected a number above 0")
    return float(value)


def _threshold(value: Any) -> Any:
    if value is not None and (_positive(value) > 1):
        raise ValueError("expected a number above 0 and not above 1, or None")
    return value


@public("keras.metrics")
class FBetaScore(Declared):
    """Weighted harmonic mean of precision and recall: ``(1 + b^2) p r / (b^2 p + r)`` with b = beta.

    Args:
        average: None for one score per class, ``"micro"`` for one over the counts of all classes, ``"macro"`` for the
            mean over classes, ``"weighted"`` for the mean by how often each occurs.
        beta: how many times as much recall counts as precision.
        threshold: predictions above it are positive; if None the largest of each row is.
        name, dtype: see `Metric`.

    Raises:
        ValueError: labels or predictions that are not of shape ``(batch, classes)``.

    Example:
        >>> metric = FBetaScore(beta=2.0, threshold=0.5)
        >>> score = metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.8, 0.2], [0.6, 0.8]])
        >>> round(float(score[0]), 4), round(float(score[1]), 4)
        (0.7143, 1.0)

    Source: `keras.metrics.FBetaScore`.
    """

    _direction = "up"

    average: str | None = argument(None, one_of(None, "micro", "macro", "weighted"))
    beta: float = argument(1.0, _positive)
    threshold: float | None = argument(None, _threshold)
    name: Any = argument("fbeta_score")
    dtype: Any = argument(None)

    true_positives: Variable
    false_positives: Variable
    false_negatives: Variable
    intermediate_weights: Variable

    def __post_init__(self) -> None:
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"):
            setattr(self, name, self.add_variable(shape, dtype=self.dtype, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels 0 or 1, ``(batch, classes)``.
            y_pred: probabilities of that shape.
            sample_weight: ``(batch,)``.
        """
        y_true, y_pred = (convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        if len(y_true.shape) != 2 or tuple(y_true.shape) != tuple(y_pred.shape):
            raise ValueError(
                f"metric {self.name!r}: y_true and y_pred must both have the shape (batch, classes), got "
                f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            )
        if not self._built:
            self._build(y_pred.shape[1])
        if self.threshold is None:
            largest = ops.max(y_pred, axis=-1, keepdims=True)
            found = ops.logical_and(y_pred >= largest, ops.abs(y_pred) > 1e-9)
        else:
            found = y_pred > self.threshold
        found = ops.cast(found, self.dtype)
        weight = None if sample_weight is None else self._weight(sample_weight, y_pred.shape[0])
        axis = None if self.average == "micro" else 0
        for variable, value in (
            (self.true_positives, found * y_true),
            (self.false_positives, found * (1.0 - y_true)),
            (self.false_negatives, (1.0 - found) * y_true),
            (self.intermediate_weights, y_true),
        ):
            variable.assign_add(ops.sum(value if weight is None else value * weight, axis=axis))

    def _weight(self, sample_weight: Any, batch: int) -> Any:
        weight = convert_to_tensor(sample_weight, dtype=self.dtype)
        if tuple(weight.shape) not in ((batch,), (batch, 1)):
            raise ValueError(
                f"metric {self.name!r}: sample_weight must have the shape ({batch},), got {tuple(weight.shape)}"
            )
        return ops.reshape(weight, (batch, 1))

    def result(self) -> Any:
        if not self._built:
            return convert_to_tensor(0.0, dtype=self.dtype)
        epsilon, right = config.epsilon(), self.true_positives.value
        precision = right / (right + self.false_positives.value + epsilon)
        recall = right / (right + self.false_negatives.value + epsilon)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + epsilon) * (1.0 + square)
        if self.average == "weighted":
            occurs = self.intermediate_weights.value
            return ops.sum(score * (occurs / (ops.sum(occurs) + epsilon)))
        return score if self.average is None else ops.mean(score)


@public("keras.metrics", "F1Score")
class F1Score(FBetaScore):
    """Harmonic mean of precision and recall: ``2 p r / (p + r)``.

    Args:
        average: None for one score per class, ``"micro"`` for one over the counts of all classes, ``"macro"`` for the
            mean over classes, ``"weighted"`` for the mean by how often each occurs.
        threshold: predictions above it are positive; if None the largest of each row is.
        name, dtype: see `Metric`.

    Raises:
        ValueError: labels or predictions that are not of shape ``(batch, classes)``.

    Example:
        >>> metric = F1Score(average="macro")
        >>> round(float(metric([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])), 4)
        0.6667

    Source: `keras.metrics.F1Score`.
    """

    average: str | None = argument(None, one_of(None, "micro", "macro", "weighted"))
    threshold: float | None = argument(None, _threshold)
    name: Any = argument("f1_score")
    dtype: Any = argument(None)
    beta = 1.0
