"""Arguments and weights that several normalizations have: axes, the learned scale and offset."""

from __future__ import annotations

from typing import Any


def add_gamma_and_beta(layer: Any, shape: tuple[int, ...]) -> None:
    """Give a layer the weights `gamma` and `beta` as its arguments ask for them, None where they do not."""
    for name, wanted in (("gamma", layer.scale), ("beta", layer.center)):
        weight = None
        if wanted:
            weight = layer.add_weight(
                shape,
                getattr(layer, f"{name}_initializer"),
                autocast=False,
                regularizer=getattr(layer, f"{name}_regularizer"),
                constraint=getattr(layer, f"{name}_constraint"),
                name=name,
            )
        setattr(layer, name, weight)


def axes_kind(value: Any) -> Any:
    """Kind of an argument that is an axis or a list of axes."""
    axes = list(value) if isinstance(value, list | tuple) else [value]
    if not axes or any(isinstance(a, bool) or not isinstance(a, int) for a in axes):
        raise TypeError("expected an integer or a list of integers")
    return axes if isinstance(value, list | tuple) else value


def check_axes(axis: Any, shape: Any, owner: str) -> tuple[int, ...]:
    """The axes, counted from the start and sorted.

    Raises:
        ValueError: the shape has no such axis, or it is named twice.
    """
    rank = len(shape)
    axes = axis if isinstance(axis, list) else [axis]
    found = sorted(a % rank for a in axes if -rank <= a < rank)
    if len(set(found)) != len(axes):
        raise ValueError(f"{owner}: axis={axis}: expected axes of the input {tuple(shape)}, each of them once")
    return tuple(found)
