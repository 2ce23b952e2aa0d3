"""Bidirectional, TimeDistributed and Wrapper beside Keras's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference import array, build_alike, keras, plain

import kcore
from kcore import layers, ops
from kcore.graph.op import OPS
from kcore.runtime import function
from kcore.tree import flatten

MASK = np.array([[False, True, True, False, True], [True, True, False, False, False], [False] * 5])


def both(build):
    """Keras's layer and kcore's, from the same lines; configurations are compared, and go round."""
    keras.utils.clear_session()
    theirs, mine = build(keras.layers), build(layers)
    assert plain(mine.get_config()) == plain(theirs.get_config())
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(mine))))
    assert plain(again.get_config()) == plain(mine.get_config())
    return theirs, mine


def alike(theirs, mine, x, **call):
    for a, b in zip(flatten(theirs(x, **call)), flatten(mine(x, **call)), strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "mode"),
    # every kind joined and apart; how outputs are joined does not depend on the kind
    [(kind, mode) for kind in ("LSTM", "GRU", "SimpleRNN") for mode in ("concat", None)]
    + [("SimpleRNN", mode) for mode in ("sum", "mul", "ave")],
)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_bidirectional(kind, mode, sequences, mask):
    theirs, mine = both(
        lambda k: k.Bidirectional(getattr(k, kind)(3, return_sequences=sequences, return_state=True), merge_mode=mode)
    )
    x = array((3, 5, 4))
    build_alike(theirs, mine, x)
    alike(theirs, mine, x, mask=mask)
    symbolic = mine(layers.Input((5, 4)))
    assert [s.shape for s in symbolic] == [(None, *y.shape[1:]) for y in mine(x)]


def test_a_bidirectional_layer_passes_its_mask_on():
    x = array((3, 5, 4))
    masked = layers.Masking()(x * MASK[..., None])
    for mode in ("sum", None):
        outputs = flatten(layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode=mode)(masked))
        assert all(np.array_equal(y._keras_mask, MASK) for y in outputs)
    assert layers.Bidirectional(layers.GRU(2))(masked)._keras_mask is None


def test_initial_states_go_to_their_directions():
    theirs, mine = both(lambda k: k.Bidirectional(k.LSTM(3, return_sequences=True, return_state=True)))
    x = array((2, 5, 4))
    build_alike(theirs, mine, x)
    states = [array((2, 3), i) for i in range(4)]
    alike(theirs, mine, x, initial_state=states)
    inputs = [layers.Input((5, 4)), *(layers.Input((3,)) for _ in states)]
    model = kcore.Model(inputs, mine(inputs[0], initial_state=inputs[1:]))
    for a, b in zip(model.predict([x, *states], verbose=0), mine(x, initial_state=states), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_backward_layer_of_ones_own():
    theirs, mine = both(
        lambda k: k.Bidirectional(
            k.LSTM(3, return_sequences=True),
            backward_layer=k.GRU(2, activation="relu", return_sequences=True, go_backwards=True),
        )
    )
    x = array((2, 5, 4))
    build_alike(theirs, mine, x)
    alike(theirs, mine, x)
    backward = mine.backward_layer
    np.testing.assert_allclose(mine(x)[..., 3:], backward(x)[:, ::-1], rtol=1e-6)


def test_stacked_and_custom_cells_in_both_directions():
    def build(k):
        return k.Bidirectional(k.RNN([k.GRUCell(3), k.LSTMCell(2)], return_sequences=True), merge_mode="sum")

    theirs, mine = build(keras.layers), build(layers)
    x = array((2, 5, 4))
    theirs(x)
    mine(x)
    mine.set_weights(theirs.get_weights())
    alike(theirs, mine, x)


def test_first_weights_are_those_of_both_directions():
    weights = [array(s, i) for i, s in enumerate([(4, 3), (3, 3), (3,)] * 2)]
    layer = layers.Bidirectional(layers.SimpleRNN(3), weights=weights)
    layer.build((None, 5, 4))
    for a, b in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_sequence_is_turned_round():
    """Both directions are one op each over the sequence as it lies."""
    layer = layers.Bidirectional(layers.GRU(3, return_sequences=True))
    x = array((2, 5, 4))
    layer(x)
    step = function(lambda x: layer(x))
    step(x)
    plan = step.concrete(x).plan
    names = [planned.node.op.name for planned in plan.steps]
    assert names.count("gru") == 2
    assert "flip" not in names, names
    assert {planned.node.attrs["reverse"] for planned in plan.steps if planned.node.op.name == "gru"} == {False, True}
    assert OPS["gru"].residuals == 1


def test_layers_that_do_not_go_together_are_named():
    gru, lstm = layers.GRU(2, name="there"), layers.LSTM(2, name="back")
    with pytest.raises(ValueError, match=r"different directions, but both layer 'forward_there'.*go_backwards=False"):
        layers.Bidirectional(gru, backward_layer=lstm)
    with pytest.raises(ValueError, match="different directions.*go_backwards=True"):
        layers.Bidirectional(layers.GRU(2, go_backwards=True))
    with pytest.raises(
        ValueError, match=r"the same return_sequences, got False for layer 'forward_there'.*and True for"
    ):
        layers.Bidirectional(gru, backward_layer=layers.LSTM(2, go_backwards=True, return_sequences=True))
    with pytest.raises(ValueError, match=r"merge_mode='max': expected one of 'sum', 'mul', 'concat', 'ave', None"):
        layers.Bidirectional(gru, merge_mode="max")
    with pytest.raises(ValueError, match=r"layer must be a layer, got 'GRU'"):
        layers.Bidirectional("GRU")
    with pytest.raises(ValueError, match=r"expected a recurrent layer, but layer 'd' \(Dense\) has no 'go_backwards'"):
        layers.Bidirectional(layers.Dense(2, name="d"))
    with pytest.raises(ValueError, match=r"the forward layer, then those of the backward one, got 3 of shapes"):
        layers.Bidirectional(lstm)(array((2, 5, 4)), initial_state=[array((2, 2))] * 3)


# -- TimeDistributed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "make"),
    [
        ((2, 3, 4), lambda k: k.Dense(5, activation="relu")),
        ((2, 3, 6, 6, 2), lambda k: k.Conv2D(4, 3)),
        ((2, 3, 4, 4, 2), lambda k: k.MaxPooling2D(2)),
        ((2, 3, 4, 2), lambda k: k.Flatten()),
        ((2, 3, 4, 5), lambda k: k.GRU(3)),
        ((2, 3, 4, 5), lambda k: k.TimeDistributed(k.Dense(2))),
        ((2, 3, 4), lambda k: k.BatchNormalization()),
    ],
    ids=["dense", "conv", "pool", "flatten", "gru", "nested", "batchnorm"],
)
@pytest.mark.parametrize("training", [False, True])
def test_time_distributed(shape, make, training):
    theirs, mine = both(lambda k: k.TimeDistributed(make(k)))
    x = array(shape)
    build_alike(theirs, mine, x)
    alike(theirs, mine, x, training=training)
    for a, b in zip(theirs.weights, mine.weights, strict=True):
        np.testing.assert_allclose(b.numpy(), np.asarray(a), rtol=1e-5, atol=1e-6, err_msg=a.path)
    for length in (3, None):
        symbolic = mine(layers.Input((length, *shape[2:])))
        assert symbolic.shape == (None, length, *mine(x).shape[2:])


def test_time_distributed_hands_masks_to_the_layer_and_on():
    ids = np.array([[[1, 2, 0], [3, 0, 0]], [[0, 0, 0], [1, 1, 1]]], "int32")

    def build(k):
        inputs = k.Input((2, 3), dtype="int32")
        x = k.layers.Embedding(5, 4, mask_zero=True)(inputs)
        return k.Model(inputs, k.layers.TimeDistributed(k.layers.LSTM(3))(x))

    theirs, mine = build(keras), build(kcore)
    mine.set_weights(theirs.get_weights())
    np.testing.assert_allclose(mine.predict(ids, verbose=0), theirs.predict(ids, verbose=0), rtol=1e-5, atol=1e-6)
    x = array((3, 5, 4))
    masked = layers.Masking()(x * MASK[..., None])
    np.testing.assert_array_equal(layers.TimeDistributed(layers.Dense(2))(masked)._keras_mask, MASK)


def test_time_distributed_in_a_model_of_unknown_length():
    inputs = kcore.Input((None, 4))
    model = kcore.Model(inputs, layers.TimeDistributed(layers.Dense(2))(inputs))
    for length in (3, 5):
        assert model.predict(array((2, length, 4)), verbose=0).shape == (2, length, 2)


def test_what_time_distributed_cannot_take_is_named():
    layer = layers.TimeDistributed(layers.Dense(2), name="each")
    with pytest.raises(
        ValueError, match=r"'each' \(TimeDistributed\): expected one input \(batch, time, ...\).*\(2, 3\)"
    ):
        layer(array((2, 3)))
    with pytest.raises(ValueError, match=r"begins with \(2, 3\) \(batch, time\), got a mask of shape \(2, 4\)"):
        layers.TimeDistributed(layers.Dense(2))(array((2, 3, 4)), mask=np.ones((2, 4), bool))
    with pytest.raises(ValueError, match=r"TimeDistributed: argument layer=.*expected a layer.*make one, Dense\(...\)"):
        layers.TimeDistributed(layers.Dense)


def test_a_wrapper_of_ones_own_keeps_the_layer_and_its_configuration():
    @kcore.saving.register_serializable("tests") if hasattr(kcore.saving, "register_serializable") else (lambda c: c)
    class Twice(layers.Wrapper):
        def call(self, inputs):
            return ops.multiply(self.layer(inputs), 2.0)

    inner = layers.Dense(2)
    x = array((3, 4))
    outer = Twice(inner)
    np.testing.assert_allclose(outer(x), 2 * inner(x).numpy(), rtol=1e-6)
    assert [w.path for w in outer.weights] == [w.path for w in inner.weights]
    again = Twice.from_config(outer.get_config())
    assert again.layer.units == 2
    with pytest.raises(ValueError, match=r"argument layer=3: expected a layer, got 3"):
        Twice(3)
