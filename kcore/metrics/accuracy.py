"""Accuracies: the share of predictions that match."""

from __future__ import annotations

from typing import Any

from kcore import config, ops
from kcore.declare import argument
from kcore.losses.loss import pair, same_shape
from kcore.metrics.reduction import FunctionMetric
from kcore.registry import public
from kcore.runtime import convert_to_tensor


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the prediction equals the label, else 0."""
    y_true, y_pred = pair("accuracy", y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), config.floatx())


@public("keras.metrics")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where ``y_pred > threshold`` agrees with the label 0 or 1, else 0.

    Args:
        y_true: labels ``(batch, ...)``.
        y_pred: probabilities of the same shape.
        threshold: above it the prediction is 1.

    Returns:
        The shape of the predictions.

    Example:
        >>> binary_accuracy([1.0, 1.0], [0.9, 0.2]).numpy().tolist()
        [1.0, 0.0]
    """
    y_true, y_pred = pair("binary_accuracy", y_true, y_pred)
    return ops.cast(ops.equal(y_true, ops.cast(y_pred > threshold, y_pred.dtype)), config.floatx())


@public("keras.metrics")
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the largest label, else 0.

    Args:
        y_true: one-hot labels or probabilities ``(batch, ..., classes)``.
        y_pred: the same shape.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> categorical_accuracy([[0.0, 1.0]], [[0.3, 0.7]]).numpy().tolist()
        [1.0]
    """
    y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
    if not same_shape(tuple(y_true.shape[:-1]), tuple(y_pred.shape[:-1])):
        raise ValueError(
            f"categorical_accuracy: y_true of shape {tuple(y_true.shape)} does not fit y_pred of shape "
            f"{tuple(y_pred.shape)}; for classes as integers use sparse_categorical_accuracy"
        )
    matches = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))
    return ops.cast(matches, config.floatx())


@public("keras.metrics")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the label, else 0.

    Args:
        y_true: classes ``(batch, ...)`` or ``(batch, ..., 1)``.
        y_pred: ``(batch, ..., classes)``.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> sparse_categorical_accuracy([[1]], [[0.3, 0.7]]).numpy().tolist()
        [1.0]
    """
    y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if not same_shape(tuple(y_true.shape), tuple(y_pred.shape[:-1])):
        raise ValueError(
            f"sparse_categorical_accuracy: expected integer labels y_true of shape {tuple(y_pred.shape[:-1])} for "
            f"y_pred of shape {tuple(y_pred.shape)}, got {tuple(y_true.shape)}; "
            "for one-hot labels use categorical_accuracy"
        )
    matches = ops.cast(ops.equal(ops.cast(y_true, "int32"), ops.argmax(y_pred, axis=-1)), config.floatx())
    return ops.squeeze(matches, -1) if len(matches.shape) > 1 and matches.shape[-1] == 1 else matches


@public("keras.metrics")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the label is among the `k` largest predictions, else 0; one-hot labels.

    Args:
        y_true: ``(batch, ..., classes)``.
        y_pred: the same shape.
        k: how many predictions count.

    Returns:
        ``(batch, ...)``.

    Example:
        >>> top_k_categorical_accuracy([[0.0, 1.0, 0.0]], [[0.5, 0.3, 0.2]], k=2).numpy().tolist()
        [1.0]
    """
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


@public("keras.metrics")
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the label is among the `k` largest predictions, else 0; integer labels.

    Args:
        y_true: classes ``(batch, ...)`` or ``(batch, ..., 1)``.
        y_pred: ``(batch, ..., classes)``; with `from_sorted_ids`, classes from the best on, ``(batch, ..., n)``.
        k: how many predictions count.
        from_sorted_ids: whether the predictions are classes, sorted, rather than scores.

    Returns:
        The shape of the labels.

    Example:
        >>> sparse_top_k_categorical_accuracy([2], [[0.5, 0.3, 0.2]], k=2).numpy().tolist()
        [0.0]
    """
    y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
    shape = tuple(y_true.shape)
    if len(shape) == len(y_pred.shape) and shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if not same_shape(tuple(y_true.shape), tuple(y_pred.shape[:-1])):
        raise ValueError(
            f"sparse_top_k_categorical_accuracy: expected integer labels y_true of shape {tuple(y_pred.shape[:-1])} "
            f"for y_pred of shape {tuple(y_pred.shape)}, got {shape}"
        )
    if from_sorted_ids:
        label = ops.expand_dims(ops.cast(y_true, y_pred.dtype), -1)
        found = ops.any(ops.equal(label, y_pred[..., :k]), axis=-1)
    else:
        label = ops.expand_dims(ops.cast(y_true, "int32"), -1)
        at_label = ops.take_along_axis(y_pred, label, axis=-1)
        # As many are above it as there are better classes; ties count for the label, a NaN against it.
        better = ops.sum(ops.cast(y_pred > at_label, "int32"), axis=-1)
        found = ops.logical_and(better < k, ops.isfinite(ops.squeeze(at_label, -1)))
    found = ops.cast(found, config.floatx())
    return ops.expand_dims(found, -1) if len(shape) == len(y_pred.shape) else found


@public("keras.metrics")
class Accuracy(FunctionMetric):
    """Share of predictions equal to their labels.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(Accuracy()([1.0, 2.0], [1.0, 3.0]))
        0.5
    """

    fn = accuracy
    _direction = "up"


@public("keras.metrics")
class BinaryAccuracy(FunctionMetric):
    """Share of probabilities on the right side of a threshold.

    Args:
        name, dtype: see `Metric`.
        threshold: above it the prediction is 1.

    Example:
        >>> float(BinaryAccuracy()([1.0, 1.0], [0.9, 0.2]))
        0.5
    """

    fn = binary_accuracy
    _direction = "up"
    name: Any = argument(None)
    dtype: Any = argument(None)
    threshold: float = argument(0.5)


@public("keras.metrics")
class CategoricalAccuracy(FunctionMetric):
    """Share of samples whose largest prediction is at the largest label; one-hot labels.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(CategoricalAccuracy()([[0.0, 1.0]], [[0.3, 0.7]]))
        1.0
    """

    fn = categorical_accuracy
    _direction = "up"


@public("keras.metrics")
class SparseCategoricalAccuracy(FunctionMetric):
    """Share of samples whose largest prediction is at the label; integer labels.

    Args:
        name, dtype: see `Metric`.

    Example:
        >>> float(SparseCategoricalAccuracy()([1, 0], [[0.3, 0.7], [0.3, 0.7]]))
        0.5
    """

    fn = sparse_categorical_accuracy
    _direction = "up"


@public("keras.metrics")
class TopKCategoricalAccuracy(FunctionMetric):
    """Share of samples whose label is among the `k` largest predictions; one-hot labels.

    Args:
        k: how many predictions count.
        name, dtype: see `Metric`.

    Example:
        >>> float(TopKCategoricalAccuracy(k=2)([[0.0, 1.0, 0.0]], [[0.5, 0.3, 0.2]]))
        1.0
    """

    fn = top_k_categorical_accuracy
    _direction = "up"
    k: int = argument(5)


@public("keras.metrics")
class SparseTopKCategoricalAccuracy(FunctionMetric):
    """Share of samples whose label is among the `k` largest predictions; integer labels.

    Args:
        k: how many predictions count.
        name, dtype: see `Metric`.
        from_sorted_ids: whether predictions are classes, the best first, rather than scores.

    Example:
        >>> float(SparseTopKCategoricalAccuracy(k=2)([2], [[0.5, 0.3, 0.2]]))
        0.0
    """

    fn = sparse_top_k_categorical_accuracy
    _direction = "up"
    k: int = argument(5)
    name: Any = argument(None)
    dtype: Any = argument(None)
    from_sorted_ids: bool = argument(False)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self.from_sorted_ids:  # as in Keras's files
            del config["from_sorted_ids"]
        return config
