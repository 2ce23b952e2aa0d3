"""Initializers, regularizers and constraints: distributions, seeds, configuration, names."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kcore import constraints, initializers, regularizers
from kcore.runtime import SeedGenerator

keras = pytest.importorskip("keras")
NAMES = [
    "Zeros",
    "Ones",
    "Constant",
    "Identity",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "GlorotUniform",
    "GlorotNormal",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
]


@pytest.mark.parametrize("name", NAMES)
def test_moments_and_configuration_are_those_of_keras(name):
    config = {} if name in ("Zeros", "Ones", "Constant", "Identity") else {"seed": 5}
    theirs, mine = getattr(keras.initializers, name)(**config), getattr(initializers, name)(**config)
    if name != "Identity":  # Keras forgets its gain
        assert json.dumps(mine.get_config(), sort_keys=True) == json.dumps(theirs.get_config(), sort_keys=True)
    for shape in [(200, 300)] if name == "Identity" else [(200, 300), (3, 3, 40, 60)]:
        a, b = np.asarray(theirs(shape)), mine(shape).numpy()
        assert b.shape == shape and b.dtype == np.float32
        spread = max(a.std(), 1e-6)
        assert abs(a.mean() - b.mean()) < 0.03 * spread
        assert a.std() == pytest.approx(b.std(), rel=0.03, abs=1e-9)
        assert a.max() == pytest.approx(b.max(), rel=0.3) and a.min() == pytest.approx(b.min(), rel=0.3)


def test_a_seed_gives_the_same_numbers_at_every_call_and_a_generator_others():
    fixed = initializers.GlorotUniform(seed=3)
    assert np.array_equal(fixed((4, 4)), fixed((4, 4)))
    assert np.array_equal(initializers.GlorotUniform(seed=3)((4, 4)), fixed((4, 4)))
    free = initializers.GlorotUniform()
    assert np.array_equal(free((4, 4)), free((4, 4))), "the seed is drawn once, when the initializer is made"
    assert not np.array_equal(free((4, 4)), initializers.clone(free)((4, 4)))
    running = initializers.RandomNormal(seed=SeedGenerator(3))
    assert not np.array_equal(running((4, 4)), running((4, 4)))


def test_set_random_seed_makes_new_initializers_deterministic():
    from kcore.runtime import set_random_seed

    set_random_seed(1)
    a = initializers.HeNormal()((3, 3)).numpy()
    set_random_seed(1)
    assert np.array_equal(a, initializers.HeNormal()((3, 3)).numpy())


def test_orthogonal_has_orthonormal_rows_or_columns():
    for shape in [(4, 6), (6, 4), (2, 3, 6)]:
        q = initializers.Orthogonal(gain=2.0)(shape).numpy().reshape(-1, shape[-1])
        small = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-4)


def test_get_knows_names_classes_arrays_and_callables():
    assert isinstance(initializers.get("glorot_uniform"), initializers.GlorotUniform)
    assert isinstance(initializers.get("uniform"), initializers.RandomUniform)
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    assert initializers.get(np.arange(3.0))((3,)).numpy().tolist() == [0, 1, 2]
    assert initializers.get(None) is None
    described = json.loads(json.dumps(initializers.serialize(initializers.RandomNormal(stddev=2.0))))
    assert initializers.get(described).stddev == 2.0
    mine = lambda shape, dtype=None: np.ones(shape)  # noqa: E731
    assert initializers.get(mine) is mine
    with pytest.raises(ValueError, match="VarianceScaling: argument mode='fan': expected one of 'fan_in'"):
        initializers.VarianceScaling(mode="fan")


def test_a_callable_of_the_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"gave values of shape \(2,\), expected \(3,\)"):
        initializers.draw(lambda shape, dtype: np.ones(2), (3,), "float32")


@pytest.mark.parametrize("name, config", [("L1", {"l1": 0.3}), ("L2", {"l2": 0.3}), ("L1L2", {"l1": 0.1, "l2": 0.2})])
def test_regularizers(name, config):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    theirs, mine = getattr(keras.regularizers, name)(**config), getattr(regularizers, name)(**config)
    assert float(mine(x)) == pytest.approx(float(theirs(x)), rel=1e-5)
    assert regularizers.get(regularizers.serialize(mine)).get_config() == mine.get_config() == config


def test_regularizer_names():
    assert regularizers.get("l2").l2 == 0.01 and regularizers.get(None) is None
    with pytest.raises(ValueError, match="there is no regularizer called 'l1_l2'"):
        regularizers.get("l1_l2")
    with pytest.raises(ValueError, match="L2: argument l2=-1: expected a non-negative float"):
        regularizers.L2(-1)


@pytest.mark.parametrize("name", ["MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"])
def test_constraints(name):
    w = np.random.default_rng(0).normal(size=(5, 4)).astype("float32") * 3
    theirs, mine = getattr(keras.constraints, name)(), getattr(constraints, name)()
    np.testing.assert_allclose(mine(w), theirs(w), rtol=1e-5, atol=1e-6)
    assert type(constraints.get(constraints.serialize(mine))) is type(mine)


@pytest.mark.parametrize("name", ["glorot_uniform", "random_normal", "truncated_normal"])
def test_random_weights_of_integers_are_refused(name):
    with pytest.raises(ValueError, match="random floats cannot be int8"):
        initializers.get(name)((2, 3), dtype="int8")
