"""The names that Keras has for saving and loading."""

from __future__ import annotations

import keras
import pytest

import kcore

#: What stays out: an editor of weight files in a notebook.
LEFT_OUT = {"KerasFileEditor"}


@pytest.mark.parametrize("room", ["saving", "models"])
def test_every_name_of_keras_is_there(room):
    theirs = {name for name in dir(getattr(keras, room)) if not name.startswith("_")}
    assert theirs - set(dir(getattr(kcore, room))) == (LEFT_OUT if room == "saving" else set())


def test_a_name_is_one_thing_wherever_it_stands():
    assert kcore.models.load_model is kcore.saving.load_model
    assert kcore.models.save_model is kcore.saving.save_model
    for name in ("custom_object_scope", "get_custom_objects", "register_keras_serializable", "serialize_keras_object"):
        assert getattr(kcore.utils, name) is getattr(kcore.saving, name)
