"""Checks of what optimizers and schedules are given; errors name the optimizer and the argument."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np


def number(value: Any) -> Any:
    """A number; NumPy's scalars become Python's."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError("expected a number")
    return value.item() if isinstance(value, np.generic) else value


def not_negative(value: Any) -> Any:
    """A number of at least 0."""
    if not number(value) >= 0:
        raise ValueError("expected a number of at least 0")
    return number(value)


def positive(value: Any) -> Any:
    """A number above 0."""
    if not number(value) > 0:
        raise ValueError("expected a number above 0")
    return number(value)


def check_rate(owner: str, value: Any) -> None:
    """Refuse a learning rate that is no number, or below 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{owner}: learning_rate={value!r}: expected a float, a schedule or a callable")
    if not float(value) >= 0:
        raise ValueError(f"{owner}: learning_rate={value!r}: expected a number of at least 0")


def _whole(least: int) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"expected an integer of at least {least}")
        return value

    return check


def _share(value: Any) -> Any:
    if not 0 <= float(number(value)) <= 1:
        raise ValueError("expected a number between 0 and 1")
    return value


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "weight_decay": not_negative,
    "clipnorm": not_negative,
    "clipvalue": not_negative,
    "global_clipnorm": not_negative,
    "ema_momentum": _share,
    "ema_overwrite_frequency": _whole(1),
    "loss_scale_factor": positive,
    "gradient_accumulation_steps": _whole(2),
}


def check_options(owner: str, *, use_ema: Any, **options: Any) -> None:
    """Refuse values the options that all optimizers share cannot have, and more than one way of clipping.

    Args:
        owner: the optimizer's class, for messages.
        use_ema: whether the options of the average count.
        options: value by argument; None is always allowed.

    Raises:
        ValueError: a value out of range or of the wrong type, or two clip arguments.
    """
    clips = {name: options[name] for name in ("clipnorm", "clipvalue", "global_clipnorm")}
    if sum(value is not None for value in clips.values()) > 1:
        raise ValueError(
            f"{owner}: only one of clipnorm, clipvalue and global_clipnorm can be set, got "
            + ", ".join(f"{name}={value}" for name, value in clips.items())
        )
    for name, value in options.items():
        if value is None or (name.startswith("ema_") and not use_ema):
            continue
        try:
            _OPTIONS[name](value)
        except ValueError as error:
            raise ValueError(f"{owner}: {name}={value!r}: {error}") from None
