"""Losses of distributions: Kullback-Leibler divergence, and the likelihood of Poisson counts."""

from __future__ import annotations

from typing import Any

from kcore import config, ops
from kcore.losses.loss import FunctionLoss, pair
from kcore.registry import public


@public("keras.losses", "kl_divergence", "kld", "KLD", "kullback_leibler_divergence")
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Kullback-Leibler divergence: ``sum(y_true * log(y_true / y_pred))`` over the last axis.

    Both are clipped to ``[epsilon, 1]``.

    Args:
        y_true: probabilities ``(batch, ..., n)``.
        y_pred: the same shape.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(kl_divergence([[0.5, 0.5]], [[0.25, 0.75]])[0]), 4)
        0.1438

    Source: `keras.losses.kl_divergence`.
    """
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    y_true, y_pred = (ops.clip(y, config.epsilon(), 1.0) for y in (y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@public("keras.losses")
class KLDivergence(FunctionLoss):
    """Kullback-Leibler divergence: ``sum(y_true * log(y_true / y_pred))``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
        0.1438

    Source: `keras.losses.KLDivergence`.
    """

    fn = kl_divergence


@public("keras.losses")
def poisson(y_true: Any, y_pred: Any) -> Any:
    """Negative log-likelihood of counts with mean `y_pred`, less a constant: ``mean(y_pred - y_true * log(y_pred))``.

    Args:
        y_true: counts ``(batch, ..., n)``.
        y_pred: their expected values, positive, of the same shape.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(poisson([[2.0]], [[1.0]])[0]), 4)
        1.0

    Source: `keras.losses.poisson`.
    """
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


@public("keras.losses")
class Poisson(FunctionLoss):
    """Negative log-likelihood of counts with mean `y_pred`, less a constant: ``y_pred - y_true * log(y_pred)``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(Poisson()([[2.0]], [[1.0]])), 4)
        1.0

    Source: `keras.losses.Poisson`.
    """

    fn = poisson


#: Keras's short names.
kld = KLD = kullback_leibler_divergence = kl_divergence
