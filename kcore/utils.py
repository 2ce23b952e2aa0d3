"""`keras.utils`: seeding everything, and labels as one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import ops
from kcore.runtime import Tensor, Variable, set_random_seed

__all__ = ["set_random_seed", "to_categorical"]


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
