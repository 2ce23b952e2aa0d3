"""Metrics that are means of loss functions."""

from __future__ import annotations

from typing import Any

from kcore import losses as functions
from kcore import ops
from kcore.declare import argument, within
from kcore.losses.loss import pair
from kcore.metrics.reduction import FunctionMetric, Mean
from kcore.registry import REGISTRY, public
from kcore.runtime import convert_to_tensor

for _fn in (
    functions.mean_squared_error,
    functions.mean_absolute_error,
    functions.mean_absolute_percentage_error,
    functions.mean_squared_logarithmic_error,
    functions.binary_crossentropy,
    functions.categorical_crossentropy,
    functions.sparse_categorical_crossentropy,
    functions.binary_focal_crossentropy,
    functions.categorical_focal_crossentropy,
    functions.categorical_hinge,
    functions.hinge,
    functions.squared_hinge,
    functions.huber,
    functions.kl_divergence,
    functions.log_cosh,
    functions.poisson,
):
    REGISTRY.publish(_fn, "keras.metrics")


@public("keras.metrics", "MeanSquaredError", "mse", "MSE")
class MeanSquaredError(FunctionMetric):
    """Mean of squares of errors.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[0.0, 3.0]]))
        2.0
    """

    fn = functions.mean_squared_error


@public("keras.metrics")
class RootMeanSquaredError(Mean):
    """Square root of the mean of squares of errors.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[2.0], [2.0]]))
        2.0
    """

    _direction = "down"

    name: Any = argument("root_mean_squared_error")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch; every value counts alike, and a mask of the predictions does not count, as in Keras."""
        y_pred = convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = pair(self.name, y_true, y_pred)
        super().update_state(ops.square(y_true - y_pred), sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())


@public("keras.metrics", "MeanAbsoluteError", "mae", "MAE")
class MeanAbsoluteError(FunctionMetric):
    """Mean of absolute errors.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[0.0, 3.0]]))
        1.0
    """

    fn = functions.mean_absolute_error


@public("keras.metrics", "MeanAbsolutePercentageError", "mape", "MAPE")
class MeanAbsolutePercentageError(FunctionMetric):
    """Mean of relative errors in percent.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0]], [[1.0]]))
        50.0
    """

    fn = functions.mean_absolute_percentage_error


@public("keras.metrics", "MeanSquaredLogarithmicError", "msle", "MSLE")
class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean of squares of the differences of ``log(y + 1)``.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
        0.0
    """

    fn = functions.mean_squared_logarithmic_error


@public("keras.metrics", "BinaryCrossentropy", "bce", "BCE")
class BinaryCrossentropy(FunctionMetric):
    """Cross-entropy of two classes.

    Args:
        name, dtype: see `Metric`.
        from_logits: whether predictions are logits.
        label_smoothing: draw the labels towards 0.5 by this share.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0]], [[0.5]])), 4)
        0.6931
    """

    fn = functions.binary_crossentropy
    name: Any = argument(None)
    dtype: Any = argument(None)
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0, within(0, 1))


@public("keras.metrics")
class CategoricalCrossentropy(FunctionMetric):
    """Cross-entropy of one-hot labels.

    Args:
        name, dtype: see `Metric`.
        from_logits: whether predictions are logits.
        label_smoothing: mix the labels with the uniform distribution by this share.
        axis: axis of the classes.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = functions.categorical_crossentropy
    name: Any = argument(None)
    dtype: Any = argument(None)
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0, within(0, 1))
    axis: int = argument(-1)


@public("keras.metrics")
class SparseCategoricalCrossentropy(FunctionMetric):
    """Cross-entropy of integer labels.

    Args:
        name, dtype: see `Metric`.
        from_logits: whether predictions are logits.
        ignore_class: a label whose entries count nothing.
        axis: axis of the classes.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = functions.sparse_categorical_crossentropy
    name: Any = argument(None)
    dtype: Any = argument(None)
    from_logits: bool = argument(False)
    ignore_class: int | None = argument(None)
    axis: int = argument(-1)


@public("keras.metrics")
class Hinge(FunctionMetric):
    """What is missing to a margin of 1: ``max(1 - y_true * y_pred, 0)``, labels -1 and 1 (or 0 and 1).

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        0.75

    Source: `keras.metrics.Hinge`.
    """

    fn = functions.hinge


@public("keras.metrics")
class SquaredHinge(FunctionMetric):
    """Squares of what is missing to a margin of 1.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        1.125

    Source: `keras.metrics.SquaredHinge`.
    """

    fn = functions.squared_hinge


@public("keras.metrics")
class CategoricalHinge(FunctionMetric):
    """What the right class lacks to lead the best wrong one by 1; one-hot labels.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
        0.5

    Source: `keras.metrics.CategoricalHinge`.
    """

    fn = functions.categorical_hinge


@public("keras.metrics")
class KLDivergence(FunctionMetric):
    """Kullback-Leibler divergence: ``sum(y_true * log(y_true / y_pred))``.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
        0.1438

    Source: `keras.metrics.KLDivergence`.
    """

    fn = functions.kl_divergence


@public("keras.metrics")
class Poisson(FunctionMetric):
    """Negative log-likelihood of counts with mean `y_pred`, less a constant.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> round(float(Poisson()([[2.0]], [[1.0]])), 4)
        1.0

    Source: `keras.metrics.Poisson`.
    """

    fn = functions.poisson


@public("keras.metrics")
class LogCoshError(FunctionMetric):
    """Mean of ``log(cosh(y_pred - y_true))``.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> round(float(LogCoshError()([[0.0]], [[100.0]])), 3)
        99.307

    Source: `keras.metrics.LogCoshError`.
    """

    fn = functions.log_cosh
    name: Any = argument("logcosh")


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return -functions.cosine_similarity(y_true, y_pred, axis)


@public("keras.metrics")
class CosineSimilarity(FunctionMetric):
    """Cosine of the angle between labels and predictions, from 1 (same direction) to -1.

    Args:
        name, dtype: see `Metric`.
        axis: axis of the vectors.

    Example:
        >>> float(CosineSimilarity()([[0.0, 2.0]], [[0.0, 3.0]]))
        1.0

    Source: `keras.metrics.CosineSimilarity`.
    """

    _direction = "up"

    fn = _cosine
    name: Any = argument(None)
    dtype: Any = argument(None)
    axis: int = argument(-1)
