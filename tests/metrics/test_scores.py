"""F-scores, the coefficient of determination, correlations and means of losses, beside Keras's."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kcore import metrics
from kcore.runtime import function

RNG = np.random.default_rng(0)


def batches(weights=None, binary=True, columns=3):
    labels = [RNG.integers(0, 2, (10, columns)) if binary else RNG.normal(size=(10, columns)) for _ in range(3)]
    return [(y, RNG.random(y.shape), None if weights is None else RNG.random(weights)) for y in labels]


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("threshold", [None, 0.4])
@pytest.mark.parametrize("weights", [None, (10,)])
def test_f_scores(compare, average, threshold, weights):
    config = {"average": average, "threshold": threshold}
    compare("F1Score", config, batches(weights))
    compare("FBetaScore", {**config, "beta": 2.0}, batches(weights))
    assert isinstance(metrics.F1Score(), metrics.FBetaScore)


def test_a_beta_may_be_a_whole_number_and_weights_may_have_a_second_axis():
    y, p, w = batches((10,))[0]
    expected = metrics.FBetaScore(beta=2.0)(y, p, sample_weight=w)
    np.testing.assert_array_equal(metrics.FBetaScore(beta=2)(y, p, sample_weight=w[:, None]), expected)


@pytest.mark.parametrize("aggregation", [None, "uniform_average", "variance_weighted_average"])
@pytest.mark.parametrize("regressors", [0, 2])
@pytest.mark.parametrize("weights", [None, (10,), (10, 1), (10, 3)])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:.*regressors", "ignore:More independent")
def test_coefficients_of_determination(compare, aggregation, regressors, weights):
    config = {"class_aggregation": aggregation, "num_regressors": regressors}
    compare("R2Score", config, batches(weights, binary=False), rtol=1e-4)


def test_more_regressors_than_samples_are_warned_about_and_not_adjusted_for():
    y, p = np.array([[1.0], [4.0], [3.0]]), np.array([[2.0], [4.0], [4.0]])
    metric = metrics.R2Score(num_regressors=2, name="r")
    with pytest.warns(UserWarning, match="metric 'r': 2 regressors need more than 3 values for an adjusted score, the"):
        got = metric(y, p)
    assert float(got) == pytest.approx(0.5714, abs=1e-4)
    assert float(function(lambda y, p: metric(y, p))(y, p)) == pytest.approx(1 - (1 - 0.5714) * 5 / 3, abs=1e-4)


PER_ROW = [
    "PearsonCorrelation", "ConcordanceCorrelation", "CosineSimilarity", "Hinge", "SquaredHinge", "CategoricalHinge",
    "KLDivergence", "Poisson", "LogCoshError", "RootMeanSquaredError",
]  # fmt: skip


@pytest.mark.parametrize(
    "name, config, weights",
    [
        *((name, {}, weights) for name in PER_ROW for weights in (None, (10,))),
        ("PearsonCorrelation", {"axis": 0}, (3,)),
        ("ConcordanceCorrelation", {"axis": 0}, (3,)),
        ("RootMeanSquaredError", {}, (10, 3)),
    ],
)
def test_means_of_functions(compare, name, config, weights):
    compare(name, config, batches(weights), rtol=5e-5)


def test_the_axis_of_the_angle():
    y, p, _ = batches()[0]
    expected = metrics.CosineSimilarity()(y.T, p.T)
    assert float(metrics.CosineSimilarity(axis=0)(y, p)) == pytest.approx(float(expected))
    assert metrics.CosineSimilarity.from_config(metrics.CosineSimilarity(axis=0).get_config()).axis == 0


@pytest.mark.parametrize(
    "name",
    [
        "binary_focal_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "concordance_correlation",
        "hinge", "huber", "kl_divergence", "log_cosh", "pearson_correlation", "poisson", "squared_hinge",
    ],
)  # fmt: skip
def test_functions_are_those_of_keras(name):
    y, p, _ = batches()[0]
    p = p / p.sum(-1, keepdims=True)
    expected = getattr(keras.metrics, name)(y.astype("float32"), p)
    np.testing.assert_allclose(getattr(metrics, name)(y, p), expected, rtol=2e-5, atol=1e-6)


def test_labels_of_rank_one_meet_predictions_of_one_column():
    y, p = RNG.random(6), RNG.random((6, 1))
    for name in ("Poisson", "KLDivergence", "Hinge", "LogCoshError", "MeanSquaredError"):
        expected = getattr(metrics, name)()(y[:, None], p)
        assert float(getattr(metrics, name)()(y, p)) == float(expected)


def test_every_name_of_keras_stands_for_its_metric():
    for name, theirs in keras.src.metrics.ALL_OBJECTS_DICT.items():
        needed = {
            "io_u": (2, [0]), "one_hot_io_u": (2, [0]), "mean_io_u": (2,), "one_hot_mean_io_u": (2,),
            "sensitivity_at_specificity": (0.5,), "specificity_at_sensitivity": (0.5,), "precision_at_recall": (0.5,),
            "recall_at_precision": (0.5,),
        }.get(keras.src.utils.naming.to_snake_case(theirs.__name__))  # fmt: skip
        if theirs.__name__ in ("Metric", "MeanMetricWrapper"):
            continue
        if needed:
            theirs_made = theirs(*needed)
        else:
            assert type(metrics.get(name)).__name__ == theirs.__name__, name
            theirs_made = theirs()
        described = keras.metrics.serialize(theirs_made)
        mine = metrics.deserialize(described)
        assert type(mine).__name__ == theirs.__name__
        written = metrics.serialize(mine)
        if theirs is keras.metrics.CosineSimilarity:
            del written["config"]["axis"]  # which Keras forgets
        assert written == described
    assert {name for name in dir(keras.metrics) if not name.startswith("_")} <= set(metrics.__all__)
