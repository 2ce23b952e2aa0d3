"""Metrics of yes-or-no predictions at the best threshold: one share as good as it gets while another holds."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import ops
from kcore.declare import argument, positive_int, within
from kcore.metrics.confusion import Counting
from kcore.registry import public


def _specificity(m: Any) -> Any:
    return ops.divide_no_nan(m.true_negatives.value, m.true_negatives.value + m.false_positives.value)


def _sensitivity(m: Any) -> Any:
    return ops.divide_no_nan(m.true_positives.value, m.true_positives.value + m.false_negatives.value)


def _precision(m: Any) -> Any:
    return ops.divide_no_nan(m.true_positives.value, m.true_positives.value + m.false_positives.value)


class _Point(Counting):
    """The largest share `wanted` at thresholds where the share `held` is at least what the first argument says."""

    kept = ("true_positives", "false_positives", "true_negatives", "false_negatives")

    held: ClassVar[Any]
    wanted: ClassVar[Any]

    def __post_init__(self) -> None:
        n = self.num_thresholds
        self.thresholds = [0.5] if n == 1 else [i / (n - 1) for i in range(n)]
        self.value = getattr(self, next(iter(self.arguments)))
        self._begin(self.thresholds)

    num_thresholds: int
    class_id: int | None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels 0 or 1, ``(batch, ...)``.
            y_pred: probabilities of that shape.
            sample_weight: weight per sample or value.
        """
        self._add(y_true, y_pred, sample_weight, class_id=self.class_id)

    def result(self) -> Any:
        cls = type(self)
        return ops.max(ops.where(cls.held(self) >= self.value, cls.wanted(self), 0.0))


@public("keras.metrics")
class SensitivityAtSpecificity(_Point):
    """The best sensitivity (recall) among thresholds at which the specificity is at least the given one.

    Args:
        specificity: between 0 and 1.
        num_thresholds: how many thresholds from 0 to 1 are tried.
        class_id: the only class that counts.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a specificity outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
        0.5

    Source: `keras.metrics.SensitivityAtSpecificity`.
    """

    _direction = "up"

    held, wanted = _specificity, _sensitivity
    specificity: float = argument(kind=within(0, 1))
    num_thresholds: int = argument(200, positive_int)
    class_id: int | None = argument(None)
    name: Any = argument(None)
    dtype: Any = argument(None)


@public("keras.metrics")
class SpecificityAtSensitivity(_Point):
    """The best specificity among thresholds at which the sensitivity (recall) is at least the given one.

    Args:
        sensitivity: between 0 and 1.
        num_thresholds: how many thresholds from 0 to 1 are tried.
        class_id: the only class that counts.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a sensitivity outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> round(float(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
        0.6667

    Source: `keras.metrics.SpecificityAtSensitivity`.
    """

    _direction = "up"

    held, wanted = _sensitivity, _specificity
    sensitivity: float = argument(kind=within(0, 1))
    num_thresholds: int = argument(200, positive_int)
    class_id: int | None = argument(None)
    name: Any = argument(None)
    dtype: Any = argument(None)


@public("keras.metrics")
class PrecisionAtRecall(_Point):
    """The best precision among thresholds at which the recall is at least the given one.

    Args:
        recall: between 0 and 1.
        num_thresholds: how many thresholds from 0 to 1 are tried.
        class_id: the only class that counts.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a recall outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> float(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
        0.5

    Source: `keras.metrics.PrecisionAtRecall`.
    """

    _direction = "up"

    held, wanted = _sensitivity, _precision
    recall: float = argument(kind=within(0, 1))
    num_thresholds: int = argument(200, positive_int)
    class_id: int | None = argument(None)
    name: Any = argument(None)
    dtype: Any = argument(None)


@public("keras.metrics")
class RecallAtPrecision(_Point):
    """The best recall among thresholds at which the precision is at least the given one.

    Args:
        precision: between 0 and 1.
        num_thresholds: how many thresholds from 0 to 1 are tried.
        class_id: the only class that counts.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a precision outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> float(RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
        0.5

    Source: `keras.metrics.RecallAtPrecision`.
    """

    _direction = "up"

    held, wanted = _precision, _sensitivity
    precision: float = argument(kind=within(0, 1))
    num_thresholds: int = argument(200, positive_int)
    class_id: int | None = argument(None)
    name: Any = argument(None)
    dtype: Any = argument(None)
