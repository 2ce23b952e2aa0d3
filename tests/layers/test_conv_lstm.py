"""ConvLSTM beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, build_alike, pair, same

import kcore
from kcore import layers


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"padding": "same", "return_sequences": True},
        {"strides": 2, "go_backwards": True, "return_sequences": True},
        {"dilation_rate": 2, "use_bias": False, "activation": "relu"},
    ],
    ids=["plain", "same", "strides", "dilation"],
)
def test_conv_lstm_is_keras_s(rank, config):
    same(f"ConvLSTM{rank}D", array((2, 3, *(5, 6, 5)[:rank], 2)), 3, 2, return_state=True, **config)


def test_masked_steps_are_passed_over():
    """Keras's NumPy engine cannot mask states of this rank: the sequence without the masked step is compared with."""
    layer = layers.ConvLSTM1D(3, 3, return_sequences=True)
    x = array((2, 3, 6, 2))
    masked = layer(x, mask=np.array([[True, False, True], [True, True, False]])).numpy()
    np.testing.assert_allclose(masked[:1, [0, 2]], layer(x[:1, [0, 2]]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(masked[0, 1], masked[0, 0])
    np.testing.assert_array_equal(masked[1, 2], masked[1, 1])
    layer.zero_output_for_mask = True
    assert not np.any(layer(x, mask=np.array([[True, False, True]] * 2)).numpy()[:, 1])


def test_channels_first():
    x = array((2, 3, 6, 5, 2))
    last, first = layers.ConvLSTM2D(3, 2), layers.ConvLSTM2D(3, 2, data_format="channels_first")
    last(x)
    turned = np.moveaxis(x, -1, 2)
    first(turned)
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(np.moveaxis(first(turned).numpy(), 1, -1), last(x), rtol=1e-5, atol=1e-6)
    assert first(layers.Input((3, 2, 6, 5))).shape == (None, 3, 5, 4)


def test_initial_states_and_bidirectional():
    theirs, mine = pair("ConvLSTM1D", 3, 2, return_state=True)
    x, states = array((2, 3, 5, 2)), [array((2, 4, 3), i) for i in (1, 2)]
    build_alike(theirs, mine, x)
    for a, b in zip(theirs(x, initial_state=states), mine(x, initial_state=states), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"initial state 1 has shape \(2, 5, 3\), expected \(2, 4, 3\)"):
        mine(x, initial_state=[states[0], array((2, 5, 3))])
    both = layers.Bidirectional(layers.ConvLSTM1D(3, 2, return_sequences=True))
    assert both(x).shape == (2, 3, 4, 6)


@pytest.mark.parametrize("config", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}])
def test_dropout_acts_in_training_alone(config):
    layer = layers.ConvLSTM1D(3, 2, seed=1, **config)
    x = np.ones((2, 3, 5, 2), "float32")
    still = layer(x).numpy()
    assert not np.allclose(layer(x, training=True), still)
    np.testing.assert_array_equal(layer(x), still)


def test_a_stateful_one_goes_on():
    model = kcore.Sequential([kcore.Input(batch_shape=(2, 3, 5, 1)), layers.ConvLSTM1D(2, 2, stateful=True)])
    x = array((2, 3, 5, 1))
    first = model.predict(x, verbose=0)
    assert not np.allclose(model.predict(x, verbose=0), first)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x, verbose=0), first, rtol=1e-6)


def test_what_it_cannot_take_is_named():
    with pytest.raises(ValueError, match=r"spatial sizes and channels of the inputs must be known"):
        layers.ConvLSTM2D(2, 2)(layers.Input((3, None, 4, 1)))
    with pytest.raises(ValueError, match=r"expected rank 5, got rank 4"):
        layers.ConvLSTM2D(2, 2)(array((2, 3, 4, 1)))
    with pytest.raises(ValueError, match=r"only one of them may be above 1"):
        layers.ConvLSTM1D(2, 2, strides=2, dilation_rate=2)
