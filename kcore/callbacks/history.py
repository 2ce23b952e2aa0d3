"""The callback that every `fit` has: it keeps the logs of the epochs, and shows them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kcore.callbacks.callback import Callback
from kcore.extras import require
from kcore.registry import public


@public("keras.callbacks")
class History(Callback):
    """Keeps what `fit` returns: the logs of every epoch.

    Attributes:
        epoch: the indices of the epochs that finished.
        history: name -> one float per epoch. A further `fit` with the same object goes on with it.
        params: what `fit` was called with: ``verbose``, ``epochs``, ``steps``.

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
        #: The rows, from 0, in which each name has its values: validation may be rarer than epochs.
        self._rows: dict[str, list[int]] = {}
        self._count = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._rows.setdefault(name, []).append(self._count)
        self._count += 1
        if self._model is not None:
            self._model.history = self

    def to_dataframe(self) -> Any:
        """The values as a pandas DataFrame: a row per epoch, a column per name, NaN where an epoch has no value.

        The index is the epoch, from 0; after a second `fit` with the same object the rows are counted on.

        Raises:
            MissingExtraError: pandas is not installed.

        Example:
            >>> history = History(); history.on_train_begin()
            >>> history.on_epoch_end(0, {"loss": 0.5}); history.on_epoch_end(1, {"loss": 0.25})
            >>> history.to_dataframe()["loss"].tolist()
            [0.5, 0.25]
        """
        pandas = require("pandas", "pandas", "History.to_dataframe()")
        columns = {name: pandas.Series(values, self.rows(name)) for name, values in self.history.items()}
        table = pandas.DataFrame(columns, index=range(max([self._count, *map(len, self.history.values())])))
        if len(self.epoch) == len(table):
            table.index = self.epoch
        return table.rename_axis("epoch")

    def rows(self, name: str) -> list[int]:
        """The rows, from 0, in which a name has its values; a list changed by hand counts from the first row."""
        rows = self._rows.get(name, [])
        values = self.history[name]
        return list(rows) if len(rows) == len(values) else list(range(len(values)))

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        metrics: str | Sequence[str] | None = None,
        title: str | None = None,
    ) -> Any:
        """Draw the values over the epochs: a panel per loss or metric, with validation; the best epoch is marked.

        Args:
            path: file to write the picture to: ``"run.png"``, ``"run.svg"``, ``"run.pdf"``.
            metrics: names of the values to draw, without ``val_``; all of them if None.
            title: what stands above.

        Returns:
            The matplotlib figure; a notebook shows it.

        Raises:
            MissingExtraError: matplotlib is not installed.
            ValueError: there is no epoch to draw, or no such value.

        Example:
            >>> history = History(); history.on_train_begin()
            >>> history.on_epoch_end(0, {"loss": 0.5}); history.on_epoch_end(1, {"loss": 0.25})
            >>> [axes.get_title(loc="left") for axes in history.plot().axes]
            ['loss']
        """
        from kcore.visualization import plot_history

        return plot_history(self, path, metrics, title)
