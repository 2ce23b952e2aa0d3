"""Counts at thresholds, precision, recall, AUC and operating points, beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import config, metrics
from kcore.metrics.thresholds import Thresholds
from kcore.runtime import convert_to_tensor

RNG = np.random.default_rng(0)


def edges(shape):
    """Predictions, some of them on thresholds and at the ends."""
    y = RNG.random(shape).astype("float32")
    y.reshape(-1)[:8] = [0, 1, 0.5, 0.25, 0.75, 1, 0, 0.3]
    return y


def batches(shape, weights=None, labels="float32"):
    def weight():
        if weights is None:
            return None
        return np.float32(0.5) if weights == () else RNG.random(weights).astype("float32")

    return [((RNG.random(shape) > 0.5).astype(labels), edges(shape), weight()) for _ in range(3)]


COUNTS = ["TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"]
LISTS = [None, 0.3, [0.9], [0.2, 0.9], [0.9, 0.2, 0.5], [0.0, 0.5, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0]]


@pytest.mark.parametrize("name", [*COUNTS, "Precision", "Recall"])
@pytest.mark.parametrize("thresholds", LISTS)
def test_counts_at_thresholds(compare, name, thresholds):
    for shape, weights, labels in [
        ((20,), None, "float32"),
        ((20, 3), (20,), "int64"),
        ((20, 1), (20, 1), "bool"),
        ((6, 4, 2), (6, 4, 2), "uint8"),
        ((20,), (), "int32"),
    ]:
        compare(name, {"thresholds": thresholds}, batches(shape, weights, labels))


@pytest.mark.parametrize("name", ["Precision", "Recall"])
@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 2},
        {"top_k": 1, "thresholds": 0.4},
        {"class_id": 1},
        {"class_id": -1},
        {"top_k": 2, "class_id": 2, "thresholds": [0.1, 0.5]},
    ],
)
def test_the_best_few_and_one_class(compare, name, options):
    scores = [(y, RNG.dirichlet(np.ones(4), 10).astype("float32"), w) for y, _, w in batches((10, 4), (10,))]
    compare(name, options, scores)


@pytest.mark.parametrize(
    "name, argument",
    [
        ("SensitivityAtSpecificity", "specificity"),
        ("SpecificityAtSensitivity", "sensitivity"),
        ("PrecisionAtRecall", "recall"),
        ("RecallAtPrecision", "precision"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"num_thresholds": 1}, {"num_thresholds": 2}, {"class_id": 1}])
@pytest.mark.parametrize("value", [0.6, 0, 0.9])
def test_operating_points(compare, name, argument, options, value):
    compare(name, {argument: value, **options}, batches((30, 3), (30,)))


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN", "pr"])
@pytest.mark.parametrize("summation_method", ["interpolation", "Majoring", "minoring"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_areas_under_curves(compare, curve, summation_method, multi_label):
    options = {"curve": curve, "summation_method": summation_method, "multi_label": multi_label}
    for shape, weights in [((40, 3), None), ((40, 3), (40,)), ((40, 1), (40, 1))]:
        compare("AUC", options, batches(shape, weights), rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"num_thresholds": 2},
        {"num_thresholds": 3},
        {"thresholds": [0.7, 0.1, 0.3]},
        {"thresholds": [0.25, 0.5, 0.75]},
        {"thresholds": [0.7, 0.1], "multi_label": True},
        {"from_logits": True},
        {"multi_label": True, "num_labels": 3, "label_weights": [1.0, 2.0, 0.5]},
        {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2.0, 0.5]},
        {"label_weights": [1.0, 2.0, 0.5]},
    ],
)
def test_arguments_of_the_area(compare, options):
    for weights in (None, (30,)):
        compare("AUC", options, batches((30, 3), weights), rtol=1e-4)


def test_labels_of_rank_one_meet_predictions_of_one_column(compare):
    y, p, w = RNG.integers(0, 2, 12), edges((12, 1)), RNG.random(12)
    for name in ("AUC", "Precision", "TrueNegatives"):
        compare(name, {}, [(y, p, w), (y, p[:, 0], w), (y[:, None], p[:, 0], None)])


def test_a_prediction_is_positive_where_it_exceeds_the_threshold():
    values = np.array([-1, 0, 1e-9, 0.25, 0.2500001, 0.3, 0.5, 0.75, 0.9, 1.0, 2.0], "float32")
    epsilon = config.epsilon()
    for given in ([0.0, 0.25, 0.5, 0.75, 1.0], [0.3, 0.25, 0.9], [-epsilon, 0.5, 1 + epsilon], [0.5, 0.5]):
        got = np.asarray(Thresholds(given).passed(convert_to_tensor(values)))
        for i, threshold in enumerate(sorted(given)):
            clipped = values if given[0] >= 0 else np.clip(values, 0, 1)
            np.testing.assert_array_equal((got > i)[1:10], (clipped > np.float32(threshold))[1:10], str(given))


def test_predictions_that_are_no_numbers_are_never_positive():
    p = np.array([np.nan, 0.9], "float32")
    for thresholds in ([0.5], [0.0, 0.5, 1.0]):
        assert metrics.TruePositives(thresholds)(np.ones(2), p).numpy().reshape(-1)[0] == 1.0


def test_results_before_the_first_batch():
    for metric in (metrics.AUC(), metrics.AUC(multi_label=True), metrics.Precision(), metrics.PrecisionAtRecall(0.5)):
        metric.reset_state()
        assert float(metric.result()) == 0.0
