"""Attention, AdditiveAttention and GroupQueryAttention beside Keras's, with masks of all kinds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference import array, build_alike, keras, pair, plain, values

import kcore
from kcore import layers
from kcore.runtime import convert_to_tensor

QUERY, VALUE, KEY = array((2, 3, 4)), array((2, 5, 4), 1), array((2, 5, 4), 2)
QUERY_MASK = np.array([[True, True, False], [True, False, True]])
VALUE_MASK = np.array([[True, True, True, False, False], [False, True, False, True, True]])
MASKS = [None, [QUERY_MASK, None], [None, VALUE_MASK], [QUERY_MASK, VALUE_MASK]]
CALLS = [{}, {"use_causal_mask": True}, {"return_attention_scores": True}]


def compare(theirs, mine, *inputs, tolerance=1e-5, **call):
    for a, b in zip(values(theirs(*inputs, **call)), values(mine(*inputs, **call)), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance, err_msg=str(call))


@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize(
    "name, config",
    [
        ("Attention", {}),
        ("Attention", {"use_scale": True}),
        ("Attention", {"score_mode": "concat"}),
        ("Attention", {"score_mode": "concat", "use_scale": True}),
        ("AdditiveAttention", {}),
        ("AdditiveAttention", {"use_scale": False}),
    ],
)
def test_attention(name, config, with_key):
    theirs, mine = pair(name, **config)
    inputs = [QUERY, VALUE, KEY] if with_key else [QUERY, VALUE]
    build_alike(theirs, mine, inputs)
    for mask in MASKS:
        for call in CALLS:
            compare(theirs, mine, inputs, mask=mask, **call)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_shapes_are_known_without_data(name):
    layer = getattr(layers, name)()
    inputs = [layers.Input((None, 4)), layers.Input((7, 4))]
    y, scores = layer(inputs, return_attention_scores=True)
    assert (y.shape, scores.shape) == ((None, None, 4), (None, None, 7))
    assert layer.compute_output_shape([(None, 3, 4), (None, 5, 6)]) == (None, 3, 6)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_masks_come_with_the_inputs_and_that_of_the_query_goes_on(name):
    theirs, mine = pair(name)
    build_alike(theirs, mine, [QUERY, VALUE])
    query, value = convert_to_tensor(QUERY), convert_to_tensor(VALUE)
    query._keras_mask, value._keras_mask = convert_to_tensor(QUERY_MASK), convert_to_tensor(VALUE_MASK)
    got = mine([query, value])
    np.testing.assert_allclose(got, theirs([QUERY, VALUE], mask=[QUERY_MASK, VALUE_MASK]), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got._keras_mask, QUERY_MASK)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_dropout_drops_weights_in_training_alone(name):
    layer = getattr(layers, name)(dropout=0.5, seed=1)
    still = layer([QUERY, VALUE]).numpy()
    moved, weights = layer([QUERY, VALUE], training=True, return_attention_scores=True)
    assert (np.asarray(weights) == 0).any() and not np.allclose(moved, still)
    again = getattr(layers, name)(dropout=0.5, seed=1)
    again([QUERY, VALUE])
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again([QUERY, VALUE], training=True), moved)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
@pytest.mark.parametrize("inputs, got", [(QUERY, "one input"), ([QUERY], "1 inputs"), ([QUERY] * 4, "4 inputs")])
def test_attention_needs_a_list_of_two_or_three(name, inputs, got):
    with pytest.raises(ValueError, match=rf"'look' \({name}\): expected a list \[query, value\] or .* got {got}"):
        getattr(layers, name)(name="look")(inputs)


def test_attention_refuses_other_masks_modes_and_rates():
    with pytest.raises(ValueError, match=r"\(Attention\): expected a list \[query mask, value mask\], got"):
        layers.Attention()([QUERY, VALUE], mask=[QUERY_MASK])
    with pytest.raises(ValueError, match="Attention: argument score_mode='sum': expected one of 'dot', 'concat'"):
        layers.Attention(score_mode="sum")
    with pytest.raises(ValueError, match="AdditiveAttention: argument dropout=2: expected a number between 0 and 1"):
        layers.AdditiveAttention(dropout=2)


@pytest.mark.parametrize("heads", [(4, 2), (4, 4), (3, 1)])
@pytest.mark.parametrize("config", [{}, {"use_bias": False, "use_gate": True}, {"sliding_window": 2}])
def test_group_query_attention(heads, config):
    theirs, mine = pair("GroupQueryAttention", 5, *heads, **config)
    query, value = array((2, 3, 6)), array((2, 4, 6), 1)
    build_alike(theirs, mine, query, value)
    allowed = array((2, 3, 4), 2) > -1
    for call in ({}, {"attention_mask": allowed}, {"use_causal_mask": True}):
        compare(theirs, mine, query, value, **call)
        compare(theirs, mine, query, value, array((2, 4, 6), 3), **call)


def test_group_query_attention_gives_scores():
    """Keras gives none but with dropout: its layer takes the fused way first."""
    theirs, mine = pair("GroupQueryAttention", 5, 4, 2, dropout=0.3)
    query, value = array((2, 3, 6)), array((2, 4, 6), 1)
    build_alike(theirs, mine, query, value)
    compare(theirs, mine, query, value, return_attention_scores=True)
    plain_one = layers.GroupQueryAttention(5, 4, 2)
    y, scores = plain_one(layers.Input((3, 6)), layers.Input((4, 6)), return_attention_scores=True)
    assert (y.shape, scores.shape) == ((None, 3, 6), (None, 4, 3, 4))


def test_group_query_attention_joins_the_masks_its_inputs_carry():
    theirs, mine = pair("GroupQueryAttention", 5, 4, 2)
    query, value = array((2, 3, 6)), array((2, 5, 6), 1)
    build_alike(theirs, mine, query, value)
    a, b = convert_to_tensor(query), convert_to_tensor(value)
    a._keras_mask, b._keras_mask = convert_to_tensor(QUERY_MASK), convert_to_tensor(VALUE_MASK)
    joined = QUERY_MASK[:, :, None] & VALUE_MASK[:, None, :]
    np.testing.assert_allclose(mine(a, b), theirs(query, value, attention_mask=joined), rtol=1e-5, atol=1e-5)


def test_group_query_attention_is_named_as_in_keras():
    theirs = keras.layers.GroupQueryAttention(5, 4, 2)
    mine = layers.deserialize(json.loads(json.dumps(keras.layers.serialize(theirs))))
    assert plain(mine.get_config()) == plain(theirs.get_config())
    assert layers.serialize(mine)["class_name"] == "GroupQueryAttention"
    assert layers.GroupQueryAttention(5, 4, 2).name == "grouped_query_attention"


@pytest.mark.parametrize(
    "shapes, said",
    [
        ([(2, 3, 6), (2, 4, 5)], r"query and value must have equal features, got query \(2, 3, 6\), value \(2, 4, 5\)"),
        ([(2, 3, 6), (2, 4, 6), (2, 5, 6)], "value and key must be of one length"),
        ([(2, 3, 1, 6), (2, 4, 6)], r"expected inputs \(batch, time, features\), got query \(2, 3, 1, 6\)"),
    ],
)
def test_group_query_attention_names_shapes_that_do_not_fit(shapes, said):
    with pytest.raises(ValueError, match=rf"'heads' \(GroupedQueryAttention\): {said}"):
        layers.GroupQueryAttention(5, 4, 2, name="heads")(*(np.ones(s, "float32") for s in shapes))


def test_query_heads_must_be_a_multiple():
    with pytest.raises(ValueError, match="num_query_heads=4 must be a multiple of num_key_value_heads=3"):
        layers.GroupQueryAttention(5, 4, 3)


@pytest.mark.parametrize("layer", [layers.Attention(use_scale=True), layers.AdditiveAttention()])
def test_models_with_attention_train(layer):
    words = layers.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(words)
    model = kcore.Model(words, layers.Dense(1)(layers.GlobalAveragePooling1D()(layer([x, x]))))
    model.compile("adam", "mse")
    data = array((8, 6), dtype="int32")
    losses = model.fit(data, array((8, 1)), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
