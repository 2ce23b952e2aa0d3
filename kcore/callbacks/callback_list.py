"""Several callbacks called as one, with only those called at a batch that have something to do there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.callbacks.callback import Callback
from kcore.callbacks.history import History
from kcore.callbacks.progbar_logger import ProgbarLogger

Hook = Callable[..., None]


class CallbackList(Callback):
    """A list of callbacks that is itself a callback.

    Args:
        callbacks: one callback or a list of them.
        add_history: add a `History` if there is none.
        add_progbar: add a `ProgbarLogger` if there is none.
        model: the model they are used with; its `history` is set.
        **params: handed to every callback's `set_params` (``verbose``, ``epochs``, ``steps``).

    Attributes:
        train_batch_end, train_batch_begin, test_batch_end, test_batch_begin, predict_batch_end, predict_batch_begin:
            the bound methods that do something at that moment; if empty, the loop makes no logs for it.

    Raises:
        ValueError: something in the list is not a callback.

    Example:
        >>> seen = []
        >>> class Note(Callback):
        ...     def on_train_batch_end(self, batch, logs=None):
        ...         seen.append(batch)
        >>> callbacks = CallbackList([Note(), Callback()])
        >>> callbacks.on_train_batch_end(3)
        >>> seen, len(callbacks.train_batch_end)
        ([3], 1)

    Source: `keras.callbacks.CallbackList`.
    """

    def __init__(
        self,
        callbacks: Callback | Sequence[Callback] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        if callbacks is None:
            callbacks = []
        self.callbacks: list[Any] = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        for callback in self.callbacks:
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise ValueError(
                    f"callbacks must be instances of kcore.callbacks.Callback; received {callback!r}"
                    + (" (a class: call it to make an instance)" if isinstance(callback, type) else "")
                )
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_history and self._history is None:
            self._history = History()
            self.callbacks.append(self._history)
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self._collect()
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Callback) -> None:
        self.callbacks.append(callback)
        self._collect()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        self._model = model
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def close(self) -> None:
        """After an error or Ctrl-C: let callbacks that hold the screen let go of it."""
        for callback in self.callbacks:
            if isinstance(callback, ProgbarLogger):
                callback.close()

    # -- which callbacks have something to do at a batch -------------------------------------------------------------

    def _collect(self) -> None:
        self.train_batch_begin = self._hooks("on_train_batch_begin", "on_batch_begin")
        self.train_batch_end = self._hooks("on_train_batch_end", "on_batch_end")
        self.test_batch_begin = self._hooks("on_test_batch_begin")
        self.test_batch_end = self._hooks("on_test_batch_end")
        self.predict_batch_begin = self._hooks("on_predict_batch_begin")
        self.predict_batch_end = self._hooks("on_predict_batch_end")

    def _hooks(self, *names: str) -> list[Hook]:
        hooks = []
        for callback in self.callbacks:
            if any(_overridden(callback, name) for name in names):
                hooks.append(getattr(callback, names[0]))
        return hooks

    # -- the moments -------------------------------------------------------------------------------------------------

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_train_batch_end(batch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.train_batch_begin:
            hook(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.train_batch_end:
            hook(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.test_batch_begin:
            hook(batch, logs=logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.test_batch_end:
            hook(batch, logs=logs)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.predict_batch_begin:
            hook(batch, logs=logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.predict_batch_end:
            hook(batch, logs=logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, {} if logs is None else logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, {} if logs is None else logs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_train_end", logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_test_end", logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_predict_end", logs)

    def _call(self, name: str, logs: dict[str, Any] | None) -> None:
        for callback in self.callbacks:
            getattr(callback, name)({} if logs is None else logs)


def _overridden(callback: Any, name: str) -> bool:
    """Whether a callback does something of its own in the method `name`."""
    if name in getattr(callback, "__dict__", {}):
        return True
    return getattr(type(callback), name, None) is not getattr(Callback, name)
