"""`add_loss` with symbolic tensors of a functional model, as scripts for Keras 2 write it."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from kcore import layers, models, ops, random

X = np.random.default_rng(0).random((8, 4)).astype("float32")


def autoencoder():
    """A small VAE without noise: its loss needs the input, the output and a tensor in between."""
    x = layers.Input((4,))
    code = layers.Dense(2, name="code")(x)
    model = models.Model(x, layers.Dense(4, name="out")(code))
    model.add_loss(ops.mean(ops.square(model.output - x)) + 0.1 * ops.mean(ops.square(code)))
    return model


def expected(model):
    code = model.get_layer("code")(X)
    return float(ops.mean(ops.square(model(X) - X)) + 0.1 * ops.mean(ops.square(code)))


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
def test_it_is_what_fit_lowers(eager):
    model = autoencoder()
    model.compile("sgd", run_eagerly=eager)
    before = expected(model)
    history = model.fit(X, batch_size=8, epochs=3, verbose=0).history["loss"]
    assert history[0] == pytest.approx(before, rel=1e-5)
    assert expected(model) < history[2] < history[1] < history[0]
    assert model.evaluate(X, verbose=0) == pytest.approx(expected(model), rel=1e-5)


def test_it_comes_beside_the_compiled_loss_and_layers_run_once():
    x = layers.Input((4,))
    noisy = layers.Lambda(lambda x: x + random.normal(ops.shape(x)), name="noisy")(x)
    model = models.Model(x, noisy)
    model.add_loss(ops.sum(ops.abs(noisy - model.output)))  # nothing, if the noise is drawn once
    model.compile("sgd", loss="mse")
    assert model.evaluate(X, model.predict(X, verbose=0), verbose=0) == pytest.approx(2, abs=0.7)


def test_after_compile_it_counts_at_the_next_step():
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(4)(x))
    model.compile("sgd", loss="mse")
    before = model.evaluate(X, X, verbose=0)
    model.add_loss(ops.mean(x))
    assert model.evaluate(X, X, verbose=0) == pytest.approx(before + X.mean(), rel=1e-5)


@pytest.mark.parametrize("make", [copy.deepcopy, models.clone_model], ids=["deepcopy", "clone"])
def test_copies_have_losses_of_their_own(make):
    model = autoencoder()
    other = make(model)
    other.compile("sgd")
    other.fit(X, verbose=0)
    model.compile("sgd")
    assert model.evaluate(X, verbose=0) == pytest.approx(expected(model), rel=1e-5)
    assert other.evaluate(X, verbose=0) == pytest.approx(expected(other), rel=1e-5)
    assert expected(model) != pytest.approx(expected(other), rel=1e-5)


def test_a_file_says_that_it_does_not_hold_them(tmp_path):
    model = autoencoder()
    with pytest.warns(UserWarning, match=r"has losses from add_loss\(\) with symbolic tensors, which .* its file"):
        model.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    assert loaded(X).shape == (8, 4) and loaded.losses == []


def test_what_cannot_be_added():
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(4)(x), name="m")
    with pytest.raises(ValueError, match="'m': add_loss.* with layer 'only', whose weights no output"):
        model.add_loss(ops.mean(layers.Dense(1, name="only")(x)))
    with pytest.raises(ValueError, match="m"):
        model.add_loss(ops.mean(layers.Input((2,))))
    with pytest.raises(ValueError, match=r"'d'.*: add_loss\(\) with the symbolic .* belongs into call"):
        layers.Dense(1, name="d").add_loss(ops.mean(x))
    assert model.losses == [] and model(X).shape == (8, 4) and model.losses == []
