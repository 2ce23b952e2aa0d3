"""The public face: every name is there, rooms tell their own names, and `kcore.utils` is Keras's."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import kcore
from kcore import layers, utils
from kcore.runtime import convert_to_tensor


def test_every_public_name_is_there():
    for name in kcore.__all__:
        assert getattr(kcore, name) is not None
    with kcore.name_scope("outer"):
        assert kcore.Variable(1.0, name="v").path == "outer/v"


def test_the_backend_room_has_what_keras_has_there():
    names = {name for name in dir(keras.backend) if not name.startswith("_")}
    assert names - {"get_uid"} <= set(dir(kcore.backend))
    for name in names - {"get_uid"}:
        assert callable(getattr(kcore.backend, name))
    assert kcore.backend.backend() == "numpy" and kcore.backend.floatx() == "float32"
    for dtype in ("float16", "bfloat16", "uint8", "int32", "bool"):
        assert kcore.backend.is_float_dtype(dtype) == keras.backend.is_float_dtype(dtype)
        assert kcore.backend.is_int_dtype(dtype) == keras.backend.is_int_dtype(dtype)
    assert kcore.version() == kcore.__version__


def test_mixed_precision_and_preprocessing_have_names_of_keras():
    names = {name for name in dir(keras.mixed_precision) if not name.startswith("_")}
    assert set(kcore.mixed_precision.__all__) == names
    for name in ("mixed_float16", "float32"):
        kcore.mixed_precision.set_global_policy(name)
        assert kcore.mixed_precision.global_policy() == kcore.mixed_precision.Policy(name)
    assert kcore.preprocessing.sequence.pad_sequences is utils.pad_sequences
    assert set(kcore.preprocessing.__all__) <= set(dir(keras.preprocessing))


@pytest.mark.parametrize("name", ["distribution", "export", "quantizers"])
def test_a_module_that_is_still_to_come_is_said_to_be(name):
    assert hasattr(keras, name) or name == "export"
    with pytest.raises(AttributeError, match=f"'{name}': Keras has it, kcore does not have it yet"):
        getattr(kcore, name)
    assert f"`{name}`" in (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_layers_export_what_they_import_and_nothing_else():
    assert {"Dense", "LSTM", "Input", "add", "serialize", "deserialize", "Layer"} <= set(layers.__all__)
    assert not {"Any", "Mapping", "annotations"} & set(layers.__all__)
    assert set(layers.__all__) - {"Merge", "BaseConv", "KernelLayer"} <= set(dir(keras.layers))


@pytest.mark.parametrize("classes", [None, 5])
@pytest.mark.parametrize("labels", [[0, 2, 1], [[0], [3]], [[0, 1], [2, 2]]])
def test_to_categorical_is_keras_s(labels, classes):
    expected = keras.utils.to_categorical(labels, classes)
    got = utils.to_categorical(labels, classes)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(utils.to_categorical(convert_to_tensor(np.array(labels)), classes), expected)


def test_to_categorical_refuses_a_class_there_is_not():
    with pytest.raises(ValueError, match="class 7 lies outside the 3 classes"):
        utils.to_categorical([0, 7], 3)
