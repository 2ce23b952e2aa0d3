"""The names that Keras has for saving and loading."""

from __future__ import annotations

import keras
import pytest

import kcore
import kcore.saving.legacy.meanings  # noqa: F401  (layers of old files, which are registered)


@pytest.mark.parametrize("room", ["saving", "models"])
def test_every_name_of_keras_is_there(room):
    theirs = {name for name in dir(getattr(keras, room)) if not name.startswith("_")}
    assert theirs - set(dir(getattr(kcore, room))) == set()


def test_a_name_is_one_thing_wherever_it_stands():
    assert kcore.models.load_model is kcore.saving.load_model
    assert kcore.models.save_model is kcore.saving.save_model
    for name in ("custom_object_scope", "get_custom_objects", "register_keras_serializable", "serialize_keras_object"):
        assert getattr(kcore.utils, name) is getattr(kcore.saving, name)


def test_custom_objects_are_the_user_s_alone_and_old_layers_do_not_need_them(monkeypatch):
    before = dict(kcore.saving.get_custom_objects())
    assert not [name for name in before if name.startswith("kcore>")]
    monkeypatch.setattr(kcore.registry.REGISTRY, "_custom", {})
    old = kcore.saving.get_registered_object("kcore>StepsFirstLSTM")
    assert kcore.saving.get_registered_name(old) == "kcore>StepsFirstLSTM"
    assert kcore.saving.get_custom_objects() == {}

    @kcore.saving.register_keras_serializable("kcore")
    def of_somebody_else(x):
        return x

    of_somebody_else.__module__ = "elsewhere.module"
    with pytest.raises(ValueError, match="two packages register 'kcore>StepsFirstLSTM': kcore .* and elsewhere"):
        kcore.registry.REGISTRY.register(of_somebody_else, "kcore>StepsFirstLSTM")
