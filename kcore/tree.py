"""Nested structures of tensors, shapes or layers: lists, tuples and dicts (by sorted key, as Keras reads them)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: The keys and indices that lead to a leaf.
Path = tuple[str | int, ...]


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


def entries(structure: Any) -> list[tuple[str | int, Any]]:
    """The (key, value) pairs of one level; a dict by sorted key.

    Example:
        >>> entries({"b": 1, "a": 2})
        [('a', 2), ('b', 1)]
    """
    if isinstance(structure, dict):
        return [(key, structure[key]) for key in sorted(structure)]
    return list(enumerate(structure))


def walk(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path."""
    if is_nested(structure):
        for key, value in entries(structure):
            yield from walk(value, (*path, key))
    else:
        yield path, structure


def pack(structure: Any, leaves: Iterable[Any]) -> Any:
    """A structure like `structure` with other leaves.

    Example:
        >>> pack({"b": 0, "a": 0}, [1, 2])
        {'b': 2, 'a': 1}
    """
    rest = iter(leaves)
    if not is_nested(structure):
        return next(rest)
    packed = {key: pack(value, rest) for key, value in entries(structure)}
    if isinstance(structure, dict):
        return type(structure)((key, packed[key]) for key in structure)
    if hasattr(structure, "_fields"):
        return type(structure)(*packed.values())
    return type(structure)(packed.values())


def same_structure(a: Any, b: Any) -> bool:
    """Whether two structures have the same form; a list and a tuple count as the same."""
    if not is_nested(a) or not is_nested(b):
        return is_nested(a) == is_nested(b)
    if isinstance(a, dict) != isinstance(b, dict) or len(a) != len(b):
        return False
    pairs = zip(entries(a), entries(b), strict=True)
    return all(left == right and same_structure(x, y) for (left, x), (right, y) in pairs)


def describe(structure: Any, leaf: Callable[[Any], str] = lambda _: "*") -> str:
    """A structure as text for an error message, each leaf written by `leaf`.

    Example:
        >>> describe([1, {"a": 2}])
        "[*, {'a': *}]"
    """
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {describe(value, leaf)}" for key, value in structure.items()) + "}"
    if is_nested(structure):
        inner = ", ".join(describe(value, leaf) for value in structure)
        return f"[{inner}]" if isinstance(structure, list) else f"({inner})"
    return leaf(structure)
