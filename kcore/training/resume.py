"""Where a run of `fit` stands, and how another process goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kcore.runtime.random_state import random_state, set_random_state
from kcore.training.epochs import Epochs


class Run:
    """A call of `fit`.

    Args:
        model: the model.
        data: its batches.
        epoch: the first epoch.

    Attributes:
        epoch: the epoch that runs; between two epochs, the next one.
    """

    def __init__(self, model: Any, data: Epochs, epoch: int):
        self._model, self._data, self.epoch = model, data, epoch
        self._metrics: list[np.ndarray] | None = None

    def position(self, within: bool) -> dict[str, Any]:
        """The epoch, the place in the data, and the states of the global random sources, in plain values.

        Args:
            within: whether it is asked for in the middle of an epoch, after a step.
        """
        return {"epoch": self.epoch, "data": self._data.position(within), "random": random_state()}

    def metrics(self) -> list[np.ndarray]:
        """What the metrics have counted in this epoch."""
        return [variable.numpy() for variable in self._counted()]

    def go_to(self, position: Mapping[str, Any], metrics: list[np.ndarray] | None = None) -> None:
        """Go on as if a position had just been reached: with the batch that would have been the next.

        Args:
            position: what `position` gave, in this process or another.
            metrics: what `metrics` gave then, if that was within an epoch.
        """
        self._data.go_to(position["data"])
        self.epoch = int(position["epoch"])
        self._metrics = metrics
        set_random_state(position["random"])

    def begin_epoch(self) -> None:
        """Let the metrics of an epoch begin with zero, or with what they had counted."""
        self._model.reset_metrics()
        kept, self._metrics = self._metrics, None
        if kept is None:
            return
        mine = self._counted()
        if [v.shape for v in kept] == [tuple(v.shape) for v in mine]:
            for variable, value in zip(mine, kept, strict=True):
                variable.assign(value)

    def _counted(self) -> list[Any]:
        return [variable for metric in self._model.metrics for variable in metric.variables]


#: Model -> the calls of `fit` that run, from a callback or another thread even several, the last one begun at the end.
_RUNS: WeakKeyDictionary[Any, list[Run]] = WeakKeyDictionary()


@contextmanager
def running(model: Any, data: Epochs, epoch: int) -> Iterator[Run]:
    """Context of a call of `fit`."""
    run, runs = Run(model, data, epoch), _RUNS.setdefault(model, [])
    runs.append(run)
    try:
        yield run
    finally:
        runs.remove(run)


def run_of(model: Any) -> Run:
    """The call of `fit` that runs for a model.

    Raises:
        ValueError: there is none.
    """
    runs = _RUNS.get(model)
    if not runs:
        raise ValueError(f"model {model.name!r} is not being trained by fit()")
    return runs[-1]
