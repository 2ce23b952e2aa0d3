"""Cross-entropies as losses: of two classes, of one-hot and of integer labels."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument, within
from kcore.errors import warn_user
from kcore.losses.loss import FunctionLoss, check_smoothing, pair, same_shape
from kcore.ops.losses import class_value
from kcore.registry import public
from kcore.runtime import convert_to_tensor


def one_hot_pair(name: str, y_true: Any, y_pred: Any, axis: int, label_smoothing: float) -> tuple[Any, Any]:
    """Smoothed labels and predictions of classes along `axis`, both of one shape."""
    if isinstance(axis, bool):
        raise ValueError(f"{name}: axis must be an int, got {axis}")
    check_smoothing(name, label_smoothing)
    y_pred = convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    if not same_shape(*shapes):
        raise ValueError(
            f"{name}: y_true and y_pred must have the same shape, got {shapes[0]} and {shapes[1]}; "
            "for classes as integers use sparse_categorical_crossentropy"
        )
    if y_pred.shape[-1] == 1:
        warn_user(
            f"{name} of predictions of shape {tuple(y_pred.shape)}: there is only one class; "
            "for two classes in one number use binary_crossentropy",
            SyntaxWarning,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    return y_true, y_pred


def sparse_pair(name: str, y_true: Any, y_pred: Any, axis: int = -1) -> tuple[Any, Any]:
    """Labels ``(batch, ...)``, without a 1 at the place of the classes, and predictions ``(batch, ..., classes)``."""
    y_pred, y_true = convert_to_tensor(y_pred), convert_to_tensor(y_true)
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    rank = len(y_pred.shape)
    if len(y_true.shape) == rank and rank and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis=axis)
    rows = tuple(d for i, d in enumerate(shapes[1]) if i != axis % max(rank, 1))
    if not rank or not same_shape(tuple(y_true.shape), rows):
        raise ValueError(
            f"{name}: expected integer labels y_true of shape {rows} or {(*rows, 1)} for y_pred of shape {shapes[1]}, "
            f"got {shapes[0]}; for one-hot labels use categorical_crossentropy"
        )
    return y_true, y_pred


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
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred, equal=True)
    check_smoothing("binary_crossentropy", label_smoothing)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


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

    fn = binary_crossentropy
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0.0, within(0.0, 1.0))
    axis: int = argument(-1)


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
    y_true, y_pred = one_hot_pair("categorical_crossentropy", y_true, y_pred, axis, label_smoothing)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


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

    fn = categorical_crossentropy
    from_logits: bool = argument(False)
    label_smoothing: float = argument(0.0, within(0.0, 1.0))
    axis: int = argument(-1)


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
    y_true, y_pred = sparse_pair("sparse_categorical_crossentropy", y_true, y_pred, axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(valid, y_true, 0)
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 0)
    values = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    values = ops.where(valid, values, 0.0)
    values._keras_mask = valid
    return values


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

    fn = sparse_categorical_crossentropy
    from_logits: bool = argument(False)
    ignore_class: int | None = argument(None)
    reduction: str | None = argument("sum_over_batch_size")
    axis: int = argument(-1)


@public("keras.losses")
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """Cross-entropy that forgives wrong labels: ``(1 - y_pred[y_true]^q) / q``.

    With q near 0 it is cross-entropy, with q near 1 the mean absolute error.

    Args:
        y_true: classes ``(batch, ...)`` or ``(batch, ..., 1)``, from 0 to classes - 1.
        y_pred: probabilities ``(batch, ..., classes)``.
        q: between 0 and 1.

    Returns:
        ``(batch, ...)``.

    Raises:
        ValueError: the shapes do not fit, or a label is out of range.

    Example:
        >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).numpy().tolist()
        [1.0]

    Source: `keras.losses.categorical_generalized_cross_entropy`; Zhang and Sabuncu, 2018, arXiv:1805.07836, eq. 6.
    """
    y_true, y_pred = sparse_pair("categorical_generalized_cross_entropy", y_true, y_pred)
    return (1.0 - ops.power(class_value(y_pred, ops.cast(y_true, "int32")), q)) / q


def _between_0_and_1(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError("expected a number between 0 and 1, neither of them included")
    return value


@public("keras.losses")
class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """Cross-entropy of integer labels that forgives wrong ones: ``(1 - y_pred[y_true]^q) / q``.

    Args:
        q: between 0 (cross-entropy) and 1 (mean absolute error), neither included.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]))
        1.0

    Source: `keras.losses.CategoricalGeneralizedCrossEntropy`.
    """

    fn = categorical_generalized_cross_entropy
    q: float = argument(0.5, _between_0_and_1)


#: Keras's short names.
bce = BCE = binary_crossentropy
