"""Nested structures of tensors, shapes or layers: lists, tuples and dicts (by sorted key, as Keras reads them)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dict rather than a leaf."""
    return isinstance(structure, list | tuple | dict)


def children(structure: Any) -> list[Any]:
    """The values of one level."""
    return [structure[k] for k in sorted(structure)] if isinstance(structure, dict) else list(structure)


def leaves(structure: Any) -> Iterator[Any]:
    """Every leaf, in order."""
    if is_nested(structure):
        for child in children(structure):
            yield from leaves(child)
    else:
        yield structure


def flatten(structure: Any) -> list[Any]:
    """The leaves as a list; a leaf by itself is a list of one.

    Example:
        >>> flatten({"b": [1, 2], "a": 3})
        [3, 1, 2]
    """
    return list(leaves(structure))


def map_structure(fn: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """Apply `fn` to every leaf, and the leaves of other structures of the same form.

    Example:
        >>> map_structure(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
        [11, {'x': 22}]
    """
    if isinstance(structure, dict):
        return type(structure)((k, map_structure(fn, structure[k], *(o[k] for o in others))) for k in structure)
    if isinstance(structure, list | tuple):
        mapped = [map_structure(fn, *parts) for parts in zip(structure, *others, strict=True)]
        return type(structure)(*mapped) if hasattr(structure, "_fields") else type(structure)(mapped)
    return fn(structure, *others)


def is_shape(structure: Any) -> bool:
    """Whether it is one shape: a list or tuple of ints and Nones."""
    return isinstance(structure, list | tuple) and all(d is None or hasattr(d, "__index__") for d in structure)


def map_shapes(fn: Callable[[tuple], Any], shapes: Any) -> Any:
    """Apply `fn` to every shape of a structure of shapes.

    Example:
        >>> map_shapes(len, [(None, 3), {"a": (1,)}])
        [2, {'a': 1}]
    """
    if is_shape(shapes):
        return fn(tuple(shapes))
    if isinstance(shapes, dict):
        return {k: map_shapes(fn, v) for k, v in shapes.items()}
    return type(shapes)(map_shapes(fn, s) for s in shapes)
