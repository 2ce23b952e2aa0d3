"""Functions that build models as estimators: what scikit-learn does with them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import kcore
from kcore.compat import install, uninstall

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kcore.compat.scikit_learn import BaseWrapper, KerasClassifier, KerasRegressor

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
NAMES = np.array(["low", "middle", "high"])[(X[:, 0] > -0.4).astype(int) + (X[:, 0] > 0.4)]


def classifier(units=8, rate=0.05, loss="categorical_crossentropy", metrics=("accuracy",), outputs=3):
    kcore.set_random_seed(1)
    last = kcore.layers.Dense(outputs, "softmax" if outputs > 1 else "sigmoid")
    model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(units, "relu"), last])
    model.compile(kcore.optimizers.Adam(rate), loss, metrics=list(metrics))
    return model


def regressor(rate=0.1):
    kcore.set_random_seed(1)
    model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(1)])
    model.compile(kcore.optimizers.SGD(rate), "mse", metrics=["mae"])
    return model


def test_labels_of_any_kind():
    one = KerasClassifier(classifier, epochs=30, batch_size=16, verbose=0)
    history = one.fit(X, NAMES)
    assert len(history.history["loss"]) == 30 and one.classes_.tolist() == ["high", "low", "middle"]
    predicted = one.predict(X)
    assert predicted.shape == (60,) and one.score(X, NAMES) == pytest.approx(np.mean(predicted == NAMES))
    assert one.score(X, NAMES) > 0.8
    probability = one.predict_proba(X, batch_size=7)
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    assert (one.classes_[probability.argmax(1)] == predicted).all()
    few = NAMES != "middle"  # one-hot targets have a column for each class all the same
    assert one.score(X[few], NAMES[few]) == pytest.approx(np.mean(predicted[few] == NAMES[few]))


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", kcore.losses.CategoricalCrossentropy()])
def test_losses(loss):
    one = KerasClassifier(classifier, loss=loss, epochs=20, verbose=0)
    one.fit(X, NAMES[:, None])
    assert one.score(X, NAMES[:, None]) > 0.7


def test_one_hot_rows_and_one_output():
    rows = kcore.utils.to_categorical(np.unique(NAMES, return_inverse=True)[1])
    one = KerasClassifier(classifier, epochs=20, verbose=0)
    one.fit(X, rows)
    assert one.predict(X).max() == 2 and one.score(X, rows) > 0.7
    binary = KerasClassifier(classifier, outputs=1, loss="binary_crossentropy", epochs=20, verbose=0)
    labels = np.where(X[:, 0] > 0, "yes", "no")
    binary.fit(X, labels)
    assert binary.predict(X).shape == (60, 1) and set(np.unique(binary.predict(X))) == {"yes", "no"}
    assert binary.predict_proba(X).shape == (60, 2) and binary.score(X, labels) > 0.8


def test_regression():
    y = X @ [1.0, -2.0, 0.5] + 3
    one = KerasRegressor(regressor, epochs=50, verbose=0)
    one.fit(X, y, batch_size=10)
    assert one.predict(X).shape == (60,)
    np.testing.assert_allclose(one.predict(X), y, atol=0.05)
    assert one.score(X, y) == pytest.approx(-np.mean((one.predict(X) - y) ** 2), rel=1e-3, abs=1e-7)


def test_arguments_go_where_they_belong():
    one = KerasClassifier(classifier, units=5, rate=0.2, epochs=1, batch_size=60, verbose=0)
    assert one.get_params() == {
        "build_fn": classifier,
        "units": 5,
        "rate": 0.2,
        "epochs": 1,
        "batch_size": 60,
        "verbose": 0,
    }
    assert one.filter_sk_params(classifier) == {"units": 5, "rate": 0.2}
    assert one.filter_sk_params(kcore.Model.fit, {"epochs": 2}) == {"epochs": 2, "batch_size": 60, "verbose": 0}
    again = clone(one.set_params(units=6))
    assert again.get_params() == one.get_params() and again is not one and "units=6" in repr(again)
    assert len(one.fit(X, NAMES, epochs=2).history["loss"]) == 2
    assert one.model.layers[0].units == 6 and int(one.model.optimizer.iterations) == 2
    assert not hasattr(clone(one), "model")


def test_searches_and_pipelines():
    search = GridSearchCV(
        KerasClassifier(classifier, epochs=15, verbose=0),
        {"units": [1, 12], "batch_size": [20]},
        cv=2,
        error_score="raise",
    )
    search.fit(X, NAMES)
    assert search.best_params_ == {"units": 12, "batch_size": 20} and search.best_estimator_.score(X, NAMES) > 0.7
    pipeline = make_pipeline(StandardScaler(), KerasRegressor(regressor, epochs=20, verbose=0))
    scores = cross_val_score(pipeline, X * 5, X[:, 0], cv=2)
    assert scores.shape == (2,) and (scores > -0.5).all()


class Callable:
    """Builds a model where it is called."""

    def __call__(self, units=3):
        return classifier(units)


class Own(KerasClassifier):
    """Builds its model itself."""

    def __call__(self, units=3):
        return classifier(units)


def test_objects_and_subclasses_build_too():
    for one in (KerasClassifier(Callable(), units=4, verbose=0), Own(units=4, verbose=0)):
        clone(one).fit(X, NAMES)
        one.fit(X, NAMES)
        assert one.model.layers[0].units == 4
    kept = pickle.loads(pickle.dumps(one))  # noqa: S301
    np.testing.assert_allclose(kept.predict_proba(X), one.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: KerasClassifier(classifier, unit=3), ValueError, "unit is not a legal parameter of KerasClassifier"),
        (lambda: KerasRegressor(regressor).set_params(unit=3), ValueError, "build_fn takes rate; fit, predict and"),
        (lambda: KerasClassifier(), ValueError, "KerasClassifier needs build_fn, a function that returns"),
        (lambda: KerasClassifier(3), ValueError, "a function that returns a compiled model; received 3"),
        (lambda: KerasClassifier(classifier).predict(X), NotFittedError, "this KerasClassifier has no model yet"),
        (lambda: KerasClassifier(classifier).score(X, NAMES), NotFittedError, "has no model yet"),
        (lambda: KerasRegressor(regressor).score(X, X[:, 0]), NotFittedError, "has no model yet"),
        (lambda: KerasClassifier(classifier).fit(X, X[..., None]), ValueError, r"received shape \(60, 3, 1\)"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_scores_that_cannot_be_told():
    one = KerasClassifier(classifier, metrics=(), verbose=0)
    one.fit(X, NAMES)
    with pytest.raises(ValueError, match="the model has only loss: compile it with metrics="):
        one.score(X, NAMES)
    with pytest.raises(ValueError, match="the label .*'other'.* was not among those of fit"):
        one.score(X[:1], ["other"])


def test_where_old_scripts_find_it(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
        monkeypatch.delitem(sys.modules, name)
    install("keras")
    try:
        from keras.wrappers.scikit_learn import KerasClassifier as found

        assert found is KerasClassifier and issubclass(found, BaseWrapper)
    finally:
        uninstall()
