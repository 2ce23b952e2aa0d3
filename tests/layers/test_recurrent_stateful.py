"""Recurrent layers that go on where the last batch ended, through every way of running a model."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, keras

import kcore
from kcore import layers


def models(kind="GRU", **config):
    """The same stateful model of Keras and of kcore, with the same weights."""

    def build(k):
        return k.Sequential(
            [k.Input(batch_shape=(2, 3, 4)), getattr(k.layers, kind)(3, stateful=True, **config), k.layers.Dense(1)]
        )

    theirs, mine = build(keras), build(kcore)
    mine.set_weights(theirs.get_weights())
    return theirs, mine


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize(
    "config", [{}, {"go_backwards": True}, {"activation": "relu"}], ids=lambda c: "-".join(c) or "plain"
)
def test_predict_goes_on_from_batch_to_batch(name, config):
    theirs, mine = models(name, **config)
    x = array((6, 3, 4))
    for _ in range(2):
        np.testing.assert_allclose(
            mine.predict(x, verbose=0), theirs.predict(x, batch_size=2, verbose=0), rtol=1e-5, atol=1e-6
        )
    rnn = mine.layers[0]
    for reset in (mine.reset_states, rnn.reset_states, rnn.reset_state):
        assert any(np.any(state.numpy()) for state in rnn.states)
        reset()
        assert not any(np.any(state.numpy()) for state in rnn.states)
        mine.predict_on_batch(x[:2])


def test_a_cut_sequence_gives_what_the_whole_one_gives():
    cells = [layers.LSTMCell(3), layers.GRUCell(2)]
    whole = layers.RNN(cells, return_sequences=True)
    parts = layers.RNN(cells, return_sequences=True, stateful=True)
    x = array((2, 6, 4))
    expected = whole(x).numpy()
    found = np.concatenate([parts(x[:, :2]), parts(x[:, 2:4]), parts(x[:, 4:])], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(parts.weights) == len(whole.weights), "states are not weights"


def test_fit_evaluate_and_train_on_batch_move_the_states():
    _, mine = models("LSTM")
    mine.compile(kcore.optimizers.SGD(0.0), "mse")
    rnn = mine.layers[0]
    x, y = array((4, 3, 4)), array((4, 1))

    def after(run):
        mine.reset_states()
        run()
        return rnn.states[0].numpy().copy()

    twice = after(lambda: [mine.predict_on_batch(x[:2]), mine.predict_on_batch(x[2:])])
    assert np.any(twice)
    for run in (
        lambda: mine.fit(x, y, shuffle=False, verbose=0),
        lambda: mine.evaluate(x, y, verbose=0),
        lambda: mine.predict(x, verbose=0),
        lambda: [mine.train_on_batch(x[:2], y[:2]), mine.test_on_batch(x[2:], y[2:])],
    ):
        np.testing.assert_allclose(after(run), twice, rtol=1e-6)


LOSSES = [1.400418, 2.286319, 3.06835]
STATES = [[-0.520166, 0.30914, 0.305997], [0.021042, 0.434051, -0.149878]]


def test_training_with_states_kept_is_that_of_keras_on_torch():
    """Recorded by the same lines with keras for kcore and KERAS_BACKEND=torch (on JAX the states stay zeros)."""
    mine = kcore.Sequential([kcore.Input(batch_shape=(2, 3, 4)), layers.GRU(3, stateful=True), layers.Dense(1)])
    rng = np.random.default_rng(0)
    mine.set_weights([rng.uniform(-0.6, 0.6, w.shape).astype("float32") for w in mine.weights])
    mine.compile(kcore.optimizers.SGD(0.5), "mse")
    x, y = array((4, 3, 4)), array((4, 1), 1)
    history = mine.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], LOSSES, rtol=2e-5)
    np.testing.assert_allclose(mine.layers[0].states[0].numpy(), STATES, rtol=2e-5, atol=1e-6)


def test_nested_models_and_bidirectional_layers_are_reset_too():
    inner = kcore.Sequential([kcore.Input(batch_shape=(2, 3, 4)), layers.GRU(3, stateful=True, return_sequences=True)])
    both = layers.Bidirectional(layers.SimpleRNN(2, stateful=True))
    model = kcore.Sequential([kcore.Input(batch_shape=(2, 3, 4)), inner, both])
    x = array((2, 3, 4))
    first = model.predict_on_batch(x)
    assert len(both.states) == 2
    assert not np.allclose(model.predict_on_batch(x), first)
    model.reset_states()
    np.testing.assert_allclose(model.predict_on_batch(x), first, rtol=1e-6)
    assert all(not np.any(s) for s in (layers.GRU(3).states or ()))


def test_states_do_not_flow_gradients_into_the_batch_before():
    _, mine = models("SimpleRNN")
    mine.compile(kcore.optimizers.SGD(0.1), "mse")
    x, y = array((4, 3, 4)), array((4, 1))
    mine.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert all(np.all(np.isfinite(w)) for w in mine.get_weights())


# -- bad input -------------------------------------------------------------------------------------------------------


def test_a_batch_size_is_needed():
    with pytest.raises(
        ValueError, match=r"'memory' \(GRU\) is stateful, so the batch size must be known.*batch_shape="
    ):
        kcore.Sequential([kcore.Input((3, 4)), layers.GRU(3, stateful=True, name="memory")])


def test_a_wrong_batch_is_refused_before_anything_is_changed():
    _, mine = models("GRU", name="memory")
    mine.compile("sgd", "mse")
    x, y = array((4, 3, 4)), array((4, 1))
    mine.fit(x, y, verbose=0)
    before = mine.get_weights() + [s.numpy() for s in mine.layers[0].states]
    message = r"'memory' \(GRU\).* stateful with batches of 2, got batch_size=4: give batch_size=2"
    for run in (mine.fit, mine.evaluate, lambda x, y, **k: mine.predict(x, **k)):
        with pytest.raises(ValueError, match=message):
            run(x, y, batch_size=4, verbose=0)
    message = r"batches of 2, but the last batch of 3 samples would have 1"
    for run in (mine.fit, mine.evaluate, lambda x, y, **k: mine.predict(x, **k)):
        with pytest.raises(ValueError, match=message):
            run(x[:3], y[:3], verbose=0)
    with pytest.raises(ValueError, match=message):
        mine.fit(x, y, validation_data=(x[:3], y[:3]), verbose=0)
    with pytest.raises(ValueError, match=r"expected shape \(2, 3, 4\)|batches of 2, got a batch of 3"):
        mine.train_on_batch(x[:3], y[:3])

    def batches():
        yield x[:1], y[:1]

    with pytest.raises(ValueError, match=r"expected shape \(2, 3, 4\)|batches of 2, got a batch of 1"):
        mine.fit(batches(), verbose=0)
    after = mine.get_weights() + [s.numpy() for s in mine.layers[0].states]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_that_leave_the_partial_batch_out_are_fine():
    _, mine = models()
    assert mine.predict(array((5, 3, 4)), steps=2, batch_size=2, verbose=0).shape == (4, 1)


def test_only_stateful_layers_have_states_to_reset():
    both = layers.Bidirectional(layers.GRU(2), name="both")
    with pytest.raises(AttributeError, match=r"'both' \(Bidirectional\) is not stateful"):
        both.reset_state()


def test_text_goes_through_one_character_at_a_time():
    """A model built for one sequence of any length takes one of length one, whose last axis is not to be left out."""

    def build(batch):
        return kcore.Sequential(
            [
                kcore.Input(batch_shape=(batch, None)),
                layers.Embedding(5, 3),
                layers.GRU(4, stateful=True, return_sequences=True),
                layers.Dense(5),
            ]
        )

    learned, text = build(2), np.array([[1, 4, 2, 0], [3, 3, 1, 2]])
    whole = learned.predict(text, batch_size=2, verbose=0)
    one = build(1)
    one.set_weights(learned.get_weights())
    steps = [one.predict(text[:1, t : t + 1], verbose=0) for t in range(4)]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole[:1], rtol=1e-5, atol=1e-6)
