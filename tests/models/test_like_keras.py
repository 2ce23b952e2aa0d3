"""Models beside Keras's: the same code, written for both, gives the same layers, shapes, values and configurations."""

from __future__ import annotations

import json
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import kcore
from kcore.naming import reset_names

X = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
SCENES = {}


def scene(function):
    """A piece of code that takes the library and returns what is compared."""
    SCENES[function.__name__] = function
    return function


def names(layers):
    return [layer.name for layer in layers]


def filled(model):
    """The model with weights that do not depend on random numbers."""
    model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape).astype("float32") for w in model.get_weights()])
    return model


def plain(x):
    """A result as arrays and plain values, dicts by key."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(plain(v) for v in x)
    return np.asarray(x).round(4).tolist() if hasattr(x, "shape") and not isinstance(x, tuple) else x


def outline(config):
    """Of a model's configuration what both libraries must agree on: names, classes, nodes, inputs and outputs."""
    layers = [
        (entry["class_name"], entry["config"]["name"], plain(entry.get("inbound_nodes")), outline(entry["config"]))
        for entry in config.get("layers", ())
    ]
    return layers, config.get("input_layers"), config.get("output_layers"), config.get("trainable")


@scene
def adding_and_popping(lib):
    model, seen = lib.Sequential(name="s"), []
    model.add(lib.Input((4,), name="i"))
    model.add(lib.layers.Dense(3, name="a"))
    seen.append(model.built)
    model.add(lib.layers.Dense(2, name="b"))
    seen.append((names(model.layers), model.output_shape, model.input_shape, model.count_params()))
    seen.append(model.pop().name)
    model.add(lib.layers.Dense(5, name="c"))
    seen.append((names(model.layers), model.output_shape, [w.path for w in model.weights]))
    model.pop(), model.pop()
    return seen, names(model.layers), model.built


@scene
def a_stack_without_an_input(lib):
    model = lib.Sequential([lib.layers.Dense(3, name="a"), lib.layers.Dense(2, name="b")], name="s")
    before = model.built, len(model.weights)
    model(X)
    return before, model.built, model.input_shape[1:], model.output_shape[1:], [w.path for w in model.weights]


@scene
def a_part_of_a_stack(lib):
    model = filled(lib.Sequential([lib.Input((4,)), lib.layers.Dense(3, name="a"), lib.layers.Dense(2)]))
    return lib.Model(model.inputs, model.get_layer("a").output)(X)


@scene
def dicts_in_and_out(lib):
    a, b = lib.Input((4,), name="a"), lib.Input((2,), name="b")
    outputs = {"y": lib.layers.Dense(2, name="dy")(a), "x": lib.layers.Dense(2, name="dx")(b)}
    model = filled(lib.Model({"b": b, "a": a}, outputs, name="m"))
    result = model({"a": X, "b": X[:, :2]})
    return list(result), result, names(model.layers), model.input_shape, model.output_shape, outline(model.get_config())


@scene
def nested_structures(lib):
    a, b, c = (lib.Input((4,), name=name) for name in "abc")
    inner = (lib.layers.Dense(2, name="d2")(b), {"z": lib.layers.Add(name="sum")([b, c])})
    model = filled(lib.Model([a, {"p": b, "q": c}], [lib.layers.Dense(2, name="d1")(a), inner], name="m"))
    return model([X, {"p": X, "q": 2 * X}]), outline(model.get_config())


@scene
def optional_inputs(lib):
    class Maybe(lib.layers.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape):
            return x_shape

    a, b = lib.Input((4,), name="a"), lib.Input((4,), name="b", optional=True)
    model = lib.Model({"a": a, "b": b}, Maybe(name="maybe")(a, b))
    listed = lib.Model([a, b], model.output)
    return model({"a": X, "b": None}), model({"a": X, "b": X}), listed([X, None]), outline(model.get_config())


@scene
def a_shared_layer(lib):
    a, b = lib.Input((4,), name="a"), lib.Input((4,), name="b")
    shared = lib.layers.Dense(4, name="shared")
    model = filled(lib.Model([a, b], lib.layers.Add(name="sum")([shared(a), shared(shared(b))]), name="m"))
    return model([X, X]), names(model.layers), outline(model.get_config())


@scene
def a_model_called_on_new_inputs(lib):
    x = lib.Input((4,), name="x")
    model = filled(lib.Model(x, lib.layers.Dense(4, name="d")(x), name="inner"))
    y = lib.Input((4,), name="y")
    outer = lib.Model(y, model(model(y)), name="outer")
    return outer(X), names(outer.layers), outer.get_config()["output_layers"], [w.path for w in outer.weights]


@scene
def models_cut_out_of_others(lib):
    x = lib.Input((4,), name="x")
    hidden = lib.layers.Dense(3, name="h")(x)
    inner = lib.Model(x, lib.layers.Dense(2, name="o")(hidden), name="inner")
    y = lib.Input((4,), name="y")
    outer = filled(lib.Model(y, lib.layers.Dense(1, name="head")(inner(y)), name="outer"))
    within = outer.get_layer("inner")
    features = lib.Model(within.input, [within.get_layer("h").output, within.output])
    tail = lib.Model(hidden, within.output)
    return features(X), tail(X[:, :3]), len(tail.layers), [w.path for w in outer.weights]


@scene
def operators_on_symbolic_tensors(lib):
    x = lib.Input((4,), name="x")
    y = 2 * lib.ops.relu(lib.layers.Dense(4, name="d")(x))[:, 1:3] - 1.0
    model = filled(lib.Model(x, lib.ops.concatenate([-y, x * 3], axis=-1) ** 2, name="m"))
    return model(X), names(model.layers), names(model.operations), outline(model.get_config())


@scene
def arguments_by_name(lib):
    a, b = lib.Input((2, 3), name="a"), lib.Input((4, 3), name="b")
    model = lib.Model([a, b], lib.layers.MultiHeadAttention(1, 2, name="at")(a, value=b, key=b), name="m")
    dropped = lib.layers.Dropout(0.5, name="drop")(model.output, training=True)
    return outline(model.get_config()), outline(lib.Model([a, b], dropped).get_config())


@scene
def a_subclass_with_a_call_of_its_own(lib):
    class Own(lib.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.blocks = [lib.layers.Dense(4, name="b0"), lib.layers.Dense(2, name="b1")]
            self.named = {"n": lib.layers.BatchNormalization(name="n")}
            self.scale = self.add_weight((), "ones", name="scale")

        def call(self, x, extra=None, training=False, mask=None):
            for block in self.blocks:
                x = block(x)
            x = self.named["n"](x, training=training) * self.scale
            return x if extra is None else x + extra

    model = Own(name="own")
    model(X)
    model.set_weights([np.abs(w) + 1 for w in filled(model).get_weights()])
    return (
        model(X),
        model(X, extra=X[:, :2]),
        names(model.layers),
        [w.path for w in model.weights],
        model.count_params(),
    )


@scene
def a_subclass_made_from_tensors(lib):
    class Made(lib.Model):
        def __init__(self, units=2, name="made"):
            x = lib.Input((4,), name="x")
            super().__init__(x, lib.layers.Dense(units, name="d")(x), name=name)
            self.units = units

        def get_config(self):
            return {"units": self.units, "name": self.name}

    model = filled(Made(3))
    return model(X), names(model.layers), Made.from_config(model.get_config()).units, model.input_shape


@scene
def losses_added_by_layers(lib):
    class Penalty(lib.layers.Layer):
        def call(self, x):
            self.add_loss(lib.ops.sum(x))
            return x

    x = lib.Input((4,), name="x")
    dense = lib.layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
    model = filled(lib.Model(x, Penalty(name="p")(dense(x))))
    model(X)
    model(X)
    return [round(float(loss), 4) for loss in model.losses], len(model.get_layer("p").losses)


@scene
def frozen_weights(lib):
    model = lib.Sequential(
        [lib.Input((4,)), lib.layers.Dense(2, name="d"), lib.layers.BatchNormalization(name="b"), lib.layers.Dense(1)],
        name="m",
    )
    model.layers[0].trainable = False
    lists = [model.weights, model.trainable_weights, model.non_trainable_weights, model.trainable_variables]
    x = lib.Input((3,))
    dense = lib.layers.Dense(2)
    whole = lib.Model(x, dense(x), trainable=False)
    return [[v.path for v in each] for each in lists], whole.trainable, dense.trainable, len(whole.trainable_weights)


@scene
def inputs_and_outputs_of_layers(lib):
    layer, added = lib.layers.Dense(2), lib.layers.Add()
    a, b = lib.Input((3,)), lib.Input((3,))
    layer(a), added([a, b])
    return layer.input is a, layer.output.shape, [x.shape for x in added.input], added.output.shape


@scene
def sources_of_a_tensor(lib):
    i, j = lib.Input((3,), name="i"), lib.Input((3,), name="j")
    return [x.name for x in lib.utils.get_source_inputs(lib.layers.Add()([lib.layers.Dense(3)(i), lib.ops.relu(j)]))]


def masked_and_plain(lib):
    """The ops that merge the masks stand between the layers and the end, so that p comes before q1."""
    layers = lib.layers
    words, values = lib.Input((4,), dtype="int32", name="words"), lib.Input((4, 3), name="values")
    p = layers.Dense(3, name="p")(layers.Embedding(10, 3, mask_zero=True, name="embed")(words))
    q = layers.Dense(3, name="q2")(layers.Dense(3, name="q1")(values))
    joined = layers.Concatenate(name="join")([p, q])
    return lib.Model([words, values], layers.LSTM(2, name="lstm")(joined), name="m")


@scene
def layers_whose_masks_are_merged(lib):
    return names(masked_and_plain(lib).layers)


@scene
def layers_that_take_a_mask_through_another_layer(lib):
    layers = lib.layers
    x, y = lib.Input((4, 3), name="x"), lib.Input((4, 3), name="y")
    masked = layers.Masking(name="mask")(layers.Dense(3, name="d")(x))
    added = layers.Add(name="add")([masked, layers.Dense(3, name="e2")(layers.Dense(3, name="e1")(y))])
    attended = layers.MultiHeadAttention(1, 2, name="attend")(added, layers.Masking(name="late")(y))
    return names(lib.Model([x, y], [layers.GRU(2, name="gru")(attended), masked]).layers)


@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES.keys())
def test_as_keras_does(make):
    found = []
    for lib in (kcore, keras):
        keras.backend.clear_session(free_memory=False)
        reset_names()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(plain(make(lib)))
    assert found[0] == found[1]


# -- configurations both ways ----------------------------------------------------------------------------------------


def branches(lib):
    layers = lib.layers
    words, image = lib.Input((5,), dtype="int32", name="words"), lib.Input((6, 6, 1), name="image")
    text = layers.LSTM(3, name="lstm")(layers.Embedding(7, 4, mask_zero=True, name="embed")(words))
    seen = layers.Flatten(name="flat")(layers.Conv2D(2, 3, activation="relu", name="conv")(image))
    inner = lib.Sequential([layers.Input((3,)), layers.Dense(3, activation="tanh", name="deep")], name="inner")
    joined = layers.Concatenate(name="join")([inner(text), inner(text), seen])
    return lib.Model(
        {"words": words, "image": image}, {"out": layers.Dense(2, name="out")(joined), "text": text}, name="m"
    )


def nested(lib):
    x, y = lib.Input((4,), name="x"), lib.Input((4,), name="y")
    inner = lib.Model(x, [lib.layers.Dense(4, name="d")(x), x + 1.0], name="inner")
    first, second = inner(y), inner(inner(y)[0])
    return lib.Model(y, lib.layers.Add(name="sum")([*first, *second]), name="outer")


def stack(lib):
    layers = lib.layers
    return lib.Sequential([layers.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)], name="s")


DATA = {
    branches: {
        "words": np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 1]], "int32"),
        "image": np.ones((2, 6, 6, 1), "float32"),
    },
    stack: X,
    nested: X,
}


@pytest.mark.parametrize("build", [branches, nested, stack], ids=lambda build: build.__name__)
@pytest.mark.parametrize(("maker", "reader"), [(kcore, keras), (keras, kcore)], ids=["to Keras", "from Keras"])
@pytest.mark.parametrize("way", ["config", "json"])
def test_configurations_are_exchanged(build, maker, reader, way):
    made = filled(build(maker))
    if way == "json":
        made.compile("adam", "mse", metrics=["mae"])
        read = reader.models.model_from_json(made.to_json())
        assert type(read.optimizer).__name__ == "Adam"
    else:
        read = getattr(reader, type(made).__name__, reader.Model).from_config(json.loads(json.dumps(made.get_config())))
    read.set_weights([np.asarray(w) for w in made.get_weights()])
    expected, found = made(DATA[build]), read(DATA[build])
    assert names(read.layers) == names(made.layers) or reader is kcore
    for a, b in zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["m.weights.h5", "m.h5", "m.keras"])
@pytest.mark.parametrize(("maker", "reader"), [(kcore, keras), (keras, kcore)], ids=["to Keras", "from Keras"])
def test_weights_are_exchanged_where_masks_decide_the_order_of_layers(maker, reader, form, tmp_path):
    made, read = filled(masked_and_plain(maker)), masked_and_plain(reader)
    x = [np.array([[1, 2, 0, 0]], "int32"), np.arange(12, dtype="float32").reshape(1, 4, 3) / 10]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras on HDF5
        (made.save_weights if "weights" in form else made.save)(tmp_path / form)
    if form == "m.keras":
        read = reader.models.load_model(tmp_path / form)
    else:
        read.load_weights(tmp_path / form)
    np.testing.assert_allclose(np.asarray(read(x)), np.asarray(made(x)), rtol=1e-4, atol=1e-6)


# -- what is refused -------------------------------------------------------------------------------------------------


def _model():
    a, b = kcore.Input((4,), name="left"), kcore.Input((4,), name="right")
    return SimpleNamespace(
        a=a, b=b, model=kcore.Model({"left": a, "right": b}, kcore.layers.Add(name="add")([a, b]), name="pair")
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: kcore.Sequential(name="s").pop(), "model 's' has no layer to pop"),
        (lambda m: kcore.Sequential([kcore.layers.Dense(1)]).input, "'input'; it is not built yet"),
        (lambda m: m.model({"left": X, "rigth": X}), r"'right' is missing; expected .*got \['left', 'rigth'\]"),
        (lambda m: m.model({"left": X, "right": None}), "inputs must be tensors, got None"),
        (lambda m: m.model([X]), r"expects 2 input\(s\), got 1"),
        (lambda m: m.model({"left": X, "right": X[:, :3]}), r"input right has shape \(2, 3\)"),
        (lambda m: kcore.Model(m.a, kcore.layers.Add()([m.a, m.b])), r"the tensor of input 'right'.*inputs \['left'\]"),
        (lambda m: m.model.get_layer("ad"), r"model 'pair' has no layer 'ad'; did you mean 'add'"),
        (lambda m: m.model.get_layer(index=7), "has no layer 7: it has 3 layers"),
    ],
)  # fmt: skip
def test_what_is_refused(call, message):
    with pytest.raises((ValueError, AttributeError), match=message):
        call(_model())
