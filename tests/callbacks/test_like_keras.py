"""Callbacks decide as Keras's own do, for the same sequences of logs."""

from __future__ import annotations

import math
import warnings

import keras
import numpy as np
import pytest

from kcore import callbacks


def run(callback, model, logs, batches=0):
    """Drive a callback through epochs; what it decided in each, and what it left the model with."""
    callback.set_model(model)
    callback.set_params({"verbose": 0, "epochs": len(logs), "steps": batches})
    callback.on_train_begin()
    seen = []
    for epoch, values in enumerate(logs):
        values = dict(values)
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_begin(batch, logs={})
            callback.on_train_batch_end(batch, logs=dict(values))
        model.weights = [epoch]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            callback.on_epoch_end(epoch, values)
        rate = round(float(np.asarray(model.optimizer.learning_rate)), 9)
        seen.append((epoch, model.stop_training, rate, getattr(callback, "wait", None), sorted(values)))
        if model.stop_training:
            break
    callback.on_train_end()
    return seen, model.weights, model.saved, getattr(callback, "best", None), getattr(callback, "stopped_epoch", None)


def sequences():
    """Losses that fall, rise, stall, are rounded (so that steps of `min_delta` are met exactly), NaN, or missing."""
    draw = np.random.default_rng(7)
    for kind in range(24):
        values = 1 + np.cumsum(draw.normal(-0.03, 0.12, size=14))
        values = [float(np.float32(round(value, kind % 3 + 1))) for value in values]
        logs = [{"loss": value * 0.9, "val_loss": value} for value in values]
        if kind % 5 == 4:
            logs[3]["val_loss"] = math.nan
        if kind % 7 == 6:
            logs[5].pop("val_loss")
        yield logs


def same(name, logs, stand_in, batches=0, **arguments):
    theirs = run(getattr(keras.callbacks, name)(**arguments), stand_in(), logs, batches)
    ours = run(getattr(callbacks, name)(**arguments), stand_in(), logs, batches)
    np.testing.assert_equal(ours, theirs)
    return ours


@pytest.mark.parametrize("mode", ["min", "max", "auto"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"patience": 2},
        {"patience": 3, "min_delta": 0.1},
        {"patience": 2, "min_delta": -0.1, "restore_best_weights": True},
        {"patience": 2, "baseline": 0.95, "restore_best_weights": True},
        {"patience": 1, "baseline": 1.2},
        {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
    ],
)
def test_early_stopping(arguments, mode, stand_in):
    stopped = [same("EarlyStopping", logs, stand_in, mode=mode, **arguments)[-1] for logs in sequences()]
    assert len(set(stopped)) > 2  # the sequences do make a difference


@pytest.mark.parametrize("mode", ["min", "max", "auto"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5, "min_delta": 0.1},
        {"patience": 1, "factor": 0.3, "cooldown": 2},
        {"patience": 0, "factor": 0.5, "min_lr": 0.03, "monitor": "loss"},
    ],
)
def test_reduce_lr_on_plateau(arguments, mode, stand_in):
    rates = [same("ReduceLROnPlateau", logs, stand_in, mode=mode, **arguments)[0][-1][2] for logs in sequences()]
    assert min(rates) < 0.1


@pytest.mark.parametrize(
    "schedule", [lambda epoch, rate: rate * 0.5, lambda epoch: 0.1 / (epoch + 1), lambda e, r: np.float32(r * 0.9)]
)
def test_learning_rate_scheduler(schedule, stand_in):
    same("LearningRateScheduler", [{"loss": 1.0}] * 5, stand_in, schedule=schedule)


@pytest.mark.parametrize("mode", ["min", "max", "auto"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"save_best_only": True},
        {"save_best_only": True, "initial_value_threshold": 0.9},
        {"save_freq": 4},
        {"save_freq": 4, "save_best_only": True, "monitor": "loss"},
    ],
)
def test_model_checkpoint(arguments, mode, stand_in, tmp_path):
    for logs in list(sequences())[:6]:
        name = "{epoch:02d}-{loss:.2f}" + ("-{batch}" if "save_freq" in arguments else "")
        path = str(tmp_path / f"{name}.weights.h5")
        saved = same(
            "ModelCheckpoint", logs, stand_in, 6, filepath=path, save_weights_only=True, mode=mode, **arguments
        )[2]
        assert saved or "initial_value_threshold" in arguments


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize(
    "logs",
    [
        [{"loss": 0.5, "accuracy": 0.25}, {"loss": 0.125, "accuracy": 0.5}],
        [{"loss": 0.5}, {"loss": 0.25, "val_loss": 1.0}, {"loss": math.nan}],
        [{"loss": 1e-7, "val_loss": 2.0, "text": "a,b;c"}, {"loss": 2.0, "per_class": [0.5, 0.25]}],
        [{"vector": np.array([1.0, 2.0]), "scalar": np.array(3.0), "loss": np.float32(0.1)}],
    ],
)
def test_csv_logger_writes_the_same_bytes(logs, separator, tmp_path, stand_in):
    files = []
    for lib in (keras.callbacks, callbacks):
        path = tmp_path / f"{lib.__name__}.csv"
        for append in (False, True, True):
            run(lib.CSVLogger(str(path), separator=separator, append=append), stand_in(), logs)
        files.append(path.read_bytes())
    assert files[1] == files[0]


def test_terminate_on_nan(stand_in):
    for value in (1.0, math.nan, math.inf, -math.inf, None):
        logs = [{} if value is None else {"loss": value}] * 2
        stopped = same("TerminateOnNaN", logs, stand_in, batches=2)[0][-1][1]
        assert stopped == (value is not None and not math.isfinite(value))


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        ("loss", "min"),
        ("accuracy", "max"),
        ("mse", "min"),
        ("mean_absolute_error", "min"),
        ("binary_accuracy", "max"),
        ("binary_crossentropy", "min"),
    ],
)
def test_auto_follows_the_metric_as_in_keras(metric, way, make_model, data):
    """In Keras the metrics of a model say so, too; its numpy engine cannot train, so it is asked without training."""
    import kcore
    from kcore.callbacks.monitor import direction

    metrics = [] if metric == "loss" else [metric]
    ours = make_model(metrics=metrics)
    ours.evaluate(*data, verbose=0)
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    theirs.compile("sgd", "binary_crossentropy", metrics=metrics)
    theirs.evaluate(*data, verbose=0)
    watch = keras.callbacks.EarlyStopping(f"val_{metric}")
    watch.set_model(theirs)
    watch._set_monitor_op()
    expected = "min" if watch.monitor_op is keras.ops.less else "max"
    assert direction(f"val_{metric}", ours) == direction(metric) == expected == way
    assert kcore.callbacks.EarlyStopping(f"val_{metric}").monitor_op is None


#: What Keras's metrics must be given.
REQUIRED = {
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "MeanMetricWrapper": {"fn": abs},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}


def metric_names():
    from kcore import metrics

    return [n for n in sorted(metrics.__all__) if isinstance(getattr(keras.metrics, n, None), type)]


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_says_which_way_is_better_as_in_keras(name):
    from kcore.callbacks.monitor import direction
    from kcore.naming import to_snake_case

    theirs = getattr(getattr(keras.metrics, name)(**REQUIRED.get(name, {})), "_direction", None)
    assert direction(to_snake_case(name)) == {"up": "max", "down": "min", None: None}[theirs]
