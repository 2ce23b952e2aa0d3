"""Old method names: they work, and say what to write instead."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import layers
from kcore.models import Sequential
from kcore.training.sources.py_dataset import PyDataset

X, Y = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3), np.arange(8) % 2


def model_of(units=2, activation="softmax", loss="sparse_categorical_crossentropy"):
    model = Sequential([layers.Input((3,)), layers.Dense(units, activation=activation)])
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def batches():
    while True:
        yield X[:4], Y[:4]
        yield X[4:], Y[4:]


class Halves(PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


def test_fit_evaluate_and_predict_with_generators():
    model = model_of()
    with pytest.warns(
        DeprecationWarning, match=r"model.fit_generator\(\) is deprecated: write model.fit\(...\)"
    ) as said:
        history = model.fit_generator(
            batches(), steps_per_epoch=2, epochs=3, verbose=0, validation_data=(X, Y), class_weight={0: 2.0}
        )
    assert history.epoch == [0, 1, 2] and "val_loss" in history.history and said[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"write model.evaluate\(...\)"):
        assert model.evaluate_generator(batches(), steps=2) == pytest.approx(
            model.evaluate(X, Y, batch_size=4, verbose=0)
        )
    with pytest.warns(DeprecationWarning, match=r"write model.predict\(...\)"):
        np.testing.assert_allclose(model.predict_generator(batches(), steps=2), model.predict(X, verbose=0), rtol=1e-6)


def test_the_arguments_of_workers_go_to_the_data_set():
    data = Halves()
    with pytest.warns(DeprecationWarning):
        model_of().fit_generator(data, verbose=0, workers=2, max_queue_size=3, use_multiprocessing=False)
    assert (data.workers, data.max_queue_size, data.use_multiprocessing) == (2, 3, False)


def test_classes_and_probabilities():
    model = model_of()
    with pytest.warns(DeprecationWarning, match=r"write np.argmax\(model.predict\(x\), axis=-1\), or \(model.predict"):
        assert (model.predict_classes(X) == model.predict(X, verbose=0).argmax(-1)).all()
    with pytest.warns(DeprecationWarning, match=r"predict_proba\(\) is deprecated: write model.predict\(...\)"):
        np.testing.assert_array_equal(model.predict_proba(X), model.predict(X, verbose=0))
    binary = model_of(1, "sigmoid", "binary_crossentropy")
    with pytest.warns(DeprecationWarning):
        classes = binary.predict_classes(X)
    assert classes.dtype == "int32" and (classes == (binary.predict(X, verbose=0) > 0.5)).all()
