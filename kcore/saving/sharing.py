"""Layers that stand in a model at several depths: which they are, so that a file tells that they are one."""

from __future__ import annotations

from collections import Counter
from typing import Any


def layers_of_several(model: Any) -> list[Any]:
    """The layers that are part of more than one of the models that a model is made of."""
    counts: Counter[int] = Counter()
    found: dict[int, Any] = {}
    _count(model, counts, found)
    return [layer for key, layer in found.items() if counts[key] > 1]


def _count(model: Any, counts: Counter[int], found: dict[int, Any]) -> None:
    from kcore.models import Functional, Sequential

    for layer in model.layers if isinstance(model, (Functional, Sequential)) else ():
        counts[id(layer)] += 1
        if id(layer) not in found:
            found[id(layer)] = layer
            _count(layer, counts, found)
