"""The callback that ends training at a loss that is no number."""

from __future__ import annotations

import math
from typing import Any

from kcore import config
from kcore.callbacks.callback import Callback
from kcore.declare import argument
from kcore.registry import public


@public("keras.callbacks")
class TerminateOnNaN(Callback):
    """Ends training when the loss becomes NaN or infinite.

    It looks at the loss after every step, so the host waits for every step.

    Args:
        raise_error: raise a RuntimeError at once, instead of ending the epoch and then training.

    Raises:
        RuntimeError: the loss is no number and `raise_error` is set.

    Example:
        >>> TerminateOnNaN(raise_error=True).on_batch_end(3, {"loss": float("inf")})
        Traceback (most recent call last):
        ...
        RuntimeError: the loss is inf at batch 3 of the epoch

    Source: `keras.callbacks.TerminateOnNaN`.
    """

    raise_error: bool = argument(False)

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"the loss is {loss} at batch {batch} of the epoch")
        config.say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
