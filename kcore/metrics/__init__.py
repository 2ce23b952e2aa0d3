"""Metrics: numbers that are reported but not minimized."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from kcore.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
)
from kcore.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from kcore.metrics.from_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)
from kcore.metrics.metric import Metric, snapshot
from kcore.metrics.reduction import FunctionMetric, Mean, MeanMetricWrapper, Sum
from kcore.naming import to_snake_case
from kcore.registry import REGISTRY, Namespace

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "FunctionMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "serialize",
    "snapshot",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

_names = Namespace("keras.metrics", "metric")


def get(identifier: Any) -> Any:
    """The metric of a name, configuration, class or callable; None stays None.

    A name in snake case gives an object of the class, as in Keras: ``get("binary_accuracy")``.

    Raises:
        ValueError: an unknown name; near names are shown.

    Example:
        >>> get("accuracy"), get("mse")
        (<Accuracy name=accuracy>, <MeanSquaredError name=mean_squared_error>)
    """
    if isinstance(identifier, str) and REGISTRY.custom(identifier) is None:
        classes = {to_snake_case(n): m for n, m in REGISTRY.members("keras.metrics").items() if inspect.isclass(m)}
        identifier = classes.get(identifier, identifier)
    return _names.get(identifier)


def serialize(metric: Any) -> Any:
    """The configuration of a metric or metric function."""
    return _names.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric a configuration describes."""
    return _names.deserialize(config, custom_objects)
