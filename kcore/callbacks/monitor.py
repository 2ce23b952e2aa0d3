"""What callbacks that watch one value share: which way is better, and whether it got better."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any

import numpy as np

from kcore import metrics  # noqa: F401 - whose classes say which way is better
from kcore.callbacks.callback import Callback
from kcore.losses import Loss
from kcore.naming import did_you_mean, to_snake_case
from kcore.registry import REGISTRY


class MonitorCallback(Callback):
    """Base of callbacks that watch one of the logged values.

    A subclass declares ``monitor``, ``mode`` and ``min_delta`` among its arguments. ``mode="auto"`` means that
    losses should fall and that metrics go the way they say themselves.

    Attributes:
        best: the best value so far, None before the first.
        monitor_op: `numpy.less` or `numpy.greater`; None until training begins.

    Source: `keras.callbacks.MonitorCallback`.
    """

    monitor: str
    mode: str
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "min", "max"):
            near = did_you_mean(str(self.mode), ("auto", "min", "max"))
            warnings.warn(f"{type(self).__name__}: mode={self.mode!r} is unknown, 'auto' is used{near}", stacklevel=3)
            self.mode = "auto"
        self.min_delta = abs(self.min_delta)
        self.best: Any = None
        self.monitor_op: Any = None
        self._warned = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._warned = False
        if self.monitor_op is None and self._model is not None:
            self._set_monitor_op()

    def _set_monitor_op(self) -> None:
        way = direction(self.monitor, self._model) if self.mode == "auto" else self.mode
        if way is None:
            raise ValueError(
                f"{type(self).__name__}(monitor={self.monitor!r}): whether {self.monitor!r} should rise or fall is not "
                "known; pass mode='max' or mode='min'"
            )
        self.monitor_op = np.less if way == "min" else np.greater

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """Whether a value is better than a reference by more than `min_delta`."""
        if reference is None:
            return True
        if self.monitor_op is None:
            self._set_monitor_op()
        delta = -self.min_delta if self.monitor_op is np.less else self.min_delta
        return bool(self.monitor_op(value - delta, reference))

    def get_monitor_value(self, logs: dict[str, Any] | None) -> Any:
        """The watched value of these logs; without it None, and a warning once in a run."""
        value = (logs or {}).get(self.monitor)
        if value is None and not self._warned:
            self._warned = True
            names = list(logs or {})
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not logged"
                f"{did_you_mean(self.monitor, names)} Logged are: {', '.join(names)}",
                stacklevel=2,
            )
        return value


def direction(name: str, model: Any = None) -> str | None:
    """Whether a logged value should fall or rise.

    Args:
        name: its name in the logs, with or without ``val_``.
        model: the model whose metrics are asked; without one, the metrics of that name.

    Returns:
        ``"min"``, ``"max"``, or None where that is not known.

    Example:
        >>> direction("val_loss"), direction("accuracy"), direction("seconds")
        ('min', 'max', None)
    """
    name = name.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return "min"
    for logged, metric in _metrics(model) if model is not None else _metric_called(name):
        way = _way(metric)
        if logged == name and way is not None:
            return way
    return None


def _way(metric: Any) -> str | None:
    """What a metric, a class of metrics or a function says of itself; the mean of a loss should fall."""
    said = getattr(metric, "_direction", None)
    if said is not None:
        return "max" if said == "up" else "min"
    kind = metric if inspect.isclass(metric) or inspect.isfunction(metric) else type(metric)
    function = getattr(metric, "_fn", None) or getattr(kind, "fn", kind)
    name = getattr(function, "__name__", "")
    is_loss = isinstance(function, Loss) or (name and REGISTRY.public(f"keras.losses.{name}") is function)
    return "min" if is_loss else None


def _metrics(model: Any) -> list[tuple[str, Any]]:
    """The metrics of a model by the names they are logged under, and by their own."""
    compiled = getattr(getattr(model, "_compiled", None), "metrics", None)
    named = [] if compiled is None else list(compiled.named())
    return named + [(metric.name, metric) for metric in getattr(model, "metrics", ())]


def _metric_called(name: str) -> list[tuple[str, Any]]:
    """The metric a logged name stands for, as far as the name alone tells: ``accuracy``, ``mse``, ``auc_1``."""
    members = REGISTRY.members("keras.metrics")
    by_name = {**members, **{to_snake_case(key): member for key, member in members.items() if inspect.isclass(member)}}
    found = by_name.get("accuracy" if name == "acc" else re.sub(r"_\d+$", "", name)) or by_name.get(name)
    return [] if found is None else [(name, found)]
