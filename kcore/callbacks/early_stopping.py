"""The callback that stops training when a value no longer gets better."""

from __future__ import annotations

from typing import Any

from kcore import config
from kcore.callbacks.callback import not_negative
from kcore.callbacks.monitor import MonitorCallback
from kcore.declare import argument
from kcore.registry import public


@public("keras.callbacks")
class EarlyStopping(MonitorCallback):
    """Stops training when a logged value has not become better for some epochs.

    Args:
        monitor: name of the value in the epoch's logs.
        min_delta: what it must improve by to count as better.
        patience: epochs without improvement before training stops.
        verbose: 1 prints when training was stopped and which weights were restored.
        mode: ``"min"`` or ``"max"``, which way is better; ``"auto"`` asks the metric, losses fall.
        baseline: patience begins anew only with values that are better than this one, too.
        restore_best_weights: give the model the weights of its best epoch when training ends, however it ended.
        start_from_epoch: epochs before this one (from 0) do not count.

    Attributes:
        stopped_epoch: the epoch after which training was stopped; 0 if it was not.
        best, best_epoch: the best value and its epoch, from 0.
        wait: epochs without improvement so far.

    Raises:
        ValueError: a negative patience, or in ``"auto"`` mode a value that may be good either way.

    Example:
        >>> import kcore, numpy as np
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> stop = EarlyStopping("loss", min_delta=1e9, patience=2)
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=50, verbose=0, callbacks=stop)
        >>> len(history.epoch), stop.stopped_epoch
        (3, 2)

    Source: `keras.callbacks.EarlyStopping`.
    """

    monitor: str = argument("val_loss")
    min_delta: float = argument(0)
    patience: float = argument(0, not_negative)
    verbose: int = argument(0)
    mode: str = argument("auto")
    baseline: float | None = argument(None)
    restore_best_weights: bool = argument(False)
    start_from_epoch: int = argument(0, not_negative)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._begin()

    def _begin(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.monitor_op is None:
            self._set_monitor_op()
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        better = self._is_improvement(value, self.best)
        if better or (self.restore_best_weights and self.best_weights is None):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        self.wait += 1
        if better:
            self.best = value
            if self.baseline is None or self._is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            config.say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                config.say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
