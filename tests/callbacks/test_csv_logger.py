"""The CSV file is whole at every moment, and goes on where it was."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kcore.callbacks import CSVLogger

FULL = Path("/dev/full")


def rows(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def write(path, epochs, append=False, separator=",", **more):
    logger = CSVLogger(path, separator=separator, append=append)
    logger.on_train_begin()
    for epoch in epochs:
        logger.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1), "val_loss": 2.0, **more})
    logger.on_train_end()


def test_a_fit_is_logged(model, data, tmp_path):
    path = tmp_path / "log.csv"
    history = model.fit(*data, epochs=3, validation_split=0.25, verbose=0, callbacks=CSVLogger(path))
    header, *lines = rows(path)
    assert header == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [int(line[0]) for line in lines] == [0, 1, 2]
    assert [float(line[2]) for line in lines] == history.history["loss"]


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import os, signal\nfrom kcore.callbacks import CSVLogger\n"
        f"log = CSVLogger({str(path)!r})\nlog.on_train_begin()\n"
        "for e in range(3): log.on_epoch_end(e, {'loss': e})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert [line[0] for line in rows(path)] == ["epoch", "0", "1", "2"]


@pytest.mark.parametrize(
    ("ending", "kept"),
    [("1,0.", 1), ("1,0.5,", 1), ("1,0.5,2.0", 2), ("1,0.5,2.0\r\n", 2), ("1,0.5,2.0\n", 2)],
)
def test_a_torn_row_is_removed_and_a_whole_one_kept_when_appending(tmp_path, ending, kept):
    path = tmp_path / "log.csv"
    path.write_bytes(f"epoch,loss,val_loss\r\n0,1.0,2.0\r\n{ending}".encode())
    write(path, [5], append=True)
    assert [line[0] for line in rows(path)] == ["epoch", *["0", "1"][:kept], "5"]
    assert all(len(line) == 3 for line in rows(path))


def test_appending_keeps_the_columns_that_are_there(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch;val_loss;loss\n0;2.0;1.0\n")
    with pytest.warns(UserWarning, match=r"log\.csv has no column for accuracy"):
        write(path, [1, 2], append=True, separator=";", accuracy=0.5)
    assert rows(path, ";")[1:] == [["0", "2.0", "1.0"], ["1", "2.0", "0.5"], ["2", "2.0", str(1 / 3)]]


def test_appending_to_another_kind_of_file_is_refused_and_leaves_it_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(ValueError, match=r"notes\.txt is to be appended to, but is no log.*'dear diary'"):
        CSVLogger(path, append=True).on_train_begin()
    assert path.read_text() == "dear diary\n"


def test_an_empty_or_missing_file_to_append_to_gets_a_header(tmp_path):
    (tmp_path / "empty.csv").touch()
    for name in ("empty.csv", "missing.csv"):
        write(tmp_path / name, [0], append=True)
        assert rows(tmp_path / name)[0] == ["epoch", "loss", "val_loss"]


def test_a_missing_folder_is_an_error_before_training(model, data, tmp_path):
    before = model.get_weights()
    with pytest.raises(FileNotFoundError, match=r"nowhere/log\.csv cannot be written: there is no folder .*nowhere"):
        model.fit(*data, verbose=0, callbacks=CSVLogger(tmp_path / "nowhere" / "log.csv"))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_that_names_the_file_and_the_model_goes_on(model, data):
    with pytest.raises(
        OSError, match=r"could not write the names of the columns \(No space left.*'/dev/full'"
    ) as error:
        model.fit(*data, verbose=0, epochs=3, callbacks=CSVLogger(FULL))
    assert "in on_epoch_end() of callback CSVLogger (kcore.callbacks.csv_logger)" in error.value.__notes__
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    before = model.evaluate(*data, verbose=0)[0]
    assert model.fit(*data, verbose=0, epochs=5).history["loss"][-1] < before


def test_a_row_that_does_not_fit_is_taken_back(tmp_path):
    """The disk fills up in the middle of a row: a limit on the size of files stands in for it."""
    path = tmp_path / "log.csv"
    program = f"""
import resource, signal
from kcore.callbacks import CSVLogger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = CSVLogger({str(path)!r})
log.on_train_begin()
resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))
try:
    for epoch in range(9):
        log.on_epoch_end(epoch, {{"loss": 0.123456789}})
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True)
    assert "could not write the row of epoch 1 (File too large)" in done.stdout, done.stderr
    assert path.read_bytes() == b"epoch,loss,val_loss\r\n0,0.123456789,NA\r\n"[: len(path.read_bytes())]
    assert path.read_bytes().endswith(b"\r\n")


@pytest.mark.parametrize("separator", ["", "ab", 3])
def test_a_separator_is_one_character(separator):
    with pytest.raises(ValueError, match=r"CSVLogger: argument separator=.*expected one character"):
        CSVLogger("x.csv", separator=separator)
