"""Weights of samples: from the classes of their labels, and the check of those the user gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore import tree
from kcore.training.data import floatx, leaf_name


def check_class_weight(class_weight: Any, sample_weight: Any = None) -> dict[int, float] | None:
    """Class weights as a dict of int -> float; None stays None.

    Raises:
        ValueError: it is no mapping, a key is no class or a value no number, or there are sample weights, too.

    Example:
        >>> check_class_weight({np.int64(1): 2})
        {1: 2.0}
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight must be a dict of class -> weight, received {class_weight!r}")
    if sample_weight is not None:
        raise ValueError(
            "class_weight and sample_weight cannot be used at the same time; multiply them into sample_weight"
        )
    weights = {}
    for label, weight in class_weight.items():
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
            raise ValueError(
                f"class_weight must have integer classes as keys, received {label!r} ({type(label).__name__})"
            )
        if label < 0:
            raise ValueError(f"class_weight has a weight for class {label}, but classes count from 0")
        try:
            weights[int(label)] = float(weight)
        except (TypeError, ValueError):
            raise ValueError(
                f"class_weight[{label}] must be a number, received {weight!r} ({type(weight).__name__})"
            ) from None
    return weights


def weights_by_class(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """One weight per label from its class.

    Args:
        y: classes ``(samples,)``, ``(samples, 1)`` or ``(samples, time, 1)``; or one value per class, the largest of
            which tells the class: ``(samples, classes)``, ``(samples, time, classes)``. Integers ``(samples, time)``
            with one above 1 among them are classes, too.
        class_weight: class -> weight, as `check_class_weight` gives it; classes not in it weigh 1.

    Returns:
        ``(samples,)`` or ``(samples, time)``, floatx.

    Raises:
        ValueError: several outputs, no labels, or a class that the labels have no place for.

    Example:
        >>> weights_by_class(np.array([0, 1, 2]), {1: 3.0}).tolist()
        [1.0, 3.0, 1.0]
        >>> weights_by_class(np.array([[[0.9, 0.1], [0.2, 0.8]]]), {1: 3.0}).tolist()
        [[1.0, 3.0]]
    """
    if tree.is_nested(y):
        raise ValueError("class_weight works only for models with a single output; use sample_weight, one per output")
    if y is None:
        raise ValueError("class_weight needs labels, but y is None")
    labels = np.asarray(y)
    if labels.ndim > 1:
        if labels.shape[-1] == 1:
            labels = labels[..., 0]
        elif labels.ndim > 2 or labels.dtype.kind not in "iu" or labels.max(initial=0) <= 1:
            classes = labels.shape[-1]
            check_classes(class_weight, classes, f"y has the shape {labels.shape}")
            labels = np.argmax(labels, axis=-1)
    weights = np.ones(labels.shape, dtype=floatx())
    if class_weight:
        keys = np.array(sorted(class_weight))
        values = np.array([class_weight[key] for key in sorted(class_weight)])
        whole = np.rint(labels) if labels.dtype.kind == "f" else labels
        places = np.minimum(np.searchsorted(keys, whole), len(keys) - 1)
        np.copyto(weights, values[places], where=keys[places] == whole, casting="same_kind")
    return weights


def check_classes(class_weight: Mapping[int, float], classes: int, why: str) -> None:
    """Raise ValueError where there is a weight for a class that cannot occur."""
    beyond = [label for label in class_weight if label >= classes]
    if beyond:
        raise ValueError(
            f"class_weight has a weight for class {beyond[0]}, but {why}: its classes are 0 to {classes - 1}"
        )


def check_sample_weight(y: Any, sample_weight: Any) -> None:
    """Raise ValueError where sample weights do not fit the targets they come with.

    Args:
        y, sample_weight: arrays, or structures of them.
    """
    if sample_weight is None:
        return
    several = tree.is_nested(y)
    if several and not tree.is_nested(sample_weight) and sample_weight.shape[1:] not in ((), (1,)):
        raise ValueError(
            f"sample_weight has the shape {sample_weight.shape}, but for several outputs one array must hold one "
            "weight per sample, (samples,). For weights per time step give one array per output, in a list or dict"
        )
    pairs: list[tuple[str, Any, Any]] = []
    if several and tree.same_structure(y, sample_weight):
        pairs = [
            (leaf_name("sample_weight", path), target, weight)
            for (path, weight), target in zip(tree.walk(sample_weight), tree.flatten(y), strict=True)
        ]
    elif not several and y is not None and not tree.is_nested(sample_weight):
        pairs = [("sample_weight", y, sample_weight)]
    for name, target, weight in pairs:
        if weight is not None and target is not None and _axes(weight) > _axes(target):
            raise ValueError(
                f"{name} has the shape {weight.shape}, which has more axes than its target of shape {target.shape}: "
                "it must hold one weight per sample, (samples,), or per time step, (samples, time)"
            )


def _axes(array: Any) -> int:
    """The number of axes, without those of size 1 at the end."""
    axes = len(array.shape)
    while axes > 1 and array.shape[axes - 1] == 1:
        axes -= 1
    return axes
