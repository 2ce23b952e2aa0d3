"""Layers that draw: the identity outside of training, statistics in it, and the same numbers from the same seed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from reference import array, keras, pair, plain, same

import kcore
from kcore import layers

ONES = np.ones((200, 100), "float32")
DRAWING = ["GaussianNoise", "GaussianDropout", "AlphaDropout", "Dropout"]


def drawn(name, /, *args, inputs=ONES, **kwargs):
    """The layer's output in training."""
    return getattr(layers, name)(*args, **kwargs)(inputs, training=True).numpy()


@pytest.mark.parametrize("name", DRAWING)
def test_outside_of_training_is_the_identity(name):
    same(name, array((2, 3)), 0.4)
    same(name, array((2, 3)), 0.4, seed=3)
    same(name, array((2, 3)), 0, call={"training": True})


@pytest.mark.parametrize("name", DRAWING)
def test_seeds_give_the_same_numbers_again_and_every_call_others(name):
    layer = getattr(layers, name)(0.3, seed=5)
    first, second = layer(ONES, training=True).numpy(), layer(ONES, training=True).numpy()
    assert not np.array_equal(first, second)
    assert np.array_equal(first, drawn(name, 0.3, seed=5))
    assert not np.array_equal(first, drawn(name, 0.3, seed=6))
    kcore.set_random_seed(1)
    unseeded = drawn(name, 0.3)
    kcore.set_random_seed(1)
    assert np.array_equal(unseeded, drawn(name, 0.3))


@pytest.mark.parametrize("name", DRAWING)
def test_symbolic_calls_draw_nothing(name):
    layer = getattr(layers, name)(0.3, seed=5)
    assert layer(layers.Input((None, 3)), training=True).shape == (None, None, 3)
    assert layer.seed_generator.state.numpy().tolist() == [5, 0]


@pytest.mark.parametrize("stddev", [0.1, 1.0])
def test_gaussian_noise_is_added_with_its_deviation(stddev):
    noise = drawn("GaussianNoise", stddev, seed=1) - 1
    assert abs(noise.mean()) < 4 * stddev / math.sqrt(noise.size)
    assert noise.std() == pytest.approx(stddev, rel=0.02)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_gaussian_dropout_multiplies_with_the_deviation_of_a_dropout(rate):
    factors = drawn("GaussianDropout", rate, seed=1, inputs=3 * ONES) / 3
    assert factors.mean() == pytest.approx(1, abs=0.03)
    assert factors.std() == pytest.approx(math.sqrt(rate / (1 - rate)), rel=0.02)


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    x = array((300, 200))
    y = drawn("AlphaDropout", rate, seed=1, inputs=x)
    assert abs(y.mean()) < 0.02
    assert y.std() == pytest.approx(1, abs=0.02)
    values, counts = np.unique(y.round(5), return_counts=True)
    assert counts.max() / y.size == pytest.approx(rate, abs=0.01), "dropped entries share one value"


def test_alpha_dropout_gives_the_two_values_keras_gives():
    theirs = np.unique(np.asarray(keras.layers.AlphaDropout(0.3, seed=1)(ONES, training=True)))
    np.testing.assert_allclose(np.unique(drawn("AlphaDropout", 0.3, seed=1)), theirs, rtol=1e-5)


@pytest.mark.parametrize("name", ["AlphaDropout", "Dropout"])
def test_noise_shape_shares_the_draw(name):
    pair(name, 0.5, noise_shape=(1, None))
    columns = drawn(name, 0.5, noise_shape=(1, None), seed=2)
    assert (columns == columns[0]).all() and len(np.unique(columns)) == 2
    rows = drawn(name, 0.5, noise_shape=[None, 1], seed=2)
    assert (rows == rows[:, :1]).all() and len(np.unique(rows)) == 2


@pytest.mark.parametrize("name", ["AlphaDropout", "Dropout"])
@pytest.mark.parametrize("shape", [(7, 1), (1,), (1, 1, 1)])
def test_noise_shapes_that_do_not_fit_are_named(name, shape):
    with pytest.raises(
        ValueError, match=rf"'drop' \({name}\): noise_shape=\(.*does not broadcast .* shape \(200, 100\)"
    ):
        drawn(name, 0.5, noise_shape=shape, name="drop")
    with pytest.raises(ValueError, match=rf"{name}: argument noise_shape=\(0,\): expected positive integers"):
        getattr(layers, name)(0.5, noise_shape=(0,))


def test_dropping_everything_gives_zeros():
    assert not drawn("Dropout", 1.0).any()
    assert not drawn("SpatialDropout1D", 1, inputs=np.ones((2, 3, 4), "float32")).any()


SPATIAL = [
    ("SpatialDropout1D", (20, 5, 30), None, (1,)),
    ("SpatialDropout2D", (20, 5, 4, 30), "channels_last", (1, 2)),
    ("SpatialDropout2D", (20, 30, 5, 4), "channels_first", (2, 3)),
    ("SpatialDropout3D", (20, 2, 3, 4, 30), "channels_last", (1, 2, 3)),
    ("SpatialDropout3D", (20, 30, 2, 3, 4), "channels_first", (2, 3, 4)),
]


@pytest.mark.parametrize("name, shape, data_format, axes", SPATIAL)
def test_spatial_dropout_drops_whole_channels(name, shape, data_format, axes):
    config = {} if data_format is None else {"data_format": data_format}
    same(name, array(shape), 0.25, **config)
    y = drawn(name, 0.25, seed=1, inputs=np.ones(shape, "float32"), **config)
    assert (y.min(axis=axes) == y.max(axis=axes)).all()
    assert set(np.unique(y).round(5)) == {0.0, np.float32(1 / 0.75).round(5)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.06)


def test_spatial_dropout_config_loads_in_keras_and_keeps_a_policy():
    mine = layers.SpatialDropout2D(0.5, dtype="mixed_float16")
    assert keras.layers.SpatialDropout2D.from_config(mine.get_config()).rate == 0.5
    assert layers.SpatialDropout2D.from_config(mine.get_config()).dtype_policy.name == "mixed_float16"
    theirs = keras.layers.SpatialDropout1D(0.5, seed=2)
    again = layers.deserialize(json.loads(json.dumps(keras.layers.serialize(theirs))))
    assert plain(again.get_config()) == plain(theirs.get_config())


@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout", "AlphaDropout", "Dropout", "SpatialDropout1D"])
def test_rates_out_of_range_are_named(name):
    argument = "stddev" if name == "GaussianNoise" else "rate"
    with pytest.raises(ValueError, match=rf"{name}: argument {argument}=1.5: expected a number"):
        getattr(layers, name)(1.5)
    with pytest.raises(ValueError, match=rf"{name}: argument {argument}=-0.1: expected a number"):
        getattr(layers, name)(-0.1)


@pytest.mark.parametrize("name", ["GaussianDropout", "AlphaDropout"])
def test_a_rate_of_one_has_no_noise(name):
    with pytest.raises(ValueError, match=rf"{name}: argument rate=1: expected a number from 0 to below 1"):
        getattr(layers, name)(1)


def test_spatial_dropout_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"\(SpatialDropout2D\): the input has shape \(2, 3, 4\).*expected rank 4"):
        layers.SpatialDropout2D(0.5)(np.ones((2, 3, 4), "float32"))


def test_activity_regularization_joins_the_loss_per_sample():
    mine = same("ActivityRegularization", array((4, 3)), l1=0.1, l2=0.2)
    theirs = keras.layers.ActivityRegularization(l1=0.1, l2=0.2)
    theirs(array((4, 3)))
    mine(array((4, 3)))
    np.testing.assert_allclose(np.asarray(mine.losses[0]), np.asarray(theirs.losses[0]), rtol=1e-5)


@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout1D"])
def test_masks_pass_and_models_train(name):
    tokens = layers.Input((5,), dtype="int32")
    x = getattr(layers, name)(0.3)(layers.Embedding(6, 3, mask_zero=True)(tokens))
    assert x._keras_mask is not None
    model = kcore.Model(tokens, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", "mse")
    history = model.fit(array((8, 5), dtype="int32"), array((8, 1)), epochs=3, batch_size=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_half_precision_stays_so():
    for name in DRAWING:
        layer = getattr(layers, name)(0.3, dtype="float16")
        assert layer(np.ones((2, 3), "float32"), training=True).dtype == "float16"
