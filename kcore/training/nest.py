"""More about nested structures than `kcore.tree` has: leaves with their paths, packing, comparing, describing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kcore.tree import flatten, is_nested, map_structure

__all__ = ["Path", "describe", "entries", "flatten", "is_nested", "map_structure", "pack", "same_structure", "walk"]

Path = tuple[str | int, ...]


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
