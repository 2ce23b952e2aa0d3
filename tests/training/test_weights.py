"""Class weights and sample weights: Keras's values, and clear errors."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import layers, losses, optimizers
from kcore.models import Model, Sequential
from kcore.training.weights import weights_by_class

WEIGHTS = {0: 0.5, 1: 3.0, 7: 9.0}
EYE = np.eye(8, dtype="float32")
LABELS = {
    "classes": np.array([0, 1, 2, 7]),
    "a column of classes": np.array([[0], [1], [2], [7]]),
    "floats": np.array([0.0, 1.0, 2.0, 7.0], "float32"),
    "one-hot": EYE[[0, 1, 2, 7]],
    "one-hot integers": EYE[[0, 1, 2, 7]].astype("int32"),
    "soft": EYE[[0, 1, 2, 7]] * 0.9 + 0.0125,
    "bools": np.array([True, False, True]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_weights_are_keras_s(kind):
    from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

    weights = {0: 0.5, 1: 3.0} if kind == "bools" else WEIGHTS
    expected = class_weight_to_sample_weights(LABELS[kind], weights)
    found = weights_by_class(LABELS[kind], weights)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, 2], [1, 1]])[..., None],  # classes over time, where Keras raises
        EYE[[[0, 2], [1, 1]]],
        np.array([[0, 2], [1, 1]]),
    ],
    ids=["column", "one-hot", "integers above 1"],
)
def test_labels_over_time_have_a_weight_for_every_step(labels):
    assert weights_by_class(labels, {0: 0.5, 1: 3.0}).tolist() == [[0.5, 1.0], [3.0, 3.0]]


def classifier(units=3, **compiled):
    model = Sequential([layers.Input((2,)), layers.Dense(units, activation="softmax", name="scores")])
    model.compile(**{"optimizer": optimizers.SGD(0.0), "loss": "sparse_categorical_crossentropy", **compiled})
    return model


X = np.linspace(0, 1, 12, dtype="float32").reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


class TestClassWeight:
    @pytest.mark.parametrize(
        ("weights", "said"),
        [
            ({"0": 1.0}, r"integer classes as keys, received '0' \(str\)"),
            ({0.5: 1.0}, "integer classes as keys, received 0.5"),
            ({True: 1.0}, "integer classes as keys, received True"),
            ({-1: 1.0}, "class_weight has a weight for class -1, but classes count from 0"),
            ({0: "heavy"}, r"class_weight\[0\] must be a number, received 'heavy' \(str\)"),
            ([1.0, 2.0], r"class_weight must be a dict of class -> weight, received \[1.0, 2.0\]"),
            ({3: 1.0}, "weight for class 3, but output 'scores' has 3 units: its classes are 0 to 2"),
        ],
    )
    def test_wrong_ones_are_refused(self, weights, said):
        with pytest.raises(ValueError, match=said):
            classifier().fit(X, Y, class_weight=weights, verbose=0)

    def test_one_hot_labels_tell_the_classes(self):
        with pytest.raises(ValueError, match=r"weight for class 5, but y has the shape \(6, 3\): its classes are 0 to"):
            classifier(loss="categorical_crossentropy").fit(X, EYE[Y, :3], class_weight={5: 1.0}, verbose=0)

    def test_a_class_that_does_not_occur_is_fine(self):
        model = classifier()
        still = {"shuffle": False, "verbose": 0}
        plain = model.fit(X[:2], Y[:2], **still).history
        assert model.fit(X[:2], Y[:2], class_weight={2: 9.0}, **still).history == plain
        assert model.fit(X[:2], Y[:2], class_weight={}, **still).history == plain

    def test_it_reaches_the_loss_and_weighted_metrics_only(self):
        model = classifier(metrics=["accuracy"], weighted_metrics=["accuracy"])
        still = {"shuffle": False, "verbose": 0}
        logs = model.fit(X, Y, class_weight={0: 5.0}, **still).history
        same = model.fit(X, Y, sample_weight=np.where(Y == 0, 5.0, 1.0), **still).history
        assert logs == same and logs["accuracy"] == model.fit(X, Y, **still).history["accuracy"]

    def test_validation_is_not_weighted_by_class(self):
        model = classifier()
        logs = model.fit(X, Y, class_weight={0: 5.0}, validation_data=(X, Y), verbose=0).history
        assert logs["val_loss"] == [pytest.approx(model.evaluate(X, Y, verbose=0))]

    def test_one_batch_and_streams_take_it(self):
        model = classifier()
        expected = model.fit(X, Y, class_weight={0: 5.0}, shuffle=False, verbose=0).history["loss"]
        assert [model.train_on_batch(X, Y, class_weight={0: 5.0})] == expected
        assert model.fit(iter([(X, Y)]), class_weight={0: 5.0}, verbose=0).history["loss"] == expected
        with pytest.raises(ValueError, match="cannot be used at the same time"):
            model.train_on_batch(X, Y, class_weight={0: 5.0}, sample_weight=np.ones(6))

    def test_several_outputs_are_refused(self):
        with pytest.raises(ValueError, match="class_weight works only for models with a single output"):
            two().fit(X, [Y, Y], class_weight={0: 1.0}, verbose=0)
        with pytest.raises(ValueError, match="class_weight needs labels, but y is None"):
            classifier().fit(X, class_weight={0: 1.0}, verbose=0)


def two(units=1, **compiled):
    x = layers.Input((2,), name="x")
    model = Model(x, [layers.Dense(1, name="p")(x), layers.Dense(units, name="q")(x)])
    model.compile(**{"optimizer": optimizers.SGD(0.0), "loss": ["mse", "mae"], **compiled})
    return model


class TestSampleWeight:
    W = np.arange(6.0)

    def test_one_for_all_outputs_or_one_for_each(self):
        model, y = two(), [X[:, :1], X[:, 1:]]
        still = {"shuffle": False, "verbose": 0}
        single = model.fit(X, y, sample_weight=self.W, **still).history
        for each in ([self.W, self.W], [self.W[:, None], self.W]):
            assert model.fit(X, y, sample_weight=each, **still).history == single
        named = dict(zip("pq", y, strict=True))
        assert model.fit(X, named, sample_weight={"p": self.W, "q": self.W}, **still).history == single
        first = model.fit(X, y, sample_weight=[self.W, np.ones(6)], **still).history
        assert first["p_loss"] == single["p_loss"] and first["q_loss"] != single["q_loss"]

    def test_weights_per_time_step(self):
        model = Sequential([layers.Input((4, 2)), layers.Dense(3, activation="softmax")])
        model.compile(optimizers.SGD(0.0), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
        rng = np.random.default_rng(0)
        x, y, w = rng.random((5, 4, 2), dtype="float32"), rng.integers(0, 3, (5, 4)), rng.random((5, 4))
        values = losses.sparse_categorical_crossentropy(y, model.predict(x, verbose=0)).numpy()
        logs = model.fit(x, y, sample_weight=w, verbose=0).history
        assert logs["loss"][0] == pytest.approx((values * w).mean(), rel=1e-5)
        right = model.predict(x, verbose=0).argmax(-1) == y
        assert logs["accuracy"][0] == pytest.approx((right * w).sum() / w.sum(), rel=1e-5)

    @pytest.mark.parametrize(
        ("weights", "said"),
        [
            (np.ones(5), r"x has 6 \(shape \(6, 2\)\), y has 6 .*sample_weight has 5"),
            (np.ones((6, 2)), r"sample_weight has the shape \(6, 2\), which has more axes than its target"),
            (np.ones((6, 2, 2)), r"sample_weight has the shape \(6, 2, 2\)"),
            (["a"] * 6, "sample_weight must hold numbers"),
            (1.0, "sample_weight must have a first axis of samples, but it is a scalar"),
        ],
    )
    def test_wrong_ones_are_refused(self, weights, said):
        model = classifier()
        for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(ValueError, match=said):
                call(X, Y, sample_weight=weights)

    def test_wrong_ones_for_several_outputs_are_refused(self):
        y = [X[:, :1], X[:, 1:]]
        with pytest.raises(ValueError, match=r"for several outputs one array must hold one weight per sample"):
            two().fit(X, y, sample_weight=np.ones((6, 2)), verbose=0)
        with pytest.raises(ValueError, match=r"sample_weight\[1\] has the shape \(6, 3\), which has more axes"):
            two().fit(X, y, sample_weight=[np.ones(6), np.ones((6, 3))], verbose=0)
        with pytest.raises(ValueError, match=r"sample_weight has the keys \['p', 'r'\], but the model's outputs are"):
            two().fit(X, y, sample_weight={"p": np.ones(6), "r": np.ones(6)}, verbose=0)
        with pytest.raises(ValueError, match="sample_weight and the model's outputs have different structures"):
            two().fit(X, y, sample_weight=[np.ones(6)] * 3, verbose=0)


class TestErrorsOfShapes:
    def test_the_output_is_named(self):
        for eager in (False, True):
            with pytest.raises(ValueError, match=r"output 'q': .*\(6, 3\) does not fit y_pred of shape \(6, 2\)"):
                two(2, run_eagerly=eager, loss="mse").fit(X, [Y, np.ones((6, 3))], verbose=0)

    def test_the_labels_are_named(self):
        with pytest.raises(ValueError, match=r"output 'scores': argument 'y' holds 5 in row 2"):
            classifier(run_eagerly=True).fit(X, Y + [0, 0, 3, 0, 0, 0], shuffle=False, verbose=0)


class TestNames:
    @pytest.mark.parametrize("form", [dict, list])
    def test_inputs_by_name(self, form):
        a, b = layers.Input((2,), name="age"), layers.Input((2,), name="town")
        given = {"age": a, "town": b} if form is dict else [a, b]
        model = Model(given, layers.Dense(1)(layers.Concatenate()([a, b])))
        model.compile("sgd", "mse")
        model.fit({"town": X, "age": X}, Y, verbose=0)
        known = r"\['age', 'town'\]"
        for call in (model.fit, model.evaluate, lambda x, y, **o: model.predict(x, **o)):
            with pytest.raises(ValueError, match=f"has no input 'twon'; its inputs are {known}; did you mean 'town'"):
                call({"age": X, "twon": X}, Y, verbose=0)
            with pytest.raises(ValueError, match="'town' is missing"):
                call({"age": X}, Y, verbose=0)
