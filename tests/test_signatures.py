"""The order of positional arguments is Keras's, class by class."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest

import kcore
from kcore.declare import Configurable, argument

ROOMS = ("layers", "losses", "metrics", "optimizers", "initializers", "regularizers", "constraints", "callbacks")

#: Arguments of Keras that kcore has not; what follows them in Keras is given by name.
ABSENT = {"lora_rank", "lora_alpha", "gptq_unpacked_column_size"}


def classes():
    rooms = [*((getattr(kcore, room), getattr(keras, room)) for room in ROOMS)]
    rooms.append((kcore.optimizers.schedules, keras.optimizers.schedules))
    for mine, theirs in rooms:
        for name in sorted(set(dir(mine)) & set(dir(theirs))):
            if isinstance(getattr(mine, name), type) and isinstance(getattr(theirs, name), type):
                yield pytest.param(getattr(mine, name), getattr(theirs, name), id=name)


def positions(cls):
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD], {p.name for p in parameters}


@pytest.mark.parametrize(("mine", "theirs"), list(classes()))
def test_positions_are_keras_s(mine, theirs):
    here, names = positions(mine)
    there, _ = positions(theirs)
    shared = min(len(here), len(there))
    assert here[:shared] == there[:shared]
    assert set(there[shared:]) <= names | ABSENT


def test_arguments_by_position_reach_their_place():
    assert kcore.layers.Dense(8, "relu").activation is kcore.activations.relu
    assert kcore.layers.LSTM(3, "relu", "tanh").cell.recurrent_activation is kcore.activations.tanh
    assert kcore.layers.MaxPooling2D(2, 1, "same", None, "pool").name == "pool"
    assert kcore.layers.MultiHeadAttention(1, 2, None, 0.0, True, None, None, 3).sliding_window == 3
    assert kcore.optimizers.SGD(0.1, 0.9, True, 0.01).weight_decay == 0.01
    assert kcore.optimizers.Adam(0.1, 0.9, 0.99, 1e-7, False, None, 1.0).clipnorm == 1.0


def test_an_argument_follows_the_inherited_one_it_names():
    class Base(Configurable):
        first: int = argument(1)
        last: int = argument(2)

    class Derived(Base):
        own: int = argument(3)
        between: int = argument(4, after="first")
        named: int = argument(5, keyword=True)

    assert Derived("a", "b", "c", "d").get_config() == {
        "own": "a",
        "first": "b",
        "between": "c",
        "last": "d",
        "named": 5,
    }
    with pytest.raises(TypeError, match="too many positional arguments"):
        Derived(1, 2, 3, 4, 5)


def test_a_name_is_listed_once_in_the_message_about_an_unknown_one():
    with pytest.raises(ValueError, match="did you mean 'activity_regularizer'") as caught:
        kcore.layers.Dense(2, activity_regulariser=None)
    listed = str(caught.value).split("arguments: ")[1].rstrip(")").split(", ")
    assert len(listed) == len(set(listed)) and "kwargs" not in listed


def test_sorted_classes_count_as_in_keras():
    args = [2, 0], [[1, 2, 0], [1, 2, 0]]
    for k in (1, 2, 3):
        expected = keras.metrics.sparse_top_k_categorical_accuracy(*map(np.array, args), k, True)
        got = kcore.metrics.sparse_top_k_categorical_accuracy(*map(np.array, args), k, True)
        np.testing.assert_array_equal(got.numpy(), expected)
    metric = kcore.metrics.SparseTopKCategoricalAccuracy(2, "top", None, True)
    assert metric(*map(np.array, args)).numpy() == 0.5
