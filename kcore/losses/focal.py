"""Focal cross-entropies: what is predicted well already counts less."""

from __future__ import annotations

from typing import Any

from kcore import config, ops
from kcore.declare import argument, within
from kcore.losses.crossentropy import one_hot_pair
from kcore.losses.loss import FunctionLoss, check_smoothing, pair
from kcore.registry import public


@public("keras.losses")
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy of two classes times ``(1 - p)^gamma``, with p the probability of the right class.

    Args:
        y_true: labels 0 or 1, ``(batch, ..., n)``.
        y_pred: probabilities, or logits, of the same shape.
        apply_class_balancing: whether class 1 is weighted by `alpha` and class 0 by ``1 - alpha``.
        alpha: weight of class 1.
        gamma: how fast what is predicted well loses its weight; 0 is plain cross-entropy.
        from_logits: whether `y_pred` are logits.
        label_smoothing: draw the labels towards 0.5 by this share, 0 to 1.
        axis: axis the mean is taken over.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> round(float(binary_focal_crossentropy([[1.0]], [[0.5]])[0]), 4)
        0.1733

    Source: `keras.losses.binary_focal_crossentropy`; Lin et al., 2017, arXiv:1708.02002.
    """
    y_true, y_pred = pair("binary_focal_crossentropy", y_true, y_pred, equal=True)
    check_smoothing("binary_focal_crossentropy", label_smoothing)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    values = ops.power(1.0 - right, gamma) * ops.binary_crossentropy(y_true, y_pred)
    if apply_class_balancing:
        values = values * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


@public("keras.losses")
class BinaryFocalCrossentropy(FunctionLoss):
    """Cross-entropy of two classes in which what is predicted well counts less; see `binary_focal_crossentropy`.

    Args:
        apply_class_balancing: whether class 1 is weighted by `alpha` and class 0 by ``1 - alpha``.
        alpha: weight of class 1.
        gamma: how fast what is predicted well loses its weight.
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: draw the labels towards 0.5 by this share, 0 to 1.
        axis: axis the mean is taken over.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(BinaryFocalCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.1733

    Source: `keras.losses.BinaryFocalCrossentropy`.
    """

    fn = binary_focal_crossentropy
    apply_class_balancing: bool = argument(False)
    alpha: float = argument(0.25)
    gamma: float = argument(2.0)
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0.0, within(0.0, 1.0))
    axis: int = argument(-1)


@public("keras.losses")
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy of class probabilities in which what is predicted well counts less.

    ``-sum(alpha (1 - p)^gamma y_true log(p))`` over `axis`, with p normalized and clipped as in
    `categorical_crossentropy`.

    Args:
        y_true: one-hot labels or probabilities ``(batch, ..., classes)``.
        y_pred: probabilities, or logits, of the same shape.
        alpha: weight of all classes, or a list of one per class.
        gamma: how fast what is predicted well loses its weight.
        from_logits: whether `y_pred` are logits.
        label_smoothing: mix the labels with the uniform distribution by this share, 0 to 1.
        axis: axis of the classes.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> round(float(categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]), 4)
        0.0433

    Source: `keras.losses.categorical_focal_crossentropy`; Lin et al., 2017, arXiv:1708.02002.
    """
    y_true, y_pred = one_hot_pair("categorical_focal_crossentropy", y_true, y_pred, axis, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    share = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    share = ops.clip(share, config.epsilon(), 1.0 - config.epsilon())
    if isinstance(alpha, list | tuple):
        alpha = ops.convert_to_tensor(alpha, dtype=y_pred.dtype)
    weight = alpha * ops.power(1.0 - share, gamma)
    return -ops.sum(weight * y_true * ops.log(share), axis=axis)


@public("keras.losses")
class CategoricalFocalCrossentropy(FunctionLoss):
    """Cross-entropy of one-hot labels in which what is predicted well counts less.

    Args:
        alpha: weight of all classes, or a list of one per class.
        gamma: how fast what is predicted well loses its weight.
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: mix the labels with the uniform distribution by this share, 0 to 1.
        axis: axis of the classes.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.0433

    Source: `keras.losses.CategoricalFocalCrossentropy`.
    """

    fn = categorical_focal_crossentropy
    alpha: float = argument(0.25)
    gamma: float = argument(2.0)
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0.0, within(0.0, 1.0))
    axis: int = argument(-1)
