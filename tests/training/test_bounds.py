"""Labels and indices out of range: found before a step, in the user's words, again in every call."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

import kcore
from kcore import Input, Model, Sequential, layers

X = np.zeros((8, 4), "float32")


def _classifier(**compiled):
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", **compiled)
    return model


def _labels(bad, row=5):
    labels = np.arange(8) % 3
    labels[row] = bad
    return labels


@pytest.mark.parametrize("column", [False, True], ids=["flat", "column"])
@pytest.mark.parametrize("bad", [9, -1])
@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_a_label_out_of_range_trains_nothing(run_eagerly, bad, column):
    model = _classifier(run_eagerly=run_eagerly)
    before = model.get_weights()
    y = _labels(bad)[:, None] if column else _labels(bad)
    said = f"argument 'y' holds {bad} in row 5, but loss 'sparse_categorical_crossentropy' takes classes 0 to 2"
    with pytest.raises(ValueError, match=said):
        model.fit(X, y, shuffle=False, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_a_nan_for_a_label_is_an_error_and_no_warning(run_eagerly):
    y = np.array([0, 1, np.nan, 0, 1, 2, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="holds nan in row 2"):
            _classifier(run_eagerly=run_eagerly).fit(X, y, shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="holds nan in row 0"):
        kcore.losses.sparse_categorical_crossentropy(np.array([np.nan]), np.array([[0.5, 0.5]]))


@pytest.mark.parametrize("batch_size", [2, 8])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_an_array_changed_in_place_is_looked_at_again_by_the_next_call(method, batch_size):
    model, y = _classifier(), _labels(0)
    run = getattr(model, method)
    run(X, y, batch_size=batch_size, verbose=0)
    y[6] = 4
    with pytest.raises(ValueError, match="argument 'y' holds 4 in row 6"):
        run(X, y, batch_size=batch_size, verbose=0)
    y[6] = 0
    model.train_on_batch(X, y)
    y[6] = 4
    with pytest.raises(ValueError, match="argument 'y' holds 4 in row 6"):
        model.train_on_batch(X, y)


def test_validation_data_changed_in_place_is_looked_at_again():
    model, y = _classifier(), _labels(0)
    for bad in (0, 4):
        held_out = y.copy() if not bad else held_out  # noqa: F821 - the first pass makes it
        held_out[1] = bad
        if bad:
            with pytest.raises(ValueError, match="argument 'y' holds 4 in row 1"):
                model.fit(X, y, validation_data=(X, held_out), validation_batch_size=2, verbose=0)
        else:
            model.fit(X, y, validation_data=(X, held_out), validation_batch_size=2, verbose=0)


def test_predict_looks_at_indices_again():
    model = Sequential([Input((3,), dtype="int32"), layers.Embedding(10, 2, name="words")])
    x = np.zeros((8, 3), "int32")
    model.predict(x, batch_size=2, verbose=0)
    x[4, 1] = 12
    with pytest.raises(ValueError, match="argument 'x' holds 12 in row 4, but layer '.*words' takes indices 0 to 9"):
        model.predict(x, batch_size=2, verbose=0)


def test_a_data_set_is_looked_at_once_per_call(monkeypatch):
    room = sys.modules["kcore.runtime.function"]

    model, looked = _classifier(), []
    real = room.check
    monkeypatch.setattr(room, "check", lambda bounds, array: (looked.append(len(array)), real(bounds, array)))
    for _ in range(2):
        model.fit(X, _labels(0), batch_size=2, epochs=3, verbose=0)
    assert looked == [8, 8]


def test_several_inputs_and_outputs_are_told_apart():
    def two(structure):
        a, b = Input((4,), name="a"), Input((2,), dtype="int32", name="b")
        h = layers.Concatenate()([a, layers.Flatten()(layers.Embedding(5, 2, name="e")(b))])
        p, q = layers.Dense(3, activation="softmax", name="p")(h), layers.Dense(2, activation="softmax", name="q")(h)
        model = Model([a, b], [p, q]) if structure is list else Model({"a": a, "b": b}, {"p": p, "q": q})
        model.compile("sgd", "sparse_categorical_crossentropy" if structure is list else dict.fromkeys("pq", LOSS))
        return model

    LOSS = "sparse_categorical_crossentropy"
    ids, good = np.zeros((8, 2), "int32"), np.zeros(8, int)
    with pytest.raises(ValueError, match=r"y\[1\] \(output 'q'\).* holds 2 in row 5, but loss .* classes 0 to 1"):
        two(list).fit([X, ids], [good, np.where(np.arange(8) == 5, 2, 0)], verbose=0)
    with pytest.raises(ValueError, match=r"y\['q'\].* holds 2 in row 5, but loss .* classes 0 to 1"):
        two(dict).fit({"a": X, "b": ids}, {"p": good, "q": np.where(np.arange(8) == 5, 2, 0)}, verbose=0)
    with pytest.raises(ValueError, match=r"x\[1\] \(input 'b'\).* holds 7 in row 0, but layer .* takes indices 0 to 4"):
        two(list).predict([X, ids + 7], verbose=0)
    with pytest.raises(ValueError, match=r"x\['b'\].* holds 7 in row 0"):
        two(dict).predict({"a": X, "b": ids + 7}, verbose=0)


def test_the_warning_of_retraces_uses_the_user_s_words():
    model = _classifier()
    with pytest.warns(UserWarning, match=r"its argument 'x' came in 11 shapes") as caught:
        for n in range(1, 12):
            model.train_on_batch(np.zeros((n, 4)), np.zeros(n, int))
    assert caught[0].filename == __file__
