"""The circle loss, of embeddings by their classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import ops
from kcore.declare import argument
from kcore.losses.loss import FunctionLoss
from kcore.registry import public
from kcore.runtime import convert_to_tensor


def _column(labels: Any) -> Any:
    labels = ops.cast(labels, "int32")
    return ops.expand_dims(labels, -1) if len(labels.shape) == 1 else labels


@public("keras.losses")
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Any:
    """Circle loss: embeddings of one class are drawn together, others pushed apart, the worst most.

    With distances ``d = max(1 - cosine, 0)``: ``softplus(logsumexp(gamma (margin + d)(d - margin))`` over the same
    class ``+ logsumexp(gamma max(1 + margin - d, 0)(1 - margin - d)))`` over the others.

    Args:
        y_true: classes ``(batch,)`` or ``(batch, 1)``, integers.
        y_pred: embeddings of length one, ``(batch, n)``.
        ref_labels, ref_embeddings: classes and embeddings to compare with; those of the batch if None.
        remove_diagonal: whether an embedding is not compared with itself.
        gamma: scale of the exponents.
        margin: how far from its class an embedding may lie.

    Returns:
        ``(batch,)``; entries that cost nothing are masked, so that they do not count in the mean.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> float(circle([0, 0], [[1.0, 0.0], [1.0, 0.0]])[0])
        0.0

    Source: `keras.losses.circle`; Sun et al., 2020, arXiv:2002.10857.
    """
    y_pred, labels = convert_to_tensor(y_pred), _column(convert_to_tensor(y_true))
    references = y_pred if ref_embeddings is None else convert_to_tensor(ref_embeddings, dtype=y_pred.dtype)
    others = labels if ref_labels is None else _column(convert_to_tensor(ref_labels))
    for said, mine, points in (("y_true", labels, y_pred), ("ref_labels", others, references)):
        if len(points.shape) != 2 or tuple(mine.shape) != (points.shape[0], 1):
            raise ValueError(
                f"circle: {said} of shape {tuple(mine.shape)} does not fit embeddings of shape {tuple(points.shape)}; "
                "expected one class for each row of a matrix"
            )
    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(references)), 0.0)
    same = ops.equal(labels, ops.transpose(others))
    other = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(same, np.logical_not(np.eye(*same.shape)))
    near = gamma * (margin + distance) * (distance - margin)
    far = gamma * ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    together = ops.logsumexp(ops.where(same, near, float("-inf")), axis=1)
    apart = ops.logsumexp(ops.where(other, far, float("-inf")), axis=1)
    values = ops.softplus(together + apart)
    values._keras_mask = values > 0
    return values


@public("keras.losses")
class Circle(FunctionLoss):
    """Circle loss of embeddings of length one, by their integer classes; see `circle`.

    Args:
        gamma: scale of the exponents.
        margin: how far from its class an embedding may lie.
        remove_diagonal: whether an embedding is not compared with itself.
        reduction, name, dtype: see `Loss`.

    Example:
        >>> float(Circle()([0, 0], [[1.0, 0.0], [1.0, 0.0]]))
        0.0

    Source: `keras.losses.Circle`.
    """

    fn = circle
    gamma: float = argument(80.0)
    margin: float = argument(0.4)
    remove_diagonal: bool = argument(True)
