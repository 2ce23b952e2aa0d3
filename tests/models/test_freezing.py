"""Freezing: flags count as of `compile`, whole stretches at once, BatchNormalization in inference mode."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import layers
from kcore.models import Model, Sequential, freeze_weights, unfreeze_weights

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = X[:, :1]


def chain(*names):
    return Sequential([layers.Input((4,)), *(layers.Dense(4, name=name) for name in names)], name="net")


def changed(model, layer):
    """Whether a step of training changes a layer."""
    before = [w.copy() for w in layer.get_weights()]
    model.fit(X, X, epochs=1, batch_size=8, verbose=0)
    return any((a != b).any() for a, b in zip(before, layer.get_weights(), strict=True))


def test_one_layer_in_two_models_is_trained_by_the_one_that_was_compiled_with_it_trainable():
    x = layers.Input((4,))
    layer = layers.Dense(4)
    layer.trainable = False
    y = layer(x)
    frozen = Model(x, y)
    frozen.compile("rmsprop", "mse")
    layer.trainable = True
    trainable = Model(x, y)
    trainable.compile("rmsprop", "mse")
    assert not changed(frozen, layer)
    assert changed(trainable, layer)
    assert not changed(frozen, layer)


def test_a_flag_counts_from_the_next_compile_on():
    model = chain("a", "b")
    model.compile("adam", "mse")
    assert changed(model, model.layers[0])
    freeze_weights(model, to="a")
    assert changed(model, model.layers[0])
    model.compile("adam", "mse")
    assert not changed(model, model.layers[0]) and changed(model, model.layers[1])
    assert len(model.optimizer.variables) == 2 + 2 * 2  # slots for the two weights of b alone
    unfreeze_weights(model)
    model.compile("adam", "mse")
    assert changed(model, model.layers[0])


def test_an_optimizer_used_again_for_other_variables_says_so():
    model = chain("a", "b")
    freeze_weights(model, to="a")
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)
    optimizer = model.optimizer
    unfreeze_weights(model)
    model.compile(optimizer, "mse")
    with pytest.raises(ValueError, match="was built for 2 variables, and 'net/a/kernel' is not one of them"):
        model.fit(X, X, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "frozen"),
    [
        ({}, "abcd"),
        ({"to": "b"}, "ab"),
        ({"from_": "c"}, "cd"),
        ({"from_": "b", "to": "c"}, "bc"),
        ({"from_": 1, "to": -2}, "bc"),
        ({"from_": "d", "to": "d"}, "d"),
        ({"from_": -1}, "d"),
    ],
)
def test_a_stretch_includes_both_ends(arguments, frozen):
    model = chain(*"abcd")
    freeze_weights(model, **arguments)
    assert "".join(layer.name for layer in model.layers if not layer.trainable) == frozen
    assert [v.trainable for v in model.weights] == [layer.trainable for layer in model.layers for _ in range(2)]
    model.trainable = False
    unfreeze_weights(model, **arguments)
    assert "".join(layer.name for layer in model.layers if layer.trainable) == frozen
    assert len(model.trainable_weights) == 2 * len(frozen)


def test_an_inner_model_is_frozen_with_all_its_layers():
    x = layers.Input((4,))
    inner = chain("a", "b")
    model = Model(x, layers.Dense(1, name="head")(inner(x)))
    freeze_weights(model, to="net")
    assert [w.path for w in model.trainable_weights] == ["head/kernel", "head/bias"]
    freeze_weights(model)
    unfreeze_weights(inner, from_="b")
    inner.trainable = False
    assert model.trainable_weights == [] and not inner.layers[1].trainable


@pytest.mark.parametrize("function", [freeze_weights, unfreeze_weights])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "block3"}, r"\(to=\): model 'net' has no layer 'block3'; did you mean 'block2' or 'block1'\?"),
        ({"from_": "x"}, r"\(from_=\): model 'net' has no layer 'x'. Its layers are \['block1', 'block2'\]"),
        (
            {"from_": "block2", "to": "block1"},
            "from_='block2' is layer 1 of model 'net', which lies behind to='block1', layer 0",
        ),
        ({"from_": 5}, "model 'net' has no layer 5: it has 2 layers"),
        ({"to": 1.5}, "expected the name of a layer or its place, received 1.5"),
        ({"to": True}, "expected the name of a layer or its place, received True"),
    ],
)
def test_what_is_refused(function, arguments, message):
    model = chain("block1", "block2")
    with pytest.raises(ValueError, match=message):
        function(model, **arguments)
    assert all(layer.trainable for layer in model.layers)


def test_only_models_with_layers_are_frozen():
    with pytest.raises(ValueError, match="takes a model, received"):
        freeze_weights(layers.Dense(1))
    with pytest.raises(ValueError, match="model 'empty' has no layers yet"):
        freeze_weights(Sequential(name="empty"))


def test_a_frozen_batch_normalization_runs_in_inference_mode():
    model = Sequential([layers.Input((4,)), layers.BatchNormalization(name="norm"), layers.Dense(4)])
    norm = model.layers[0]
    model.compile("sgd", "mse")
    assert changed(model, norm)
    freeze_weights(model, to="norm")
    inference = norm(X, training=False).numpy()
    np.testing.assert_array_equal(norm(X, training=True).numpy(), inference)
    model.compile("sgd", "mse")
    assert not changed(model, norm)


def test_trainable_as_argument_and_property_reaches_inner_layers():
    layer = layers.Dense(2, trainable=False)
    layer.build((None, 3))
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 2
    model = chain("a", "b")
    model.trainable = False
    assert [layer.trainable for layer in model.layers] == [False, False] and model.trainable_variables == []
    model.layers[1].trainable = True
    assert model.trainable_weights == []  # the model itself is not trainable
    model.trainable = True
    assert len(model.trainable_weights) == 4


def test_a_child_that_knows_its_parent_is_frozen_by_itself():
    class Child(layers.Layer):
        def __init__(self, parent, **kwargs):
            super().__init__(**kwargs)
            self.parent = parent
            self.dense = layers.Dense(1, name="inner")

        def call(self, x):
            return self.dense(x)

    class Parent(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(2, name="outer")
            self.child = Child(self, name="child")

        def call(self, x):
            return self.child(self.dense(x))

    parent = Parent(name="parent")
    parent(X)
    assert [w.path for w in parent.child.weights] == ["parent/child/inner/kernel", "parent/child/inner/bias"]
    parent.child.trainable = False
    assert parent.trainable and [w.path for w in parent.trainable_weights] == [
        "parent/outer/kernel",
        "parent/outer/bias",
    ]
