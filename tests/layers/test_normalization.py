"""Group, unit, root-mean-square and spectral normalization beside Keras's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference import array, build_alike, keras, pair, plain, same

import kcore
from kcore import layers


@pytest.mark.parametrize(
    "shape, config",
    [
        ((2, 3, 4, 6), {"groups": 3}),
        ((2, 3, 4, 6), {"groups": 1}),
        ((2, 6, 3, 4), {"groups": 2, "axis": 1}),
        ((2, 3, 6, 4), {"groups": 2, "axis": 2}),
        ((4, 6), {"groups": 3}),
        ((2, 5, 6), {"groups": 6, "scale": False}),
        ((2, 5, 6), {"groups": 2, "center": False, "epsilon": 1e-5}),
        ((2, 5, 6), {"groups": -1}),
    ],
)
def test_group_normalization(shape, config):
    same("GroupNormalization", array(shape) * 3 + 1, **config)


@pytest.mark.parametrize("groups", [5, 32])
def test_groups_that_do_not_divide_the_channels_are_named(groups):
    with pytest.raises(
        ValueError,
        match=rf"'norm' \(GroupNormalization\): 6 channels, axis -1 of the input \(2, 6\), .* groups={groups}",
    ):
        layers.GroupNormalization(groups, name="norm")(np.ones((2, 6), "float32"))


@pytest.mark.parametrize("groups", [0, -2, 1.5])
def test_other_numbers_of_groups_are_refused(groups):
    with pytest.raises(
        ValueError, match=f"GroupNormalization: argument groups={groups}: expected a positive integer, or"
    ):
        layers.GroupNormalization(groups)


def test_group_normalization_needs_an_axis_of_known_channels():
    with pytest.raises(ValueError, match=r"number of channels, axis -1 of the input \(None, None\), must be known"):
        layers.GroupNormalization(2)(layers.Input((None,)))
    with pytest.raises(ValueError, match=r"axis 0 is no axis of channels of the input \(2, 6\)"):
        layers.GroupNormalization(2, axis=0)(np.ones((2, 6), "float32"))
    assert layers.GroupNormalization(2)(layers.Input((None, 4))).shape == (None, None, 4)


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], (2, 1)])
def test_unit_normalization(axis):
    same("UnitNormalization", array((2, 3, 4)), axis=axis)


def test_vectors_of_length_zero_stay():
    np.testing.assert_array_equal(layers.UnitNormalization()(np.zeros((1, 3), "float32")), np.zeros((1, 3)))


@pytest.mark.parametrize("axis", [-1, [1, 2]])
def test_rms_normalization(axis):
    theirs, mine = pair("RMSNormalization", axis=axis, epsilon=1e-4)
    x = array((2, 3, 4))
    build_alike(theirs, mine, x)
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert mine.get_config()["axis"] == theirs.get_config()["axis"]


def test_rms_normalization_along_an_axis_that_is_not_the_last():
    """Keras's scale does not broadcast there: the reference is the last axis, moved."""
    first, last = layers.RMSNormalization(axis=1), layers.RMSNormalization()
    x = array((2, 3, 4))
    moved = np.moveaxis(x, 1, -1)
    first(x), last(moved)
    for layer in (first, last):
        layer.set_weights([array((3,), 1)])
    np.testing.assert_allclose(np.moveaxis(first(x).numpy(), 1, -1), last(moved), rtol=1e-6)


@pytest.mark.parametrize("name", ["UnitNormalization", "RMSNormalization"])
def test_axes_that_are_not_there_are_named(name):
    for axis in (3, [1, 1], [0, -4]):
        with pytest.raises(ValueError, match=rf"'norm' \({name}\): axis=.*expected axes of the input \(2, 3, 4\)"):
            getattr(layers, name)(axis, name="norm")(np.ones((2, 3, 4), "float32"))
    with pytest.raises(TypeError, match=f"{name}: argument axis='last': expected an integer or a list"):
        getattr(layers, name)("last")


@pytest.mark.parametrize("name", ["GroupNormalization", "UnitNormalization", "RMSNormalization"])
def test_half_precision_is_normalized_in_single(name):
    config = {"groups": 2} if name == "GroupNormalization" else {}
    x = (array((2, 64)) * 100).astype("float16")
    y = getattr(layers, name)(dtype="float16", **config)(x)
    assert y.dtype == "float16"
    wide = getattr(layers, name)(**config)(x.astype("float32")).numpy()  # half precision cannot hold the squares
    np.testing.assert_allclose(np.asarray(y, "float32"), wide, rtol=2e-3, atol=2e-3)


def spectral(module, layer, **config):
    """Keras's or kcore's, of one kernel and one vector."""
    wrapped = module.SpectralNormalization(layer, **config)
    wrapped(array((2, 4)) if not hasattr(layer, "filters") else array((2, 5, 5, 4)))
    rng = np.random.default_rng(3)
    for w in wrapped.weights:
        w.assign(rng.normal(size=tuple(w.shape)).astype("float32"))
    return wrapped


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("kind, args, shape", [("Dense", (3,), (2, 4)), ("Conv2D", (3, 2), (2, 5, 5, 4))])
def test_spectral_normalization(kind, args, shape, iterations):
    theirs = spectral(keras.layers, getattr(keras.layers, kind)(*args), power_iterations=iterations)
    mine = spectral(layers, getattr(layers, kind)(*args), power_iterations=iterations)
    x = array(shape)
    assert sorted(w.name for w in mine.weights) == sorted(w.name for w in theirs.weights)
    for training in (False, True, True):
        np.testing.assert_allclose(mine(x, training=training), theirs(x, training=training), rtol=1e-4, atol=1e-5)
    for name in ("kernel", "vector_u"):
        expected = getattr(theirs, name).numpy()
        np.testing.assert_allclose(getattr(mine, name).numpy(), expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_spectral_normalization_goes_round_and_takes_embeddings():
    theirs = keras.layers.SpectralNormalization(keras.layers.Dense(3), power_iterations=2)
    described = json.loads(json.dumps(keras.layers.serialize(theirs)))
    mine = layers.deserialize(described)
    assert plain(mine.get_config())["layer"]["config"] == plain(theirs.get_config())["layer"]["config"]
    assert mine.power_iterations == 2 and mine.layer.units == 3
    tokens = np.array([[0, 1]], "int32")
    layer = layers.SpectralNormalization(layers.Embedding(5, 3, weights=[array((5, 3))]), power_iterations=40)
    layer(tokens, training=True)
    assert np.linalg.norm(layer.layer.embeddings.numpy(), 2) == pytest.approx(1, rel=1e-3)


def test_a_kernel_of_zeros_stays():
    layer = layers.SpectralNormalization(layers.Dense(2, kernel_initializer="zeros"))
    assert not np.any(layer(np.ones((1, 3), "float32"), training=True))
    assert not np.any(layer.kernel) and np.any(layer.vector_u)


def test_spectral_normalization_in_a_training_step_is_that_of_keras():
    """Gradients are those for the overwritten kernel, as in Keras on TensorFlow and Torch. The values are from

    KERAS_BACKEND=torch, Keras 3.15.1: Sequential([Input((2,)), SpectralNormalization(Dense(3, use_bias=False),
    power_iterations=2)]), compile(SGD(0.1), "mse"), two times train_on_batch on the data below.
    """
    model = kcore.Sequential(
        [layers.Input((2,)), layers.SpectralNormalization(layers.Dense(3, use_bias=False), power_iterations=2)]
    )
    kernel, u = np.array([[1, 2, 3], [0.5, -1, 2]], "float32"), np.array([[0.3, -0.2, 0.5]], "float32")
    model.set_weights([kernel, u])
    model.compile(kcore.optimizers.SGD(0.1), "mse")
    x, y = np.array([[1, 2], [3, -1], [0.5, 0.5]], "float32"), np.ones((3, 3), "float32")
    for _ in range(2):
        model.train_on_batch(x, y)
    expected = [[0.33909, 0.48342, 0.66003], [0.17413, -0.12306, 0.49283]]
    np.testing.assert_allclose(model.layers[0].kernel.numpy(), expected, atol=2e-5)
    np.testing.assert_allclose(model.layers[0].vector_u.numpy(), [[0.34251, 0.375, 0.86143]], atol=2e-5)


def test_a_layer_without_a_kernel_cannot_be_normalized():
    with pytest.raises(ValueError, match=r"\(SpectralNormalization\): layer 'relu' \(ReLU\) has neither a kernel nor"):
        layers.SpectralNormalization(layers.ReLU(name="relu"))(np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match="SpectralNormalization: argument power_iterations=0: expected a positive"):
        layers.SpectralNormalization(layers.Dense(2), 0)
