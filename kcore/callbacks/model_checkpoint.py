"""The callback that saves a model, or its weights, as it trains."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kcore import config
from kcore.callbacks.frequency import BatchCounter, frequency
from kcore.callbacks.monitor import MonitorCallback
from kcore.declare import argument
from kcore.registry import public

#: Endings of whole models.
ENDINGS = (".keras", ".h5", ".hdf5")


@public("keras.callbacks")
class ModelCheckpoint(MonitorCallback):
    """Saves the model after every epoch, after some batches, or when a logged value is the best yet.

    A file appears whole under its name or not at all. One of a whole model goes on being trained as it was; one of
    weights holds the optimizer's state, too: compile a model before it loads one.

    Args:
        filepath: ends in ``.keras`` or ``.h5``; with `save_weights_only` in ``.weights.h5``. ``{epoch}`` (from 1),
            ``{batch}`` (from 1, with a number of batches as `save_freq`) and the names of logged values are filled in,
            with formats as in ``{epoch:02d}-{val_loss:.2f}``. Folders are made where they are missing.
        monitor: name of the value that says what is best.
        verbose: 1 prints what is saved and why.
        save_best_only: save only when the value is better than ever before.
        save_weights_only: save the weights instead of the whole model.
        mode: ``"min"`` or ``"max"``, which way is better; ``"auto"`` asks the metric, losses fall.
        save_freq: ``"epoch"``, or after so many batches; with ``steps_per_execution`` batches count together.
        initial_value_threshold: with `save_best_only`, the value to begin with: only better ones are saved.

    Raises:
        ValueError: another ending of the name, or an argument out of range.
        KeyError: the name holds a value that is not logged.

    Example:
        >>> import kcore, numpy as np, tempfile, os
        >>> folder = tempfile.mkdtemp()
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> save = ModelCheckpoint(folder + "/{epoch:02d}.keras")
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=save)
        >>> sorted(os.listdir(folder))
        ['01.keras', '02.keras']

    Source: `keras.callbacks.ModelCheckpoint`.
    """

    filepath: str = argument(kind=os.fspath)
    monitor: str = argument("val_loss")
    verbose: int = argument(0)
    save_best_only: bool = argument(False)
    save_weights_only: bool = argument(False)
    mode: str = argument("auto")
    save_freq: Any = argument("epoch", frequency)
    initial_value_threshold: float | None = argument(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        endings = (".weights.h5",) if self.save_weights_only else ENDINGS
        if not self.filepath.endswith(endings):
            what = "weights" if self.save_weights_only else "a whole model"
            raise ValueError(
                f"ModelCheckpoint: filepath={self.filepath!r} must end in {' or '.join(endings)}, as {what} "
                f"{'are' if self.save_weights_only else 'is'} saved"
            )
        if not self.save_weights_only and self.filepath.endswith(".weights.h5"):
            raise ValueError(
                f"ModelCheckpoint: filepath={self.filepath!r} is the name of a file of weights, but whole models are "
                "saved; pass save_weights_only=True"
            )
        self.best = self.initial_value_threshold
        self._counter = None if self.save_freq == "epoch" else BatchCounter(self.save_freq)
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.save_best_only:
            super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._counter is not None and self._counter.due(batch):
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._counter is None:
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        path = self._path(epoch, batch, logs)
        if not self._due(epoch, path, logs):
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if Path(path).is_dir():
            raise IsADirectoryError(f"ModelCheckpoint: {path} is a folder, no file can be written in its place")
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> str:
        names = {} if batch is None else {"batch": batch + 1}
        try:
            return self.filepath.format(epoch=epoch + 1, **names, **(logs or {}))
        except KeyError as error:
            known = ["epoch", *names, *(logs or {})]
            raise KeyError(
                f"ModelCheckpoint: filepath={self.filepath!r} holds {error.args[0]!r}, which is not logged; "
                f"there are: {', '.join(known)}"
            ) from None

    def _due(self, epoch: int, path: str, logs: dict[str, Any] | None) -> bool:
        value = self.get_monitor_value(logs) if self.save_best_only else None
        if value is not None and np.ndim(value) > 0:
            warnings.warn(
                f"ModelCheckpoint: {self.monitor!r} is no single value but {value!r}, so every state is saved",
                stacklevel=2,
            )
            value = None
        if value is None:
            self._say(f"Epoch {epoch + 1}: saving {self._what} to {path}")
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(value, self.best):
            self._say(f"Epoch {epoch + 1}: {self.monitor} did not improve from {before}")
            return False
        self._say(
            f"Epoch {epoch + 1}: {self.monitor} improved from {before} to {value:.5f}, saving {self._what} to {path}"
        )
        self.best = value
        return True

    @property
    def _what(self) -> str:
        return "weights" if self.save_weights_only else "model"

    def _say(self, text: str) -> None:
        if self.verbose > 0:
            config.say(text)
