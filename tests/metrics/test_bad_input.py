"""What is said where labels, predictions, weights or arguments of a metric do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import metrics

ONES = np.ones((4, 3), "float32")


@pytest.mark.parametrize("name", ["TruePositives", "Precision", "Recall", "AUC"])
@pytest.mark.parametrize("value", [1.5, -0.1])
def test_thresholds_lie_between_0_and_1(name, value):
    for given in [value] if name == "AUC" else [value, [0.5, value]]:
        given = [given] if name == "AUC" else given
        with pytest.raises(
            ValueError, match=rf"{name}: argument thresholds=.*: expected numbers between 0 and 1, got {value}"
        ):
            getattr(metrics, name)(thresholds=given)
    with pytest.raises(ValueError, match=f"{name}: argument thresholds=.*: expected numbers between 0 and 1, got none"):
        getattr(metrics, name)(thresholds=[])


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: metrics.SensitivityAtSpecificity(1.2),
            "SensitivityAtSpecificity: argument specificity=1.2: expected a nu",
        ),
        (
            lambda: metrics.SpecificityAtSensitivity(-1),
            "SpecificityAtSensitivity: argument sensitivity=-1: expected a numb",
        ),
        (
            lambda: metrics.PrecisionAtRecall(2),
            "PrecisionAtRecall: argument recall=2: expected a number between 0 and 1",
        ),
        (
            lambda: metrics.RecallAtPrecision("a"),
            "RecallAtPrecision: argument precision='a': expected a number between",
        ),
        (
            lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0),
            "argument num_thresholds=0: expected a positive integer",
        ),
        (lambda: metrics.AUC(num_thresholds=1), "AUC: argument num_thresholds=1: expected an integer of at least 2"),
        (lambda: metrics.AUC(curve="rock"), "AUC: argument curve='rock': expected one of 'ROC', 'PR', 'PRGAIN'"),
        (lambda: metrics.AUC(summation_method="minor"), "argument summation_method='minor': expected one of"),
        (lambda: metrics.AUC(num_labels=3), "AUC: num_labels=3 is for multi_label=True"),
        (lambda: metrics.AUC(multi_label=True, num_labels=3, label_weights=[1.0, 2.0]), "2 label_weights do not fit 3"),
        (lambda: metrics.MeanIoU(), "MeanIoU: missing a required argument: 'num_classes'"),
        (lambda: metrics.MeanIoU(0), "MeanIoU: argument num_classes=0: expected a positive integer"),
        (
            lambda: metrics.IoU(2, [0, 2]),
            r"IoU: target_class_ids=\[0, 2\] must be classes from 0 to 1, as num_classes is 2",
        ),
        (lambda: metrics.BinaryIoU([]), r"BinaryIoU: target_class_ids=\[\] must be classes from 0 to 1"),
        (lambda: metrics.FBetaScore(beta=0), "FBetaScore: argument beta=0: expected a number above 0"),
        (lambda: metrics.F1Score(threshold=1.5), "F1Score: argument threshold=1.5: expected a number above 0 and not"),
        (lambda: metrics.F1Score(average="mean"), "F1Score: argument average='mean': expected one of None, 'micro'"),
        (lambda: metrics.R2Score(num_regressors=-1), "R2Score: argument num_regressors=-1: expected an integer of at"),
        (lambda: metrics.R2Score("uniform"), "R2Score: argument class_aggregation='uniform': expected one of"),
        (lambda: metrics.Precision(top_k=0), "Precision: argument top_k=0: expected a positive integer"),
        (
            lambda: metrics.BinaryCrossentropy(label_smoothing=2),
            "argument label_smoothing=2: expected a number between 0",
        ),
        (lambda: metrics.get("precison"), "there is no metric called 'precison'; did you mean 'Precision'"),
        (lambda: metrics.Recall(threshold=0.5), "Recall: .* did you mean 'thresholds'"),
    ],
)
def test_arguments_that_cannot_be(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    "metric, y_true, y_pred, message",
    [
        (
            metrics.Precision(name="p"),
            np.zeros(4),
            ONES,
            r"metric 'p': y_true of shape \(4,\) and y_pred of shape \(4, 3\) must have .*must be one-hot",
        ),
        (
            metrics.AUC(name="a"),
            ONES[:, :2],
            ONES,
            r"metric 'a': y_true of shape \(4, 2\) and y_pred of shape \(4, 3\)",
        ),
        (
            metrics.AUC(name="a", multi_label=True),
            ONES[0],
            ONES[0],
            r"metric 'a': with multi_label=True y_pred must have the shape \(batch, labels\), got \(3,\)",
        ),
        (
            metrics.AUC(name="a", multi_label=True, num_labels=2),
            ONES,
            ONES,
            r"metric 'a': expected 2 labels, got y_pred of shape \(4, 3\)",
        ),
        (
            metrics.AUC(name="a", label_weights=[1.0, 2.0]),
            ONES,
            ONES,
            r"metric 'a': label_weights, as \(2,\), does not fit y_pred, as \(4, 3\)",
        ),
        (
            metrics.Recall(name="r", class_id=3),
            ONES,
            ONES,
            r"metric 'r': class_id=3 needs y_pred of .* with more classes than that, got \(4, 3\)",
        ),
        (metrics.Recall(name="r", class_id=0), ONES[0], ONES[0], r"metric 'r': class_id=0 needs y_pred .* got \(3,\)"),
        (
            metrics.Recall(name="r", top_k=4),
            ONES,
            ONES,
            r"metric 'r': top_k=4 needs as many classes, got y_pred of shape \(4, 3\)",
        ),
        (
            metrics.F1Score(name="f"),
            ONES[0],
            ONES[0],
            r"metric 'f': y_true and y_pred must both have the shape \(batch, classes\), got \(3,\) and \(3,\)",
        ),
        (
            metrics.R2Score(name="r2"),
            ONES[0],
            ONES[0],
            r"metric 'r2': y_true and y_pred must both have the shape \(batch, outputs\)",
        ),
        (
            metrics.R2Score(name="r2"),
            ONES[:, :2],
            ONES,
            r"r2: y_true of shape \(4, 2\) does not fit y_pred of shape \(4, 3\)",
        ),
        (
            metrics.MeanIoU(3, name="m"),
            np.zeros(5),
            np.zeros(4),
            r"metric 'm': y_true of shape \(5,\) and y_pred of .* must have as many entries, got 5 and 4",
        ),
        (
            metrics.MeanIoU(2, sparse_y_pred=False, name="m"),
            np.zeros(4),
            ONES,
            r"metric 'm': expected at most 2 classes \(num_classes\) along axis -1 of y_pred, got shape",
        ),
        (metrics.Hinge(), ONES[:, :2], ONES, r"hinge: y_true of shape \(4, 2\) does not fit y_pred of shape \(4, 3\)"),
        (
            metrics.PearsonCorrelation(),
            ONES[:, :2],
            ONES,
            r"pearson_correlation: y_true of shape \(4, 2\) does not fit",
        ),
        (
            metrics.RootMeanSquaredError(),
            ONES[:, :2],
            ONES,
            r"root_mean_squared_error: y_true of shape \(4, 2\) does not fit",
        ),
        (metrics.BinaryAccuracy(), ONES[:, :2], ONES, r"binary_accuracy: y_true of shape \(4, 2\) does not fit"),
        (
            metrics.CategoricalAccuracy(),
            np.zeros((4,)),
            ONES,
            r"categorical_accuracy: y_true of shape \(4,\) .* use sparse_categorical_accuracy",
        ),
        (
            metrics.SparseCategoricalAccuracy(),
            ONES,
            ONES,
            r"sparse_categorical_accuracy: expected integer labels .* use categorical_accuracy",
        ),
        (
            metrics.SparseTopKCategoricalAccuracy(),
            ONES,
            ONES,
            r"sparse_top_k_categorical_accuracy: expected integer labels y_true of shape \(4,\)",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_the_metric(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric.update_state(y_true, y_pred)


@pytest.mark.parametrize(
    "metric, weight, message",
    [
        (
            metrics.AUC(name="a"),
            np.ones(3),
            r"metric 'a': sample_weight, as \(3, 1\), does not fit y_pred, as \(4, 3\)",
        ),
        (metrics.F1Score(name="f"), np.ones(3), r"metric 'f': sample_weight must have the shape \(4,\), got \(3,\)"),
        (
            metrics.MeanIoU(2, name="m"),
            np.ones(3, int),
            r"metric 'm': sample_weight of shape \(3,\) does not fit 12 labels",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_with_the_metric(metric, weight, message):
    with pytest.raises(ValueError, match=message):
        metric.update_state(ONES, ONES, sample_weight=weight)


def test_in_fit_the_metric_is_named():
    model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["Precision"])
    with pytest.raises(ValueError, match="metric 'Precision': y_true of shape .* integer labels of several classes"):
        model.fit(np.zeros((4, 2)), np.zeros(4), verbose=0)


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_no_values_are_named(name):
    metric = getattr(kcore.metrics, name)(name="mine")
    for call in (metric, metric.update_state):
        with pytest.raises(ValueError, match=rf"^metric 'mine' \({name}\): values is None, expected numbers$"):
            call(None)
    assert float(metric.result()) == 0
