"""Stacks of layers: building, adding, popping, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.models import Model, Sequential


def ones(*shape):
    return np.ones(shape, "float32")


def test_an_input_builds_at_once():
    model = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    assert model.built and model.output_shape == (None, 2) and model.count_params() == 26
    assert len(model.layers) == 2


def test_without_an_input_the_first_data_builds_and_the_batch_stays_open():
    model = Sequential([layers.Dense(4), layers.Dense(2)])
    assert not model.built and model.weights == []
    assert model(ones(5, 3)).shape == (5, 2)
    assert model.input_shape == (None, 3) and model(ones(7, 3)).shape == (7, 2)


def test_add_and_pop_rebuild():
    model = Sequential([layers.Input((3,))])
    model.add(layers.Dense(4))
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    top = model.pop()
    assert model.output_shape == (None, 4) and top.name not in [layer.name for layer in model.layers]
    model.add(layers.Dense(1))
    assert model(ones(2, 3)).shape == (2, 1)


def test_a_sequential_inside_a_functional_model_is_built_there():
    inner = Sequential([layers.Dense(4), layers.Dense(2)])
    x = layers.Input((3,))
    model = Model(x, inner(x))
    assert inner.built and model(ones(2, 3)).shape == (2, 2)


def test_training_reaches_the_layers():
    model = Sequential([layers.Input((50,)), layers.Dropout(0.5)])
    assert (model(ones(1, 50), training=True).numpy() != 1).any()
    assert (model(ones(1, 50)).numpy() == 1).all()


def test_two_layers_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"already has a layer called 'twin'; names must be unique"):
        Sequential([layers.Dense(1, name="twin"), layers.Dense(1, name="twin")])


def test_a_class_instead_of_a_layer_is_refused():
    with pytest.raises(ValueError, match="takes layers, received .*call it to make a layer"):
        Sequential([layers.Flatten])


def test_an_input_in_the_middle_is_refused():
    with pytest.raises(ValueError, match=r"Input\(\) must be the first entry"):
        Sequential([layers.Dense(1), layers.Input((3,))])


def test_building_for_another_shape_than_the_input_is_refused():
    model = Sequential([layers.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"has an input of shape \(None, 3\), it cannot be built for \(None, 4\)"):
        model.build((None, 4))


def test_an_empty_model_cannot_be_built():
    with pytest.raises(ValueError, match="has no layers"):
        Sequential(name="nothing").build((None, 3))
    with pytest.raises(ValueError, match="no layer to pop"):
        Sequential().pop()


def test_shapes_before_building_say_what_to_do():
    with pytest.raises(AttributeError, match=r"has no attribute .input_shape.; it is not built yet"):
        _ = Sequential([layers.Dense(1)]).input_shape


def test_config_makes_an_equal_model():
    model = Sequential([layers.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(2)], name="stack")
    copy = Sequential.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    assert copy.name == "stack"
    np.testing.assert_array_equal(copy(ones(2, 3)).numpy(), model(ones(2, 3)).numpy())


def test_keras_reads_our_configuration():
    import json
    import os

    os.environ["KERAS_BACKEND"] = "numpy"
    import keras

    model = Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]
    )
    theirs = keras.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    theirs.set_weights(model.get_weights())
    value = np.random.default_rng(0).random((2, 8, 8, 1), dtype="float32")
    np.testing.assert_allclose(np.asarray(theirs(value)), model(value).numpy(), rtol=1e-4, atol=1e-5)


def test_subclassed_models_track_their_layers():
    class Twice(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)
            self.blocks = [layers.Dense(3), layers.Dense(3)]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.dense(x)

    model = Twice()
    assert model(ones(2, 3)).shape == (2, 3)
    assert len(model.weights) == 6 and len(model.layers) == 3


def test_a_subclass_made_from_tensors_is_functional():
    class Mine(Model):
        def __init__(self, units):
            x = layers.Input((3,))
            super().__init__(x, layers.Dense(units)(x))
            self.units = units

    model = Mine(4)
    assert model.output_shape == (None, 4) and model(ones(1, 3)).shape == (1, 4)


def test_a_model_cannot_contain_itself():
    model = Sequential([layers.Input((2,))], name="x")
    with pytest.raises(ValueError, match="model 'x' would contain itself: x -> x"):
        model.add(model)
    inner = Sequential(name="inner")
    middle = Sequential([inner], name="middle")
    with pytest.raises(ValueError, match="model 'inner' would contain itself: inner -> outer -> middle -> inner"):
        inner.add(Sequential([middle], name="outer"))
    assert inner.layers == []


def test_batch_input_shape_of_old_scripts_fixes_the_batch():
    model = Sequential([layers.LSTM(3, stateful=True, batch_input_shape=(2, 5, 4)), layers.Dense(1)])
    assert model.input_shape == (2, 5, 4) and model.output_shape == (2, 1)
    assert Sequential([layers.Dense(3, input_shape=(4,))]).input_shape == (None, 4)
    assert Sequential([layers.Dense(3, input_dim=4)]).input_shape == (None, 4)


def test_automatic_names_count_on_as_those_of_keras():
    """Scripts find nested models by such names: base.get_layer("functional_3")."""
    keras = pytest.importorskip("keras")

    def names(module):
        module.utils.clear_session()
        x = module.Input((3,))
        model = module.Model(x, module.layers.Dense(2)(x))
        stack = module.Sequential([module.Input((3,)), module.layers.Dense(2)])
        stack.add(module.layers.Dense(1))
        open_stack = module.Sequential([module.layers.Dense(2)])
        open_stack.build((None, 3))
        after = module.Model(x, stack(x))
        return [m.name for m in (model, stack, open_stack, after, module.models.clone_model(model), module.Model(x, x))]

    assert names(kcore) == names(keras)
