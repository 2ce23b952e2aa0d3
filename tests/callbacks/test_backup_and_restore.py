"""A training that was cut off, even by a kill, and started again ends exactly as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from kcore.training.sources.py_dataset import PyDataset

X = np.random.default_rng(0).normal(size=(44, 6)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


def build(optimizer=None):
    model = kcore.Sequential(
        [
            kcore.Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer or "adam", "binary_crossentropy", metrics=["accuracy"])
    return model


class Cut(Callback):
    """Ends the run in the middle of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.where = (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.where == (epoch, None):
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None):
        if self.where == (self.epoch, batch):
            raise KeyboardInterrupt


def everything(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


class Folder(PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[8 * index : 8 * index + 8], Y[8 * index : 8 * index + 8]


def generator():
    rng = np.random.default_rng(5)
    while True:
        rows = rng.integers(0, 44, 8)
        yield X[rows], Y[rows]


DATA = {
    "arrays": lambda: ((X, Y), {"batch_size": 8}),
    "shuffled within batches": lambda: ((X, Y), {"batch_size": 8, "shuffle": "batch"}),
    "epochs shorter than a pass": lambda: ((X, Y), {"batch_size": 8, "steps_per_epoch": 3}),
    "several steps at once": lambda: ((X, Y), {"batch_size": 8}),
    "validation": lambda: ((X, Y), {"batch_size": 8, "validation_data": (X[:8], Y[:8])}),
    "PyDataset": lambda: ((Folder(),), {}),
    "PyDataset read ahead": lambda: ((Folder(workers=2),), {}),
    "generator": lambda: ((generator(),), {"steps_per_epoch": 5}),
}


@pytest.mark.parametrize(
    ("kind", "save_freq", "where"),
    [
        ("arrays", "epoch", (2, 3)),
        ("arrays", 3, (1, 3)),
        ("arrays", 6, (1, None)),  # backed up after the last batch of an epoch
        ("shuffled within batches", 1, (1, 3)),
        ("epochs shorter than a pass", "epoch", (1, None)),
        ("epochs shorter than a pass", 1, (1, 1)),
        ("several steps at once", 2, (1, 3)),
        ("validation", 2, (2, None)),
        ("PyDataset", 1, (1, 3)),
        ("PyDataset read ahead", 3, (1, 2)),
        ("generator", "epoch", (2, None)),
        ("generator", 2, (1, 3)),
    ],
)
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(kind, save_freq, where, tmp_path):
    def run(*callbacks):
        kcore.set_random_seed(3)
        model = build()
        if kind == "several steps at once":
            model.compile("adam", "binary_crossentropy", metrics=["accuracy"], steps_per_execution=2)
        data, options = DATA[kind]()
        history = model.fit(*data, epochs=3, verbose=0, callbacks=list(callbacks), **options)
        return everything(model), history

    expected, history = run()
    with pytest.raises(KeyboardInterrupt):
        run(BackupAndRestore(tmp_path / "b", save_freq), Cut(*where))
    assert os.listdir(tmp_path / "b") == ["latest.weights.h5"]
    kcore.set_random_seed(99)
    kcore.random.uniform((3,))
    got, resumed = run(BackupAndRestore(tmp_path / "b", save_freq))
    same(got, expected)
    assert resumed.epoch[-1] == 2 and resumed.epoch[0] in (0, 1, 2)
    for name, values in resumed.history.items():
        assert values == history.history[name][resumed.epoch[0] :], name
    assert not os.path.exists(tmp_path / "b")


SCRIPT = """
import os, sys, signal
import numpy as np, kcore
sys.path.insert(0, {folder!r})
from test_backup_and_restore import X, Y, build
from kcore.callbacks import BackupAndRestore, Callback
class Kill(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (3, 2):
            os.kill(os.getpid(), signal.SIGKILL)
backup, kill, result, freq = sys.argv[1:]
kcore.set_random_seed(3)
model = build()
callbacks = [BackupAndRestore(backup, freq if freq == "epoch" else int(freq))] if backup else []
model.fit(X, Y, batch_size=8, epochs=5, verbose=0, shuffle=True, callbacks=callbacks + ([Kill()] if kill else []))
np.savez(result, *[v.numpy() for v in (*model.variables, *model.optimizer.variables)])
"""


@pytest.mark.parametrize("save_freq", ["epoch", "2"])
def test_a_killed_process_that_is_started_again(save_freq, tmp_path):
    (tmp_path / "run.py").write_text(SCRIPT.format(folder=os.path.dirname(__file__)))

    def run(*arguments):
        command = [sys.executable, str(tmp_path / "run.py"), *arguments, save_freq]
        return subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "numpy"}, timeout=120).returncode

    whole, resumed, backup = (str(tmp_path / name) for name in ("whole.npz", "resumed.npz", "backup"))
    assert run("", "", whole) == 0
    assert run(backup, "kill", resumed) == -signal.SIGKILL
    assert not os.path.exists(resumed)
    assert run(backup, "", resumed) == 0
    with np.load(whole) as a, np.load(resumed) as b:
        same([a[name] for name in a.files], [b[name] for name in b.files])


def interrupted(folder, **options):
    with pytest.raises(KeyboardInterrupt):
        build().fit(X, Y, epochs=4, verbose=0, callbacks=[BackupAndRestore(folder, **options), Cut(3, None)])


def test_the_backup_before_the_last_takes_over_when_the_last_is_damaged(tmp_path):
    interrupted(tmp_path, double_checkpoint=True)
    latest = tmp_path / "latest.weights.h5"
    assert (tmp_path / "latest.weights.h5.bkp").is_file()
    latest.write_bytes(latest.read_bytes()[:5000])
    with pytest.warns(UserWarning, match="latest.weights.h5 is not a complete HDF5.* The backup before it is used"):
        history = build().fit(X, Y, epochs=4, verbose=0, callbacks=BackupAndRestore(tmp_path, double_checkpoint=True))
    assert history.epoch == [2, 3]
    assert not tmp_path.exists()


def test_a_damaged_or_foreign_backup_is_refused(tmp_path):
    interrupted(tmp_path)
    latest = tmp_path / "latest.weights.h5"
    other = kcore.Sequential([kcore.Input((6,)), layers.Dense(1)])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="cannot go on from its backup: .*does not fit model"):
        other.fit(X, Y, verbose=0, callbacks=BackupAndRestore(tmp_path))
    latest.write_bytes(latest.read_bytes()[:5000])
    with pytest.raises(ValueError, match="cannot go on from its backup: .*latest.weights.h5 is not a complete HDF5"):
        build().fit(X, Y, verbose=0, callbacks=BackupAndRestore(tmp_path))
    build().save_weights(latest)
    with pytest.raises(ValueError, match="does not say where a training stood"):
        build().fit(X, Y, verbose=0, callbacks=BackupAndRestore(tmp_path))


def test_a_backup_may_stay_and_strangers_files_do(tmp_path):
    model = build()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=BackupAndRestore(tmp_path / "a", delete_checkpoint=False))
    assert os.listdir(tmp_path / "a") == ["latest.weights.h5"]
    other = build()
    history = other.fit(X, Y, epochs=2, verbose=0, callbacks=BackupAndRestore(tmp_path / "a", delete_checkpoint=False))
    assert history.epoch == []
    same(everything(other), everything(model))
    (tmp_path / "a" / "notes.txt").write_text("mine")
    other.fit(X, Y, epochs=3, verbose=0, callbacks=BackupAndRestore(tmp_path / "a"))
    assert os.listdir(tmp_path / "a") == ["notes.txt"]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="backup_dir='': expected the name of a folder"):
        BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq=False: expected 'epoch' or a positive number"):
        BackupAndRestore("b", save_freq=False)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_whole_models_are_kept_as_they_were(ending, tmp_path):
    kcore.set_random_seed(0)
    model = build()
    path = tmp_path / "sub" / ("{epoch}." + ending)
    model.fit(X, Y, epochs=2, verbose=0, shuffle=False, callbacks=ModelCheckpoint(path))
    assert sorted(os.listdir(tmp_path / "sub")) == [f"1.{ending}", f"2.{ending}"]
    first = kcore.models.load_model(tmp_path / "sub" / f"1.{ending}")
    first.fit(X, Y, verbose=0, shuffle=False)
    same(everything(first), everything(model))


def test_a_folder_in_the_way_is_told(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder, no file can be written in its place"):
        (tmp_path / "1.keras").mkdir()
        build().fit(X, Y, verbose=0, callbacks=ModelCheckpoint(tmp_path / "{epoch}.keras"))
