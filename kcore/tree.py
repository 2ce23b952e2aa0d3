"""Nested structures of tensors, shapes or layers: lists, tuples, deques, and dicts read by sorted key as in Keras."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kcore.errors import warn_user

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]

#: The keys and indices that lead to a leaf.
Path = tuple[str | int, ...]


class MAP_TO_NONE:  # noqa: N801 - Keras's name
    """What the function given to `traverse` returns where None should stand."""


# -- one level -------------------------------------------------------------------------------------------------------


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple, deque or dict rather than a leaf.

    Example:
        >>> is_nested(42), is_nested({"a": 42})
        (False, True)
    """
    return isinstance(structure, list | tuple | dict | deque)


def keys(structure: dict) -> Iterable[Any]:
    """The keys of a dict in the order in which they are read: sorted, or as they stand in an OrderedDict."""
    return structure if isinstance(structure, OrderedDict) else sorted(structure)


def children(structure: Any) -> list[Any]:
    """The values of one level."""
    return [structure[k] for k in keys(structure)] if isinstance(structure, dict) else list(structure)


def entries(structure: Any) -> list[tuple[str | int, Any]]:
    """The (key, value) pairs of one level; a dict by sorted key.

    Example:
        >>> entries({"b": 1, "a": 2})
        [('a', 2), ('b', 1)]
    """
    if isinstance(structure, dict):
        return [(key, structure[key]) for key in keys(structure)]
    return list(enumerate(structure))


def like(structure: Any, values: dict[Any, Any] | list[Any]) -> Any:
    """One level of the same kind with other values: a dict of them for a dict, else a list."""
    kind = type(structure)
    if kind is list or kind is dict:
        return values
    if isinstance(structure, defaultdict):
        return defaultdict(structure.default_factory, values)
    if hasattr(structure, "_fields"):
        return type(structure)(*values)
    return deque(values, structure.maxlen) if isinstance(structure, deque) else type(structure)(values)


# -- leaves ----------------------------------------------------------------------------------------------------------


def leaves(structure: Any) -> Iterator[Any]:
    """Every leaf, in order."""
    if is_nested(structure):
        for child in children(structure):
            yield from leaves(child)
    else:
        yield structure


def flatten(structure: Any) -> list[Any]:
    """The leaves as a list; a leaf by itself is a list of one, and None is a leaf.

    Example:
        >>> flatten({"b": [1, 2], "a": 3})
        [3, 1, 2]

    Source: `keras.tree.flatten`.
    """
    return list(leaves(structure))


def walk(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path."""
    if is_nested(structure):
        for key, value in entries(structure):
            yield from walk(value, (*path, key))
    else:
        yield path, structure


def flatten_with_path(structure: Any) -> list[tuple[Path, Any]]:
    """The leaves, each with the keys and indices that lead to it.

    Example:
        >>> flatten_with_path([{"a": 42}])
        [((0, 'a'), 42)]

    Source: `keras.tree.flatten_with_path`.
    """
    return list(walk(structure))


def map_structure(fn: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply `fn` to every leaf, and the leaves of other structures of the same form.

    Args:
        fn: takes one leaf of each structure.
        *structures: one or more structures of one form.
        none_is_leaf: whether `fn` gets None leaves; else they stay None.

    Raises:
        ValueError: the structures differ, or there is none.

    Example:
        >>> map_structure(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
        [11, {'x': 22}]

    Source: `keras.tree.map_structure`.
    """
    if not structures:
        raise ValueError("map_structure() takes at least one structure")
    return _map(fn, structures[0], structures[1:], none_is_leaf)


def _map(fn: Callable[..., Any], structure: Any, others: tuple, none_is_leaf: bool) -> Any:
    if not is_nested(structure):
        if others and any(is_nested(o) for o in others):
            _differ(structure, next(o for o in others if is_nested(o)))
        return None if structure is None and not none_is_leaf else fn(structure, *others)
    if others:
        for other in others:
            if not _same_level(structure, other):
                _differ(structure, other)
        if isinstance(structure, dict):
            return like(
                structure, {k: _map(fn, structure[k], tuple(o[k] for o in others), none_is_leaf) for k in structure}
            )
        parts = zip(structure, *others, strict=True)
        return like(structure, [_map(fn, first, tuple(rest), none_is_leaf) for first, *rest in parts])
    if isinstance(structure, dict):
        return like(structure, {k: _map(fn, v, (), none_is_leaf) for k, v in structure.items()})
    return like(structure, [_map(fn, v, (), none_is_leaf) for v in structure])


def map_structure_up_to(shallow_structure: Any, fn: Callable[..., Any], *structures: Any) -> Any:
    """Apply `fn` to what stands where `shallow_structure` has its leaves; what lies deeper is kept whole.

    Example:
        >>> map_structure_up_to([None, None], len, [[1, 1], [2, 2, 2]])
        [2, 3]

    Source: `keras.tree.map_structure_up_to`.
    """
    if not structures:
        raise ValueError("map_structure_up_to() takes at least one structure beside the shallow one")
    if not is_nested(shallow_structure):
        return fn(*structures)
    for other in structures:
        if not _same_level(shallow_structure, other):
            _differ(shallow_structure, other)
    if isinstance(shallow_structure, dict):
        mapped: Any = {k: map_structure_up_to(v, fn, *(o[k] for o in structures)) for k, v in shallow_structure.items()}
    else:
        parts = zip(shallow_structure, *structures, strict=True)
        mapped = [map_structure_up_to(shallow, fn, *rest) for shallow, *rest in parts]
    return like(shallow_structure, mapped)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Apply `func` to every part of a structure, inner levels included.

    Where it returns None the part stays (top down: its children are visited); anything else takes the part's place,
    and `MAP_TO_NONE` puts None there.

    Args:
        func: takes a part.
        structure: the structure.
        top_down: whether a part comes before its children.

    Example:
        >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [1, [2]], top_down=False)
        (1, (2,))

    Source: `keras.tree.traverse`.
    """
    if not callable(func):
        raise TypeError(f"traverse() takes a function, got {func!r}")

    def inside(part: Any) -> Any:
        if not is_nested(part):
            return part
        if isinstance(part, dict):
            visited = {k: traverse(func, part[k], top_down) for k in keys(part)}
            return like(part, {k: visited[k] for k in part})
        return like(part, [traverse(func, v, top_down) for v in part])

    part = structure if top_down else inside(structure)
    result = func(part)
    if result is None:
        return inside(part) if top_down else part
    return None if result is MAP_TO_NONE else result


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples in place of lists.

    Example:
        >>> lists_to_tuples([1, {"a": [2]}])
        (1, {'a': (2,)})

    Source: `keras.tree.lists_to_tuples`.
    """
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


# -- packing ---------------------------------------------------------------------------------------------------------


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
    return like(
        structure, {key: packed[key] for key in structure} if isinstance(structure, dict) else [*packed.values()]
    )


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """A structure like `structure` with the leaves of a flat sequence: the reverse of `flatten`.

    Raises:
        TypeError: no sequence.
        ValueError: too few or too many leaves.

    Example:
        >>> pack_sequence_as({"key3": "", "key1": ""}, ["one", "three"])
        {'key3': 'three', 'key1': 'one'}

    Source: `keras.tree.pack_sequence_as`.
    """
    flat = list(flat_sequence)
    count = sum(1 for _ in leaves(structure))
    if len(flat) != count:
        raise ValueError(f"the structure {describe(structure)} has {count} leaves, the sequence {len(flat)} elements")
    return pack(structure, flat)


# -- shapes ----------------------------------------------------------------------------------------------------------


def is_shape(structure: Any) -> bool:
    """Whether it is one shape: a list or tuple of ints and Nones."""
    return isinstance(structure, list | tuple) and all(d is None or hasattr(d, "__index__") for d in structure)


def map_shapes(fn: Callable[[tuple], Any], shapes: Any) -> Any:
    """Apply `fn` to every shape of a structure of shapes.

    Example:
        >>> map_shapes(len, [(None, 3), {"a": (1,)}])
        [2, {'a': 1}]
    """
    return map_shape_structure(lambda shape: fn(tuple(shape)), shapes)


def map_shape_structure(fn: Callable[[Any], Any], structure: Any) -> Any:
    """Apply `fn` to every shape of a structure: to every list or tuple of ints and Nones.

    Example:
        >>> map_shape_structure(tuple, {"x": [None, 3], "y": (2,)})
        {'x': (None, 3), 'y': (2,)}

    Source: `keras.tree.map_shape_structure`.
    """
    if is_shape(structure) or not is_nested(structure):
        return fn(structure)
    if isinstance(structure, dict):
        return like(structure, {k: map_shape_structure(fn, v) for k, v in structure.items()})
    return like(structure, [map_shape_structure(fn, v) for v in structure])


# -- comparing -------------------------------------------------------------------------------------------------------


def same_structure(a: Any, b: Any) -> bool:
    """Whether two structures have the same form; a list and a tuple count as the same."""
    if not is_nested(a) or not is_nested(b):
        return is_nested(a) == is_nested(b)
    if isinstance(a, dict) != isinstance(b, dict) or len(a) != len(b):
        return False
    pairs = zip(entries(a), entries(b), strict=True)
    return all(left == right and same_structure(x, y) for (left, x), (right, y) in pairs)


def _same_level(a: Any, b: Any) -> bool:
    """Whether two parts are of one kind and size, dicts of the same keys."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys()
    return type(a) is type(b) and len(a) == len(b)


def _differ(a: Any, b: Any) -> None:
    raise ValueError(f"the two structures don't have the same nested structure: {describe(a)} and {describe(b)}")


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raise ValueError unless two structures are nested alike; dicts of one set of keys are, a list and a tuple not.

    Args:
        a, b: the structures.
        check_types: no longer used.

    Example:
        >>> assert_same_structure([(0, 1)], [(2, 3)])

    Source: `keras.tree.assert_same_structure`.
    """
    if check_types is not None:
        warn_user("assert_same_structure: check_types is no longer used", DeprecationWarning)
    map_structure(lambda *_: None, a, b)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless the leaves of two structures have the same paths; a list and a tuple are alike here.

    Example:
        >>> assert_same_paths([0, 1], (2, 3))

    Source: `keras.tree.assert_same_paths`.
    """
    left, right = ({path for path, _ in walk(part)} for part in (a, b))
    if left != right:
        only = [
            f"only the {n} has {sorted(p, key=str)}"
            for n, p in (("first", left - right), ("second", right - left))
            if p
        ]
        raise ValueError(f"the two structures don't have the same paths: {'; '.join(only)}")


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
