"""Shapes of the masks that dropout layers draw."""

from __future__ import annotations

from typing import Any

from kcore.layers.input_spec import describe_layer


def noise_shape(value: Any) -> tuple[int | None, ...]:
    """Kind of the argument: positive integers, or None for the input's size."""
    shape = tuple(value) if isinstance(value, list | tuple) else None
    if shape is None or any(d is not None and (not hasattr(d, "__index__") or d <= 0) for d in shape):
        raise ValueError("expected positive integers, or None where the size is that of the input")
    return shape


def drawn_shape(layer: Any, inputs: Any) -> tuple[int, ...]:
    """The layer's `noise_shape` for given inputs, with their sizes for None.

    Raises:
        ValueError: it does not broadcast to the inputs' shape.
    """
    shape = tuple(inputs.shape)
    asked = layer.noise_shape
    if asked is None:
        return shape
    drawn = tuple(s if n is None else n for s, n in zip(shape, asked, strict=False))
    if len(asked) != len(shape) or any(n not in (1, s) and s is not None for n, s in zip(drawn, shape, strict=True)):
        raise ValueError(
            f"{describe_layer(layer)}: noise_shape={asked} does not broadcast to the input's shape {shape}: expected "
            "for each axis 1, None or its size"
        )
    return drawn
