"""Ctrl-C during training: a step that has begun is finished first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StepGuard:
    """While it is entered, SIGINT during a step is noted and acts when the step has ended.

    Outside a step (in a callback, in the user's generator) Ctrl-C acts at once, as ever. Only the main thread can
    and does install a handler; elsewhere the guard does nothing.

    Attributes:
        busy: set around a step by the loop.

    Example:
        >>> with StepGuard() as guard:
        ...     guard.busy = True  # a step runs
        ...     guard.leave()
    """

    __slots__ = ("_installed", "_outer", "busy", "pending")

    def __init__(self) -> None:
        self.busy = False
        self.pending = False
        self._installed = False
        self._outer: Any = None

    def leave(self) -> None:
        """The step has ended: act on a Ctrl-C that came meanwhile."""
        self.busy = False
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.busy:
            self.pending = True
        elif callable(self._outer):
            self._outer(number, frame)
        else:
            raise KeyboardInterrupt

    def __enter__(self) -> StepGuard:
        if threading.current_thread() is threading.main_thread():
            outer = signal.getsignal(signal.SIGINT)
            if callable(outer):  # somebody who ignores Ctrl-C, or handles it outside Python, keeps doing so
                self._outer = outer
                signal.signal(signal.SIGINT, self._handle)
                self._installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._outer)
            self._installed = False
        self.busy = False
        if self.pending and kind is None:
            self.pending = False
            raise KeyboardInterrupt
