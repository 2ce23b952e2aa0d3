"""Lambda, Rescaling and ReversibleEmbedding beside Keras's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference import array, build_alike, keras, pair, plain, same

import kcore
from kcore import config, layers, ops
from kcore.registry import custom_object_scope, register_serializable


@register_serializable("tests")
def double(x):
    return x * 2


def spread(x, power=2, offset=0.0):
    return x**power + offset


@pytest.mark.parametrize(
    "config",
    [
        {"scale": 1 / 255},
        {"scale": 2, "offset": -1.0},
        {"scale": [1.0, 2.0, 3.0]},
        {"scale": (1, 2, 3), "offset": [0.5, 0.5, 1.0]},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
def test_rescaling(config, dtype):
    same("Rescaling", array((2, 4, 3), dtype="int32").astype(dtype), **config)


def test_rescaling_takes_arrays_and_they_go_round():
    x, scale = array((2, 3)), np.array([1.0, 2.0, 3.0], "float32")
    layer = layers.Rescaling(scale, offset=scale)
    np.testing.assert_allclose(layer(x), x * scale + scale, rtol=1e-6)
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    np.testing.assert_allclose(again(x), layer(x))
    theirs = keras.layers.Rescaling(scale)
    np.testing.assert_allclose(layers.deserialize(keras.layers.serialize(theirs))(x), theirs(x), rtol=1e-6)


def test_rescaling_takes_one_scale_per_channel_in_both_layouts():
    before = config.image_data_format()
    try:
        config.set_image_data_format("channels_first")
        y = layers.Rescaling([1.0, 2.0])(np.ones((1, 2, 3, 3), "float32")).numpy()
    finally:
        config.set_image_data_format(before)
    assert y[0, :, 0, 0].tolist() == [1.0, 2.0]


def test_rescaling_keeps_masks_and_refuses_words():
    x = layers.Embedding(5, 4, mask_zero=True)(layers.Input((3,)))
    assert layers.Rescaling(2.0)(x)._keras_mask is not None
    with pytest.raises(ValueError, match="Rescaling: argument scale='big': expected a number, or an array"):
        layers.Rescaling("big")


def test_lambda_of_a_named_function_is_saved_by_its_name():
    theirs, mine = keras.layers.Lambda(spread, arguments={"power": 3}), layers.Lambda(spread, arguments={"power": 3})
    assert plain(mine.get_config()) == plain(theirs.get_config())
    x = array((2, 3))
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-6)
    described = json.loads(json.dumps(keras.layers.serialize(theirs)))
    with custom_object_scope({"spread": spread}):
        again = layers.deserialize(described)
    np.testing.assert_allclose(again(x), theirs(x), rtol=1e-6)
    with pytest.raises(TypeError, match="there is no 'spread' in"):
        layers.deserialize(described)


def test_lambda_of_a_registered_function_needs_no_scope():
    layer = layers.Lambda(double, output_shape=(3,), mask=double)
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    assert again.function is double and again.mask is double
    assert again.compute_output_shape((None, 7)) == (None, 3)


def test_lambda_of_a_python_lambda_can_be_copied_and_not_written():
    layer = layers.Lambda(lambda x: x + 1, name="one_more")
    copy = layers.Lambda.from_config(layer.get_config())
    assert float(copy(np.zeros((1, 1), "float32"))[0, 0]) == 1
    with pytest.raises(TypeError, match=r"cannot serialize a lambda: give the function a name.*test_core.py:\d+"):
        layers.serialize(layer)


def test_lambda_refuses_saved_code():
    saved = keras.layers.serialize(keras.layers.Lambda(lambda x: x + 1))
    with pytest.raises(ValueError, match="kcore never runs code from a file"):
        layers.deserialize(saved)


def test_lambda_passes_mask_and_training_to_functions_that_ask():
    def noisy(x, training=None):
        return x + 1 if training else x

    def hide(x, mask=None):
        return x if mask is None else x * ops.cast(ops.expand_dims(mask, -1), x.dtype)

    assert float(layers.Lambda(noisy)(np.zeros((1, 1), "float32"), training=True)[0, 0]) == 1
    tokens = np.array([[1, 0]], "int32")
    x = layers.Embedding(5, 2, mask_zero=True)(tokens)
    layer = layers.Lambda(hide, mask=lambda inputs, mask: mask)
    y = layer(x)
    assert not np.any(y.numpy()[0, 1]) and y._keras_mask.numpy().tolist() == [[True, False]]
    with pytest.warns(UserWarning, match="does not support masking"):
        assert layers.Lambda(hide)(x)._keras_mask is None


@pytest.mark.parametrize(
    "output_shape, expected",
    [(None, (None, 3)), ((5,), (None, 5)), (lambda shape: (shape[0], shape[1] * 2), (None, 6))],
)
def test_lambda_output_shape(output_shape, expected):
    assert layers.Lambda(double, output_shape=output_shape)(layers.Input((3,))).shape == expected


def test_lambda_takes_several_inputs():
    a, b = layers.Input((3,)), layers.Input((3,))
    model = kcore.Model([a, b], layers.Lambda(lambda pair: pair[0] - pair[1])([a, b]))
    x = array((2, 3))
    assert not np.any(model.predict([x, x], verbose=0))


def test_lambda_needs_a_function():
    with pytest.raises(ValueError, match="Lambda: argument function=3: expected a function"):
        layers.Lambda(3)
    with pytest.raises(ValueError, match=r"Lambda: argument arguments=\[1\]: expected a dict"):
        layers.Lambda(double, arguments=[1])


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("cap", [None, 2.0])
def test_reversible_embedding(tie, cap):
    theirs, mine = pair("ReversibleEmbedding", 7, 4, tie_weights=tie, logit_soft_cap=cap)
    tokens, vectors = array((2, 3), dtype="int32"), array((2, 3, 4))
    build_alike(theirs, mine, tokens)
    np.testing.assert_allclose(mine(tokens), theirs(tokens), rtol=1e-6)
    np.testing.assert_allclose(mine(vectors, reverse=True), theirs(vectors, reverse=True), rtol=1e-5, atol=1e-6)
    assert mine(layers.Input((3, 4)), reverse=True).shape == (None, 3, 7)


def test_reversible_embedding_in_both_directions_of_a_model():
    words = layers.Input((3,), dtype="int32")
    table = layers.ReversibleEmbedding(7, 4, mask_zero=True)
    x = table(words)
    logits = table(x, reverse=True)
    assert x._keras_mask is not None and logits._keras_mask is None
    model = kcore.Model(words, logits)
    model.compile("adam", kcore.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = array((4, 3), dtype="int32")
    losses = model.fit(data, data, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and len(model.trainable_weights) == 1
    with pytest.raises(ValueError, match="logit_soft_cap=0: expected a positive number"):
        layers.ReversibleEmbedding(7, 4, logit_soft_cap=0)
