"""Callbacks: which are called when, with what, and what happens when one fails."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import callbacks, optimizers
from kcore.callbacks import (
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TerminateOnNaN,
    get,
)
from kcore.callbacks.callback import HOOKS
from kcore.registry import custom_object_scope
from kcore.training.logs import LazyLogs


def test_only_overridden_batch_hooks_are_called():
    class Ends(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.seen = batch

    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            self.seen = batch

    ends, old = Ends(), Old()
    callbacks = CallbackList([ends, old, Callback(), History()])
    assert len(callbacks.train_batch_end) == 2
    assert not callbacks.train_batch_begin and not callbacks.test_batch_end and not callbacks.predict_batch_end
    callbacks.on_train_batch_end(7)
    assert (ends.seen, old.seen) == (7, 7)


def test_history_and_bar_are_added_once():
    history = History()
    callbacks = CallbackList([history], add_history=True, add_progbar=True, verbose=1, epochs=1, steps=1)
    kinds = [type(c) for c in callbacks.callbacks]
    assert kinds == [History, ProgbarLogger]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([History], "call it to make an instance"),
        ([3], "received 3"),
        ("TerminateOnNan", "did you mean 'TerminateOnNaN'"),
    ],
)
def test_what_is_no_callback_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        CallbackList(given)


def test_one_callback_needs_no_list_and_lists_may_be_nested():
    first, second = History(), Callback()
    assert CallbackList(first).callbacks == [first]
    assert CallbackList([first, [second]]).callbacks == [first, second]
    assert CallbackList(None).callbacks == []


def test_a_callback_may_be_named_by_keras_s_name_or_a_package_s():
    class Mine(Callback):
        pass

    with custom_object_scope({"pkg>Mine": Mine}):
        made = CallbackList(["TerminateOnNaN", "pkg>Mine"]).callbacks
    assert [type(c) for c in made] == [TerminateOnNaN, Mine]
    stop = EarlyStopping("loss", patience=3)
    assert EarlyStopping.from_config(stop.get_config()).get_config() == stop.get_config()
    assert get(stop) is stop


class Everything(Callback):
    """Notes every moment, with the logs it came with."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _noting(name):
    def hook(self, *arguments, **more):
        logs = more.get("logs", arguments[-1] if arguments and isinstance(arguments[-1], dict) else None)
        number = arguments[0] if arguments and isinstance(arguments[0], int) else None
        self.calls.append((name, number, sorted(logs) if logs is not None else None))

    return hook


for _name in HOOKS:
    if _name not in ("on_batch_begin", "on_batch_end"):
        setattr(Everything, _name, _noting(_name))


def test_every_hook_is_called_in_keras_s_order_with_keras_s_logs(model, data):
    everything = Everything()
    model.fit(*data, batch_size=16, epochs=2, validation_split=0.5, verbose=0, callbacks=everything)
    values, val = ["accuracy", "loss"], ["val_accuracy", "val_loss"]
    epoch = [
        ("on_train_batch_begin", 0, []),
        ("on_train_batch_end", 0, values),
        ("on_test_begin", None, []),
        ("on_test_batch_begin", 0, []),
        ("on_test_batch_end", 0, values),
        ("on_test_end", None, values),
    ]
    assert everything.calls == [
        ("on_train_begin", None, []),
        *(call for e in (0, 1) for call in [("on_epoch_begin", e, []), *epoch, ("on_epoch_end", e, values + val)]),
        ("on_train_end", None, values + val),
    ]
    assert everything.params == {"verbose": 0, "epochs": 2, "steps": 1} and everything.model is model
    everything.calls.clear()
    model.predict(data[0], batch_size=16, verbose=0, callbacks=[everything])
    one = [(("on_predict_batch_begin", b, []), ("on_predict_batch_end", b, ["outputs"])) for b in (0, 1)]
    assert everything.calls == [
        ("on_predict_begin", None, []),
        *(call for pair in one for call in pair),
        ("on_predict_end", None, []),
    ]


def test_callbacks_share_an_epoch_s_logs_and_history_keeps_what_they_add(model, data):
    add = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(twice=2 * logs["loss"]))
    history = model.fit(*data, epochs=2, verbose=0, callbacks=add).history
    assert history["twice"] == [2 * loss for loss in history["loss"]]


def test_logs_kept_from_a_batch_hold_that_batch_s_values(model, data):
    kept = []
    keep = LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(logs))
    model.fit(*data, batch_size=8, verbose=0, callbacks=keep)
    losses = [logs["loss"] for logs in kept]
    assert len(set(losses)) == 4 and all(type(loss) is float for loss in losses)


def test_logs_nobody_looks_at_are_not_read(model, data, monkeypatch):
    read = []
    monkeypatch.setattr(
        LazyLogs, "resolve", lambda self, old=LazyLogs.resolve: (read.append(self.pending), old(self))[1]
    )

    class Count(Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            logs = logs or {}
            self.steps += 1

    count = Count()
    model.fit(
        *data,
        batch_size=4,
        verbose=0,
        callbacks=[count, ModelCheckpoint("x.weights.h5", save_weights_only=True, save_freq=1000)],
    )
    assert count.steps == 8 and not read


def test_a_loop_of_one_s_own_may_hand_over_tensors():
    seen = []
    callbacks = CallbackList(
        LambdaCallback(
            on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]),
            on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]),
        )
    )
    callbacks.on_train_batch_end(0, {"loss": kcore.ops.convert_to_tensor(0.5)})
    callbacks.on_epoch_end(0, {"loss": np.float32(0.25)})
    assert seen == [0.5, 0.25] and all(type(value) is float for value in seen)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"])
@pytest.mark.parametrize("others", [[], [History(), TerminateOnNaN()]])
def test_an_error_names_callback_and_hook_and_the_model_goes_on(hook, others, model, data):
    class Clumsy(Callback):
        pass

    def fail(self, *arguments, **more):
        raise ZeroDivisionError("oh no")

    setattr(Clumsy, hook, fail)
    with pytest.raises(ZeroDivisionError, match="oh no") as error:
        model.fit(*data, verbose=0, callbacks=[*others, Clumsy()])
    assert error.value.__notes__ == [f"in {hook}() of callback Clumsy ({__name__})"]
    history = model.fit(*data, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_others_are_told_when_a_run_is_aborted(model, data):
    told = []
    others = LambdaCallback(on_abort=lambda: told.append("abort"), on_train_end=lambda logs: told.append("end"))
    fail = LambdaCallback(on_epoch_end=lambda epoch, logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.fit(*data, verbose=0, callbacks=[others, fail])
    assert told == ["abort"]


def test_others_are_told_when_a_run_does_not_begin(model, data, tmp_path):
    log = callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.raises(ZeroDivisionError):
        model.fit(*data, verbose=0, callbacks=[log, LambdaCallback(on_train_begin=lambda logs: 1 / 0)])
    assert log._file is None


def test_a_keyboard_interrupt_in_a_callback_is_passed_on_as_it_is(model, data):
    def stop(batch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as error:
        model.fit(*data, verbose=0, callbacks=LambdaCallback(on_train_batch_end=stop))
    assert not getattr(error.value, "__notes__", [])


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: EarlyStopping(patience=-1),
            ValueError,
            "EarlyStopping: argument patience=-1: expected a number of at",
        ),
        (lambda: EarlyStopping(pacience=1), TypeError, "did you mean 'patience'"),
        (lambda: ReduceLROnPlateau(factor=1.5), ValueError, "factor=1.5: expected a number of at least 0 and below 1"),
        (lambda: ReduceLROnPlateau(patience=-2), ValueError, "argument patience=-2"),
        (lambda: LearningRateScheduler(0.1), ValueError, "expected a function of the epoch and the learning rate"),
        (lambda: LambdaCallback(on_epoch_ends=print), TypeError, "did you mean 'on_epoch_end'"),
        (lambda: LambdaCallback(on_epoch_end=3), TypeError, "on_epoch_end must be a function, received 3"),
        (lambda: ModelCheckpoint("m.txt"), ValueError, "must end in .keras or .h5 or .hdf5, as a whole model is saved"),
        (lambda: ModelCheckpoint("m.weights.h5"), ValueError, "file of weights.* pass save_weights_only=True"),
        (
            lambda: ModelCheckpoint("m.h5", save_weights_only=True),
            ValueError,
            "must end in .weights.h5, as weights are",
        ),
        (
            lambda: ModelCheckpoint("m.weights.h5", save_weights_only=True, save_freq="daily"),
            ValueError,
            "save_freq='daily': expected 'epoch' or a positive number of batches",
        ),
    ],
)
def test_arguments_out_of_range_are_named(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


# -- watching a value ------------------------------------------------------------------------------------------------


def test_an_unknown_monitor_is_warned_about_once_with_what_there_is(model, data):
    with pytest.warns(UserWarning, match="watches 'val_los', which is not logged; did you mean 'val_loss'") as caught:
        model.fit(
            *data, epochs=3, validation_split=0.5, verbose=0, callbacks=EarlyStopping("val_los", mode="min", patience=1)
        )
    mine = [str(w.message) for w in caught if "EarlyStopping" in str(w.message)]
    assert len(mine) == 1 and "Logged are: accuracy, loss, val_accuracy, val_loss" in mine[0]


def test_a_value_without_a_direction_needs_a_mode_and_says_so_before_training(model, data):
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"whether 'seconds' should rise or fall is not known; pass mode='max' or"):
        model.fit(*data, verbose=0, callbacks=EarlyStopping("seconds"))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_wrong_mode_is_warned_about_and_auto_is_used():
    with pytest.warns(UserWarning, match="EarlyStopping: mode='maxi' is unknown, 'auto' is used; did you mean 'max'"):
        assert EarlyStopping("loss", mode="maxi").mode == "auto"


def test_early_stopping_restores_the_best_epoch(model, data, capsys):
    stop = EarlyStopping("accuracy", patience=2, restore_best_weights=True, verbose=1, mode="min", baseline=-1)
    kept = {}
    note = LambdaCallback(on_epoch_end=lambda epoch, logs: kept.update({epoch: model.get_weights()}))
    history = model.fit(*data, epochs=30, verbose=0, callbacks=[note, stop])
    assert len(history.epoch) < 30 and stop.stopped_epoch == history.epoch[-1]
    values = history.history["accuracy"]
    assert stop.best_epoch == values.index(min(values))
    for mine, best in zip(model.get_weights(), kept[stop.best_epoch], strict=True):
        np.testing.assert_array_equal(mine, best)
    said = capsys.readouterr().out
    assert f"Epoch {stop.stopped_epoch + 1}: early stopping" in said
    assert f"best epoch: {stop.best_epoch + 1}." in said


# -- in a run --------------------------------------------------------------------------------------------------------


def test_a_learning_rate_set_in_mid_run_counts_at_the_next_step_without_a_retrace(data, make_model):
    model = make_model(optimizers.SGD(0.0))
    weights, traces = [], []

    def note(batch, logs):
        weights.append(model.get_weights()[0].copy())
        traces.append(model.make_train_function().traces)
        if batch == 1:
            model.optimizer.learning_rate = 1.0

    model.fit(*data, batch_size=8, verbose=0, shuffle=False, callbacks=LambdaCallback(on_train_batch_end=note))
    changed = [not np.array_equal(a, b) for a, b in zip(weights, weights[1:], strict=False)]
    assert changed == [False, True, True] and traces == [1] * 4


def test_stop_training_ends_the_epoch_after_the_step_that_runs(model, data):
    seen = []

    def note(batch, logs):
        seen.append(batch)
        model.stop_training = batch == 1

    history = model.fit(
        *data,
        batch_size=4,
        epochs=5,
        validation_split=0.25,
        verbose=0,
        callbacks=LambdaCallback(on_train_batch_end=note),
    )
    assert seen == [0, 1] and history.epoch == [0]
    assert "val_loss" in history.history  # the epoch that was cut short is validated and logged, as in Keras
    assert len(model.fit(*data, epochs=2, verbose=0).epoch) == 2


def test_schedules_and_plateaus_log_the_rate_of_the_epoch(data, make_model):
    model = make_model(optimizers.Adam(0.1))
    history = model.fit(
        *data, epochs=3, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, rate: rate * kcore.ops.exp(-0.1))]
    )
    np.testing.assert_allclose(history.history["learning_rate"], 0.1 * np.exp([-0.1, -0.2, -0.3]), rtol=1e-6)
    history = model.fit(
        *data, epochs=3, verbose=0, callbacks=ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=9)
    )
    rates = history.history["learning_rate"]
    assert rates[0] == rates[1] == 2 * rates[2]


@pytest.mark.parametrize("given", [1, "0.1", None, [0.1]])
def test_a_schedule_that_gives_no_float_is_named(model, data, given):
    def mine(epoch):
        return given

    with pytest.raises(ValueError, match=r"schedule mine gave .* for epoch 0; expected a float"):
        model.fit(*data, verbose=0, callbacks=LearningRateScheduler(mine))


def test_an_error_inside_a_schedule_is_the_user_s_own(model, data):
    def mine(epoch, rate):
        return rate * None

    with pytest.raises(TypeError, match="unsupported operand"):
        model.fit(*data, verbose=0, callbacks=LearningRateScheduler(mine))


def test_the_rate_of_a_schedule_of_the_optimizer_cannot_be_set(data, make_model):
    model = make_model(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)))
    with pytest.raises(TypeError, match="takes its learning rate from"):
        model.fit(*data, verbose=0, callbacks=LearningRateScheduler(lambda epoch: 0.1))


@pytest.mark.parametrize("raise_error", [False, True])
def test_a_loss_that_is_no_number_ends_training(data, make_model, raise_error):
    model = make_model(optimizers.SGD(0.1), metrics=())
    x, y = data[0].copy(), data[1]
    x[20] = np.nan
    steps = []
    note = LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    arguments = {
        "batch_size": 8,
        "epochs": 3,
        "verbose": 0,
        "shuffle": False,
        "callbacks": [note, TerminateOnNaN(raise_error=raise_error)],
    }
    if raise_error:
        with pytest.raises(RuntimeError, match="the loss is nan at batch 2 of the epoch"):
            model.fit(x, y, **arguments)
    else:
        assert model.fit(x, y, **arguments).epoch == [0]
    assert steps == [0, 1, 2]


def test_a_checkpoint_can_be_gone_on_from(model, data, make_model, tmp_path):
    path = tmp_path / "new" / "best-{epoch}.weights.h5"
    save = ModelCheckpoint(path, "val_loss", save_weights_only=True, save_best_only=True)
    history = model.fit(*data, epochs=4, validation_split=0.25, verbose=0, callbacks=save)
    best = int(np.argmin(history.history["val_loss"]))
    other = make_model()
    other.load_weights(str(path).format(epoch=best + 1))
    assert other.evaluate(data[0][24:], data[1][24:], verbose=0)[0] == pytest.approx(
        history.history["val_loss"][best], rel=1e-5
    )


def test_a_checkpoint_s_name_that_holds_an_unknown_value_is_named(model, data, tmp_path):
    save = ModelCheckpoint(tmp_path / "{val_los}.weights.h5", save_weights_only=True)
    with pytest.raises(KeyError, match=r"holds 'val_los', which is not logged; there are: epoch, accuracy, loss"):
        model.fit(*data, verbose=0, callbacks=save)


def test_what_is_printed_is_what_keras_prints(model, data, capsys):
    rates = [
        LearningRateScheduler(lambda epoch, rate: 0.5, verbose=1),
        ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, verbose=1),
    ]
    model.fit(*data, epochs=2, verbose=0, callbacks=rates)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: LearningRateScheduler setting learning rate to 0.5.",
        "Epoch 2: LearningRateScheduler setting learning rate to 0.5.",
        "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.",
    ]
    x, y = data
    model.fit(x, y * np.nan, epochs=1, verbose=0, batch_size=len(x), callbacks=[TerminateOnNaN()])
    assert capsys.readouterr().out == "Batch 0: Invalid loss, terminating training\n"
