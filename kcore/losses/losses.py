"""The losses as classes: a loss function, its arguments, and the reduction of `Loss`."""

from __future__ import annotations

from kcore.declare import argument
from kcore.losses import functions
from kcore.losses.loss import FunctionLoss
from kcore.registry import public


@public("keras.losses")
class MeanSquaredError(FunctionLoss):
    """Mean of squares of errors: ``mean((y_true - y_pred)^2)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[0.0, 3.0]]))
        2.0
    """

    fn = functions.mean_squared_error


@public("keras.losses")
class MeanAbsoluteError(FunctionLoss):
    """Mean of absolute errors: ``mean(|y_true - y_pred|)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[0.0, 3.0]]))
        1.0
    """

    fn = functions.mean_absolute_error


@public("keras.losses")
class MeanAbsolutePercentageError(FunctionLoss):
    """Mean of relative errors in percent.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0]], [[1.0]]))
        50.0
    """

    fn = functions.mean_absolute_percentage_error


@public("keras.losses")
class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean of squares of the differences of ``log(y + 1)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
        0.0
    """

    fn = functions.mean_squared_logarithmic_error


@public("keras.losses")
class BinaryCrossentropy(FunctionLoss):
    """Cross-entropy of two classes: ``-(y log(p) + (1 - y) log(1 - p))``.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: draw the labels towards 0.5 by this share, 0 to 1.
        axis: axis the mean is taken over.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.6931
    """

    fn = functions.binary_crossentropy
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0.0)
    axis: int = argument(-1)


@public("keras.losses")
class CategoricalCrossentropy(FunctionLoss):
    """Cross-entropy of one-hot labels ``(batch, ..., classes)``: ``-sum(y_true log(y_pred))``.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: mix the labels with the uniform distribution by this share, 0 to 1.
        axis: axis of the classes.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = functions.categorical_crossentropy
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0.0)
    axis: int = argument(-1)


@public("keras.losses")
class SparseCategoricalCrossentropy(FunctionLoss):
    """Cross-entropy of integer labels ``(batch, ...)``: ``-log(y_pred[y_true])``.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        ignore_class: a label whose entries count nothing, e.g. -1 for "void".
        reduction, axis, name, dtype: see `Loss`; `axis` is that of the classes.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = functions.sparse_categorical_crossentropy
    from_logits: bool = argument(False)
    ignore_class: int | None = argument(None)
    reduction: str | None = argument("sum_over_batch_size")
    axis: int = argument(-1, config=False)
