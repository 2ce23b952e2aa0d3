"""Kinds of the arguments that are rates."""

from __future__ import annotations

from typing import Any


def below_one(value: Any) -> float:
    """A number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError("expected a number from 0 to below 1")
    return value
