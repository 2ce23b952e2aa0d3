"""The callback that lowers the learning rate when a value no longer gets better."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from kcore import config
from kcore.callbacks import learning_rate
from kcore.callbacks.callback import not_negative
from kcore.callbacks.monitor import MonitorCallback
from kcore.declare import argument
from kcore.registry import public


def _below_one(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < 1:
        raise ValueError("expected a number of at least 0 and below 1")
    return float(value)


@public("keras.callbacks")
class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a logged value has not become better for some epochs.

    The new rate counts from the next step on; nothing is traced or compiled again. The epoch's logs get
    ``learning_rate``, the rate that epoch was trained with.

    Args:
        monitor: name of the value in the epoch's logs.
        factor: what the rate is multiplied by, in [0, 1).
        patience: epochs without improvement before the rate is lowered.
        verbose: 1 prints every change.
        mode: ``"min"`` or ``"max"``, which way is better; ``"auto"`` asks the metric, losses fall.
        min_delta: what the value must improve by to count as better.
        cooldown: epochs after a change in which none is counted.
        min_lr: the rate never goes below this.

    Raises:
        ValueError: an argument out of range, or in ``"auto"`` mode a value that may be good either way.
        TypeError: the optimizer takes its rate from a schedule.

    Example:
        >>> import kcore, numpy as np
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        >>> model.compile(kcore.optimizers.SGD(0.1), "mse")
        >>> lower = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0, callbacks=lower)
        >>> [round(rate, 3) for rate in history.history["learning_rate"]]
        [0.1, 0.1, 0.05]

    Source: `keras.callbacks.ReduceLROnPlateau`.
    """

    monitor: str = argument("val_loss")
    factor: float = argument(0.1, _below_one)
    patience: float = argument(10, not_negative)
    verbose: int = argument(0)
    mode: str = argument("auto")
    min_delta: float = argument(1e-4)
    cooldown: int = argument(0, not_negative)
    min_lr: float = argument(0.0, not_negative)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._begin()

    def _begin(self) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted now."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = {} if logs is None else logs
        learning_rate.log(self.model, logs)
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Lower the rates that are not at their least yet; whether there was one."""
        reduced = False
        for suffix, optimizer in learning_rate.optimizers_of(self.model):
            old = learning_rate.current(optimizer)
            if old > np.float32(self.min_lr):
                new = max(old * self.factor, self.min_lr)
                optimizer.learning_rate = new
                reduced = True
                if self.verbose > 0:
                    whose = f"{optimizer.name} " if suffix else ""
                    config.say(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing {whose}learning rate to {new}.")
        return reduced
