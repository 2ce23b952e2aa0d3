"""`kcore.ops.linalg`, `nn`, `numpy` and `image` have Keras's names, and the functions of `kcore.ops`."""

from __future__ import annotations

import keras
import pytest

import kcore
from kcore import ops


def names(module):
    return {name for name in dir(module) if not name.startswith("_")}


@pytest.mark.parametrize("room", ["image", "linalg", "nn", "numpy"])
def test_submodules_have_keras_s_names(room):
    mine = getattr(ops, room)
    assert names(getattr(keras.ops, room)) <= set(mine.__all__)
    for name in mine.__all__:
        assert callable(getattr(mine, name))
        if room in ("nn", "numpy"):
            assert getattr(mine, name) is getattr(ops, name)


def test_all_of_keras_s_ops_are_there_but_views_of_complex_numbers():
    assert names(keras.ops) - set(dir(ops)) == {"view_as_complex", "view_as_real"}


def test_functions_of_submodules_are_steps_of_models():
    x = kcore.Input((3,))
    model = kcore.Model(x, ops.nn.relu(ops.numpy.add(x, 1.0)))
    assert model.predict(ops.ones((1, 3)), verbose=0).tolist() == [[2.0] * 3]
