"""Losses: functions of labels and predictions that training minimizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.losses.functions import (
    BCE,
    MAE,
    MAPE,
    MSE,
    MSLE,
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    sparse_categorical_crossentropy,
)
from kcore.losses.loss import FunctionLoss, Loss, LossFunctionWrapper
from kcore.losses.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    SparseCategoricalCrossentropy,
)
from kcore.registry import Namespace

__all__ = [
    "BCE",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "FunctionLoss",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "SparseCategoricalCrossentropy",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "serialize",
    "sparse_categorical_crossentropy",
]

_names = Namespace("keras.losses", "loss")


def get(identifier: Any) -> Any:
    """The loss of a name, configuration, class or callable; None stays None.

    Raises:
        ValueError: an unknown name; near names are shown.

    Example:
        >>> get("mse") is mean_squared_error
        True
    """
    return _names.get(identifier)


def serialize(loss: Any) -> Any:
    """The configuration of a loss or loss function."""
    return _names.serialize(loss)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss a configuration describes."""
    return _names.deserialize(config, custom_objects)
