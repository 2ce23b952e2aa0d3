"""Activations beside Keras's: values, arguments, names."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import activations, ops

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
    "celu",
    "hard_shrink",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "log_sigmoid",
    "mish",
    "soft_shrink",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh_shrink",
]
#: Slopes at POINTS, which are mostly kinks: jax.vmap(jax.grad(f)) of keras.activations with KERAS_BACKEND=jax, keras
#: 3.15.1 and jax of the same day, rounded to six decimals.
POINTS = [-6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0]
SLOPES = [
    ("relu", {}, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]),
    ("relu", {"negative_slope": 0.1, "max_value": 3.0, "threshold": 0.5}, [0.1] * 6 + [0, 1, 0.5, 0]),
    ("relu", {"max_value": 6.0}, [0, 0, 0, 0, 0, 0, 1, 1, 1, 0]),
    ("relu", {"threshold": 0.5}, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),
    ("relu", {"negative_slope": 0.3}, [0.3] * 4 + [1] * 6),
    ("relu", {"max_value": 3.0}, [0, 0, 0, 0, 0, 0, 1, 1, 0.5, 0]),
    ("relu6", {}, [0, 0, 0, 0, 0, 0, 1, 1, 1, 0]),
    ("leaky_relu", {}, [0.2] * 4 + [1] * 6),
    ("elu", {"alpha": 0.7}, [0.001735, 0.034851, 0.257516, 0.424571, 0.7, 0.7, 1, 1, 1, 1]),
    ("selu", {}, [0.004358, 0.087531, 0.646769, 1.066341, 1.758099, 1.758099] + [1.050701] * 4),
    ("celu", {"alpha": 0.7}, [0.000189, 0.013764, 0.239651, 0.489542, 1, 1, 1, 1, 1, 1]),
    ("hard_sigmoid", {}, [0, 0] + [0.166667] * 6 + [0, 0]),
    ("hard_silu", {}, [0, 0, 0.166667, 0.333333, 0.5, 0.5, 0.666667, 0.833333, 1, 1]),
    ("hard_tanh", {}, [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]),
    ("hard_shrink", {}, [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]),
    ("soft_shrink", {}, [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]),
    ("tanh_shrink", {}, [0.999975, 0.990134, 0.580026, 0.213552, 0, 0, 0.213552, 0.580026, 0.990134, 0.999975]),
    ("sparse_plus", {}, [0, 0, 0, 0.25, 0.5, 0.5, 0.75, 1, 1, 1]),
    ("sparse_sigmoid", {}, [0, 0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.25, 0, 0]),
    ("squareplus", {}, [0.025658, 0.083975, 0.276393, 0.378732, 0.5, 0.5, 0.621268, 0.723607, 0.916025, 0.974342]),
    ("threshold", {"threshold": 0.5, "default_value": 0.2}, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),
    ("softsign", {}, [0.020408, 0.0625, 0.25, 0.444444, 1, 1, 0.444444, 0.25, 0.0625, 0.020408]),
    ("mish", {}, [-0.01236, -0.093393, 0.059217, 0.289511, 0.6, 0.6, 0.886424, 1.049036, 1.021106, 1.000133]),
    ("log_sigmoid", {}, [0.997527, 0.952574, 0.731059, 0.622459, 0.5, 0.5, 0.377541, 0.268941, 0.047426, 0.002473]),
    ("silu", {}, [-0.012326, -0.088104, 0.072329, 0.260039, 0.5, 0.5, 0.739961, 0.927671, 1.088104, 1.012326]),
    ("gelu", {}, [0, -0.011946, -0.083315, 0.132505, 0.5, 0.5, 0.867495, 1.083315, 1.011946, 1]),
    ("softplus", {}, [0.002473, 0.047426, 0.268941, 0.377541, 0.5, 0.5, 0.622459, 0.731059, 0.952574, 0.997527]),
]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_names_are_those_of_keras(name):
    theirs, mine = keras.activations.get(name), activations.get(name)
    np.testing.assert_allclose(mine(X), theirs(X), rtol=2e-5, atol=1e-6)
    assert activations.serialize(mine) == keras.activations.serialize(theirs)
    assert activations.deserialize(activations.serialize(mine)) is mine


@pytest.mark.parametrize("name, config, slopes", SLOPES)
def test_slopes_at_kinks_are_those_of_keras_on_jax(name, config, slopes):
    x = np.array(POINTS, "float32")
    slope = kcore.grad(lambda x: ops.sum(getattr(activations, name)(x, **config)))
    np.testing.assert_allclose(slope(x), slopes, atol=2e-6)
    np.testing.assert_allclose(kcore.function(slope)(x), slopes, atol=2e-6)


@pytest.mark.parametrize(
    "name, config",
    [
        ("celu", {"alpha": 0.3}),
        ("celu", {"alpha": -0.3}),
        ("hard_shrink", {"threshold": 1.2}),
        ("soft_shrink", {"threshold": 1.2}),
        ("squareplus", {"b": 0.5}),
        ("threshold", {"threshold": 0.7, "default_value": -3.0}),
        ("glu", {}),
        ("glu", {"axis": 1}),
        ("glu", {"axis": 0}),
        ("sparsemax", {"axis": 1}),
        ("sparsemax", {"axis": 0}),
        ("leaky_relu", {"negative_slope": 0.4}),
        ("elu", {"alpha": 0.3}),
    ],
)
def test_arguments_are_those_of_keras_and_ops_of_that_name_agree(name, config):
    x = np.random.default_rng(1).normal(size=(4, 6, 8)).astype("float32") * 2
    expected = getattr(keras.activations, name)(x, **config)
    np.testing.assert_allclose(getattr(activations, name)(x, **config), expected, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(getattr(ops, name)(x, **config), expected, rtol=2e-5, atol=2e-6)
    symbolic = getattr(activations, name)(kcore.Input(batch_shape=(4, 6, 8)), **config)
    assert tuple(symbolic.shape) == expected.shape


def test_every_name_of_keras_is_there():
    assert {name for name in vars(keras.activations) if not name.startswith("_")} <= set(vars(activations))
    assert set(NAMES) <= set(vars(ops)) | {"linear", "exponential", "mish"}


def test_unknown_sizes_stay_unknown():
    assert activations.glu(kcore.Input((3, 8))).shape == (None, 3, 4)
    assert activations.sparsemax(kcore.Input((3, 8))).shape == (None, 3, 8)


def test_sparsemax_s_gradient_is_that_of_its_values():
    x = np.array([[0.3, -0.2, 0.9, 0.05, -1.1], [2.0, 0.1, 1.8, -0.7, 0.4]])
    weights = np.arange(10.0).reshape(2, 5)
    slope = kcore.grad(lambda x: ops.sum(activations.sparsemax(x) * weights))(x).numpy()
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-6
        rise = np.sum((activations.sparsemax(x + step).numpy() - activations.sparsemax(x - step).numpy()) * weights)
        assert slope[at] == pytest.approx(rise / 2e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["celu", "elu", "selu", "softplus", "log_sigmoid", "hard_silu", "squareplus"])
def test_large_inputs_overflow_neither_value_nor_slope(name):
    x = np.array([-1e4, -200.0, 200.0, 1e4], "float32")
    slope = kcore.grad(lambda x: ops.sum(getattr(activations, name)(x)))
    assert np.isfinite(getattr(activations, name)(x)).all() and np.isfinite(slope(x)).all()


def test_elementwise_activations_are_one_launch_with_their_slope():
    for name in ("celu", "hard_tanh", "mish", "soft_shrink", "sparse_plus", "squareplus", "log_sigmoid"):
        act = getattr(activations, name)

        def step(x, act=act):
            value, slope = act(x * 2.0), kcore.grad(lambda y: ops.sum(act(y)))(x * 2.0)
            return value, slope

        assert len(kcore.function(step).concrete(X).plan.steps) == 1, name


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: activations.glu(X[:, :5]),
            r"glu: the size of axis 1 of float32\[1, 5\] is 5, expected an even number",
        ),
        (lambda: activations.glu(X, axis=2), "glu: axis 2 is out of range for a tensor with 2 dimensions"),
        (lambda: activations.sparsemax(X, axis=-3), "sparsemax: axis -3 is out of range"),
        (lambda: activations.celu(X, alpha=0.0), "celu: alpha=0.0: expected another number than 0"),
        (lambda: activations.get("sparse_max"), "there is no activation called 'sparse_max'; did you mean 'sparsemax'"),
        (lambda: activations.get(3), "expected the name, configuration or function"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("max_value", [None, 2.0, 6])
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
