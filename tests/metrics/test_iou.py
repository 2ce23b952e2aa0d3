"""Intersection over union beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import metrics

RNG = np.random.default_rng(0)
LABELS, FOUND = RNG.integers(0, 4, (2, 2, 5, 6))
SCORES = RNG.random((2, 5, 6, 4)).astype("float32")
ONE_HOT = np.eye(4)[LABELS]
BINARY = RNG.integers(0, 2, (2, 30))
CASES = [
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, LABELS, FOUND),
    ("IoU", {"num_classes": 4, "target_class_ids": (3,)}, LABELS.astype("uint8"), FOUND.astype("float32")),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, LABELS, FOUND),  # class 3 does not count
    ("MeanIoU", {"num_classes": 4}, LABELS, FOUND),
    ("MeanIoU", {"num_classes": 6, "dtype": "float32"}, LABELS, FOUND),  # classes that do not occur
    ("MeanIoU", {"num_classes": 4, "ignore_class": 2}, LABELS, FOUND),
    ("MeanIoU", {"num_classes": 4, "ignore_class": -1}, LABELS - 1, FOUND),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False}, LABELS, SCORES),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1, 3]}, ONE_HOT, SCORES),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1], "sparse_y_pred": True}, ONE_HOT, FOUND),
    ("OneHotMeanIoU", {"num_classes": 4, "ignore_class": 0}, ONE_HOT, SCORES),
    ("BinaryIoU", {}, BINARY, RNG.random((2, 30))),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, BINARY[..., None], RNG.random((2, 30, 1))),
]


@pytest.mark.parametrize("name, config, y_true, y_pred", CASES)
@pytest.mark.parametrize("weighted", [None, "int64", "float32"])
@pytest.mark.filterwarnings("ignore:You are passing weight", "ignore:.*cuts off the fractions")
def test_results_are_those_of_keras(compare, name, config, y_true, y_pred, weighted):
    entries = FOUND[0].shape if name != "BinaryIoU" else (30,)
    weights = [None, None] if weighted is None else (RNG.random((2, *entries)) * 4).astype(weighted)
    results = compare(name, config, zip(y_true, y_pred, weights, strict=True))
    assert 0 < results[-1] < 1


def test_the_axis_of_the_classes():
    metric = metrics.OneHotMeanIoU(num_classes=4, axis=1)
    expected = metrics.OneHotMeanIoU(num_classes=4)(ONE_HOT[0], SCORES[0])
    assert float(metric(np.moveaxis(ONE_HOT[0], -1, 1), np.moveaxis(SCORES[0], -1, 1))) == float(expected)


def test_fractions_of_weights_that_are_cut_off_are_warned_about():
    metric = metrics.MeanIoU(2, name="m")
    with pytest.warns(UserWarning, match="metric 'm' counts in int32, which cuts off the fractions of its float32"):
        metric.update_state([0, 1], [0, 1], sample_weight=np.array([0.5, 1.5], "float32"))
    np.testing.assert_array_equal(metric.total_cm.numpy(), [[0, 0], [0, 1]])


def test_classes_stand_in_keras_line():
    assert issubclass(metrics.OneHotMeanIoU, metrics.MeanIoU) and issubclass(metrics.MeanIoU, metrics.IoU)
    assert metrics.MeanIoU(3).target_class_ids == [0, 1, 2]
