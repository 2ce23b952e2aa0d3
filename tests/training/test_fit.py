"""fit, evaluate and predict: Keras's semantics, one Executable per step, nothing changed by bad input."""

from __future__ import annotations

import logging
import os
import signal

import numpy as np
import pytest

from kcore import GradientTape, callbacks, layers, losses, metrics, ops, optimizers, set_random_seed
from kcore.backend.compile import Executable
from kcore.graph.op import Op
from kcore.models import Model, Sequential


def linear(units=1, features=3, **compiled):
    model = Sequential([layers.Input((features,)), layers.Dense(units)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


def data(samples=20, features=3, units=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((samples, features), dtype="float32"), rng.random((samples, units), dtype="float32")


def mse(model, x, y):
    kernel, bias = model.get_weights()
    return np.mean((x @ kernel + bias - y) ** 2)


class TestSteps:
    def test_one_step_is_one_run_and_calls_no_op(self, monkeypatch):
        model, (x, y) = linear(optimizer="adam", metrics=["mae"]), data(32)
        model.fit(x, y, batch_size=8, verbose=0)
        runs, calls = [], []
        run, call = Executable.run, Op.__call__
        monkeypatch.setattr(Executable, "run", lambda self, *a: (runs.append(1), run(self, *a))[1])
        monkeypatch.setattr(Op, "__call__", lambda self, *a, **k: (calls.append(self.name), call(self, *a, **k))[1])
        step = model.make_train_function()
        batch = model_batch(x[:8], y[:8])
        step(batch)
        assert len(runs) == 1 and calls == []

    def test_a_step_is_gradient_descent(self):
        model, (x, y) = linear(optimizer=optimizers.SGD(0.1)), data(8)
        kernel, bias = model.get_weights()
        error = x @ kernel + bias - y
        model.fit(x, y, batch_size=8, verbose=0)
        np.testing.assert_allclose(model.get_weights()[0], kernel - 0.1 * 2 * x.T @ error / 8, rtol=1e-4)
        np.testing.assert_allclose(model.get_weights()[1], bias - 0.1 * 2 * error.mean(0), rtol=1e-4)

    def test_running_eagerly_gives_the_same(self):
        x, y = data(16)
        weights = []
        for eager in (False, True):
            set_random_seed(3)
            model = linear(optimizer="rmsprop", run_eagerly=eager)
            model.fit(x, y, batch_size=4, epochs=2, verbose=0)
            weights.append(model.get_weights())
        for a, b in zip(*weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)

    def test_two_runs_with_one_seed_are_bit_identical(self):
        x, y = data(50)

        def run():
            set_random_seed(5)
            model = Sequential(
                [layers.Input((3,)), layers.Dense(8, activation="relu"), layers.Dropout(0.5), layers.Dense(1)]
            )
            model.compile("adam", "mse")
            return model.fit(x, y, batch_size=7, epochs=3, verbose=0).history["loss"], model.get_weights()

        (loss, weights), (again, same) = run(), run()
        assert loss == again
        assert all((a == b).all() for a, b in zip(weights, same, strict=True))

    def test_a_changed_learning_rate_counts_at_the_next_step_without_a_trace(self):
        model, (x, y) = linear(), data(8)
        model.fit(x, y, verbose=0)
        traces = model.make_train_function().traces
        model.optimizer.learning_rate = 0.0
        before = model.get_weights()
        model.fit(x, y, verbose=0)
        assert (model.get_weights()[0] == before[0]).all()
        assert model.make_train_function().traces == traces

    def test_the_variables_trained_are_those_trainable_at_compile(self):
        model, (x, y) = linear(), data(8)
        model.layers[0].trainable = False
        before = model.get_weights()[0]
        model.fit(x, y, verbose=0)
        assert (model.get_weights()[0] != before).any()
        model.compile("sgd", "mse")
        before = model.get_weights()[0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model.layers[0], "_trainable", False)
            model.fit(x, y, verbose=0)
        assert (model.get_weights()[0] == before).all()

    def test_steps_per_execution_calls_batch_callbacks_less_often(self):
        ends = []

        class Note(callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                ends.append(batch)

        linear(steps_per_execution=3).fit(*data(7), batch_size=1, verbose=0, callbacks=[Note()])
        assert ends == [2, 5, 6]


def model_batch(x, y):
    from kcore.training.data import pack, whole

    return pack(whole(x), whole(y))


class TestEpochs:
    def test_the_epochs_loss_weighs_batches_by_their_size(self):
        model, (x, y) = linear(optimizer=optimizers.SGD(0.0)), data(10)
        history = model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        assert history.history["loss"][0] == pytest.approx(mse(model, x, y), rel=1e-5)

    def test_history_holds_sorted_floats_per_epoch(self):
        model, (x, y) = linear(metrics=["mae"]), data()
        history = model.fit(x, y, epochs=5, initial_epoch=2, validation_split=0.2, verbose=0)
        assert history is model.history
        assert history.epoch == [2, 3, 4]
        assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
        assert all(type(v) is float for values in history.history.values() for v in values)

    def test_validation_split_is_the_unshuffled_tail(self):
        model, (x, y) = linear(optimizer=optimizers.SGD(0.0)), data(10)
        history = model.fit(x, y, validation_split=0.25, verbose=0).history
        assert history["val_loss"][0] == pytest.approx(mse(model, x[7:], y[7:]), rel=1e-5)
        assert history["loss"][0] == pytest.approx(mse(model, x[:7], y[:7]), rel=1e-5)

    def test_validation_data_goes_before_the_split_and_may_be_less_often(self):
        model, (x, y) = linear(optimizer=optimizers.SGD(0.0)), data(10)
        options = {"validation_data": (x[:3], y[:3]), "validation_split": 0.5, "epochs": 4, "verbose": 0}
        history = model.fit(x, y, validation_freq=2, **options).history
        assert len(history["val_loss"]) == 2
        assert history["val_loss"][0] == pytest.approx(mse(model, x[:3], y[:3]), rel=1e-5)
        assert len(model.fit(x, y, validation_freq=[1, 4], **options).history["val_loss"]) == 2

    def test_generators_train(self):
        model, (x, y) = linear(), data(12)
        stream = ((x[i : i + 4], y[i : i + 4]) for _ in range(2) for i in (0, 4, 8))
        history = model.fit(stream, steps_per_epoch=3, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2

    def test_a_callback_stops_training(self):
        class Stop(callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = epoch == 1

        assert linear().fit(*data(), epochs=9, verbose=0, callbacks=[Stop()]).epoch == [0, 1]

    def test_batch_logs_are_running_means_and_snapshots(self):
        kept = []

        class Keep(callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                kept.append(logs)

        model, (x, y) = linear(optimizer=optimizers.SGD(0.0)), data(8)
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[Keep()])
        assert [logs["loss"] for logs in kept] == [
            pytest.approx(mse(model, x[:4], y[:4]), rel=1e-5),
            pytest.approx(mse(model, x, y), rel=1e-5),
        ]

    def test_the_lines_of_a_log(self, capsys):
        linear(metrics=["mae"]).fit(*data(), batch_size=5, epochs=2)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "Epoch 1/2" and lines[2] == "Epoch 2/2"
        assert lines[1].startswith("4/4 - 0s - ") and " - loss: " in lines[1] and " - mae: " in lines[1]


class TestWeights:
    def test_sample_weights_reach_loss_and_weighted_metrics_only(self):
        model, (x, y) = linear(optimizer=optimizers.SGD(0.0), metrics=["mae"], weighted_metrics=["mae"]), data(6)
        weights = np.arange(6.0)
        logs = model.fit(x, y, sample_weight=weights, verbose=0).history
        kernel, bias = model.get_weights()
        error = (x @ kernel + bias - y)[:, 0]
        assert logs["loss"][0] == pytest.approx(np.mean(error**2 * weights), rel=1e-5)
        assert logs["mae"][0] == pytest.approx(np.mean(abs(error)), rel=1e-5)
        assert logs["weighted_mae"][0] == pytest.approx(np.average(abs(error), weights=weights), rel=1e-5)

    def test_class_weights_weigh_by_label(self):
        rng = np.random.default_rng(0)
        x, y = rng.random((6, 3), dtype="float32"), np.array([0, 1, 0, 1, 1, 0])
        logs = []
        for options in ({"class_weight": {0: 1.0, 1: 3.0}}, {"sample_weight": np.where(y == 1, 3.0, 1.0)}):
            set_random_seed(1)
            model = linear(2, loss=losses.SparseCategoricalCrossentropy(from_logits=True))
            logs.append(model.fit(x, y, verbose=0, **options).history["loss"])
        assert logs[0] == logs[1]


class TestNames:
    @pytest.mark.parametrize(
        ("units", "labels", "kind"),
        [
            (1, (4, 1), metrics.BinaryAccuracy),
            (3, (4,), metrics.SparseCategoricalAccuracy),
            (3, (4, 1), metrics.SparseCategoricalAccuracy),
            (3, (4, 3), metrics.CategoricalAccuracy),
        ],
    )
    def test_accuracy_follows_the_shapes(self, units, labels, kind):
        model = linear(units, metrics=["accuracy"], loss=lambda t, p: ops.mean(p, axis=-1))
        model.train_on_batch(np.zeros((4, 3)), np.zeros(labels, "int32"))
        assert type(model.metrics[1]) is kind and model.metrics[1].name == "accuracy"

    def test_plain_functions_are_losses_and_metrics(self):
        def gap(y_true, y_pred):
            return ops.mean(ops.abs(y_true - y_pred), axis=-1)

        logs = linear(loss=gap, metrics=[gap]).train_on_batch(*data(4), return_dict=True)
        assert list(logs) == ["gap", "loss"] and logs["gap"] == pytest.approx(logs["loss"])

    def two_outputs(self, **compiled):
        x = layers.Input((3,))
        model = Model(x, [layers.Dense(1, name="one")(x), layers.Dense(2, name="two")(x)])
        model.compile(optimizers.SGD(0.0), **compiled)
        return model

    @pytest.mark.parametrize("loss", ["mse", ["mse", "mse"], {"one": "mse", "two": "mse"}])
    def test_losses_and_metrics_of_several_outputs(self, loss):
        x, y = data(6)
        two = np.ones((6, 2))
        model = self.two_outputs(loss=loss, loss_weights={"one": 1.0, "two": 0.5}, metrics={"two": ["mae"]})
        logs = model.evaluate(x, {"one": y, "two": two}, verbose=0, return_dict=True)
        assert list(logs) == ["loss", "one_loss", "two_loss", "two_mae"]
        assert logs["loss"] == pytest.approx(logs["one_loss"] + 0.5 * logs["two_loss"], rel=1e-5)
        assert model.evaluate(x, [y, two], verbose=0) == pytest.approx(
            [logs[k] for k in ("loss", "one_loss", "two_loss", "two_mae")]
        )

    def test_an_unknown_output_is_named(self):
        model = self.two_outputs(loss="mse", metrics={"tow": "mae"})
        with pytest.raises(
            ValueError,
            match="metrics names an output 'tow' that the model does not have.*'one', 'two'.*did you mean 'two'",
        ):
            model.fit(data(4)[0], [np.zeros((4, 1)), np.zeros((4, 2))], verbose=0)

    def test_an_output_may_be_without_loss(self):
        model = self.two_outputs(loss=["mse", None])
        x, y = data(4)
        assert list(model.train_on_batch(x, y, return_dict=True)) == ["loss"]

    def test_several_losses_of_one_output_are_summed(self):
        model, (x, y) = linear(loss=["mse", "mae"], loss_weights=[0.3, 0.7]), data(6)
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        assert logs["loss"] == pytest.approx(0.3 * logs["mse_loss"] + 0.7 * logs["mae_loss"], rel=1e-5)
        assert logs["mse_loss"] == pytest.approx(mse(model, x, y), rel=1e-5)

    def test_regularization_joins_the_loss(self):
        x = layers.Input((3,))
        model = Model(x, layers.Dense(1, kernel_regularizer="l2")(x))
        model.compile(optimizers.SGD(0.0), "mse")
        a, b = data(4)
        expected = mse(model, a, b) + 0.01 * np.sum(model.get_weights()[0] ** 2)
        assert model.train_on_batch(a, b) == pytest.approx(expected, rel=1e-5)


class TestBatches:
    def test_logs_are_those_of_the_batch(self):
        model, (x, y) = linear(optimizer=optimizers.SGD(0.0), metrics=["mae"]), data(8)
        model.train_on_batch(x[:2], y[:2])
        loss, mae = model.train_on_batch(x[2:], y[2:])
        assert loss == pytest.approx(mse(model, x[2:], y[2:]), rel=1e-5)
        assert model.test_on_batch(x[2:], y[2:], return_dict=True) == {"loss": loss, "mae": mae}
        assert float(model.get_metrics_result()["loss"]) == pytest.approx(loss)

    def test_predict_writes_all_samples_in_order(self):
        model, (x, _) = linear(2), data(11)
        kernel, bias = model.get_weights()
        for size in (None, 4, 11, 20):
            np.testing.assert_allclose(model.predict(x, batch_size=size, verbose=0), x @ kernel + bias, rtol=1e-5)
        np.testing.assert_allclose(model.predict_on_batch(x), x @ kernel + bias, rtol=1e-5)

    def test_predict_needs_no_compile_and_keeps_structures(self):
        x = layers.Input((3,))
        model = Model(x, {"a": layers.Dense(1)(x), "b": [layers.Dense(2)(x)]})
        out = model.predict(data(5)[0], batch_size=2, verbose=0)
        assert out["a"].shape == (5, 1) and out["b"][0].shape == (5, 2)

    def test_predict_of_dicts_stops_early_and_tells_callbacks(self):
        x = layers.Input((3,))
        model, seen = Model(x, {"a": layers.Dense(1)(x), "b": layers.Dense(2)(x)}), []

        class Stop(callbacks.Callback):
            def on_predict_batch_end(self, batch, logs=None):
                seen.append(logs["outputs"]["b"].shape)
                self.model.stop_predicting = batch == 2

        out = model.predict(data(11)[0], batch_size=3, verbose=0, callbacks=[Stop()])
        assert out["a"].shape == (9, 1) and out["b"].shape == (9, 2) and seen == [(3, 2)] * 3

    def test_predictions_of_other_shapes_are_not_joined(self):
        x = layers.Input((None, 3))
        model = Model(x, layers.Dense(2)(x))
        stream = (np.zeros((2, n, 3)) for n in (4, 5))
        with pytest.raises(ValueError, match=r"do not fit into one array: .* \[\(4, 2\), \(5, 2\)\]"):
            model.predict(stream, verbose=0)

    def test_predict_takes_generators(self):
        model, (x, _) = linear(), data(6)
        assert model.predict((x[i : i + 2] for i in (0, 2, 4)), verbose=0).shape == (6, 1)


class TestOwnSteps:
    def test_train_step_can_be_overridden(self):
        class Own(Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(1)

            def call(self, x):
                return self.dense(x)

            def train_step(self, data):
                logs = super().train_step(data)
                return {**logs, "twice": logs["loss"] * 2.0}

        model = Own()
        model.compile("sgd", "mse")
        history = model.fit(*data(), verbose=0).history
        assert history["twice"][0] > 0 and list(history) == ["loss", "twice"]

    def test_the_custom_loop_of_the_keras_guide(self):
        class Own(Model):
            def train_step(self, data):
                x, y = data
                with GradientTape() as tape:
                    y_pred = self(x, training=True)
                    loss = self.compute_loss(y=y, y_pred=y_pred)
                variables = self.trainable_variables
                self.optimizer.apply(tape.gradient(loss, variables), variables)
                for metric in self.metrics:
                    if metric.name == "loss":
                        metric.update_state(loss)
                    else:
                        metric.update_state(y, y_pred)
                return {m.name: m.result() for m in self.metrics}

        inputs = layers.Input((3,))
        model = Own(inputs, layers.Dense(1)(inputs))
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(*data(), epochs=30, verbose=0).history
        assert history["loss"][-1] < history["loss"][0] and list(history) == ["loss", "mae"]

    def test_a_model_may_say_what_its_metrics_are(self):
        class Own(Sequential):
            def __init__(self, *args):
                super().__init__(*args)
                self.tracker = metrics.Mean(name="own")

            @property
            def metrics(self):
                return [self.tracker]

            def train_step(self, data):
                x, y = data
                with GradientTape() as tape:
                    loss = ops.mean(ops.square(self(x, training=True) - y))
                variables = self.trainable_variables
                self.optimizer.apply(tape.gradient(loss, variables), variables)
                self.tracker.update_state(loss)
                return {"own": self.tracker.result()}

        model = Own([layers.Input((3,)), layers.Dense(1)])
        model.compile("sgd")
        assert list(model.fit(*data(), verbose=0).history) == ["own"]

    def test_losses_added_in_a_call_and_activity_join(self):
        class Penalty(layers.Layer):
            def call(self, x):
                self.add_loss(ops.sum(x) * 0.5)
                return x

        model = Sequential([layers.Input((3,)), Penalty(), layers.Dense(1, activity_regularizer="l2")])
        model.compile(optimizers.SGD(0.0), "mse")
        x, y = data(4)
        kernel, bias = model.get_weights()
        out = x @ kernel + bias
        expected = np.mean((out - y) ** 2) + x.sum() * 0.5 + 0.01 * np.sum(out**2) / 4
        assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
        assert len(model.losses) == 0

    def test_compute_loss_and_metrics_can_be_overridden(self):
        class Own(Sequential):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
                return ops.mean(ops.abs(y_pred - y))

            def compute_metrics(self, x, y, y_pred, sample_weight=None):
                return {**super().compute_metrics(x, y, y_pred, sample_weight), "constant": ops.ones(())}

        model = Own([layers.Input((3,)), layers.Dense(1)])
        model.compile(optimizers.SGD(0.0))
        x, y = data(8)
        kernel, bias = model.get_weights()
        history = model.fit(x, y, verbose=0).history
        assert history["loss"][0] == pytest.approx(np.mean(abs(x @ kernel + bias - y)), rel=1e-5)
        assert history["constant"] == [1.0]

    def test_metrics_made_in_the_model_are_logged(self):
        class Own(Sequential):
            def __init__(self, *args):
                super().__init__(*args)
                self.seen = metrics.Mean(name="seen")

            def compute_metrics(self, x, y, y_pred, sample_weight=None):
                self.seen.update_state(ops.mean(x))
                return super().compute_metrics(x, y, y_pred, sample_weight)

        model = Own([layers.Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        x, y = data(8)
        assert model.fit(x, y, batch_size=8, verbose=0).history["seen"][0] == pytest.approx(x.mean(), rel=1e-5)


@pytest.mark.parametrize(("weights", "factor"), [(None, 2), (0.5, 1), ([0.5, 1.0], 1.5)])
def test_several_losses_of_one_output_are_added_up(weights, factor):
    (x, y), model = data(8), linear()
    model.compile("sgd", "mse")
    one = model.evaluate(x, y, verbose=0)
    model.compile("sgd", ["mse", "mean_squared_error"], loss_weights=weights)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(factor * one, rel=1e-5)


class TestBadInput:
    def unchanged(self, model, match, *args, error=ValueError, **options):
        before = model.get_weights()
        with pytest.raises(error, match=match):
            model.fit(*args, **{"verbose": 0, **options})
        assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))

    def test_messages_name_what_came_and_what_was_expected(self):
        x, y = data(8)
        self.unchanged(linear(), r"x has 8 \(shape \(8, 3\)\), y has 7", x, y[:7])
        self.unchanged(linear(), r"x has no samples \(shape \(0, 3\)\)", x[:0], y[:0])
        self.unchanged(linear(), "batch_size must be a positive integer", x, y, batch_size=0)
        self.unchanged(linear(), "validation_split must lie between 0 and 1", x, y, validation_split=1.0)
        self.unchanged(linear(), "validation_split must lie between 0 and 1", x, y, validation_split=-0.5)
        self.unchanged(linear(), "between 0 and 1 .*, received 'half'", x, y, validation_split="half")
        self.unchanged(linear(), r"y is a list of 8 times None; expected arrays for \['", x, [None] * 8)
        self.unchanged(linear(), "x must hold numbers", np.array([["a"] * 3] * 8), y)
        self.unchanged(linear(), "shuffle must be True, False or 'batch'", x, y, shuffle="all")

    def test_a_model_compiled_without_an_optimizer_or_with_no_losses_says_so(self):
        (x, y), model = data(8), linear()
        model.compile(None, "mse")
        self.unchanged(model, "compiled with optimizer=None and cannot train", x, y)
        assert model.evaluate(x, y, verbose=0) >= 0
        model.compile("sgd", [])
        self.unchanged(model, "loss is an empty list: expected a loss for output", x, y)

    @pytest.mark.parametrize("frequency", [0, -1, "often", 1.5, True, [1, 0], [1, "2"], None])
    def test_a_validation_frequency_that_makes_no_sense(self, frequency):
        x, y = data(8)
        options = {"validation_data": (x, y), "validation_freq": frequency}
        self.unchanged(linear(), "validation_freq must be a positive integer or a list of epochs", x, y, **options)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (lambda x, y: (x, y, y, y), "validation_data: data must be x, .* received a tuple of 4"),
            (lambda x, y: (x, y[:3]), r"validation_data: all arrays must have the same number .*y has 3"),
            (lambda x, y: (x, np.array(["a"] * 8)), "validation_data: y must hold numbers"),
            (lambda x, y: x, "validation_data is .* received no y"),
            (lambda x, y: (x[:, :2], y), r"shape \(8, 2\) and dtype float32: expected shape \(None, 3\)"),
        ],
    )
    def test_validation_data_that_does_not_fit_is_called_so(self, given, said):
        x, y = data(8)
        self.unchanged(linear(), said, x, y, validation_data=given(x, y))

    @pytest.mark.parametrize("verbose", [3, -1, "loud", None])
    def test_a_verbosity_there_is_not(self, verbose):
        model, (x, y) = linear(), data(4)
        for call in (model.fit, model.evaluate, lambda x, y, **o: model.predict(x, **o)):
            with pytest.raises(ValueError, match=f"verbose must be 0, 1, 2 or 'auto', received {verbose!r}"):
                call(x, y, verbose=verbose)

    @pytest.mark.parametrize("epochs", [-1, 1.5, "2", True])
    def test_a_number_of_epochs_that_is_none(self, epochs):
        self.unchanged(linear(), "epochs must be an integer of at least 0", *data(4), epochs=epochs)

    def test_wrong_feature_size_and_rank_name_the_layer_and_shapes(self):
        x, y = data(8)
        self.unchanged(linear(), r"\(8, 2\).*3", x[:, :2], y)
        self.unchanged(linear(), r"\(8, 3, 2\)", np.zeros((8, 3, 2)), y)

    def test_labels_out_of_range_name_the_classes(self):
        model = linear(3, loss="sparse_categorical_crossentropy")
        self.unchanged(
            model,
            "'y' holds 3 in row 3, but loss 'sparse_.*' takes classes 0 to 2",
            np.zeros((4, 3)),
            np.array([0, 1, 2, 3]),
        )

    def test_missing_targets_are_said(self):
        self.unchanged(linear(), "y is missing", data(8)[0])

    def test_an_uncompiled_model_says_so(self):
        model = Sequential([layers.Input((3,)), layers.Dense(1)], name="raw")
        for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(ValueError, match=r"model 'raw' is not compiled: call compile\(\) before"):
                call(*data(4))

    def test_a_model_without_loss_says_so(self):
        self.unchanged(linear(loss=None), "has no loss to compute", *data(4))


def test_compiling_a_trained_model_is_noted_once(caplog):
    model, (x, y) = linear(), data(8)
    model.fit(x, y, batch_size=4, epochs=3, verbose=0)
    with caplog.at_level(logging.WARNING, "kcore"):
        model.compile("sgd", "mse")
        model.compile("sgd", "mse")
    assert len(caplog.messages) == 1
    for part in ("3 epochs, 6 steps", "its weights stay", "clone_model"):
        assert part in caplog.messages[0]


def test_fine_tuning_is_told_from_a_second_run(caplog):
    base = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(3)], name="base")
    model, (x, y) = Sequential([layers.Input((3,)), base, layers.Dense(1, name="head")], name="tuned"), data(8)
    base.trainable = False
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=4, verbose=0)
    with caplog.at_level(logging.WARNING, "kcore"):
        base.trainable = True
        model.compile("sgd", "mse")
        base.trainable = False
        model.compile("sgd", "mse")
    assert caplog.messages == [
        "model 'tuned' goes on from what it learned in 1 epoch, 2 steps, now with 'base' trainable."
    ]
    model.compile("sgd", "mse")
    assert "is compiled again" in caplog.messages[-1]


def test_of_many_layers_that_were_turned_some_are_named(caplog):
    parts = [layers.Dense(3, name=f"part_{i}") for i in range(5)]
    model, (x, y) = Sequential([layers.Input((3,)), *parts, layers.Dense(1, name="head")]), data(8)
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=4, verbose=0)
    for part in parts:
        part.trainable = False
    with caplog.at_level(logging.WARNING, "kcore"):
        model.compile("sgd", "mse")
    assert "now with 'part_0', 'part_1', 'part_2' and 2 more frozen" in caplog.text


class TestInterrupt:
    @pytest.fixture(autouse=True)
    def python_handles_it(self):
        """A shell starts background jobs with SIGINT ignored; these tests need Python's own handler."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    def test_ctrl_c_waits_for_the_end_of_the_step(self):
        model, (x, y) = linear(), data(8)
        handler = signal.getsignal(signal.SIGINT)
        model.fit(x, y, batch_size=4, verbose=0)
        step = model.make_train_function()
        finished = []

        def interrupted(batch):
            if len(finished) == 3:
                os.kill(os.getpid(), signal.SIGINT)
            step(batch)
            finished.append(model.get_weights())

        model._compiled.functions["train"] = interrupted
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, batch_size=4, epochs=9, verbose=0)
        assert len(finished) == 4
        assert all((a == b).all() for a, b in zip(model.get_weights(), finished[-1], strict=True))
        assert model.history.epoch == [0] and len(model.history.history["loss"]) == 1
        assert signal.getsignal(signal.SIGINT) is handler

    def test_ctrl_c_in_a_callback_acts_at_once(self):
        class Press(callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                os.kill(os.getpid(), signal.SIGINT)

        model, (x, y) = linear(), data(8)
        before = model.get_weights()
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, verbose=0, callbacks=[Press()])
        assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


def test_memory_does_not_grow_over_epochs():
    import tracemalloc

    model, (x, y) = linear(8, 16, optimizer="adam"), data(64, 16, 8)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    tracemalloc.start()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    before = tracemalloc.get_traced_memory()[0]
    model.fit(x, y, batch_size=8, epochs=20, verbose=0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000, f"{grown} bytes more after 20 epochs"
