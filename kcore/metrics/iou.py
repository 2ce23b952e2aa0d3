"""Intersection over union of classes, for segmentation: from the confusion matrix of labels and predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore import config, ops
from kcore.declare import argument, positive_int
from kcore.errors import warn_user
from kcore.metrics.reduction import Declared
from kcore.ops.indexing import scatter_add
from kcore.registry import public
from kcore.runtime import convert_to_tensor


def _or_int(dtype: Any) -> Any:
    return dtype or "int32"


@public("keras.metrics")
class IoU(Declared):
    """Intersection over union of some classes: ``TP / (TP + FP + FN)`` of each, and their mean.

    Labels and predictions outside of ``[0, num_classes)`` do not count, nor does a class that nowhere occurs.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes whose mean is the result.
        name: its name.
        dtype: dtype of the counts; int32 if None. Sample weights are cast to it.
        ignore_class: a label whose entries do not count.
        sparse_y_true: whether labels are integers; else the largest entry along `axis` is the class.
        sparse_y_pred: the same of predictions.
        axis: axis of the classes.

    Raises:
        ValueError: a target class outside of ``[0, num_classes)``, more classes along `axis` than that, or labels and
            predictions of different sizes.

    Example:
        >>> metric = IoU(num_classes=2, target_class_ids=[0])
        >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333

    Source: `keras.metrics.IoU`.
    """

    _direction = "up"

    num_classes: int = argument(kind=positive_int)
    target_class_ids: Any = argument(kind=list)
    name: Any = argument(None)
    dtype: Any = argument(None, _or_int)
    ignore_class: int | None = argument(None)
    sparse_y_true: bool = argument(True)
    sparse_y_pred: bool = argument(True)
    axis: int = argument(-1)

    def __post_init__(self) -> None:
        wrong = [i for i in self.target_class_ids if not 0 <= i < self.num_classes]
        if wrong or not self.target_class_ids:
            raise ValueError(
                f"{type(self).__name__}: target_class_ids={self.target_class_ids} must be classes from 0 to "
                f"{self.num_classes - 1}, as num_classes is {self.num_classes}"
            )
        shape = (self.num_classes, self.num_classes)
        self.total_cm = self.add_variable(shape, dtype=self.dtype, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: classes ``(batch, ...)``, or one-hot along `axis`.
            y_pred: classes of as many entries, or scores of them along `axis`.
            sample_weight: a number, or one for each label.
        """
        shapes = np.shape(y_true), np.shape(y_pred)
        labels = self._classes(y_true, "y_true", self.sparse_y_true)
        found = self._classes(y_pred, "y_pred", self.sparse_y_pred)
        if labels.shape != found.shape:
            raise ValueError(
                f"metric {self.name!r}: y_true of shape {shapes[0]} and y_pred of shape {shapes[1]} must have as many "
                f"entries, got {labels.shape[0]} and {found.shape[0]}"
            )
        weight = self._weight(sample_weight, labels.shape[0])
        valid = ops.logical_and(self._inside(labels), self._inside(found))
        if self.ignore_class is not None:
            valid = ops.logical_and(valid, ops.not_equal(labels, self.ignore_class))
        at = ops.where(valid, labels * self.num_classes + found, 0)
        weight = ops.cast(ops.where(valid, weight, 0), self.dtype)
        counts = scatter_add(at, weight, size=self.num_classes**2)
        self.total_cm.assign_add(ops.reshape(counts, self.total_cm.shape))

    def _inside(self, classes: Any) -> Any:
        return ops.logical_and(classes >= 0, classes < self.num_classes)

    def _classes(self, y: Any, name: str, sparse: bool) -> Any:
        """Flat int32 classes."""
        y = convert_to_tensor(y)
        if not sparse:
            if not -len(y.shape) <= self.axis < len(y.shape) or y.shape[self.axis] > self.num_classes:
                raise ValueError(
                    f"metric {self.name!r}: expected at most {self.num_classes} classes (num_classes) along axis "
                    f"{self.axis} of {name}, got shape {tuple(y.shape)}"
                )
            y = ops.argmax(y, axis=self.axis)
        return ops.cast(ops.reshape(y, (math.prod(y.shape),)), "int32")

    def _weight(self, sample_weight: Any, count: int) -> Any:
        if sample_weight is None:
            return ops.ones((count,), dtype=self.dtype)
        given = convert_to_tensor(sample_weight)
        if "float" in given.dtype and "int" in self.dtype:
            warn_user(
                f"metric {self.name!r} counts in {self.dtype}, which cuts off the fractions of its {given.dtype} "
                "sample_weight; give it dtype='float32'"
            )
        weight = ops.reshape(ops.cast(given, self.dtype), (math.prod(given.shape),))
        if weight.shape[0] not in (1, count):
            raise ValueError(
                f"metric {self.name!r}: sample_weight of shape {tuple(given.shape)} does not fit {count} labels"
            )
        return ops.broadcast_to(weight, (count,))

    def result(self) -> Any:
        matrix = ops.cast(self.total_cm.value, "float32")
        ids = np.asarray(self.target_class_ids, "int32")
        both = ops.take(ops.reshape(matrix, (self.num_classes**2,)), ids * (self.num_classes + 1))
        either = ops.take(ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1), ids) - both
        occurs = ops.cast(either > 1e-9, "float32")
        return ops.sum(both / (either + config.epsilon()) * occurs) / (ops.sum(occurs) + config.epsilon())


@public("keras.metrics")
class BinaryIoU(IoU):
    """Intersection over union of class 0, class 1, or their mean, for predictions between 0 and 1.

    Args:
        target_class_ids: the classes whose mean is the result.
        threshold: from it on a prediction is class 1.
        name: its name.
        dtype: dtype of the counts; int32 if None.

    Raises:
        ValueError: a target class other than 0 and 1, or labels and predictions of different sizes.

    Example:
        >>> round(float(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
        0.3333

    Source: `keras.metrics.BinaryIoU`.
    """

    target_class_ids: Any = argument((0, 1), list)
    threshold: float = argument(0.5)
    name: Any = argument(None)
    dtype: Any = argument(None, _or_int)
    num_classes = 2
    ignore_class = None
    sparse_y_true = True
    sparse_y_pred = True
    axis = -1

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: labels 0 or 1, ``(batch, ...)``.
            y_pred: probabilities of as many entries.
            sample_weight: a number, or one for each label.
        """
        positive = convert_to_tensor(y_pred, dtype="float32") >= self.threshold
        super().update_state(y_true, ops.cast(positive, "int32"), sample_weight)


@public("keras.metrics")
class MeanIoU(IoU):
    """Mean over all classes of intersection over union; see `IoU`.

    Args:
        num_classes: how many classes there are.
        name: its name.
        dtype: dtype of the counts; int32 if None. Sample weights are cast to it.
        ignore_class: a label whose entries do not count.
        sparse_y_true: whether labels are integers; else the largest entry along `axis` is the class.
        sparse_y_pred: the same of predictions.
        axis: axis of the classes.

    Raises:
        ValueError: more classes along `axis` than `num_classes`, or labels and predictions of different sizes.

    Example:
        >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333

    Source: `keras.metrics.MeanIoU`.
    """

    num_classes: int = argument(kind=positive_int)
    name: Any = argument(None)
    dtype: Any = argument(None, _or_int)
    ignore_class: int | None = argument(None)
    sparse_y_true: bool = argument(True)
    sparse_y_pred: bool = argument(True)
    axis: int = argument(-1)
    target_class_ids = None

    def __post_init__(self) -> None:
        self.target_class_ids = list(range(self.num_classes))
        super().__post_init__()


@public("keras.metrics")
class OneHotIoU(IoU):
    """Intersection over union of some classes, for one-hot labels; see `IoU`.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes whose mean is the result.
        name: its name.
        dtype: dtype of the counts; int32 if None. Sample weights are cast to it.
        ignore_class: a label whose entries do not count.
        sparse_y_pred: whether predictions are integers rather than scores of classes.
        axis: axis of the classes.

    Raises:
        ValueError: a target class outside of ``[0, num_classes)``, more classes along `axis` than that, or labels and
            predictions of different sizes.

    Example:
        >>> metric = OneHotIoU(num_classes=2, target_class_ids=[1])
        >>> float(metric([[1, 0], [0, 1], [0, 1]], [[0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])) > 0.66
        True

    Source: `keras.metrics.OneHotIoU`.
    """

    num_classes: int = argument(kind=positive_int)
    target_class_ids: Any = argument(kind=list)
    name: Any = argument(None)
    dtype: Any = argument(None, _or_int)
    ignore_class: int | None = argument(None)
    sparse_y_pred: bool = argument(False)
    axis: int = argument(-1)
    sparse_y_true = False


@public("keras.metrics")
class OneHotMeanIoU(MeanIoU):
    """Mean over all classes of intersection over union, for one-hot labels; see `IoU`.

    Args:
        num_classes: how many classes there are.
        name: its name.
        dtype: dtype of the counts; int32 if None. Sample weights are cast to it.
        ignore_class: a label whose entries do not count.
        sparse_y_pred: whether predictions are integers rather than scores of classes.
        axis: axis of the classes.

    Raises:
        ValueError: more classes along `axis` than `num_classes`, or labels and predictions of different sizes.

    Example:
        >>> metric = OneHotMeanIoU(num_classes=2)
        >>> round(float(metric([[1, 0], [0, 1]], [[0.2, 0.8], [0.3, 0.7]])), 4)
        0.25

    Source: `keras.metrics.OneHotMeanIoU`.
    """

    num_classes: int = argument(kind=positive_int)
    name: Any = argument(None)
    dtype: Any = argument(None, _or_int)
    ignore_class: int | None = argument(None)
    sparse_y_pred: bool = argument(False)
    axis: int = argument(-1)
    sparse_y_true = False
