"""The callback that every `fit` has: it keeps the logs of the epochs."""

from __future__ import annotations

from typing import Any

from kcore.callbacks.callback import Callback


class History(Callback):
    """Keeps what `fit` returns: the logs of every epoch.

    Attributes:
        epoch: the indices of the epochs that finished.
        history: name -> one float per epoch.

    Example:
        >>> history = History()
        >>> history.on_train_begin()
        >>> history.on_epoch_end(0, {"loss": 0.5})
        >>> history.epoch, history.history
        ([0], {'loss': [0.5]})

    Source: `keras.callbacks.History`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self._model is not None:
            self._model.history = self
