"""The progress bar: drawn by rich in a terminal, one plain line per epoch in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from kcore import config

#: Seconds between two redraws; metrics are read from the device no more often than that.
INTERVAL = 0.1
#: What of the time redraws may take, metrics included, ...
SHARE = 0.006
#: ... unless they came less often than after so many seconds.
SELDOM = 1.0


def on_terminal() -> bool:
    """Whether standard output is a terminal that can redraw a line."""
    isatty = getattr(sys.stdout, "isatty", None)
    return bool(isatty and isatty())


def format_time(seconds: float, unit: str = "step") -> str:
    """A duration per step, rounded as Keras rounds it.

    Example:
        >>> format_time(0.08), format_time(2.0), format_time(5e-5)
        ('80ms/step', '2s/step', '50us/step')
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"


def format_values(values: Mapping[str, Any]) -> str:
    """Metrics as they are printed.

    Example:
        >>> format_values({"accuracy": 0.97, "loss": 0.0001})
        'accuracy: 0.9700 - loss: 1.0000e-04'
    """
    parts = []
    for name, value in values.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            parts.append(f"{name}: {value}")
            continue
        parts.append(f"{name}: {number:.4f}" if abs(number) > 1e-3 else f"{name}: {number:.4e}")
    return " - ".join(parts)


class Progbar:
    """Shows how far a loop has come; what `kcore.utils.Progbar` and the callback draw with.

    In a terminal a bar is redrawn at most ten times a second, and down to once where a redraw takes long; elsewhere
    only the final line is printed, so that a log holds one line per epoch:
    ``12/12 - 1s - 80ms/step - accuracy: 0.9700 - loss: 0.1000``.

    Args:
        target: number of steps, None if it is not known.
        verbose: 0 silent, 1 bar, 2 only the final line.
        interval: least seconds between two redraws.
        unit_name: what is counted.
        width: cells of the bar.

    Example:
        >>> bar = Progbar(2, verbose=0)
        >>> bar.update(1, {"loss": 0.5}); bar.finish(2, {"loss": 0.4})

    """

    def __init__(
        self,
        target: int | None,
        verbose: int = 1,
        interval: float = INTERVAL,
        unit_name: str = "step",
        width: int = 20,
    ):
        self.target = target
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self._after_first: float | None = None
        self._next = 0.0
        live = verbose == 1 and on_terminal() and config.is_interactive_logging_enabled()
        self._bar = _RichBar(target, width) if live else None
        self._start = time.perf_counter()

    def update(self, current: int, values: Mapping[str, Any] | None = None) -> None:
        """Say that `current` steps are done; `values` is read only if the bar is redrawn now."""
        if self._bar is None and current > 1:
            return
        now = time.perf_counter()
        if current == 1:
            self._after_first = now
        if self._bar is None or now < self._next:
            return
        self._bar.draw(current, self._text(current, now, values))
        cost = time.perf_counter() - now
        self._next = now + max(self.interval, min(cost / SHARE, SELDOM))

    def finish(self, current: int, values: Mapping[str, Any] | None = None) -> None:
        """Draw for the last time."""
        if self.verbose == 0:
            return
        text = self._text(current, time.perf_counter(), values)
        if self._bar is not None:
            self._bar.draw(current, text, last=True)
            self.close()
        else:
            config.say(f"{current}/{self.target or current} - {text}")

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.print(line)
        else:
            config.say(line)

    def close(self) -> None:
        """Leave the screen as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _text(self, current: int, now: float, values: Mapping[str, Any] | None) -> str:
        if current > 1 and self._after_first is not None:
            per_step = (now - self._after_first) / (current - 1)  # the first step also traces and compiles
        else:
            per_step = (now - self._start) / max(current, 1)
        text = f"{now - self._start:.0f}s - {format_time(per_step, self.unit_name)}"
        shown = format_values(values) if values else ""
        return f"{text} - {shown}" if shown else text


class _RichBar:
    """One live line of rich, laid out here: rich's own `Progress` takes twice the time for the same line.

    rich is imported only when one is made.
    """

    def __init__(self, target: int | None, width: int):
        from rich.live import Live

        self._target = target
        self._width = width
        self._live = Live(auto_refresh=False)
        self._started = False

    def draw(self, current: int, text: str, last: bool = False) -> None:
        """Draw now; the last time `close` does."""
        if not self._started:
            self._live.start()
            self._started = True
        self._live.update(self._line(current, text), refresh=not last)

    def _line(self, current: int, text: str) -> Any:
        from rich.text import Text

        if not self._target:
            return Text.assemble((f"{current}/Unknown", "bold"), f" {text}")
        full = min(self._width * current // self._target, self._width)
        colour = "green" if full == self._width else "magenta"
        bar = (("━" * full, colour), ("━" * (self._width - full), "bright_black"))
        return Text.assemble((f"{current}/{self._target} ", "bold"), *bar, f" {text}")

    def print(self, line: str) -> None:
        self._live.console.print(line, highlight=False, markup=False)

    def close(self) -> None:
        if self._started:
            self._live.stop()
