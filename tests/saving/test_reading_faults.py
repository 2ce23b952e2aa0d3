"""A disk that fails while weights are loaded into a model in hand: all of it is as it was, whichever read failed."""

from __future__ import annotations

import errno
import itertools
import os
import time
from functools import partial

os.environ.setdefault("KERAS_BACKEND", "numpy")

import h5py
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import changes, hdf5, load_model, state
from kcore.saving import safetensors as safetensors_form
from kcore.saving.own import seed_generators
from kcore.saving.window import Window

FORMS = ["a.keras", "a.h5", "a.weights.h5", "only.h5", "a.weights.json", "a.safetensors"]


def build(value):
    inner = kcore.Sequential([layers.Dense(4, name="deep"), layers.BatchNormalization(name="norm")], name="inner")
    model = kcore.Sequential(
        [kcore.Input((3,)), layers.Dense(4, name="a"), inner, layers.Dropout(0.5), layers.Dense(2)]
    )
    model.compile(kcore.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    return filled(model, value)


def filled(model, value):
    for variable in everything(model):
        variable.assign(np.full(variable.shape, value, variable.dtype))
    return model


def everything(model):
    states = [generator.state for generator in seed_generators(model)]
    return [*model.weights, *model.optimizer.variables, *states]


def values(model):
    return {float(v) for variable in everything(model) for v in np.unique(variable.numpy())}


def save(model, path, shard=150):
    if path.suffix == ".keras" or path.name == "a.h5":
        model.save(path)
    elif path.name == "a.weights.json":
        model.save_weights(path, max_shard_size=shard / 1024**3)
    else:
        model.save_weights(path)


class Reads:
    """Counts what is read of arrays, and fails at one of them."""

    def __init__(self, monkeypatch):
        self.count, self.fatal = 0, None
        monkeypatch.setattr(h5py.Dataset, "read_direct", self._wrapped(h5py.Dataset.read_direct))
        monkeypatch.setattr(safetensors_form, "bytes_of", self._wrapped(safetensors_form.bytes_of))

    def _wrapped(self, read):
        def call(*args, **kwargs):
            self.count += 1
            if self.count == self.fatal:
                raise OSError(errno.EIO, "Input/output error")
            return read(*args, **kwargs)

        return call


def load_failing_at_each(reads, path, check, step=1):
    """Load a file again and again, the read that fails being a later one each time; returns the last one's number."""
    model = build(7.0)
    for fatal in itertools.count(1, step):
        filled(model, 7.0)
        reads.count, reads.fatal = 0, fatal
        try:
            model.load_weights(path)
        except ValueError as error:
            assert reads.count == fatal
            assert str(path.parent) in str(error) and "Input/output error" in str(error)
            check(model)
        else:
            reads.fatal = None
            return fatal - 1
    return 0


@pytest.mark.parametrize("form", FORMS)
def test_a_model_in_hand_is_as_it_was_whichever_read_fails(form, tmp_path, monkeypatch):
    path = tmp_path / form
    save(build(3.0), path)
    reads = Reads(monkeypatch)

    def unchanged(model):
        assert values(model) == {7.0}

    assert load_failing_at_each(reads, path, unchanged) >= 8
    model = build(7.0)
    model.load_weights(path)  # control: it can be loaded
    assert {float(v) for w in model.get_weights() for v in np.unique(w)} == {3.0}


@pytest.mark.parametrize("form", FORMS)
def test_control_without_care_a_failed_read_leaves_a_part(form, tmp_path, monkeypatch):
    path, seen = tmp_path / form, []
    save(build(3.0), path)

    def carelessly(changes, keep=True):
        for change in changes:
            change.make()

    for module in (state, hdf5, safetensors_form):
        monkeypatch.setattr(module, "wholly", carelessly)
    load_failing_at_each(Reads(monkeypatch), path, lambda model: seen.append(values(model)), step=6)
    assert {3.0, 7.0} in seen


def test_a_file_within_an_archive_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    save(build(3.0), path)
    real, count = Window.readinto, 0

    class Failing:
        seek = staticmethod(lambda *args: 0)
        readinto = partial(os.write, -1)  # "Bad file descriptor", as a file says it

    def failing(window, buffer):
        nonlocal count
        count += 1
        if count == fatal:
            window._file = Failing
        return real(window, buffer)

    monkeypatch.setattr(Window, "readinto", failing)
    model = build(7.0)
    for fatal in range(1, 10_000, 23):  # there are hundreds, as HDF5 reads its own tables too
        filled(model, 7.0)
        count = 0
        try:
            model.load_weights(path)
        except ValueError as error:
            assert str(path) in str(error)
            assert values(model) == {7.0}
        else:
            if count < fatal:
                break
    assert fatal > 20


@pytest.mark.parametrize("form", ["a.keras", "a.h5"])
def test_a_whole_model_is_told_of_whichever_read_fails(form, tmp_path, monkeypatch):
    path = tmp_path / form
    save(build(3.0), path)
    reads = Reads(monkeypatch)
    for fatal in itertools.count(1, 5):
        reads.count, reads.fatal = 0, fatal
        try:
            model = load_model(path)
        except ValueError as error:
            assert str(path) in str(error) and "Input/output error" in str(error)
        else:
            break
    assert fatal > 20
    assert values(model) == {3.0}


def test_interrupted_loading_leaves_the_model_as_it_was(tmp_path, monkeypatch):
    save(build(3.0), tmp_path / "a.weights.h5")
    model, count = build(7.0), itertools.count()
    real = kcore.Variable.fill

    def interrupted(variable, write):
        if next(count) == 5:
            raise KeyboardInterrupt
        return real(variable, write)

    monkeypatch.setattr(kcore.Variable, "fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.load_weights(tmp_path / "a.weights.h5")
    assert values(model) == {7.0}


def test_a_class_that_fails_to_load_takes_the_others_back(tmp_path):
    class Moody(layers.Dense):
        def load_own_variables(self, store):
            super().load_own_variables(store)
            raise RuntimeError("not today")

    def made(value):
        model = kcore.Sequential([kcore.Input((3,)), layers.Dense(2), Moody(2, name="moody")])
        model.set_weights([np.full(w.shape, value, "float32") for w in model.weights])
        return model

    made(3.0).save_weights(tmp_path / "a.weights.h5")
    model = made(7.0)
    with pytest.raises(RuntimeError, match="not today"):
        model.load_weights(tmp_path / "a.weights.h5")
    assert {float(v) for w in model.get_weights() for v in np.unique(w)} == {7.0}


def test_old_values_of_large_models_are_put_aside_on_the_disk(monkeypatch):
    one, two = kcore.Variable(np.arange(1000, dtype="float32")), kcore.Variable(np.ones((3,)), dtype="bfloat16")
    made, real = [], changes.tempfile.TemporaryFile
    monkeypatch.setattr(changes.tempfile, "TemporaryFile", lambda **how: made.append(real(**how)) or made[-1])
    for limit in (changes.IN_MEMORY, 100):
        monkeypatch.setattr(changes, "IN_MEMORY", limit)
        steps = [changes.Change([v], partial(v.assign, np.zeros(v.shape))) for v in (one, two, one)]
        with pytest.raises(ZeroDivisionError):
            changes.wholly([*steps, changes.Change((), lambda: 1 / 0)])
        np.testing.assert_array_equal(one.numpy(), np.arange(1000, dtype="float32"))
        assert two.numpy().tolist() == [1.0] * 3
    assert len(made) == 1
    for _ in range(1000):
        if made[0].closed:  # by another thread
            break
        time.sleep(0.01)
    assert made[0].closed


def test_no_room_for_the_old_values_is_told_and_nothing_changed(tmp_path, monkeypatch):
    def full(**how):
        raise OSError(errno.ENOSPC, "No space left on device")

    model = build(7.0)
    save(build(3.0), tmp_path / "a.weights.h5")
    monkeypatch.setattr(changes, "IN_MEMORY", 10)
    monkeypatch.setattr(changes.tempfile, "TemporaryFile", full)
    with pytest.raises(
        OSError, match=r"the old weights, \d+ bytes, cannot be put aside in .*No space left.*set TMPDIR"
    ):
        model.load_weights(tmp_path / "a.weights.h5")
    assert values(model) == {7.0}


def wide(value):
    """A model whose arrays are too large for HDF5's own buffers."""
    model = kcore.Sequential([kcore.Input((300,)), layers.Dense(400), layers.Dense(500), layers.Dense(2)])
    model.compile(kcore.optimizers.SGD(), "mse")
    model.optimizer.build(model.trainable_variables)
    return filled(model, value)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_cut_off_while_it_is_read_is_noticed(form, tmp_path, monkeypatch):
    save(wide(3.0), tmp_path / form, 900_000)
    model, count, real = wide(7.0), itertools.count(), kcore.Variable.fill

    def cutting(variable, write):
        if next(count) == 1:
            for file in tmp_path.iterdir():
                os.truncate(file, 1000)
        return real(variable, write)

    monkeypatch.setattr(kcore.Variable, "fill", cutting)
    with pytest.raises(ValueError, match=r"the file ends \d+ bytes too early"):
        model.load_weights(tmp_path / form)
    assert values(model) == {7.0}


def test_control_hdf5_itself_reads_zeros_where_a_file_was_cut_off(tmp_path):
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.ones(200_000)
    with h5py.File(path) as file:
        os.truncate(path, 800_000)
        assert 0.0 in file["a"][()]


@pytest.mark.parametrize(("form", "noticed"), [("a.keras", True), ("a.weights.h5", False)])
def test_a_flipped_bit_in_an_archive_takes_all_back(form, noticed, tmp_path):
    path = tmp_path / form
    save(wide(3.0), path)
    content = bytearray(path.read_bytes())
    content[content.find(np.full(1000, 3.0, "float32").tobytes()) + 402] ^= 1
    path.write_bytes(content)
    model = wide(7.0)
    if noticed:
        with pytest.raises(ValueError, match=r"a.keras: model.weights.h5 is damaged: its checksum does not match"):
            model.load_weights(path)
        assert values(model) == {7.0}
    else:  # control: without a checksum it is another weight
        model.load_weights(path)
        assert len(values(model)) == 2


@pytest.mark.parametrize("fatal", [1, 4])
def test_a_disk_that_is_full_before_all_is_put_aside(fatal, tmp_path, monkeypatch):
    save(wide(3.0), tmp_path / "a.weights.h5")
    model, count, real = wide(7.0), itertools.count(1), changes._OldValues._write

    def full(old, value):
        if next(count) == fatal:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(old, value)

    monkeypatch.setattr(changes, "IN_MEMORY", 10)
    monkeypatch.setattr(changes, "AHEAD", 1)
    monkeypatch.setattr(changes._OldValues, "_write", full)
    with pytest.raises(OSError, match="cannot be put aside in .*No space left.*set TMPDIR"):
        model.load_weights(tmp_path / "a.weights.h5")
    assert values(model) == {7.0}


def test_old_values_that_cannot_be_read_back_are_told(monkeypatch):
    def failing(file, view):
        raise OSError(errno.EIO, "Input/output error")

    v = kcore.Variable([1.0, 2.0])
    monkeypatch.setattr(changes, "read_whole", failing)
    steps = [changes.Change([v], partial(v.assign, [3.0, 4.0])), changes.Change((), lambda: 1 / 0)]
    with pytest.raises(OSError, match="cannot be read back from .*some of the old and some of the new ones"):
        changes.wholly(steps)
