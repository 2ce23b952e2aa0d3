"""The callback that shows progress on the screen or in a log."""

from __future__ import annotations

from typing import Any

from kcore.callbacks.callback import Callback
from kcore.registry import public
from kcore.training.progress import Progbar


@public("keras.callbacks")
class ProgbarLogger(Callback):
    """Prints progress, loss and metrics; `fit`, `evaluate` and `predict` make one unless ``verbose=0``.

    Example:
        >>> logger = ProgbarLogger()
        >>> logger.set_params({"verbose": 2, "epochs": 1, "steps": 3})
        >>> logger.on_epoch_begin(0)
        >>> logger.seen
        0

    Source: `keras.callbacks.ProgbarLogger`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self.verbose = 1 if params["verbose"] == "auto" else int(params["verbose"])
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:  # validation inside fit is silent
            self._start()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        title = f"Epoch {epoch + 1}/{self.epochs}" if self.epochs > 1 else None
        self._start(title)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seen = batch + 1
        if self.progbar is not None:
            self.progbar.update(self.seen, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self.on_train_batch_end(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_train_batch_end(batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._finish(logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)

    def on_abort(self) -> None:
        self._in_fit = False
        if self.progbar is not None:
            self.progbar.close()
            self.progbar = None

    def _start(self, title: str | None = None) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose)
        if title is not None and self.verbose:
            self.progbar.print(title)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        if self.progbar is None:
            return
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.finish(self.seen or self.target, logs)
        self.progbar = None
