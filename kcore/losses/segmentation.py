"""Losses of overlap, for segmentation: Dice and Tversky."""

from __future__ import annotations

from typing import Any

from kcore import config, ops
from kcore.declare import argument
from kcore.losses.loss import FunctionLoss, pair
from kcore.registry import public


@public("keras.losses")
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """One minus the Dice coefficient: ``1 - 2 sum(y_true * y_pred) / (sum(y_true) + sum(y_pred))``.

    Args:
        y_true: masks 0 or 1, any shape.
        y_pred: probabilities of the same shape.
        axis: axis, or tuple of axes, the sums are taken over; None for all, which gives one number for the batch.

    Returns:
        The shape without `axis`; from 0 (the same) to 1 (nothing in common).

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(dice([[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.0, 1.0, 0.0]])), 4)
        0.5

    Source: `keras.losses.dice`.
    """
    y_true, y_pred = pair("dice", y_true, y_pred)
    common = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - 2.0 * common / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + config.epsilon())


@public("keras.losses")
class Dice(FunctionLoss):
    """One minus the Dice coefficient, the share of overlap of two masks; see `dice`.

    Args:
        reduction, name, dtype: see `Loss`.
        axis: axes the sums are taken over; None for all.

    Example:
        >>> round(float(Dice()([[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.0, 1.0, 0.0]])), 4)
        0.5

    Source: `keras.losses.Dice`.
    """

    fn = dice
    axis: Any = argument(None, after="name")


@public("keras.losses")
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """One minus the Tversky index, Dice with weights for the two kinds of error.

    ``1 - common / (common + alpha * missed + beta * invented)``, with ``common = sum(y_true * y_pred)``,
    ``missed = sum(y_true * (1 - y_pred))`` and ``invented = sum((1 - y_true) * y_pred)``.

    Args:
        y_true: masks 0 or 1, any shape.
        y_pred: probabilities of the same shape.
        alpha: weight of what is in `y_true` alone.
        beta: weight of what is in `y_pred` alone.
        axis: axis, or tuple of axes, the sums are taken over; None for all, which gives one number for the batch.

    Returns:
        The shape without `axis`; from 0 (the same) to 1 (nothing in common).

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> round(float(tversky([[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.0, 1.0, 0.0]], alpha=2.0, beta=1.0)), 4)
        0.75

    Source: `keras.losses.tversky`; Salehi et al., 2017, arXiv:1706.05721.
    """
    y_true, y_pred = pair("tversky", y_true, y_pred)
    common = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis=axis)
    invented = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - common / (common + missed * alpha + invented * beta + config.epsilon())


@public("keras.losses")
class Tversky(FunctionLoss):
    """One minus the Tversky index, Dice with weights for the two kinds of error; see `tversky`.

    Args:
        alpha: weight of what is in the labels alone.
        beta: weight of what is in the predictions alone.
        reduction, name, dtype: see `Loss`.
        axis: axes the sums are taken over; None for all.

    Example:
        >>> round(float(Tversky(2.0, 1.0)([[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.0, 1.0, 0.0]])), 4)
        0.75

    Source: `keras.losses.Tversky`.
    """

    fn = tversky
    alpha: float = argument(0.5)
    beta: float = argument(0.5)
    axis: Any = argument(None, after="name")
