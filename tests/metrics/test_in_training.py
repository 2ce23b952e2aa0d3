"""Metrics inside compiled training: by name, class and object, per output, with weights, and at what cost."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers, metrics
from kcore.runtime import function

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 5)).astype("float32")
Y = np.eye(3, dtype="float32")[X[:, :3].argmax(-1)]
WEIGHTS = RNG.random(32).astype("float32")
EVERY = [
    metrics.Precision, metrics.AUC, metrics.F1Score, metrics.R2Score, metrics.CosineSimilarity, metrics.Poisson,
    metrics.PearsonCorrelation, lambda: metrics.AUC(multi_label=True), lambda: metrics.AUC(thresholds=[0.2, 0.4]),
    lambda: metrics.Precision(top_k=2), lambda: metrics.Recall([0.2, 0.6]), lambda: metrics.OneHotMeanIoU(3),
    lambda: metrics.RecallAtPrecision(0.3), metrics.FalsePositives,
]  # fmt: skip


def classifier():
    kcore.set_random_seed(1)
    return kcore.Sequential([kcore.Input((5,)), layers.Dense(3, activation="softmax")])


def test_every_metric_gives_in_fit_what_it_gives_by_itself():
    model = classifier()
    model.compile(kcore.optimizers.SGD(0.0), "categorical_crossentropy", metrics=[make() for make in EVERY])
    history = model.fit(X, Y, epochs=2, batch_size=10, verbose=0, validation_data=(X, Y)).history
    predicted = model.predict(X, verbose=0)
    names = [name for name in history if not name.startswith("val_") and name != "loss"]
    assert len(names) == len(EVERY)
    compiled = [m for m in model.metrics if m.name != "loss"]
    expected = {}
    for make, metric in zip(EVERY, compiled, strict=True):
        alone = make()
        alone.update_state(Y, predicted)
        expected[metric.name] = np.asarray(alone.result())
    assert len(expected) == len(EVERY)
    for metric in compiled:
        got = history[metric.name]
        np.testing.assert_allclose(got[-1], expected[metric.name], rtol=2e-4, atol=1e-5, err_msg=metric.name)
        np.testing.assert_allclose(got[0], got[-1], rtol=1e-5, atol=1e-6)  # reset between epochs
        np.testing.assert_allclose(history[f"val_{metric.name}"][-1], expected[metric.name], rtol=2e-4, atol=1e-5)


def test_by_name_by_class_and_by_object():
    model = classifier()
    model.compile(
        "sgd", "categorical_crossentropy", metrics=["AUC", "auc", metrics.Recall, metrics.Precision(name="p")]
    )
    history = model.fit(X, Y, epochs=1, verbose=0).history
    assert set(history) >= {"loss", "AUC", "auc", "p"} and len(history) == 5
    assert history["AUC"] == history["auc"]


def test_weighted_metrics_see_the_weights_and_others_do_not():
    model = classifier()
    plain, weighted = metrics.AUC(name="plain"), metrics.AUC(name="weighted")
    model.compile(kcore.optimizers.SGD(0.0), "mse", metrics=[plain], weighted_metrics=[weighted])
    history = model.fit(X, Y, sample_weight=WEIGHTS, epochs=1, verbose=0).history
    predicted = model.predict(X, verbose=0)
    assert history["plain"][0] == pytest.approx(float(metrics.AUC()(Y, predicted)), rel=1e-5)
    assert history["weighted"][0] == pytest.approx(float(metrics.AUC()(Y, predicted, WEIGHTS)), rel=1e-5)
    assert history["plain"] != history["weighted"]


def test_per_output():
    x = kcore.Input((5,))
    outputs = {"a": layers.Dense(3, activation="softmax", name="a")(x), "b": layers.Dense(1, name="b")(x)}
    model = kcore.Model(x, outputs)
    model.compile(
        "sgd",
        {"a": "categorical_focal_crossentropy", "b": kcore.losses.Huber(0.5)},
        metrics={"a": [metrics.F1Score(average="macro"), "AUC"], "b": [metrics.R2Score(), "root_mean_squared_error"]},
    )
    history = model.fit(X, {"a": Y, "b": X[:, 0]}, epochs=1, verbose=0).history
    assert {"a_f1_score", "a_AUC", "b_r2_score", "b_root_mean_squared_error", "a_loss", "b_loss"} <= set(history)


def test_an_area_over_many_thresholds_costs_no_matrix_of_them():
    metric = metrics.AUC(num_thresholds=200)

    @function
    def step(y, p):
        metric.update_state(y, p)

    y, p = np.zeros(1000, "float32"), np.zeros(1000, "float32")
    step(y, p)
    plan = step.concrete(y, p).plan
    assert max(np.prod(value.shape) for step in plan.steps for value in step.node.outputs) <= 1000


def test_a_step_with_metrics_leaves_the_device_at_no_op():
    model = classifier()
    model.compile("sgd", "mse", metrics=["AUC", metrics.Precision(), metrics.OneHotMeanIoU(3), metrics.F1Score()])
    model.fit(X, Y, epochs=1, verbose=0)
    (concrete, *_) = model.make_train_function()._cache.values()
    backend = kcore.backend.current().backend.name
    foreign = [s for s in concrete.executable.plan.steps if s.kernel.backend != backend]
    assert not foreign


def test_a_metric_of_the_users_own_with_state_that_begins_otherwise():
    class Least(metrics.Metric):
        def __init__(self, name="least", **kwargs):
            super().__init__(name=name, **kwargs)
            self.value = self.add_weight(initializer="ones", name="value")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(kcore.ops.minimum(self.value.value, kcore.ops.min(y_pred)))

        def reset_state(self):
            self.value.assign(1.0)

        def result(self):
            return self.value

    model = classifier()
    model.compile(kcore.optimizers.SGD(0.0), "mse", metrics=[Least()])
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert history["least"][1] == pytest.approx(model.predict(X, verbose=0).min(), rel=1e-6)
