"""The learned scale and offset after a normalization."""

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
