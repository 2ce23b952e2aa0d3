"""Hinge losses: what lies on the right side by a margin of 1 costs nothing."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.losses.loss import FunctionLoss, pair
from kcore.registry import public


def _signs(y_true: Any) -> Any:
    """Labels -1 and 1; where all are 0 or 1, they are made so."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


@public("keras.losses")
def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of what is missing to a margin of 1: ``mean(max(1 - y_true * y_pred, 0))`` over the last axis.

    Args:
        y_true: labels -1 or 1, ``(batch, ..., n)``; if all are 0 or 1, the zeros count as -1.
        y_pred: scores of the same shape.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> hinge([[-1.0, 1.0]], [[0.5, 2.0]]).numpy().tolist()
        [0.75]

    Source: `keras.losses.hinge`.
    """
    y_true, y_pred = pair("hinge", y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


@public("keras.losses")
class Hinge(FunctionLoss):
    """What is missing to a margin of 1: ``max(1 - y_true * y_pred, 0)``, labels -1 and 1 (or 0 and 1).

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        0.75

    Source: `keras.losses.Hinge`.
    """

    fn = hinge


@public("keras.losses")
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of squares of what is missing to a margin of 1: ``mean(max(1 - y_true * y_pred, 0)^2)``.

    Args:
        y_true: labels -1 or 1, ``(batch, ..., n)``; if all are 0 or 1, the zeros count as -1.
        y_pred: scores of the same shape.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> squared_hinge([[-1.0, 1.0]], [[0.5, 2.0]]).numpy().tolist()
        [1.125]

    Source: `keras.losses.squared_hinge`.
    """
    y_true, y_pred = pair("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


@public("keras.losses")
class SquaredHinge(FunctionLoss):
    """Squares of what is missing to a margin of 1: ``max(1 - y_true * y_pred, 0)^2``.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        1.125

    Source: `keras.losses.SquaredHinge`.
    """

    fn = squared_hinge


@public("keras.losses")
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """What the right class lacks to lead the best wrong one by 1, over the last axis.

    ``max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)``.

    Args:
        y_true: one-hot labels ``(batch, ..., classes)``.
        y_pred: scores of the same shape.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> categorical_hinge([[0.0, 1.0]], [[0.5, 1.0]]).numpy().tolist()
        [0.5]

    Source: `keras.losses.categorical_hinge`.
    """
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@public("keras.losses")
class CategoricalHinge(FunctionLoss):
    """What the right class lacks to lead the best wrong one by 1; one-hot labels.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
        0.5

    Source: `keras.losses.CategoricalHinge`.
    """

    fn = categorical_hinge
