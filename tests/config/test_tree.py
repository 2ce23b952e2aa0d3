"""kcore.tree beside keras.tree, on the same structures."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple

import keras
import pytest

from kcore import tree

Point = namedtuple("Point", ["x", "y"])
Other = namedtuple("Other", ["x", "y"])
STRUCTURES = [
    3,
    None,
    [],
    [1, (2, [3])],
    {"b": [1, 2], "a": {"d": 3, "c": None}},
    OrderedDict([("b", 1), ("a", [2, 3])]),
    Point(1, {"z": 2}),
    deque([1, [2]]),
    defaultdict(list, {"k": 1, "a": 2}),
    [None, {"x": ()}],
]


def both(name, *args):
    """Results of one call in both, or the types of what was raised."""
    found = []
    for module in (tree, keras.tree):
        try:
            found.append(getattr(module, name)(*args))
        except (ValueError, TypeError, KeyError) as error:
            found.append(type(error))
    return found


def test_the_names_are_keras_s():
    assert set(tree.__all__) == {name for name in dir(keras.tree) if not name.startswith("_")}


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_one_structure(structure):
    for name in ("is_nested", "flatten", "flatten_with_path", "lists_to_tuples"):
        ours, theirs = both(name, structure)
        assert ours == theirs and type(ours) is type(theirs), name
    leaves = [f"leaf{i}" for i in range(len(tree.flatten(structure)))]
    ours, theirs = both("pack_sequence_as", structure, leaves)
    assert ours == theirs and type(ours) is type(theirs)
    ours, theirs = both("map_structure", lambda leaf: (leaf, 1), structure)
    assert ours == theirs and type(ours) is type(theirs)
    for top_down in (True, False):
        seen = []
        for module in (tree, keras.tree):
            visited: list = []
            module.traverse(visited.append, structure, top_down)
            seen.append(visited)
        assert seen[0] == seen[1]


@pytest.mark.parametrize("a", STRUCTURES, ids=repr)
def test_two_structures(a):
    for b in STRUCTURES:
        for name in ("assert_same_structure", "assert_same_paths"):
            ours, theirs = both(name, a, b)
            assert ours == theirs, (name, a, b)


def test_mapping_several_and_up_to_a_depth():
    assert (
        both("map_structure", lambda x, y: x * y, {"a": 2, "b": [3]}, {"a": 5, "b": [7]}) == [{"a": 10, "b": [21]}] * 2
    )
    assert tree.map_structure_up_to([0, [0, 0]], str, [[1, 1], [2, 2]]) == ["[1, 1]", ["2", "2"]]
    assert (
        both("map_shape_structure", tuple, {"x": [None, 3], "y": [(2,), (1, 4)]})
        == [{"x": (None, 3), "y": [(2,), (1, 4)]}] * 2
    )
    assert tree.map_structure(str, [1, None], none_is_leaf=False) == ["1", None]
    assert tree.traverse(lambda x: tree.MAP_TO_NONE if x == 1 else None, [1, 2]) == [None, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tree.map_structure(max), "at least one structure"),
        (lambda: tree.map_structure(max, [1], [1, 2]), r"same nested structure: \[\*\] and \[\*, \*\]"),
        (lambda: tree.map_structure(max, {"a": 1}, {"b": 1}), r"\{'a': \*\} and \{'b': \*\}"),
        (lambda: tree.assert_same_structure(Point(1, 2), Other(1, 2)), "same nested structure"),
        (
            lambda: tree.assert_same_paths([1], {"a": 1}),
            r"only the first has \[\(0,\)\]; only the second has \[\('a',\)\]",
        ),
        (lambda: tree.pack_sequence_as([1, 2], [1]), "has 2 leaves, the sequence 1"),
        (lambda: tree.map_structure_up_to([None], len), "at least one structure"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match="takes a function"):
        tree.traverse(3, [1])
