"""How often a callback saves: after every epoch, or after so many batches."""

from __future__ import annotations

from typing import Any


def frequency(value: Any) -> Any:
    """``"epoch"`` or a positive number of batches."""
    if value != "epoch" and (isinstance(value, bool) or not hasattr(value, "__index__") or value < 1):
        raise ValueError("expected 'epoch' or a positive number of batches")
    return value


class BatchCounter:
    """Says after which batches it is time.

    Args:
        every: so many batches; with ``steps_per_execution`` batches count together.

    Example:
        >>> counter = BatchCounter(2)
        >>> [counter.due(batch) for batch in (0, 1, 2, 0)]
        [False, True, False, True]
    """

    def __init__(self, every: int):
        self._every, self._since = every, 0
        self._last: int | None = None

    def begin_after(self, steps: int) -> None:
        """Count from a step within an epoch."""
        self._last, self._since = steps - 1 if steps else None, 0

    def due(self, batch: int) -> bool:
        """Whether it is time after a batch, given by its index in the epoch."""
        new_epoch = self._last is None or batch <= self._last
        self._since += batch + 1 if new_epoch else batch - (self._last or 0)
        self._last = batch
        if self._since < self._every:
            return False
        self._since = 0
        return True
