"""Connectionist temporal classification as a loss: sequences of classes without their places in time."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import ops
from kcore.losses.loss import FunctionLoss
from kcore.registry import public
from kcore.runtime import convert_to_tensor


@public("keras.losses")
def ctc(y_true: Any, y_pred: Any) -> Any:
    """Negative log-probability of label sequences, whatever their alignment; class 0 is the blank.

    Args:
        y_true: classes ``(batch, labels)``, integers from 1 on, filled up with 0.
        y_pred: logits ``(batch, time, classes)``; all time steps count.

    Returns:
        ``(batch,)``; about 1e5 where the time is too short for the labels.

    Raises:
        ValueError: the ranks or batch sizes differ from that, or a label is out of range.

    Example:
        >>> round(float(ctc([[1]], [[[0.0, 0.0], [0.0, 0.0]]])[0]), 4)  # three of four paths
        0.2877

    Source: `keras.losses.ctc`.
    """
    y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
    for said, y, rank, wanted in (("y_true", y_true, 2, "(batch, labels)"), ("y_pred", y_pred, 3, None)):
        if len(y.shape) != rank:
            raise ValueError(
                f"ctc: expected {said} of shape {wanted or '(batch, time, classes)'}, got {tuple(y.shape)}"
            )
    labels = ops.cast(y_true, "int32")
    lengths = ops.sum(ops.cast(ops.not_equal(labels, 0), "int32"), axis=-1)
    steps = np.full((y_pred.shape[0],), y_pred.shape[1], "int32")
    return ops.ctc_loss(labels, y_pred, lengths, steps)


@public("keras.losses")
class CTC(FunctionLoss):
    """Negative log-probability of label sequences, whatever their alignment; see `ctc`.

    Args:
        reduction, name, dtype: see `Loss`.

    Example:
        >>> round(float(CTC()([[1]], [[[0.0, 0.0], [0.0, 0.0]]])), 4)
        0.2877

    Source: `keras.losses.CTC`.
    """

    fn = ctc
