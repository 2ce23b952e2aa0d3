"""Variables made for what a file describes: no more of them than the file can fill, and no values drawn in vain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Loading:
    """What is made while a file is read.

    Args:
        limit: how many elements its variables may have together.
        reason: why not more, for the error.
    """

    def __init__(self, limit: int, reason: str):
        self._limit, self._reason = limit, reason
        self._made = 0
        self._undrawn: dict[int, tuple[Any, Callable[[], Any]]] = {}

    def charge(self, shape: Sequence[int], name: str) -> None:
        """Count a variable that is about to be made.

        Raises:
            ValueError: it is one too many.
        """
        self._made += math.prod(shape)
        if self._made > self._limit:
            raise ValueError(
                f"variable {name!r} of shape {tuple(shape)} is refused: with it the model described has "
                f"{self._made} elements or more, {self._reason}"
            )

    def postpone(self, variable: Any, draw: Callable[[], Any]) -> None:
        """Remember how to draw the first values of a variable that holds zeros until it is loaded."""
        self._undrawn[id(variable)] = (variable, draw)

    def settle(self, loaded: Iterable[Any]) -> None:
        """Draw the first values of all variables but those that are loaded."""
        for variable in loaded:
            self._undrawn.pop(id(variable), None)
        for variable, draw in self._undrawn.values():
            variable.assign(draw())
        self._undrawn.clear()


_current: ContextVar[Loading | None] = ContextVar("kcore_loading", default=None)


def current_loading() -> Loading | None:
    """What is being loaded here and now."""
    return _current.get()


@contextmanager
def loading(limit: int, reason: str) -> Iterator[Loading]:
    """Context in which variables are made for a file; see `Loading`."""
    token = _current.set(Loading(limit, reason))
    try:
        yield _current.get()  # type: ignore[misc] # set above
    finally:
        _current.reset(token)
