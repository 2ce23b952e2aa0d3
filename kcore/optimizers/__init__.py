"""Optimizers: how variables move by their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.optimizers import schedules
from kcore.optimizers.adadelta import Adadelta
from kcore.optimizers.adafactor import Adafactor
from kcore.optimizers.adagrad import Adagrad
from kcore.optimizers.adam import Adam
from kcore.optimizers.adamax import Adamax
from kcore.optimizers.adamw import AdamW
from kcore.optimizers.ftrl import Ftrl
from kcore.optimizers.lamb import Lamb
from kcore.optimizers.lion import Lion
from kcore.optimizers.loss_scale_optimizer import LossScaleOptimizer
from kcore.optimizers.multi_optimizer import MultiOptimizer, OptimizerMap
from kcore.optimizers.muon import Muon
from kcore.optimizers.nadam import Nadam
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.rmsprop import RMSprop
from kcore.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from kcore.optimizers.sgd import SGD
from kcore.optimizers.step import per_step
from kcore.registry import REGISTRY
from kcore.registry import deserialize as _deserialize
from kcore.registry import serialize as _serialize

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "per_step",
    "scaled",
    "schedules",
    "serialize",
]


def get(identifier: Any) -> Optimizer | None:
    """The optimizer of a name (upper or lower case), configuration or optimizer; None stays None.

    Raises:
        ValueError: an unknown name; near names are shown.

    Example:
        >>> get("adam")
        <Adam name=adam>
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, str):
        custom = REGISTRY.custom(identifier)
        return custom() if custom is not None else deserialize({"class_name": identifier, "config": {}})
    raise ValueError(f"expected the name or configuration of an optimizer, or an Optimizer, got {identifier!r}")


def scaled(optimizer: Optimizer) -> LossScaleOptimizer:
    """The optimizer with loss scaling around it; one that is a `LossScaleOptimizer` already stays as it is."""
    if isinstance(optimizer, LossScaleOptimizer):
        return optimizer
    return LossScaleOptimizer(optimizer, name="loss_scale_optimizer")


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The configuration of an optimizer."""
    return _serialize(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer a configuration describes; class names may be in lower case."""
    name = config["class_name"]
    known = REGISTRY.members("keras.optimizers")
    if name.lower() in known:
        config = {**config, "class_name": name.lower()}
    try:
        return _deserialize(config, custom_objects, module="keras.optimizers")
    except TypeError as error:
        raise ValueError(str(error)) from None
