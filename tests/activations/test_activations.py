"""Activations beside Keras's: values, arguments, names."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import activations

keras = pytest.importorskip("keras")
X = np.linspace(-5, 5, 41, dtype="float32").reshape(1, -1)
NAMES = [
    "linear",
    "relu",
    "softmax",
    "sigmoid",
    "tanh",
    "exponential",
    "gelu",
    "silu",
    "swish",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "leaky_relu",
    "relu6",
    "hard_sigmoid",
    "log_softmax",
]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_names_are_those_of_keras(name):
    theirs, mine = keras.activations.get(name), activations.get(name)
    np.testing.assert_allclose(mine(X), theirs(X), rtol=2e-5, atol=1e-6)
    assert activations.serialize(mine) == keras.activations.serialize(theirs)
    assert activations.deserialize(activations.serialize(mine)) is mine


@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("max_value", [None, 2.0])
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_relu_arguments(threshold, max_value, slope):
    arguments = {"negative_slope": slope, "max_value": max_value, "threshold": threshold}
    np.testing.assert_allclose(activations.relu(X, **arguments), keras.activations.relu(X, **arguments), atol=1e-6)


def test_gelu_is_exact_unless_asked():
    approximate = activations.gelu(X, approximate=True).numpy()
    np.testing.assert_allclose(approximate, keras.activations.gelu(X, approximate=True), atol=1e-6)
    assert np.abs(approximate - activations.gelu(X).numpy()).max() > 1e-5


def test_unknown_names_show_near_ones():
    with pytest.raises(ValueError, match="there is no activation called 'sigmoyd'; did you mean 'sigmoid'"):
        activations.get("sigmoyd")
