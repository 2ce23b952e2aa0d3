"""The callback that lets a training that was cut off go on where it was."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from kcore.callbacks.callback import Callback
from kcore.callbacks.frequency import BatchCounter, frequency
from kcore.declare import argument
from kcore.registry import public
from kcore.saving.backup import read_backup, write_backup
from kcore.training.resume import run_of


def _folder(value: Any) -> str:
    if not value:
        raise ValueError("expected the name of a folder")
    return str(os.fspath(value))


@public("keras.callbacks")
class BackupAndRestore(Callback):
    """Backs the training up as it goes on, so that the same script, started again, goes on where it was cut off.

    A run that was killed and started again ends with the very weights of one that was not: the file holds weights,
    the optimizer's state, the states of stateful recurrent layers and of all random sources (Python's, NumPy's and
    kcore's), the epoch, the place in the data, and what the metrics have counted. It appears whole or not at all.

    Batches of the interrupted epoch that were done are drawn again and dropped. That is exact for arrays and for a
    `PyDataset`; a Python generator is taken to give the same batches again from its first one on. What other callbacks
    remember (the patience of `EarlyStopping`) begins anew, and the history begins with the epoch that is resumed.

    Args:
        backup_dir: folder of the backup, which is made if need be; one for each training.
        save_freq: ``"epoch"``, or after so many batches.
        double_checkpoint: keep the backup before the last as well, in case the last is damaged.
        delete_checkpoint: remove the backup when the training is done.

    Raises:
        ValueError: an argument out of range; at the beginning of the training: a backup that is damaged or is one of
            another model.

    Example:
        >>> import kcore, numpy as np, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> class Stop(Callback):
        ...     def on_epoch_begin(self, epoch, logs=None):
        ...         if epoch == 2: raise RuntimeError("power cut")
        >>> def train(*callbacks):
        ...     model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     backup = BackupAndRestore(folder)
        ...     return model.fit(np.ones((4, 2)), np.ones(4), epochs=4, verbose=0, callbacks=[backup, *callbacks])
        >>> try: train(Stop())
        ... except RuntimeError: print("stopped")
        stopped
        >>> train().epoch
        [2, 3]

    Source: `keras.callbacks.BackupAndRestore`.
    """

    backup_dir: str = argument(kind=_folder)
    save_freq: Any = argument("epoch", frequency)
    double_checkpoint: bool = argument(False)
    delete_checkpoint: bool = argument(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._path = Path(self.backup_dir) / "latest.weights.h5"
        self._previous = self._path.with_name(f"{self._path.name}.bkp")
        self._counter = None if self.save_freq == "epoch" else BatchCounter(self.save_freq)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        files = [file for file in (self._path, self._previous) if file.is_file()]
        for file in files:
            try:
                found = read_backup(self.model, file)
            except ValueError as error:
                if file is files[-1]:
                    raise ValueError(f"BackupAndRestore cannot go on from its backup: {error}") from None
                warnings.warn(f"{error} The backup before it is used.", stacklevel=2)
                continue
            run_of(self.model).go_to(*found)
            if self._counter is not None:
                self._counter.begin_after(found[0]["data"]["step"])
            return

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._counter is not None and self._counter.due(batch):
            self._save(within=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._counter is None:
            self._save(within=False)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.delete_checkpoint:
            return
        for file in (self._path, self._previous):
            file.unlink(missing_ok=True)
        folder = self._path.parent
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def _save(self, within: bool) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self._path.is_file():
            link = self._previous.with_name(f"{self._previous.name}.new")
            link.unlink(missing_ok=True)
            os.link(self._path, link)
            link.replace(self._previous)
        run = run_of(self.model)
        write_backup(self.model, self._path, run.position(within), run.metrics() if within else None)
