"""A save that is killed, interrupted or refused by the disk at any point leaves the old file whole and no litter."""

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import suppress

os.environ.setdefault("KERAS_BACKEND", "numpy")

import h5py
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import archive, load_model, safetensors, save_model
from kcore.saving.window import Window
from kcore.utils import atomic

FORMS = [".keras", ".h5", ".weights.h5", ".weights.json", ".safetensors"]


def model_of(value, units=40):
    model = kcore.Sequential([kcore.Input((30,)), layers.Dense(units, name="a"), layers.Dense(3, name="b")], name="net")
    model.set_weights([np.full(w.shape, value, "float32") for w in model.weights])
    return model


def save(model, path):
    if path.name.endswith(".weights.json"):
        model.save_weights(path, max_shard_size=4900 / 1024**3)
    else:
        (model.save if is_whole(path) else model.save_weights)(path)


def is_whole(path):
    return path.suffix in (".keras", ".h5") and not path.name.endswith(".weights.h5")


def value_of(path, units=40):
    """The one value that all weights in a file have; what is not whole cannot be loaded."""
    if is_whole(path):
        model = load_model(path)
    else:
        model = model_of(0, units)
        model.load_weights(path)
    (value,) = {float(v) for w in model.get_weights() for v in np.unique(w)}
    return value


def named(form):
    """The file that an error names: of shards, the one that was being written."""
    return r"model\S*\.weights\.(h5|json)" if form == ".weights.json" else f"model{form}"


def content(path):
    """What a reader finds now: the file, and those beside it that it names."""
    names = [path.name]
    if path.name.endswith(".weights.json"):
        listed = json.loads(path.read_text())["weight_map"].values()
        names += sorted({name for names in listed for name in (names if isinstance(names, list) else [names])})
    return tuple((name, path.with_name(name).read_bytes()) for name in names)


# -- killed at every write -------------------------------------------------------------------------------------------


class Calls:
    """Every call that touches the disk while a model is saved: counted, looked at, or made to fail."""

    def __init__(self, monkeypatch):
        self.count, self.before = 0, None
        disk = (os, "fsync"), (atomic.tempfile, "mkstemp"), (atomic.Path, "chmod"), (atomic.Path, "replace")
        hdf5 = (h5py.Group, "create_dataset"), (h5py.AttributeManager, "__setitem__"), (h5py.File, "close")
        for owner, name in (*disk, *hdf5, (archive.zipfile.ZipFile, "writestr")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        for owner, name in ((atomic.Path, "write_text"), (atomic.Path, "unlink"), (safetensors, "bytes_of")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        to_disk = Window._unless_failed
        monkeypatch.setattr(Window, "_unless_failed", lambda window, put: to_disk(window, self._wrapped(put)))

    def _wrapped(self, real):
        def call(*args, **kwargs):
            if self.before is not None:
                self.count += 1
                self.before()
            return real(*args, **kwargs)

        return call

    def run(self, function, before):
        """Call a function, and `before` ahead of every call that touches the disk; returns how many there were."""
        self.count, self.before = 0, before
        try:
            function()
        finally:
            self.before = None
        return self.count


def plainly(model, path):
    """A save without care: straight into the file's place."""
    with h5py.File(path, "w") as file:
        for number, weight in enumerate(model.get_weights()):
            file.create_dataset(str(number), data=weight)
            file.flush()


@pytest.mark.parametrize("form", FORMS)
def test_killed_at_any_call_the_old_or_the_new_file_is_there_whole(form, tmp_path, monkeypatch):
    path, new = tmp_path / f"model{form}", model_of(2)
    save(model_of(1), path)
    old, found = content(path), []
    calls = Calls(monkeypatch)
    count = calls.run(lambda: save(new, path), lambda: found.append(content(path)))  # what SIGKILL would leave
    assert count > 8, "hardly any call was seen"
    assert set(found) <= {old, content(path)}
    assert value_of(path) == 2.0
    found.clear()
    calls.run(lambda: plainly(new, path), lambda: found.append(path.read_bytes()))  # control
    assert len(set(found)) > 2


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_whatever_call_fails_the_file_is_whole_and_nothing_is_left(form, error, tmp_path, monkeypatch):
    path, new = tmp_path / f"model{form}", model_of(2, 4)
    save(model_of(1, 4), path)
    old = content(path)
    calls = Calls(monkeypatch)

    def fail():
        if calls.count == at:
            calls.before = None
            raise error

    for at in itertools.count(1):
        with suppress(type(error)):
            calls.run(lambda: save(new, path), fail)
            break
        assert calls.count == at
        assert not h5py.h5f.get_obj_count(types=h5py.h5f.OBJ_FILE), f"HDF5 files are open after a fault at call {at}"
        left = {name for name, _ in content(path)}
        if content(path) != old:  # the folder's flush comes behind the renaming: who knows which list is on the disk?
            assert value_of(path, 4) == 2.0
            assert left <= set(os.listdir(tmp_path)) <= left | {name for name, _ in old}
            for name in os.listdir(tmp_path):
                (tmp_path / name).unlink()
            for name, data in old:
                (tmp_path / name).write_bytes(data)
        else:
            assert set(os.listdir(tmp_path)) == left, f"litter after a fault at call {at}"
    assert at > 8, "hardly any call was tried"
    assert value_of(path, 4) == 2.0


#: How a child process saves.
SAVING = """
if path.endswith(".weights.json"):
    model.save_weights(path, max_shard_size=500_000 / 1024**3)
else:
    (model.save_weights if path.endswith((".weights.h5", ".safetensors")) else model.save)(path)
"""
CHILD = """
import os, sys
import numpy as np, kcore
sys.path.insert(0, {here!r})
model = kcore.Sequential([kcore.Input((300,)), kcore.layers.Dense(400, name="a"), kcore.layers.Dense(3, name="b")])
path, plain = sys.argv[1], len(sys.argv) > 2
saving = compile({saving!r}, "saving", "exec")
print("ready", flush=True)
value = 2.0
while True:
    model.set_weights([np.full(w.shape, value, "float32") for w in model.weights])
    if plain:
        with open(path, "wb") as file:
            for _ in range(60):
                file.write(b"x" * 8192)
                file.flush()
    else:
        exec(saving)
    value += 1.0
"""


def kill_while_saving(path, delay, *options):
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(here=os.getcwd(), saving=SAVING), str(path), *options],
        stdout=subprocess.PIPE,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        signal.sigtimedwait([], delay)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("form", FORMS)
def test_a_process_killed_while_saving_leaves_a_whole_file(form, tmp_path):
    path = tmp_path / f"model{form}"
    save(model_of(1), path)
    for delay in (0.1,):
        kill_while_saving(path, delay)
        model = kcore.Sequential([kcore.Input((300,)), layers.Dense(400, name="a"), layers.Dense(3, name="b")])
        if sum(len(data) for _, data in content(path)) > 100_000:  # it came to a first save
            if is_whole(path):
                model = load_model(path)
            else:
                model.load_weights(path)
            assert len({float(v) for w in model.get_weights() for v in np.unique(w)}) == 1
        else:
            assert value_of(path) == 1.0


def test_control_a_process_killed_while_writing_plainly_leaves_a_part(tmp_path):
    path = tmp_path / "plain"
    for number in range(20):
        kill_while_saving(path, 0.005 + 0.0007 * number, "plain")
        if path.exists() and path.stat().st_size != 60 * 8192:
            return
    pytest.fail("twenty kills, and never a part of a file")


# -- the disk says no ------------------------------------------------------------------------------------------------

FULL = """
import resource, signal, sys
import numpy as np, kcore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, plain = sys.argv[1], len(sys.argv) > 2
model = kcore.Sequential([kcore.Input((300,)), kcore.layers.Dense(400), kcore.layers.Dense(3)])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    if plain:
        open(path, "wb").write(b"x" * 400_000)
    else:
        exec({saving!r})
except OSError as error:
    print(type(error).__name__, error)
    sys.exit(3)
"""


def save_on_a_full_disk(path, *options):
    command = [sys.executable, "-c", FULL.format(saving=SAVING), str(path), *options]
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_leaves_the_old_file_and_says_which(form, tmp_path):
    path = tmp_path / f"model{form}"
    save(model_of(1), path)
    done = save_on_a_full_disk(path)
    assert done.returncode == 3, done.stdout + done.stderr
    which = tmp_path / "model-2_00000.weights.h5" if form == ".weights.json" else path
    assert f"OSError {which} cannot be written: " in done.stdout
    assert not done.stderr, "nothing is left that trouble comes of when Python ends"
    assert value_of(path) == 1.0
    assert set(os.listdir(tmp_path)) == {name for name, _ in content(path)}


INTERRUPTED = """
import signal, sys
import h5py, numpy as np, kcore
real = h5py.File.close
def interrupted(file):
    h5py.File.close = real
    signal.raise_signal(signal.SIGINT)
h5py.File.close = interrupted
model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(4)])
try:
    model.save(sys.argv[1])
except KeyboardInterrupt as error:
    sys.last_value = error  # as an interactive session keeps it
    print("files open:", h5py.h5f.get_obj_count(types=h5py.h5f.OBJ_FILE))
"""


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_ctrl_c_while_a_file_is_closed_leaves_nothing_that_python_stumbles_over_at_its_end(form, tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / f"model{form}")]
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "files open: 0\n", "")
    assert not os.listdir(tmp_path)


def test_control_a_full_disk_spoils_a_file_written_plainly(tmp_path):
    path = tmp_path / "plain"
    path.write_bytes(b"o" * 200_000)
    save_on_a_full_disk(path, "plain")
    assert path.read_bytes() != b"o" * 200_000


@pytest.mark.parametrize("form", FORMS)
def test_a_read_only_folder(form, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / f"model{form}"
    save(model_of(1), path)
    real = atomic.tempfile.mkstemp

    def refused(*args, **kwargs):  # root may write anywhere, so the system's answer is given here
        if stat.S_IMODE(folder.stat().st_mode) & 0o200:
            return real(*args, **kwargs)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(atomic.tempfile, "mkstemp", refused)
    folder.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=rf"{named(form)} cannot be written: the folder .* is read-only"):
            save(model_of(2), path)
    finally:
        folder.chmod(0o700)
    assert value_of(path) == 1.0
    save(model_of(2), path)  # control: with the permission it is saved
    assert value_of(path) == 2.0


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_that_vanishes_before_or_meanwhile(form, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    path = folder / f"model{form}"
    with pytest.raises(FileNotFoundError, match=rf"{named(form)} cannot be written: there is no folder .*folder"):
        save(model_of(1), path)
    folder.mkdir()
    real = atomic.os.fsync

    def vanished(handle):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        monkeypatch.setattr(atomic.os, "fsync", real)
        return real(handle)

    monkeypatch.setattr(atomic.os, "fsync", vanished)
    with pytest.raises(FileNotFoundError, match=rf"{named(form)} cannot be written: "):
        save(model_of(1), path)


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(OSError, match=r"model\.keras"):
        save_model(model_of(1), tmp_path / "model.keras")
    assert os.listdir(tmp_path) == ["model.keras"]


def test_the_limits_of_this_process_are_untouched():
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
