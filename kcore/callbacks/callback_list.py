"""Several callbacks called as one, with only those called at a batch that have something to do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kcore.callbacks.callback import Callback
from kcore.callbacks.history import History
from kcore.callbacks.progbar_logger import ProgbarLogger
from kcore.registry import public
from kcore.training.logs import LazyLogs, as_floats

Hook = Callable[..., None]


@public("keras.callbacks")
class CallbackList(Callback):
    """A list of callbacks that is itself a callback.

    Args:
        callbacks: one callback or a list of them, nested or not; a name stands for a callback without arguments:
            ``"TerminateOnNaN"``, or one of a plugin, ``"package>Name"``.
        add_history: add a `History` if there is none.
        add_progbar: add a `ProgbarLogger` if there is none.
        model: the model they are used with; its `history` is set.
        **params: handed to every callback's `set_params` (``verbose``, ``epochs``, ``steps``).

    Attributes:
        callbacks: the callbacks.
        train_batch_end, train_batch_begin, test_batch_end, test_batch_begin, predict_batch_end, predict_batch_begin:
            what is to be called at that moment; if empty, the loop makes no logs for it.

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
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks = [_checked(callback) for callback in _flat(callbacks)]
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_history and self._history is None:
            self._history = History()
            self.callbacks.append(self._history)
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self.train_batch_begin: list[Hook] = []
        self.train_batch_end: list[Hook] = []
        self.test_batch_begin: list[Hook] = []
        self.test_batch_end: list[Hook] = []
        self.predict_batch_begin: list[Hook] = []
        self.predict_batch_end: list[Hook] = []
        self._collect()
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Callback) -> None:
        self.callbacks.append(_checked(callback))
        self._collect()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                _call(callback, "set_params", params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        self._model = model
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            _call(callback, "set_model", model)

    def close(self) -> None:
        """After an error or Ctrl-C: let the callbacks let go of what they hold."""
        self.on_abort()

    # -- which callbacks have something to do at a batch -------------------------------------------------------------

    def _collect(self) -> None:
        """Find the batch methods that do something; into the same lists, which a running loop may hold."""
        self.train_batch_begin[:] = self._hooks("on_train_batch_begin", "on_batch_begin")
        self.train_batch_end[:] = self._hooks("on_train_batch_end", "on_batch_end")
        self.test_batch_begin[:] = self._hooks("on_test_batch_begin")
        self.test_batch_end[:] = self._hooks("on_test_batch_end")
        self.predict_batch_begin[:] = self._hooks("on_predict_batch_begin")
        self.predict_batch_end[:] = self._hooks("on_predict_batch_end")

    def _hooks(self, *names: str) -> list[Hook]:
        return [_named(c, names[0]) for c in self.callbacks if any(_overridden(c, name) for name in names)]

    # -- batches -----------------------------------------------------------------------------------------------------

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_train_batch_end(batch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        _batch(self.train_batch_begin, batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        _batch(self.train_batch_end, batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        _batch(self.test_batch_begin, batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        _batch(self.test_batch_end, batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        _batch(self.predict_batch_begin, batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for hook in self.predict_batch_end:
            hook(batch, logs={} if logs is None else logs)

    # -- epochs and runs ---------------------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._all("on_epoch_begin", epoch, _shared(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._all("on_epoch_end", epoch, _shared(logs))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin("on_train_begin", logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._all("on_train_end", _shared(logs))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin("on_test_begin", logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._all("on_test_end", _shared(logs))

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin("on_predict_begin", logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._all("on_predict_end", _shared(logs))

    def on_abort(self) -> None:
        self._all("on_abort")

    def _begin(self, name: str, logs: Mapping[str, Any] | None) -> None:
        """A run begins; if one callback refuses, those before it, which may hold files, are told."""
        self._collect()
        try:
            self._all(name, _shared(logs))
        except BaseException:
            self.on_abort()
            raise

    def _all(self, name: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            if _overridden(callback, name):
                _call(callback, name, *arguments)


def _flat(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, Mapping):
        callbacks = callbacks.values()
    elif isinstance(callbacks, str) or not isinstance(callbacks, Sequence):
        return [callbacks]
    return [inner for callback in callbacks for inner in _flat(callback)]


def _checked(callback: Any) -> Any:
    """A callback as it is, or made from its name."""
    if isinstance(callback, str):
        from kcore.callbacks import get

        callback = get(callback)
    if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
        raise ValueError(
            f"callbacks must be instances of kcore.callbacks.Callback; received {callback!r}"
            + (" (a class: call it to make an instance)" if isinstance(callback, type) else "")
        )
    return callback


def _shared(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The logs that all callbacks of one moment share: floats, sorted by name."""
    return {} if logs is None else as_floats(logs)


def _batch(hooks: list[Hook], batch: int, logs: Mapping[str, Any] | None) -> None:
    if hooks:
        shared = {} if logs is None else logs if isinstance(logs, LazyLogs) else LazyLogs(lambda: logs)
        for hook in hooks:
            hook(batch, logs=shared)


def _overridden(callback: Any, name: str) -> bool:
    """Whether a callback does something of its own in the method `name`."""
    if name in getattr(callback, "__dict__", {}):
        return True
    return getattr(type(callback), name, None) is not getattr(Callback, name)


# -- errors that say which callback they came from -------------------------------------------------------------------


def _named(callback: Any, name: str) -> Hook:
    """A batch method of a callback; an error in it says where it happened."""
    hook = getattr(callback, name)

    def named(batch: int, logs: Any = None) -> None:
        try:
            hook(batch, logs=logs)
        except Exception as error:
            _note(error, callback, name)
            raise

    return named


def _call(callback: Any, name: str, *arguments: Any) -> None:
    try:
        getattr(callback, name)(*arguments)
    except Exception as error:
        _note(error, callback, name)
        raise


def _note(error: Exception, callback: Any, name: str) -> None:
    error.add_note(f"in {name}() of callback {type(callback).__name__} ({type(callback).__module__})")
