"""The progress bar that scripts use in loops of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore.registry import public
from kcore.training import progress


@public("keras.utils")
class Progbar:
    """Shows how far a loop has come, with values that are averaged over its steps.

    In a terminal a bar is redrawn; elsewhere one line is printed at the end.

    Args:
        target: number of steps, None if it is not known.
        width: cells of the bar.
        verbose: 0 silent, 1 bar, 2 only the final line.
        interval: least seconds between two redraws.
        stateful_metrics: names of values that are shown as they are; all others are averaged.
        stateless_metrics: names of values that are averaged; all others are shown as they are.
        unit_name: what is counted.

    Raises:
        ValueError: both lists of names are given.

    Example:
        >>> bar = Progbar(9, verbose=0)
        >>> for loss in (3.0, 2.0, 1.0):
        ...     bar.add(1, [("loss", loss)])
        >>> bar.shown
        {'loss': 2.0}

    Source: `keras.utils.Progbar`.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: give stateful_metrics or stateless_metrics, not both")
        self.target = target
        self._averaged = None if stateless_metrics is None else frozenset(stateless_metrics)
        self._as_they_are = frozenset(stateful_metrics or ())
        self._bar = progress.Progbar(target, verbose, interval, unit_name, width)
        self._sums: dict[str, tuple[Any, int]] = {}
        self._seen = 0
        self._finished = False

    @property
    def shown(self) -> dict[str, Any]:
        """The values as they are shown."""
        return {name: total / count for name, (total, count) in self._sums.items()}

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Say that `current` steps are done.

        Args:
            current: how many steps are done.
            values: pairs of a name and its value in the steps since the last call.
            finalize: whether this is the last call; None is that `target` is reached. Values of the last call are shown
                as they are, as in Keras.
        """
        last = self.target is not None and current >= self.target if finalize is None else finalize
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            averaged = name not in self._as_they_are if self._averaged is None else name in self._averaged
            if averaged and not last:
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = total + value * steps, count + steps
            else:
                self._sums[name] = value, 1
        self._seen = current
        if last and not self._finished:
            self._finished = True
            self._bar.finish(current, self.shown)
        elif not last:
            self._bar.update(current, self.shown)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Say that `n` more steps are done; see `update`."""
        self.update(self._seen + n, values)
