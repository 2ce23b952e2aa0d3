"""The callback that sets the learning rate at the start of every epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import config
from kcore.callbacks import learning_rate
from kcore.callbacks.callback import Callback
from kcore.declare import argument
from kcore.registry import public
from kcore.runtime import is_tensor


def _function(value: Any) -> Any:
    if not callable(value):
        raise ValueError("expected a function of the epoch and the learning rate")
    return value


@public("keras.callbacks")
class LearningRateScheduler(Callback):
    """Sets the learning rate to ``schedule(epoch, learning_rate)`` at the start of every epoch.

    The new rate counts from the next step on; nothing is traced or compiled again. The epoch's logs get
    ``learning_rate``.

    Args:
        schedule: function of the epoch, from 0, and the rate so far; gives the new rate, a float or a floating scalar
            tensor. A function of the epoch alone will do, too.
        verbose: 1 prints the rate of every epoch.

    Raises:
        ValueError: the schedule gave something else than a float.
        TypeError: the optimizer takes its rate from a schedule of its own.

    Example:
        >>> import kcore, numpy as np
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        >>> model.compile(kcore.optimizers.SGD(0.1), "mse")
        >>> halve = LearningRateScheduler(lambda epoch, rate: rate if epoch < 2 else rate / 2)
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=4, verbose=0, callbacks=halve)
        >>> [round(rate, 3) for rate in history.history["learning_rate"]]
        [0.1, 0.1, 0.05, 0.025]

    Source: `keras.callbacks.LearningRateScheduler`.
    """

    schedule: Callable[..., float] = argument(kind=_function)
    verbose: int = argument(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for suffix, optimizer in learning_rate.optimizers_of(self.model):
            rate = self._rate(epoch, learning_rate.current(optimizer))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                whose = f"{optimizer.name} " if suffix else ""
                config.say(f"Epoch {epoch + 1}: LearningRateScheduler setting {whose}learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            learning_rate.log(self.model, logs)

    def _rate(self, epoch: int, rate: float) -> float:
        new: Any = self.schedule(epoch, rate) if _takes_two(self.schedule) else self.schedule(epoch)
        if is_tensor(new) and new.shape == () and "float" in new.dtype:
            new = float(new)
        if not isinstance(new, float | np.floating):
            name = getattr(self.schedule, "__name__", type(self.schedule).__name__)
            raise ValueError(
                f"LearningRateScheduler: schedule {name} gave {new!r} of type {type(new).__name__} for epoch {epoch}; "
                "expected a float"
            )
        return float(new)


def _takes_two(schedule: Callable[..., float]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True
