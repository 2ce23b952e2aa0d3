"""Metrics that are means of loss functions."""

from __future__ import annotations

from typing import Any

from kcore import losses as functions
from kcore import ops
from kcore.declare import argument
from kcore.losses.loss import pair
from kcore.metrics.reduction import FunctionMetric
from kcore.registry import REGISTRY, public

for _fn in (
    functions.mean_squared_error,
    functions.mean_absolute_error,
    functions.mean_absolute_percentage_error,
    functions.mean_squared_logarithmic_error,
    functions.binary_crossentropy,
    functions.categorical_crossentropy,
    functions.sparse_categorical_crossentropy,
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
class RootMeanSquaredError(FunctionMetric):
    """Square root of the mean of squares of errors.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[2.0], [2.0]]))
        2.0
    """

    fn = functions.mean_squared_error

    def _values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = pair("root_mean_squared_error", y_true, y_pred)
        return ops.square(y_true - y_pred)

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
    label_smoothing: float = argument(0)


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
    label_smoothing: float = argument(0)
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
