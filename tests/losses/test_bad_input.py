"""What is said where labels, predictions, weights or arguments of a loss do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import losses
from kcore.runtime import convert_to_tensor

PAIRWISE = [
    "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError",
    "CosineSimilarity", "Huber", "LogCosh", "Hinge", "SquaredHinge", "CategoricalHinge", "KLDivergence", "Poisson",
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "Dice", "Tversky",
]  # fmt: skip


@pytest.mark.parametrize("name", PAIRWISE)
def test_shapes_that_do_not_fit_are_named_with_the_loss(name):
    loss = getattr(losses, name)()
    function = type(loss).fn.__name__
    with pytest.raises(
        ValueError, match=rf"{function}: y_true of shape \(4, 3\) does not fit y_pred of shape \(4, 2\)"
    ):
        loss(np.ones((4, 3)), np.ones((4, 2)))


@pytest.mark.parametrize("name", ["BinaryCrossentropy", "BinaryFocalCrossentropy"])
def test_labels_of_two_classes_are_not_broadcast(name):
    with pytest.raises(ValueError, match=r"y_true of shape \(4, 1\) does not fit y_pred of shape \(4, 3\)"):
        getattr(losses, name)()(np.ones((4, 1)), np.ones((4, 3)))


@pytest.mark.parametrize("name", ["categorical_crossentropy", "categorical_focal_crossentropy"])
def test_integer_labels_for_a_loss_of_one_hot_ones_name_the_other_loss(name):
    with pytest.raises(
        ValueError,
        match=rf"{name}: y_true and y_pred must have the same shape, got \(4,\) and \(4, 3\); for classes as "
        "integers use sparse_categorical_crossentropy",
    ):
        getattr(losses, name)(np.zeros(4, "int32"), np.ones((4, 3), "float32"))


@pytest.mark.parametrize("name", ["SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"])
def test_one_hot_labels_for_a_loss_of_integers_name_the_other_loss(name):
    with pytest.raises(
        ValueError,
        match=r"expected integer labels y_true of shape \(4,\) or \(4, 1\) for y_pred of shape \(4, 3\), got \(4, 3\); "
        "for one-hot labels use categorical_crossentropy",
    ):
        getattr(losses, name)()(np.ones((4, 3)), np.ones((4, 3)))


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_named_with_its_row(label):
    model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(3, activation="softmax")])
    model.compile("sgd", losses.CategoricalGeneralizedCrossEntropy())
    with pytest.raises(
        ValueError,
        match=f"argument 'y' holds {label} in row 2, but loss 'categorical_generalized_cross_entropy' "
        "takes classes 0 to 2",
    ):
        model.fit(np.zeros((4, 2)), np.array([0, 1, label, 0]), verbose=0)


def test_classes_of_the_circle_loss_are_one_per_embedding():
    with pytest.raises(ValueError, match=r"circle: y_true of shape \(3, 1\) does not fit embeddings of shape \(4, 2\)"):
        losses.circle([0, 1, 2], np.ones((4, 2), "float32"))
    with pytest.raises(
        ValueError, match=r"circle: ref_labels of shape \(4, 1\) does not fit embeddings of shape \(3, 2\)"
    ):
        losses.circle([0] * 4, np.ones((4, 2), "float32"), ref_embeddings=np.ones((3, 2), "float32"))


@pytest.mark.parametrize(
    "labels, weight, values", [((5, 4, 2), (5,), "(5, 4)"), ((5, 4, 2), (5, 3), "(5, 4)"), ((5, 2), (4,), "(5,)")]
)
def test_weights_that_do_not_fit_are_named_with_the_loss(labels, weight, values):
    y = np.ones(labels)
    with pytest.raises(ValueError) as caught:
        losses.MeanSquaredError(name="far")(y, y, sample_weight=np.ones(weight))
    assert f"far: sample_weight of shape {weight} does not fit the values, of shape {values}" in str(caught.value)


def test_a_mask_that_does_not_fit_is_named():
    y_pred = convert_to_tensor(np.ones((5, 4), "float32"))
    y_pred._keras_mask = convert_to_tensor(np.ones(3, bool))
    with pytest.raises(ValueError, match=r"the mask of shape \(3,\) does not fit the values, of shape \(5,\)"):
        losses.MeanSquaredError()(np.ones((5, 4)), y_pred)
    with pytest.raises(ValueError, match=r"sample_weight of shape \(5,\) does not fit the mask, of shape \(3,\)"):
        losses.MeanSquaredError()(np.ones((5, 4)), y_pred, sample_weight=np.ones(5))


@pytest.mark.parametrize(
    "name",
    ["BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy"],
)
@pytest.mark.parametrize("value", [1.5, -0.1])
def test_label_smoothing_is_a_share(name, value):
    with pytest.raises(
        ValueError, match=f"{name}: argument label_smoothing={value}: expected a number between 0 and 1"
    ):
        getattr(losses, name)(label_smoothing=value)
    function = getattr(losses, name).fn
    with pytest.raises(ValueError, match=f"{function.__name__}: label_smoothing must lie between 0 and 1, got {value}"):
        function(np.ones((2, 3), "float32"), np.ones((2, 3), "float32"), label_smoothing=value)


@pytest.mark.parametrize("q", [0, 1, 1.5, True])
def test_q_lies_between_0_and_1(q):
    with pytest.raises(
        ValueError, match=f"CategoricalGeneralizedCrossEntropy: argument q={q}: expected a number between"
    ):
        losses.CategoricalGeneralizedCrossEntropy(q=q)


def test_a_class_axis_that_is_no_number_is_named():
    with pytest.raises(ValueError, match="categorical_focal_crossentropy: axis must be an int, got True"):
        losses.categorical_focal_crossentropy(np.ones((2, 3), "float32"), np.ones((2, 3), "float32"), axis=True)


def test_one_class_alone_is_warned_about():
    with pytest.warns(SyntaxWarning, match=r"categorical_focal_crossentropy of predictions of shape \(2, 1\)"):
        losses.categorical_focal_crossentropy(np.ones((2, 1), "float32"), np.ones((2, 1), "float32"))


def test_unknown_names_show_near_ones():
    with pytest.raises(ValueError, match="there is no loss called 'hubert'; did you mean 'huber'"):
        losses.get("hubert")
    with pytest.raises(TypeError, match="Tversky: .* did you mean 'alpha'"):
        losses.Tversky(alhpa=0.3)
