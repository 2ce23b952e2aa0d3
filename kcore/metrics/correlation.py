"""Correlations of labels and predictions: Pearson's, and concordance."""

from __future__ import annotations

from typing import Any

from kcore import config, ops
from kcore.declare import argument
from kcore.losses.loss import pair
from kcore.metrics.reduction import FunctionMetric
from kcore.registry import public


@public("keras.metrics")
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Pearson's correlation coefficient along an axis: covariance divided by both standard deviations.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.
        axis: axis, or tuple of axes, of the samples that are correlated.

    Returns:
        The shape without `axis`, from -1 to 1; NaN where one side does not vary.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])[0]), 4)
        0.8109

    Source: `keras.metrics.pearson_correlation`.
    """
    y_true, y_pred = pair("pearson_correlation", y_true, y_pred)
    centred = [y - ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    left, right = (y / ops.std(y, axis=axis, keepdims=True) for y in centred)
    return ops.mean(left * right, axis=axis)


@public("keras.metrics")
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Concordance correlation coefficient along an axis: correlation that also asks for equal mean and spread.

    ``2 cov / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred))^2)``.

    Args:
        y_true: ``(batch, ..., n)``.
        y_pred: the same shape.
        axis: axis, or tuple of axes, of the samples that are correlated.

    Returns:
        The shape without `axis`, from -1 to 1.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])[0]), 4)
        0.7477

    Source: `keras.metrics.concordance_correlation`; Lin, 1989.
    """
    y_true, y_pred = pair("concordance_correlation", y_true, y_pred)
    true_mean, pred_mean = (ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    spread = ops.var(y_true, axis=axis, keepdims=True) + ops.var(y_pred, axis=axis, keepdims=True)
    norm = spread + ops.square(true_mean - pred_mean)
    covariance = (y_true - pred_mean) * (y_pred - pred_mean)
    return ops.mean(2.0 * covariance / (norm + config.epsilon()), axis=axis)


@public("keras.metrics")
class PearsonCorrelation(FunctionMetric):
    """Mean of Pearson's correlation coefficients of labels and predictions.

    Args:
        name, dtype: see `Metric`.
        axis: axis of the samples that are correlated.

    Example:
        >>> round(float(PearsonCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])), 4)
        0.8109

    Source: `keras.metrics.PearsonCorrelation`.
    """

    _direction = "up"

    fn = pearson_correlation
    name: Any = argument(None)
    dtype: Any = argument(None)
    axis: int = argument(-1)


@public("keras.metrics")
class ConcordanceCorrelation(FunctionMetric):
    """Mean of the concordance correlation coefficients of labels and predictions.

    Args:
        name, dtype: see `Metric`.
        axis: axis of the samples that are correlated.

    Example:
        >>> round(float(ConcordanceCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])), 4)
        0.7477

    Source: `keras.metrics.ConcordanceCorrelation`.
    """

    _direction = "up"

    fn = concordance_correlation
    name: Any = argument(None)
    dtype: Any = argument(None)
    axis: int = argument(-1)
