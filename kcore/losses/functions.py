"""Loss functions: values per sample of labels and predictions."""

from __future__ import annotations

import warnings
from typing import Any

from kcore import config, ops
from kcore.losses.loss import align_ranks
from kcore.registry import public
from kcore.runtime import convert_to_tensor


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors of the predictions' dtype and of one rank."""
    y_pred = convert_to_tensor(y_pred)
    return align_ranks(convert_to_tensor(y_true, dtype=y_pred.dtype), y_pred)


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
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


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
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@public("keras.losses", "mean_absolute_percentage_error", "mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of relative differences in percent: ``100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))``.

    Example:
        >>> mean_absolute_percentage_error([[2.0]], [[1.0]]).numpy().tolist()
        [50.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return 100.0 * ops.mean(ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), config.epsilon())), axis=-1)


@public("keras.losses", "mean_squared_logarithmic_error", "msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of squares of ``log(y_true + 1) - log(y_pred + 1)`` over the last axis.

    Example:
        >>> mean_squared_logarithmic_error([[1.0]], [[1.0]]).numpy().tolist()
        [0.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    logs = [ops.log(ops.maximum(y, config.epsilon()) + 1.0) for y in (y_pred, y_true)]
    return ops.mean(ops.square(logs[0] - logs[1]), axis=-1)


@public("keras.losses", "categorical_crossentropy")
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of class probabilities: ``-sum(y_true * log(y_pred))`` over `axis`.

    Probabilities are normalized to sum to one and clipped to ``[epsilon, 1 - epsilon]``.

    Args:
        y_true: one-hot labels or probabilities ``(batch, ..., classes)``.
        y_pred: probabilities, or logits, of the same shape.
        from_logits: whether `y_pred` are logits.
        label_smoothing: mix the labels with the uniform distribution by this share, 0 to 1.
        axis: axis of the classes.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> round(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().item(), 4)
        0.6931
    """
    if isinstance(axis, bool):
        raise ValueError(f"categorical_crossentropy: axis must be an int, got {axis}")
    y_pred = convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    if len(shapes[0]) != len(shapes[1]):
        raise ValueError(
            f"categorical_crossentropy: y_true and y_pred must have the same shape, got {shapes[0]} and {shapes[1]}; "
            "for classes as integers use sparse_categorical_crossentropy"
        )
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"categorical_crossentropy of predictions of shape {tuple(y_pred.shape)}: there is only one class; "
            "for two classes in one number use binary_crossentropy",
            SyntaxWarning,
            stacklevel=2,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@public("keras.losses", "sparse_categorical_crossentropy")
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Cross-entropy of class probabilities with integer labels: ``-log(y_pred[y_true])``.

    Args:
        y_true: classes ``(batch, ...)`` or ``(batch, ..., 1)``, from 0 to classes - 1.
        y_pred: probabilities, or logits, ``(batch, ..., classes)``.
        from_logits: whether `y_pred` are logits.
        ignore_class: a label whose entries count nothing and are masked.
        axis: axis of the classes.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> round(sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().item(), 4)
        0.6931
    """
    y_pred, y_true = convert_to_tensor(y_pred), convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis=axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(valid, y_true, 0)
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 0)
    values = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    values = ops.where(valid, values, 0.0)
    values._keras_mask = valid
    return values


@public("keras.losses", "binary_crossentropy", "bce", "BCE")
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of two classes: ``-mean(y log(p) + (1 - y) log(1 - p))`` over `axis`.

    Probabilities are clipped to ``[epsilon, 1 - epsilon]``.

    Args:
        y_true: labels 0 or 1, ``(batch, ..., n)``.
        y_pred: probabilities, or logits, of the same shape.
        from_logits: whether `y_pred` are logits.
        label_smoothing: draw the labels towards 0.5 by this share, 0 to 1.
        axis: axis the mean is taken over.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> round(binary_crossentropy([[1.0]], [[0.5]]).numpy().item(), 4)
        0.6931
    """
    y_pred = convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


#: Keras's short names.
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
