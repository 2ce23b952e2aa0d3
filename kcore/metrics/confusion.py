"""Metrics of yes-or-no predictions at given thresholds: the four counts, precision and recall."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import ops
from kcore.declare import argument, optional, positive_int
from kcore.metrics.reduction import Declared
from kcore.metrics.thresholds import LEAST, Thresholds, check_thresholds, count
from kcore.registry import public


class Counting(Declared):
    """A metric that adds up some of the counts at thresholds, each in a variable of its name."""

    #: Names of the counts it keeps, of `kcore.metrics.thresholds.Counts`.
    kept: ClassVar[tuple[str, ...]] = ()

    def _begin(self, thresholds: list[float], shape: tuple[int, ...] | None = None) -> None:
        self._thresholds = Thresholds(thresholds)
        for name in self.kept:
            setattr(self, name, self.add_variable(shape or (len(thresholds),), name=name))

    def _add(self, y_true: Any, y_pred: Any, sample_weight: Any, **options: Any) -> None:
        variables = [getattr(self, name) for name in self.kept]
        counts = count(self.name, self._thresholds, y_true, y_pred, sample_weight, dtype=variables[0].dtype, **options)
        for name, variable in zip(self.kept, variables, strict=True):
            variable.assign_add(getattr(counts, name))


class _Count(Declared):
    """One of the four counts."""

    counted: ClassVar[str] = ""
    init_thresholds: Any

    thresholds: Any = argument(None, check_thresholds, attr="init_thresholds")
    name: Any = argument(None)
    dtype: Any = argument(None)

    def __post_init__(self) -> None:
        given = self.init_thresholds
        self.thresholds = list(given) if isinstance(given, list | tuple) else [0.5 if given is None else given]
        self._thresholds = Thresholds(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels 0 or 1, ``(batch, ...)``.
            y_pred: probabilities of that shape.
            sample_weight: weight per sample or value.
        """
        counts = count(self.name, self._thresholds, y_true, y_pred, sample_weight, dtype=self.accumulator.dtype)
        self.accumulator.assign_add(getattr(counts, self.counted))

    def result(self) -> Any:
        value = self.accumulator.value
        return value[0] if len(self.thresholds) == 1 else value


@public("keras.metrics")
class TruePositives(_Count):
    """How many positive labels are predicted as such.

    Args:
        thresholds: a number, or a list, that predictions must exceed to be positive; 0.5 if None. For a list the
            result has one entry each.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a threshold outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> float(TruePositives()([0, 1, 1, 1], [0.9, 0.9, 0.2, 0.8]))
        2.0

    Source: `keras.metrics.TruePositives`.
    """

    counted = "true_positives"


@public("keras.metrics")
class TrueNegatives(_Count):
    """How many negative labels are predicted as such.

    Args:
        thresholds: a number, or a list, that predictions must exceed to be positive; 0.5 if None. For a list the
            result has one entry each.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a threshold outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> float(TrueNegatives()([0, 1, 0, 0], [0.1, 0.9, 0.2, 0.8]))
        2.0

    Source: `keras.metrics.TrueNegatives`.
    """

    counted = "true_negatives"


@public("keras.metrics")
class FalsePositives(_Count):
    """How many negative labels are predicted as positive.

    Args:
        thresholds: a number, or a list, that predictions must exceed to be positive; 0.5 if None. For a list the
            result has one entry each.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a threshold outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> float(FalsePositives()([0, 1, 0, 0], [0.9, 0.9, 0.2, 0.8]))
        2.0

    Source: `keras.metrics.FalsePositives`.
    """

    counted = "false_positives"


@public("keras.metrics")
class FalseNegatives(_Count):
    """How many positive labels are predicted as negative.

    Args:
        thresholds: a number, or a list, that predictions must exceed to be positive; 0.5 if None. For a list the
            result has one entry each.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a threshold outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> FalseNegatives([0.5, 0.1])([0, 1, 1, 1], [0.1, 0.3, 0.2, 0.8]).numpy().tolist()
        [2.0, 0.0]

    Source: `keras.metrics.FalseNegatives`.
    """

    counted = "false_negatives"


class _Share(Counting):
    """Precision or recall: true positives, of them and of what the second count says."""

    init_thresholds: Any

    thresholds: Any = argument(None, check_thresholds, attr="init_thresholds")
    top_k: int | None = argument(None, optional(positive_int))
    class_id: int | None = argument(None)
    name: Any = argument(None)
    dtype: Any = argument(None)

    def __post_init__(self) -> None:
        given = self.init_thresholds
        default = 0.5 if self.top_k is None else LEAST
        self.thresholds = list(given) if isinstance(given, list | tuple) else [default if given is None else given]
        self._begin(self.thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels 0 or 1, ``(batch, ...)``.
            y_pred: probabilities of that shape.
            sample_weight: weight per sample or value.
        """
        self._add(y_true, y_pred, sample_weight, top_k=self.top_k, class_id=self.class_id)

    def result(self) -> Any:
        right, other = (getattr(self, name).value for name in self.kept)
        share = ops.divide_no_nan(right, right + other)
        return share[0] if len(self.thresholds) == 1 else share


@public("keras.metrics")
class Precision(_Share):
    """Share of the positive predictions that are right: true positives / (true + false positives).

    Args:
        thresholds: a number, or a list, that predictions must exceed to be positive; 0.5 if None. For a list the
            result has one entry each.
        top_k: only so many largest predictions of each row may be positive; without thresholds, all of them are.
        class_id: the only class that counts.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a threshold outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> round(float(Precision()([0, 1, 1, 1], [0.9, 0.9, 0.2, 0.8])), 4)
        0.6667

    Source: `keras.metrics.Precision`.
    """

    _direction = "up"

    kept = ("true_positives", "false_positives")


@public("keras.metrics")
class Recall(_Share):
    """Share of the positive labels that are found: true positives / (true positives + false negatives).

    Args:
        thresholds: a number, or a list, that predictions must exceed to be positive; 0.5 if None. For a list the
            result has one entry each.
        top_k: only so many largest predictions of each row may be positive; without thresholds, all of them are.
        class_id: the only class that counts.
        name, dtype: see `Metric`.

    Raises:
        ValueError: a threshold outside of [0, 1], or shapes of labels and predictions that differ.

    Example:
        >>> round(float(Recall()([0, 1, 1, 1], [0.9, 0.9, 0.2, 0.8])), 4)
        0.6667

    Source: `keras.metrics.Recall`.
    """

    _direction = "up"

    kept = ("true_positives", "false_negatives")
