"""Which parts of a model have state, and under which path Keras 3 keeps it in a file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from kcore.layers import Layer
from kcore.naming import to_snake_case
from kcore.optimizers import Optimizer

#: Attributes of models whose layers are reached through ``layers`` already.
_MODEL_INTERNALS = frozenset(("_functional", "_graph", "_held_layers", "_stack", "_inputs_struct", "_outputs_struct"))


def saveables(model: Any) -> Iterator[tuple[str, Any]]:
    """The model, its layers at any depth, and its optimizer, each once, with their paths.

    A layer in a list is addressed by its class and its number among those of that class, not by its name, which may
    differ between two runs of one program: ``layers/dense_1``, ``layers/lstm/cell``.

    Args:
        model: a model or layer.

    Returns:
        Pairs (path, layer or optimizer); the path of the model itself is empty.
    """
    yield from _visit(model, "", set())


def _kind(part: Any) -> str:
    """The class that a part is stored as: its own, or the one whose old meaning it has."""
    return getattr(type(part), "stored_as", None) or type(part).__name__


def _visit(obj: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(obj) in seen:
        return
    seen.add(id(obj))
    yield path, obj
    for name, child in _attributes(obj):
        place = f"{path}/{name}" if path else name
        if isinstance(child, (Layer, Optimizer)):
            yield from _visit(child, place, seen)
        elif isinstance(child, (list, tuple, dict)):
            yield from _visit_container(child, place, seen, set())


def _visit_container(container: Any, path: str, seen: set[int], around: set[int]) -> Iterator[tuple[str, Any]]:
    if id(container) in around:
        return
    around.add(id(container))
    used: dict[str, int] = {}
    for child in list(container.values()) if isinstance(container, dict) else container:
        if isinstance(child, (Layer, Optimizer)):
            yield from _visit(child, f"{path}/{_unique(to_snake_case(_kind(child)), used)}", seen)
        elif isinstance(child, (list, tuple, dict)):
            yield from _visit_container(child, f"{path}/{_unique('container', used)}", seen, around)


def _unique(name: str, used: dict[str, int]) -> str:
    number = used[name] = used.get(name, -1) + 1
    return f"{name}_{number}" if number else name


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, in Keras's order: ``layers`` of a functional model, then by name, private last."""
    from kcore.models import Functional, Sequential

    if isinstance(obj, (Functional, Sequential)):
        yield "layers", obj.layers
    skip = _base_attributes(type(obj))  # type: ignore[arg-type]
    for name in sorted(dir(obj), key=lambda n: f"~{n}" if n.startswith("_") else n):
        if name.startswith("__") or name in skip:
            continue
        try:
            yield name, getattr(obj, name)
        except Exception:  # noqa: BLE001, S112 - a property that cannot be read now holds nothing to save
            continue


@cache
def _base_attributes(cls: type) -> frozenset[str]:
    """Attributes that every object of this kind has, in which nothing of its own is kept."""
    from kcore.models import Functional, Model, Sequential

    if issubclass(cls, Optimizer):
        return frozenset(dir(Optimizer(0.0, name="optimizer")))
    skip = set(dir(Layer(name="layer")))
    if issubclass(cls, Model):
        skip |= {*dir(Model(name="model")), *_MODEL_INTERNALS} - {"layers", "optimizer"}
    for kind in (Functional, Sequential):
        if issubclass(cls, kind):
            skip |= set(dir(kind)) - {"optimizer"}
    return frozenset(skip)
