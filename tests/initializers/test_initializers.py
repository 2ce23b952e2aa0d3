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


ALIASES = {
    name: theirs
    for name, theirs in vars(keras.initializers).items()
    if isinstance(theirs, type) and not name.startswith("_")
}


@pytest.mark.parametrize("name", ALIASES)
def test_every_name_of_keras_is_that_class(name):
    mine = getattr(initializers, name)
    assert mine.__name__ == ALIASES[name].__name__ and name in initializers.__all__
    assert type(initializers.get(name)) is mine


def test_zero_and_one_are_names_too():
    assert type(initializers.get("zero")) is initializers.Zeros and type(initializers.get("one")) is initializers.Ones


@pytest.mark.parametrize("side", ["real", "imag"])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"window": "hamming", "scaling": "spectrum"},
        {"window": "blackman", "periodic": True},
        {"window": "nuttall"},
        {"window": "blackmanharris"},
        {"window": "flattop", "periodic": True},
        {"window": "boxcar"},
        {"window": "triang", "scaling": None},
        {"window": None},
        {"window": list(range(1, 10))},
    ],
)
def test_stft_kernels_are_those_of_keras(side, config):
    theirs, mine = keras.initializers.STFT(side, **config), initializers.STFT(side, **config)
    np.testing.assert_allclose(mine((9, 1, 6)), theirs((9, 1, 6)), atol=5e-6)
    assert json.loads(json.dumps(initializers.serialize(mine))) == keras.initializers.serialize(theirs)
    assert initializers.get(initializers.serialize(mine)).get_config() == mine.get_config()


@pytest.mark.parametrize("shape", [(1,), (0, 3), (5,), (2, 0, 4)])
@pytest.mark.parametrize("name", ["Zeros", "HeNormal", "RandomUniform", "TruncatedNormal"])
def test_any_shape_can_be_drawn(name, shape):
    assert initializers.get(name)(shape).shape == shape


@pytest.mark.parametrize("name", ["HeNormal", "LecunNormal", "GlorotNormal", "TruncatedNormal"])
def test_truncated_draws_keep_their_variance_and_stay_within_two_deviations_of_the_uncut(name):
    x = initializers.get({"class_name": name, "config": {"seed": 4}})((300, 200)).numpy().astype("float64")
    fans = {"HeNormal": 2 / 300, "LecunNormal": 1 / 300, "GlorotNormal": 2 / 500}
    uncut = 0.05 if name == "TruncatedNormal" else np.sqrt(fans[name]) / initializers.random.TRUNCATED_STDDEV
    assert x.std() == pytest.approx(uncut * initializers.random.TRUNCATED_STDDEV, rel=0.01)
    assert 1.99 * uncut < np.abs(x).max() <= 2 * uncut * (1 + 1e-6)
    assert np.mean(x**4) / np.mean(x**2) ** 2 == pytest.approx(2.36, abs=0.05), "the kurtosis of a cut normal"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda i: i.Identity()((2, 2, 2)), r"Identity makes matrices: expected a shape of rank 2, got \(2, 2, 2\)"),
        (lambda i: i.Orthogonal()((3,)), r"Orthogonal needs at least two dimensions, got the shape \(3,\)"),
        (lambda i: i.Orthogonal(gain=-1.0), "Orthogonal: argument gain=-1.0: expected a number between 0 and inf"),
        (lambda i: i.Constant([1.0, 2.0])((3,)), r"a value of shape \(2,\) does not broadcast to \(3,\)"),
        (lambda i: i.STFT()((4, 2, 3)), r"STFT makes kernels of shape \(frame length, 1, bins\), got .*\(4, 2, 3\)"),
        (lambda i: i.STFT(window=[1.0, 2.0])((4, 1, 3)), "does not fit frames of 4 samples"),
        (lambda i: i.STFT("both"), "STFT: argument side='both': expected one of 'real', 'imag'"),
        (lambda i: i.STFT(window="hanning window"), "STFT: argument window='hanning window': "),
        (lambda i: i.STFT(scaling="power"), "STFT: argument scaling='power': expected one of 'density', 'spectrum'"),
        (lambda i: i.VarianceScaling(scale=0.0), "VarianceScaling: argument scale=0.0: expected a positive number"),
        (lambda i: i.RandomNormal(seed="one"), "RandomNormal: argument seed='one': expected an integer or a Seed"),
        (lambda i: i.get("glorot_unifrom"), "there is no initializer called 'glorot_unifrom'; did you mean 'glorot_un"),
        (lambda i: i.get(3), "expected the name, configuration or function of a initializer, got 3"),
    ],
)
def test_messages(make, message):
    with pytest.raises(ValueError, match=message):
        make(initializers)


def test_a_callable_of_the_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"gave values of shape \(2,\), expected \(3,\)"):
        initializers.draw(lambda shape, dtype: np.ones(2), (3,), "float32")


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_regularizer(mode):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    mine = regularizers.OrthogonalRegularizer(0.3, mode)
    # in Keras the columns of a NumPy array are normalized along the wrong axis; rows of the transposed are its columns
    expected = keras.regularizers.OrthogonalRegularizer(0.3)(x if mode == "rows" else x.T)
    assert float(mine(x)) == pytest.approx(float(expected), rel=1e-5)
    described = regularizers.serialize(mine)
    assert regularizers.get(described).get_config() == mine.get_config() == {"factor": 0.3, "mode": mode}
    assert type(regularizers.get("orthogonal_regularizer")) is regularizers.orthogonal_regularizer is type(mine)
    with pytest.raises(ValueError, match=r"expected a tensor of rank 2, got the shape \(3,\)"):
        mine(x[0, :3])
    with pytest.raises(ValueError, match=f"one of the {mode} alone has no other"):
        mine(x[:1, :1])
    with pytest.raises(ValueError, match="argument mode='diagonals': expected one of 'rows', 'columns'"):
        regularizers.OrthogonalRegularizer(mode="diagonals")


@pytest.mark.parametrize("name, config", [("L1", {"l1": 0.3}), ("L2", {"l2": 0.3}), ("L1L2", {"l1": 0.1, "l2": 0.2})])
def test_regularizers(name, config):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    theirs, mine = getattr(keras.regularizers, name)(**config), getattr(regularizers, name)(**config)
    assert float(mine(x)) == pytest.approx(float(theirs(x)), rel=1e-5)
    assert regularizers.get(regularizers.serialize(mine)).get_config() == mine.get_config() == config


def test_regularizer_names():
    assert regularizers.l1_l2(0.1, 0.2).get_config() == {"l1": 0.1, "l2": 0.2}
    theirs = {name for name in vars(keras.regularizers) if not name.startswith("_")}
    assert theirs <= set(vars(regularizers))
    assert regularizers.get("l2").l2 == 0.01 and regularizers.get(None) is None
    with pytest.raises(ValueError, match="there is no regularizer called 'l1_l2'"):
        regularizers.get("l1_l2")
    with pytest.raises(ValueError, match="L2: argument l2=-1: expected a non-negative float"):
        regularizers.L2(-1)


def test_every_name_of_keras_s_constraints_is_there():
    assert {name for name in vars(keras.constraints) if not name.startswith("_")} <= set(vars(constraints))
    for name in ("max_norm", "non_neg", "unit_norm", "min_max_norm", "MaxNorm"):
        assert type(constraints.get(name)).__name__ == type(keras.constraints.get(name)).__name__
    with pytest.raises(ValueError, match="there is no constraint called 'max_nrm'; did you mean 'max_norm'"):
        constraints.get("max_nrm")


@pytest.mark.parametrize(
    "name, config",
    [
        ("MaxNorm", {}),
        ("MaxNorm", {"max_value": 1.5, "axis": [0, 1]}),
        ("NonNeg", {}),
        ("UnitNorm", {}),
        ("UnitNorm", {"axis": 1}),
        ("MinMaxNorm", {}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 2.0, "rate": 0.3, "axis": 1}),
    ],
)
def test_constraints(name, config):
    w = np.random.default_rng(0).normal(size=(5, 4)).astype("float32") * 3
    w[:, 1] = 0.0
    theirs, mine = getattr(keras.constraints, name)(**config), getattr(constraints, name)(**config)
    assert mine.get_config() == theirs.get_config()
    np.testing.assert_allclose(mine(w), theirs(w), rtol=1e-5, atol=1e-6)
    assert type(constraints.get(constraints.serialize(mine))) is type(mine)


@pytest.mark.parametrize("name", ["glorot_uniform", "random_normal", "truncated_normal"])
def test_random_weights_of_integers_are_refused(name):
    with pytest.raises(ValueError, match="random floats cannot be int8"):
        initializers.get(name)((2, 3), dtype="int8")
