"""The wrappers in scikit-learn's hands."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import kcore
from kcore import layers
from kcore.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

QUIET = {"verbose": 0, "epochs": 2}


class Build:
    """A function that builds a model, with a name that is the same in every test process."""

    def __call__(self, X, y, loss, last=None, units=16):
        hidden = layers.Dense(units, "relu")
        model = kcore.Sequential([layers.Input(X.shape[1:]), hidden, layers.Dense(y.shape[1], last)])
        model.compile("rmsprop", loss)
        return model

    def __repr__(self):
        return "build"


build = Build()


def classifier(**fit):
    kwargs = {"loss": "categorical_crossentropy", "last": "softmax"}
    return SKLearnClassifier(build, model_kwargs=kwargs, fit_kwargs={**QUIET, **fit})


def regressor(**fit):
    return SKLearnRegressor(build, model_kwargs={"loss": "mse"}, fit_kwargs={**QUIET, **fit})


def not_held(estimator):
    """Checks of scikit-learn that do not fit networks, with the reason; Keras leaves out the same."""
    random = "two fits draw different weights"
    same = (
        "check_fit_idempotent",
        "check_regressor_data_not_an_array",
        "check_supervised_y_2d",
        "check_regressors_int",
    )
    if isinstance(estimator, SKLearnClassifier):
        return {
            "check_classifiers_one_label_sample_weights": "a sample of weight zero still names a class",
            "check_classifiers_classes": "five epochs on a few samples do not always give every class",
            "check_classifier_data_not_an_array": random,
            **dict.fromkeys(same, random),
            "check_decision_proba_consistency": "the decision function has a column for each of two classes, too",
            "check_classifiers_train": "outputs are those of the model, probabilities or logits",
        }
    return dict.fromkeys(same, random)


@pytest.mark.slow
@parametrize_with_checks(
    [classifier(), regressor(), SKLearnTransformer(build, model_kwargs={"loss": "mse"}, fit_kwargs=QUIET)],
    expected_failed_checks=not_held,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_a_pipeline_a_search_and_cross_validation():
    kcore.set_random_seed(0)
    X, y = make_classification(200, 8, n_classes=3, n_informative=6, random_state=0)
    names = np.array(["a", "b", "c"])[y]
    pipeline = make_pipeline(StandardScaler(), classifier(epochs=40))
    assert cross_val_score(pipeline, X, names, cv=2).min() > 0.5
    search = GridSearchCV(
        classifier(epochs=15),
        {"model_kwargs": [{"loss": "categorical_crossentropy", "last": "softmax", "units": n} for n in (1, 32)]},
        cv=2,
    ).fit(X, names)
    assert search.best_params_["model_kwargs"]["units"] == 32 and set(search.predict(X)) <= {"a", "b", "c"}
    assert search.best_estimator_.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(200), abs=1e-5)


def test_a_model_is_cloned_unless_the_start_is_warm():
    X, y = make_regression(60, 4, random_state=0)
    model = build(X, y[:, None], "mse")
    before = model.get_weights()
    cold = SKLearnRegressor(model, fit_kwargs=QUIET).fit(X, y)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert cold.model_ is not model and cold.model_.optimizer is not model.optimizer
    warm = SKLearnRegressor(model, warm_start=True, fit_kwargs=QUIET).fit(X, y)
    assert warm.model_ is model
    steps = int(model.optimizer.iterations)
    assert warm.fit(X, y, epochs=1).model_ is model and int(model.optimizer.iterations) > steps
    assert len(warm.history_.history["loss"]) == 1 and warm.predict(X).shape == (60,)
    copied = clone(warm)
    assert copied.model is not model and copied.get_params()["warm_start"] and not hasattr(copied, "model_")


def test_several_targets_and_images():
    X, y = make_regression(60, 4, n_targets=2, random_state=0)
    assert regressor().fit(X, y).predict(X).shape == (60, 2)

    def on_images(X, y):
        model = kcore.Sequential([layers.Input(X.shape[1:]), layers.Flatten(), layers.Dense(y.shape[1], "softmax")])
        model.compile("sgd", "categorical_crossentropy")
        return model

    images = np.random.default_rng(0).random((12, 4, 4, 1))
    fitted = SKLearnClassifier(on_images, fit_kwargs=QUIET).fit(images, np.arange(12) % 2)
    assert fitted.predict(images).shape == (12,) and fitted.classes_.tolist() == [0, 1]


def test_bad_input():
    X, y = make_regression(20, 4, random_state=0)
    with pytest.raises(
        ValueError, match="SKLearnRegressor needs a model that is compiled with a loss and an optimizer"
    ):
        SKLearnRegressor(kcore.Sequential([layers.Dense(1)])).fit(X, y)
    with pytest.raises(ValueError, match=r"only one class is present: \[1\]"):
        classifier().fit(X, np.ones(20, int))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier().fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but SKLearnRegressor is expecting 4"):
        regressor().fit(X, y).predict(X[:, :3])


def test_without_scikit_learn_the_command_is_named():
    code = "import sys; sys.modules['sklearn'] = None; import kcore; kcore.wrappers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "kcore[sklearn]"' in done.stderr
