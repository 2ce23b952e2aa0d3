"""Clones have fresh weights, copies and pickles have everything, and none shares a part with its model."""

from __future__ import annotations

import copy
import pickle

import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.models import Functional, Model, Sequential, clone_model
from kcore.optimizers import Adam

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X[:, :1]


class Doubled(layers.Layer):
    """A layer of the user's own, registered nowhere."""

    def call(self, x):
        return x * 2.0


class Own(Model):
    """A model of the user's own."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = [layers.Dense(units, activation="tanh"), layers.BatchNormalization()]
        self.head = layers.Dense(1)

    def call(self, x, training=False):
        x = self.hidden[0](x)
        return self.head(self.hidden[1](x, training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def functional():
    x = layers.Input((3,), name="x")
    shared = layers.Dense(3, name="shared")
    y = layers.Dropout(0.3)(layers.Add()([shared(shared(x)), kcore.ops.tile(kcore.ops.relu(x), (1, 2))[:, :3]]))
    return Model(x, layers.Dense(1, name="head")(Doubled(name="doubled")(y)), name="net")


def sequential():
    return Sequential([layers.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)], name="net")


def nested():
    x = layers.Input((3,))
    inner = Sequential([layers.Dense(4), layers.Dense(3)], name="inner")
    return Model(x, layers.Dense(1)(inner(inner(x))), name="net")


def own():
    model = Own(name="net")
    model(X)
    return model


def trained(build):
    model = build()
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    return model


BUILDERS = [functional, sequential, nested, own]


@pytest.mark.parametrize("build", BUILDERS)
def test_a_clone_has_fresh_weights_of_its_own(build):
    model = build()
    clone = clone_model(model)
    assert type(clone) is type(model) and clone.name == "net" and not clone.compiled
    assert [type(layer) for layer in clone.layers] == [type(layer) for layer in model.layers]
    assert not {id(layer) for layer in clone._flatten_layers()} & {id(layer) for layer in model._flatten_layers()}
    assert not (clone.get_weights()[0] == model.get_weights()[0]).all()
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(X).numpy(), model(X).numpy())


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_goes_on_as_its_model_would_and_leaves_it_alone(build, duplicate):
    model = trained(build)
    before, output = model.get_weights(), model(X).numpy()
    twin = duplicate(model)
    assert type(twin) is type(model) and twin.name == "net" and twin.compiled
    np.testing.assert_array_equal(twin(X).numpy(), output)
    for mine, theirs in zip(model.optimizer.variables, twin.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
        assert mine is not theirs
    logs = twin.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    for kept, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)
    assert "mae" in logs.history
    model.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    for mine, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    twin.summary(print_fn=lambda text: None)


def test_a_copy_of_a_functional_model_can_be_cut_and_saved():
    twin = copy.deepcopy(functional())
    assert Model(twin.input, twin.get_layer("doubled").output)(X).shape == (8, 3)
    assert len(clone_model(twin).weights) == len(twin.weights)
    with kcore.saving.custom_object_scope({"Doubled": Doubled}):
        assert kcore.models.model_from_json(twin.to_json()).count_params() == twin.count_params()


def test_a_copy_of_a_deep_model_does_not_exhaust_the_stack():
    x = y = layers.Input((1,))
    for _ in range(400):
        y = kcore.ops.negative(y)
    assert copy.deepcopy(Model(x, y))(X[:, :1]).shape == (8, 1)


def test_attributes_and_metrics_of_the_user_are_copied():
    model = sequential()
    model.notes = {"rows": [1, 2]}
    twin = copy.deepcopy(model)
    assert twin.notes == model.notes and twin.notes["rows"] is not model.notes["rows"]


def test_layers_are_copied_with_their_weights_and_without_a_history():
    layer = layers.Dense(2)
    x = layers.Input((3,))
    layer(x)
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(twin(X).numpy(), layer(X).numpy())
    layer.kernel.assign(layer.kernel * 0)
    assert twin.kernel.numpy().any()
    with pytest.raises(AttributeError, match="never called on a symbolic tensor"):
        twin.output  # noqa: B018


def both(build):
    """A thing made with kcore and with Keras."""
    return build(kcore), build(keras)


def two_layers(lib):
    x = lib.Input((4,), name="x")
    return lib.Model(x, lib.layers.Dense(2, name="last")(lib.layers.Dense(4, name="first")(x)), name="net")


def test_a_clone_function_replaces_layers_as_in_keras():
    def build(lib):
        def tanh(layer):
            return type(layer).from_config({**layer.get_config(), "activation": "tanh"})

        clone = lib.models.clone_model(two_layers(lib), clone_function=tanh)
        return [layer.get_config().get("activation") for layer in clone.layers], clone.name

    ours, theirs = both(build)
    assert ours == theirs == ([None, "tanh", "tanh"], "net")


def test_a_clone_may_stand_on_given_inputs_and_share_layers():
    model = two_layers(kcore)
    x = layers.Input((4,), name="other")
    clone = clone_model(model, input_tensors=x, clone_function=lambda layer: layer)
    assert clone.inputs[0] is x and clone.layers[1] is model.layers[1]
    np.testing.assert_array_equal(clone(np.ones((1, 4))).numpy(), model(np.ones((1, 4))).numpy())
    stack = clone_model(Sequential([layers.Input((4,)), layers.Dense(2)]), input_tensors=x)
    assert stack.inputs[0] is x and stack.built


def test_a_call_function_may_add_to_every_call():
    model = two_layers(kcore)
    clone = clone_model(
        model,
        clone_function=lambda layer: layer,
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs) * 2.0,
    )
    np.testing.assert_allclose(clone(np.ones((1, 4))).numpy(), 4 * model(np.ones((1, 4))).numpy(), rtol=1e-6)


def test_functions_reach_into_inner_models_where_asked():
    seen: list[str] = []

    def note(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    x = layers.Input((3,))
    inner = Sequential([layers.Input((3,)), layers.Dense(4, name="deep")], name="inner")
    model = Model(x, layers.Dense(1, name="head")(inner(x)))
    clone_model(model, clone_function=note)
    assert seen == ["inner", "head"]
    seen.clear()
    clone = clone_model(model, clone_function=note, recursive=True)
    assert seen == ["deep", "head"] and isinstance(clone, Functional)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clone_model(layers.Dense(1)), "takes a model, received"),
        (lambda: clone_model(sequential(), call_function=print), "call_function is for functional models only"),
        (lambda: clone_model(own(), clone_function=lambda x: x), "neither Sequential nor functional"),
        (lambda: clone_model(two_layers(kcore), input_tensors=X), "must be symbolic tensors in the structure"),
        (
            lambda: clone_model(two_layers(kcore), input_tensors=[layers.Input((4,)), layers.Input((4,))]),
            r"the inputs of model 'net', \*; received \[\*, \*\]",
        ),
        (lambda: clone_model(sequential(), input_tensors=[]), "input_tensors must be one symbolic tensor"),
        (lambda: clone_model(two_layers(kcore), clone_function=lambda x: 3), "must return a layer, for 'first' it"),
        (lambda: kcore.models.model_from_json("{"), "takes what to_json"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
