"""The coefficient of determination: how much of the labels' variance the predictions explain."""

from __future__ import annotations

import math
from typing import Any

from kcore import ops
from kcore.declare import argument, one_of
from kcore.errors import warn_user
from kcore.losses.loss import pair
from kcore.metrics.reduction import Declared
from kcore.registry import public
from kcore.runtime import convert_to_tensor
from kcore.runtime.trace import current_trace


def _not_negative(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("expected an integer of at least 0")
    return value


@public("keras.metrics", "R2Score")
class R2Score(Declared):
    """Coefficient of determination: ``1 - sum((y_true - y_pred)^2) / sum((y_true - mean(y_true))^2)``.

    Args:
        class_aggregation: ``"uniform_average"`` for the mean over outputs, ``"variance_weighted_average"`` for the mean
            by the outputs' variances, None for one score per output.
        num_regressors: number of independent variables, for the adjusted score; 0 for the plain one.
        name, dtype: see `Metric`.

    Raises:
        ValueError: labels or predictions that are not of shape ``(batch, outputs)``.

    Example:
        >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
        0.5714

    Source: `keras.metrics.R2Score`.
    """

    _direction = "up"

    class_aggregation: str | None = argument(
        "uniform_average", one_of(None, "uniform_average", "variance_weighted_average")
    )
    num_regressors: int = argument(0, _not_negative)
    name: Any = argument("r2_score")
    dtype: Any = argument(None)

    def __post_init__(self) -> None:
        self.num_samples = self.add_variable(name="num_samples")
        self._built = False

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_variable((outputs,), name="squared_sum")
        self.sum = self.add_variable((outputs,), name="sum")
        self.total_mse = self.add_variable((outputs,), name="residual")
        self.count = self.add_variable((outputs,), name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels ``(batch, outputs)``, or ``(batch,)`` for one output.
            y_pred: predictions ``(batch, outputs)``.
            sample_weight: ``(batch,)``, or of the labels' shape.
        """
        y_true, y_pred = pair(self.name, y_true, convert_to_tensor(y_pred, dtype=self.dtype))
        shape = tuple(y_pred.shape)
        if len(shape) != 2 or tuple(y_true.shape) != shape:
            raise ValueError(
                f"metric {self.name!r}: y_true and y_pred must both have the shape (batch, outputs), got "
                f"{tuple(y_true.shape)} and {shape}"
            )
        if not self._built:
            self._build(shape[1])
        weight = convert_to_tensor(1.0 if sample_weight is None else sample_weight, dtype=self.dtype)
        if len(weight.shape) == 1:
            weight = ops.expand_dims(weight, 1)
        weight = ops.broadcast_to(weight, shape)
        weighted = y_true * weight
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.squared_sum.assign_add(ops.sum(y_true * weighted, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        self.num_samples.assign_add(float(math.prod(shape)))

    def result(self) -> Any:
        if not self._built:
            return convert_to_tensor(float("nan"))
        mean = self.sum.value / self.count.value
        variance = self.squared_sum.value - self.sum.value * mean
        scores = 1.0 - self.total_mse.value / variance
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(variance * scores) / ops.sum(variance)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, score: Any) -> Any:
        """The score that does not grow by regressors alone; the plain one where there are too few samples for it."""
        if current_trace() is None and float(self.num_samples.numpy()) - 1 <= self.num_regressors:
            warn_user(
                f"metric {self.name!r}: {self.num_regressors} regressors need more than "
                f"{self.num_regressors + 1} values for an adjusted score, there are "
                f"{float(self.num_samples.numpy()):g}; the score is the plain one"
            )
        n = self.num_samples.value
        spare = n - float(self.num_regressors) - 1.0
        adjusted = 1.0 - (1.0 - score) * (n - 1.0) / ops.where(spare > 0, spare, 1.0)
        return ops.where(spare > 0, adjusted, score)
