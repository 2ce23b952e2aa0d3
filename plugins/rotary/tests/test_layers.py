"""The layers: values, shapes, names in saved files, training."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore_rotary import RMSNormalization, RotaryEmbedding


def _rotary(x, positions, max_wavelength=10000.0, scaling=1.0):
    """The definition, one pair at a time."""
    y, half = np.empty_like(x), x.shape[-1] // 2
    for p, position in enumerate(positions):
        for i in range(half):
            angle = position / scaling / max_wavelength ** (2 * i / x.shape[-1])
            a, b = x[:, p, ..., i], x[:, p, ..., half + i]
            y[:, p, ..., i] = a * np.cos(angle) - b * np.sin(angle)
            y[:, p, ..., half + i] = b * np.cos(angle) + a * np.sin(angle)
    return y


@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 5, 3, 4)])
def test_rotary_embedding_follows_its_definition(shape):
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    np.testing.assert_allclose(RotaryEmbedding()(x).numpy(), _rotary(x, range(5)), atol=1e-5)
    later = RotaryEmbedding(max_wavelength=100.0, scaling_factor=2.0)(x, start_index=3)
    np.testing.assert_allclose(later.numpy(), _rotary(x, range(3, 8), 100.0, 2.0), atol=1e-5)
    places = np.array([4, 0, 2, 2, 9])
    np.testing.assert_allclose(RotaryEmbedding()(x, positions=places).numpy(), _rotary(x, places), atol=1e-5)


def test_other_axes_are_moved():
    x = np.random.default_rng(2).normal(size=(2, 6, 5)).astype("float32")
    moved = RotaryEmbedding(sequence_axis=2, feature_axis=1)(x).numpy()
    np.testing.assert_allclose(moved, np.swapaxes(_rotary(np.swapaxes(x, 1, 2), range(5)), 1, 2), atol=1e-5)


def test_products_depend_on_the_distance_only():
    q, k = (np.tile(np.random.default_rng(s).normal(size=(1, 1, 8)), (1, 6, 1)).astype("float32") for s in (3, 4))
    scores = (RotaryEmbedding()(q).numpy() @ RotaryEmbedding()(k).numpy().swapaxes(1, 2))[0]
    for distance in range(-4, 5):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-4, atol=1e-5)


def test_rms_normalization_follows_its_definition():
    x = np.random.default_rng(5).normal(size=(3, 4, 6)).astype("float32")
    layer = RMSNormalization()
    expected = x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5)
    assert [(v.name, v.shape) for v in layer.weights] == [("scale", (6,))]


def test_saved_layers_carry_the_namespace_and_load_by_it():
    for layer in (RotaryEmbedding(max_wavelength=500.0), RMSNormalization(epsilon=1e-3)):
        saved = layers.serialize(layer)
        assert saved["registered_name"] == f"kcore_rotary>{type(layer).__name__}"
        assert layers.deserialize(saved).get_config() == layer.get_config()


def test_a_model_of_unknown_length_trains_with_them():
    kcore.set_random_seed(0)
    tokens = kcore.Input((None,), dtype="int32")
    x = RMSNormalization()(layers.Embedding(12, 8)(tokens))
    x = RotaryEmbedding()(x)
    assert x.shape == (None, None, 8)
    model = kcore.Model(tokens, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    model.compile("adam", "mse")
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, 12, (8, 7)), rng.normal(size=(8, 1)).astype("float32")
    losses = [float(model.train_on_batch(x, y)) for _ in range(20)]
    assert losses[-1] < losses[0]


def test_an_odd_number_of_features_is_an_error_that_names_the_layer():
    with pytest.raises(ValueError, match="turn: expected an even number of features, received 7"):
        RotaryEmbedding(name="turn")(np.ones((1, 2, 7), "float32"))
