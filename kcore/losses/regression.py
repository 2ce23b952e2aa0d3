"""Losses of numbers: squares, magnitudes, percentages, logarithms, angles, and those that forgive outliers."""

from __future__ import annotations

import math
from typing import Any

from kcore import config, ops
from kcore.declare import argument
from kcore.losses.loss import FunctionLoss, pair
from kcore.registry import public


@public("keras.losses", "mean_squared_error", "mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of squares: ``mean((y_true - y_pred)^2)`` over the last axis.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> mean_squared_error([[0.0, 2.0]], [[1.0, 2.0]]).numpy().tolist()
        [0.5]
    """
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@public("keras.losses")
class MeanSquaredError(FunctionLoss):
    """Mean of squares of errors: ``mean((y_true - y_pred)^2)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[0.0, 3.0]]))
        2.0
    """

    fn = mean_squared_error


@public("keras.losses", "mean_absolute_error", "mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of absolute differences: ``mean(|y_true - y_pred|)`` over the last axis.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> mean_absolute_error([[0.0, 2.0]], [[1.0, 2.0]]).numpy().tolist()
        [0.5]
    """
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@public("keras.losses")
class MeanAbsoluteError(FunctionLoss):
    """Mean of absolute errors: ``mean(|y_true - y_pred|)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[0.0, 3.0]]))
        1.0
    """

    fn = mean_absolute_error


@public("keras.losses", "mean_absolute_percentage_error", "mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of relative differences in percent: ``100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))``.

    Example:
        >>> mean_absolute_percentage_error([[2.0]], [[1.0]]).numpy().tolist()
        [50.0]
    """
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    return 100.0 * ops.mean(ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), config.epsilon())), axis=-1)


@public("keras.losses")
class MeanAbsolutePercentageError(FunctionLoss):
    """Mean of relative errors in percent.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0]], [[1.0]]))
        50.0
    """

    fn = mean_absolute_percentage_error


@public("keras.losses", "mean_squared_logarithmic_error", "msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of squares of ``log(y_true + 1) - log(y_pred + 1)`` over the last axis.

    Example:
        >>> mean_squared_logarithmic_error([[1.0]], [[1.0]]).numpy().tolist()
        [0.0]
    """
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [ops.log(ops.maximum(y, config.epsilon()) + 1.0) for y in (y_pred, y_true)]
    return ops.mean(ops.square(logs[0] - logs[1]), axis=-1)


@public("keras.losses")
class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean of squares of the differences of ``log(y + 1)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
        0.0
    """

    fn = mean_squared_logarithmic_error


def _unit(x: Any, axis: Any) -> Any:
    """Vectors of length one along `axis`; those shorter than epsilon are divided by epsilon, and have a gradient."""
    square_sum = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square_sum, config.epsilon() ** 2))


@public("keras.losses")
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Negative cosine of the angle between vectors: ``-sum(unit(y_true) * unit(y_pred))`` over `axis`.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.
        axis: axis of the vectors.

    Returns:
        ``(batch, ...)``, from -1 (same direction) to 1 (opposite); 0 where a vector is zero.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> cosine_similarity([[0.0, 2.0]], [[0.0, 3.0]]).numpy().tolist()
        [-1.0]

    Source: `keras.losses.cosine_similarity`.
    """
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -ops.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


@public("keras.losses")
class CosineSimilarity(FunctionLoss):
    """Negative cosine of the angle between labels and predictions, from -1 (same direction) to 1.

    Args:
        axis: axis of the vectors.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(CosineSimilarity()([[0.0, 2.0]], [[0.0, 3.0]]))
        -1.0

    Source: `keras.losses.CosineSimilarity`.
    """

    fn = cosine_similarity
    axis: int = argument(-1)


@public("keras.losses")
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Mean of squares of small errors and magnitudes of large ones, over the last axis.

    With ``e = |y_true - y_pred|`` an entry counts ``e^2 / 2`` where ``e <= delta``, else ``delta e - delta^2 / 2``.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.
        delta: the error from which on the loss grows linearly.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).numpy().tolist()
        [1.5]

    Source: `keras.losses.huber`.
    """
    y_true, y_pred = pair("huber", y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    linear = delta * error - 0.5 * delta * delta
    return ops.mean(ops.where(error <= delta, 0.5 * ops.square(error), linear), axis=-1)


@public("keras.losses")
class Huber(FunctionLoss):
    """Squares of small errors, magnitudes of large ones; see `huber`.

    Args:
        delta: the error from which on the loss grows linearly.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(Huber()([[0.0, 0.0]], [[1.0, 3.0]]))
        1.5

    Source: `keras.losses.Huber`.
    """

    fn = huber
    delta: float = argument(1.0)

    @classmethod
    def default_name(cls) -> str:
        return "huber_loss"


@public("keras.losses", "log_cosh", "logcosh")
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Mean of ``log(cosh(y_pred - y_true))`` over the last axis: ``x^2 / 2`` near zero, ``|x| - log 2`` far out.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(log_cosh([[0.0]], [[100.0]])[0]), 3)
        99.307

    Source: `keras.losses.log_cosh`.
    """
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


@public("keras.losses")
class LogCosh(FunctionLoss):
    """Mean of ``log(cosh(y_pred - y_true))``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(LogCosh()([[0.0]], [[100.0]])), 3)
        99.307

    Source: `keras.losses.LogCosh`.
    """

    fn = log_cosh


#: Keras's short names.
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
logcosh = log_cosh
