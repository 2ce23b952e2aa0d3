"""The learning rates of an optimizer as callbacks read, log and set them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def optimizers_of(model: Any) -> Iterator[tuple[str, Any]]:
    """The optimizers of a model, each with what follows ``learning_rate`` in its name in the logs."""
    optimizer = model.optimizer
    if optimizer is None:
        raise ValueError(f"model {model.name!r} has no optimizer, so there is no learning rate to change or log")
    inner = getattr(optimizer, "optimizers", None)
    if inner is None:
        yield "", optimizer
    else:
        yield from ((f"_{each.name}", each) for each in inner)


def current(optimizer: Any) -> float:
    """The learning rate of the next step."""
    return float(np.asarray(optimizer.learning_rate))


def log(model: Any, logs: dict[str, Any]) -> None:
    """Put the learning rate into an epoch's logs."""
    for suffix, optimizer in optimizers_of(model):
        logs[f"learning_rate{suffix}"] = current(optimizer)
