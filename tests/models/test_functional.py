"""Functional models: graphs of layer calls, their order, their structures, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kcore import layers, ops
from kcore.models import Functional, Model, Sequential
from kcore.runtime import CallRecord


def ones(*shape):
    return np.ones(shape, "float32")


def test_model_of_tensors_is_functional():
    x = layers.Input((3,))
    model = Model(x, layers.Dense(2)(x))
    assert isinstance(model, Functional)
    assert model.input_shape == (None, 3)
    assert model.output_shape == (None, 2)
    assert model(ones(4, 3)).shape == (4, 2)


def test_a_shared_layer_is_held_once_and_run_twice():
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    shared = layers.Dense(2, use_bias=False)
    model = Model([a, b], layers.Add()([shared(a), shared(b)]))
    x, y = np.random.default_rng(0).random((2, 5, 3), dtype="float32")
    kernel = model.get_weights()[0]
    assert [layer.name for layer in model.layers[:2]] == ["a", "b"]
    assert len(model.layers) == 4 and len(model.weights) == 1
    np.testing.assert_allclose(model([x, y]).numpy(), (x + y) @ kernel, rtol=1e-5, atol=1e-6)


def test_inputs_may_come_as_list_dict_or_by_name():
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = Model({"a": a, "b": b}, {"sum": a + b, "difference": a - b})
    given = {"b": 2 * ones(1, 2), "a": ones(1, 2)}
    outputs = model(given)
    assert list(outputs) == ["sum", "difference"]
    assert outputs["sum"].numpy().tolist() == [[3, 3]] and outputs["difference"].numpy().tolist() == [[-1, -1]]
    listed = Model([a, b], a - b)
    assert listed(given).numpy().tolist() == listed([given["a"], given["b"]]).numpy().tolist() == [[-1, -1]]


def test_ops_on_symbolic_tensors_are_part_of_the_model():
    x = layers.Input((3,))
    model = Model(x, ops.concatenate([ops.exp(x) * 2.0, x[:, :1]], axis=-1))
    value = ones(2, 3)
    np.testing.assert_allclose(model(value).numpy(), np.concatenate([np.exp(value) * 2, value[:, :1]], -1), rtol=1e-6)


def test_nested_models_run_inside_models():
    inner = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(3)])
    x = layers.Input((3,))
    model = Model(x, inner(inner(x)))
    value = ones(2, 3)
    np.testing.assert_allclose(model(value).numpy(), inner(inner(value)).numpy(), rtol=1e-6)
    assert len(model.weights) == 4


def test_a_model_may_start_at_an_inner_tensor():
    x = layers.Input((3,))
    hidden = layers.Dense(4, activation="relu")(x)
    output = layers.Dense(2)(hidden)
    full, tail = Model(x, output), Model(hidden, output)
    value = ones(2, 3)
    features = Model(x, hidden)(value)
    np.testing.assert_allclose(tail(features).numpy(), full(value).numpy(), rtol=1e-6)


def test_a_trailing_one_is_added_or_dropped():
    x = layers.Input((1,))
    model = Model(x, x * 2.0)
    assert model(ones(3)).shape == (3, 1)


def test_integers_are_cast_to_the_inputs_dtype():
    x = layers.Input((2,))
    assert Model(x, layers.Dense(1)(x))(np.ones((1, 2), "uint8")).dtype == "float32"


def test_masks_flow_through_the_model():
    x = layers.Input((4,), dtype="int32")
    hidden = layers.Embedding(5, 3, mask_zero=True)(x)
    model = Model(x, layers.Dropout(0.5)(hidden))
    mask = model(np.array([[1, 2, 0, 0]], "int32"))._keras_mask
    assert np.asarray(mask).tolist() == [[True, True, False, False]]


def test_the_models_training_flag_goes_before_the_one_of_the_call():
    x = layers.Input((50,))
    model = Model(x, layers.Dropout(0.5)(x, training=True))
    value = ones(1, 50)
    assert (model(value, training=False).numpy() == 1).all()
    assert (model(value).numpy() != 1).any()


def test_layers_in_the_order_of_keras():
    import os

    os.environ["KERAS_BACKEND"] = "numpy"
    import keras

    def build(lib, model_of):
        a, b = lib.Input((3,), name="a"), lib.Input((3,), name="b")
        shared = lib.Dense(3, name="shared")
        left = lib.Dense(3, name="left")(shared(a))
        right = shared(lib.Dense(3, name="right")(b))
        joined = lib.Add(name="joined")([left, right])
        return model_of([b, a], [lib.Dense(1, name="head")(joined), lib.Dense(2, name="side")(left)])

    ours, theirs = build(layers, Model), build(keras.layers, keras.Model)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.output_names == theirs.output_names


def test_a_disconnected_graph_names_the_missing_input():
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    with pytest.raises(ValueError, match=r"is disconnected: the tensor of input 'b' .*inputs \['a'\]"):
        Model(a, layers.Add()([a, b]))


def test_two_layers_of_one_name_are_refused():
    x = layers.Input((2,))
    y = layers.Dense(2, name="twin")(layers.Dense(2, name="twin")(x))
    with pytest.raises(ValueError, match=r"two layers called 'twin' \(Dense and Dense\); names must be unique"):
        Model(x, y)


def test_a_cycle_is_refused_with_its_layers():
    x = layers.Input((2,))
    first, second = layers.Dense(2, name="first"), layers.Dense(2, name="second")
    middle = first(x)
    end = second(middle)
    middle.record = CallRecord(first, (end,), {}, middle)
    with pytest.raises(ValueError, match="has a cycle: second -> first -> second"):
        Model(x, end)


def test_a_concrete_tensor_as_output_is_refused():
    x = layers.Input((2,))
    with pytest.raises(ValueError, match="outputs of a functional model must be symbolic tensors .*received"):
        Model(x, ones(1, 2))


def test_wrong_sizes_and_ranks_name_what_was_expected():
    x = layers.Input((3,), name="features")
    model = Model(x, layers.Dense(2)(x), name="net")
    for bad in (ones(2, 4), ones(2, 3, 3)):
        with pytest.raises(ValueError, match=rf"net.*\({bad.shape[0]}, {bad.shape[1]}"):
            model(bad)


def test_a_wrong_number_of_inputs_is_refused():
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = Model([a, b], layers.Add()([a, b]))
    with pytest.raises(ValueError, match="2 input"):
        model([ones(1, 2)])


def test_get_layer_shows_near_names():
    x = layers.Input((2,))
    model = Model(x, layers.Dense(1, name="logits")(x), name="net")
    assert model.get_layer("logits") is model.get_layer(index=-1)
    with pytest.raises(ValueError, match=r"model 'net' has no layer 'logit'; did you mean 'logits'\?"):
        model.get_layer("logit")
    with pytest.raises(ValueError, match="either a name or an index"):
        model.get_layer()


def test_config_makes_an_equal_model():
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu")
    hidden = layers.Add()([shared(a), shared(b)])
    model = Model({"a": a, "b": b}, [layers.Dense(2)(hidden), ops.exp(hidden) + 1.0], name="pair")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    x = {"a": ones(2, 4), "b": 2 * ones(2, 4)}
    assert copy.name == "pair"
    for mine, theirs in zip(copy(x), model(x), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_keras_reads_our_configuration():
    import json
    import os

    os.environ["KERAS_BACKEND"] = "numpy"
    import keras

    x = layers.Input((4,), name="x")
    model = Model(x, layers.Add()([layers.Dense(3)(x), layers.Dense(3)(x)]))
    theirs = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    theirs.set_weights(model.get_weights())
    value = np.random.default_rng(0).random((2, 4), dtype="float32")
    np.testing.assert_allclose(np.asarray(theirs(value)), model(value).numpy(), rtol=1e-5, atol=1e-6)


def test_a_thousand_layers_do_not_exhaust_the_stack():
    x = y = layers.Input((1,))
    for _ in range(1200):
        y = ops.negative(y)
    assert Model(x, y)(ones(1, 1)).numpy().tolist() == [[1]]
