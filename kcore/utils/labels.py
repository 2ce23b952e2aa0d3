"""Labels as one-hot rows, and arrays of unit length."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import ops
from kcore.runtime import Tensor, Variable


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Integer classes as one-hot rows.

    Args:
        x: integers from 0 to ``num_classes - 1``, of shape ``(...)`` or ``(..., 1)``: an array, list or tensor.
        num_classes: number of classes; one more than the largest of `x` if None, which a tensor being traced cannot
            tell.

    Returns: float32 of shape ``(..., num_classes)``: a NumPy array, or a tensor if `x` is one.

    Raises:
        ValueError: a class lies outside ``[0, num_classes)``.

    Example:
        >>> to_categorical([0, 2, 1]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]

    Source: `keras.utils.to_categorical`.
    """
    if isinstance(x, Tensor | Variable):
        if len(x.shape) > 1 and x.shape[-1] == 1:
            x = ops.squeeze(x, -1)
        classes = int(ops.max(x)) + 1 if num_classes is None else num_classes
        return ops.one_hot(x, classes, dtype="float32")
    labels = np.asarray(x, dtype="int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        num_classes = int(labels.max(initial=-1)) + 1
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        wrong = labels[(labels < 0) | (labels >= num_classes)].flat[0]
        raise ValueError(f"to_categorical: class {wrong} lies outside the {num_classes} classes from 0 on")
    return (labels[..., None] == np.arange(num_classes)).astype("float32")


def normalize(x: Any, axis: int = -1, order: float = 2) -> Any:
    """Divide by the norm along an axis; what is zero stays zero.

    Args:
        x: floats of any shape: an array, list or tensor.
        axis: axis whose vectors get norm 1.
        order: of the norm: 2 for the Euclidean one, 1 for the sum of absolute values, ``inf`` for the largest.

    Returns: the shape of `x`: a NumPy array, or a tensor if `x` is one.

    Example:
        >>> normalize([[3.0, 4.0], [0.0, 0.0]]).tolist()
        [[0.6, 0.8], [0.0, 0.0]]

    Source: `keras.utils.normalize`.
    """
    if isinstance(x, Tensor | Variable):
        norm = ops.norm(x, ord=order, axis=axis, keepdims=True)
        return x / ops.where(ops.equal(norm, 0), ops.ones_like(norm), norm)
    array = np.asarray(x)
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norm == 0, 1, norm)
