"""Small models of four kinds learn in every dtype policy, and come near to what they learn in float32."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import kcore
from kcore import config, layers
from kcore.dtypes import numpy_dtype
from kcore.optimizers import SGD

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6, 6, 2)).astype("float32")
SEQUENCES = RNG.normal(size=(64, 5, 4)).astype("float32")
POLICIES = ["float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"]


def classes(x):
    """Which half of a sample is larger in sum."""
    flat = x.reshape(len(x), 2, -1).sum(-1)
    return (flat[:, 0] > flat[:, 1]).astype("int32")


def dense():
    return SEQUENCES, [layers.Flatten(), layers.Dense(16, activation="tanh"), layers.BatchNormalization()]


def conv():
    return IMAGES, [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.1, seed=1),
        layers.Flatten(),
    ]


def lstm():
    return SEQUENCES, [layers.LSTM(8)]


def transformer():
    x = layers.Input(SEQUENCES.shape[1:])
    hidden = layers.Dense(8)(x)
    attended = layers.MultiHeadAttention(2, 4)(hidden, hidden)
    hidden = layers.LayerNormalization()(layers.Add()([hidden, attended]))
    return SEQUENCES, [kcore.Model(x, layers.Dense(8, activation="gelu")(hidden)), layers.GlobalAveragePooling1D()]


@cache
def weights(build):
    """First weights, as float32 draws them."""
    kcore.set_random_seed(1)
    return made(build, "float32")[1].get_weights()


def made(build, policy):
    """Data, and a model in a policy; with a mixed one its outputs are float32, as Keras advises."""
    config.set_dtype_policy(policy)
    try:
        x, parts = build()
        head = layers.Dense(2, dtype="float32" if policy.startswith("mixed") else None)
        model = kcore.Sequential([layers.Input(x.shape[1:]), *parts, head])
    finally:
        config.set_dtype_policy(None)
    return x, model


@cache
def losses(build, policy):
    """Losses of the epochs, in a policy, always from the same first weights."""
    x, model = made(build, policy)
    model.set_weights(weights(build))
    model.compile(SGD(0.1, momentum=0.8), kcore.losses.SparseCategoricalCrossentropy(from_logits=True))
    logs = model.fit(x, classes(x), epochs=15, batch_size=16, shuffle=False, verbose=0).history["loss"]
    variable_dtype = "float32" if policy.startswith("mixed") else policy
    assert {w.dtype for w in model.trainable_weights} == {variable_dtype}
    assert model.predict(x, verbose=0).dtype == numpy_dtype(variable_dtype)
    return logs


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("build", [dense, conv, lstm, transformer], ids=lambda build: build.__name__)
def test_a_model_learns(build, policy):
    reference, found = losses(build, "float32"), losses(build, policy)
    assert np.isfinite(found).all()
    assert found[-1] < 0.85 * found[0]
    rough = 1e-3 if policy == "float64" else 0.05 if "bfloat16" in policy else 0.02
    np.testing.assert_allclose(found[:3], reference[:3], rtol=rough)
