"""A callback made from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.callbacks.callback import HOOKS, Callback
from kcore.naming import did_you_mean
from kcore.registry import public


@public("keras.callbacks")
class LambdaCallback(Callback):
    """A callback made from functions, for what is too short for a class.

    Args:
        on_epoch_begin, on_epoch_end: called with ``(epoch, logs)``.
        on_train_begin, on_train_end: called with ``(logs)``.
        on_train_batch_begin, on_train_batch_end: called with ``(batch, logs=logs)``.
        **hooks: functions for the other methods of `Callback`.

    Raises:
        TypeError: a method `Callback` does not have; near names are shown. Or something that cannot be called.

    Example:
        >>> seen = []
        >>> note = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
        >>> note.on_epoch_end(0, {"loss": 0.5}); seen
        [0.5]

    Source: `keras.callbacks.LambdaCallback`.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any] | None,
    ):
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for name, hook in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: a callback has no method {name!r}{did_you_mean(name, HOOKS)}")
            if hook is None:
                continue
            if not callable(hook):
                raise TypeError(f"LambdaCallback: {name} must be a function, received {hook!r}")
            setattr(self, name, hook)
