"""Batches gathered on the device: the right rows, whatever the array, and nothing of the user's read after the step."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.backend.batch import Rows

ROWS, WIDTH = 600, 130


@pytest.fixture
def chosen(device):
    """The device is the one that models run on."""
    kcore.use_backend(str(device.device))
    yield
    kcore.use_backend("numpy")


@pytest.fixture
def data():
    return np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)


@pytest.fixture
def order():
    return np.random.default_rng(1).permutation(ROWS)


def gathered(device, rows):
    """Whether the device gathered a batch itself, and what it got."""
    place = device.place
    array = place.array(rows.shape, rows.dtype)
    place.gather(array, rows)
    itself = place.feeder.busy
    place.feeder.settle()
    return itself, place.read(array)


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_rows_arrive(dtype, device, data, order):
    data = (data * 100).astype(dtype).repeat(2, 1)
    for chosen in (order[3:203], slice(100, 300)):
        itself, batch = gathered(device, Rows(data, chosen))
        assert itself
        np.testing.assert_array_equal(batch, data[chosen])


def test_doubles_become_floats_on_the_way(device, data, order):
    wide = data.astype(np.float64) / 3
    itself, batch = gathered(device, Rows(wide, order[:256], "float32"))
    assert itself
    np.testing.assert_array_equal(batch, wide[order[:256]].astype(np.float32))


def test_indices_beyond_read_nothing_else(device, data):
    wrong = np.full(256, ROWS + 1)
    _, batch = gathered(device, Rows(data, wrong))
    np.testing.assert_array_equal(batch, data[np.full(256, ROWS - 1)])


@pytest.mark.parametrize(
    "change",
    [lambda a: a[::-1], np.asfortranarray, lambda a: a.astype(">f4"), lambda a: np.repeat(a, 2, 0)[::2]],
    ids=["reversed", "fortran", "big-endian", "strided"],
)
def test_other_arrays_are_gathered_by_the_host(change, device, data, order):
    array = change(data)
    itself, batch = gathered(device, Rows(array, order[:256], "float32"))
    assert not itself
    np.testing.assert_array_equal(batch, array[order[:256]].astype(np.float32))


def test_read_only_arrays_are_gathered_by_the_host(device, data, order):
    data.flags.writeable = False
    itself, batch = gathered(device, Rows(data, order[:256]))
    assert not itself
    np.testing.assert_array_equal(batch, data[order[:256]])


def test_small_batches_are_gathered_by_the_host(device, data, order):
    itself, _ = gathered(device, Rows(data, order[:4]))
    assert not itself


def model():
    kcore.utils.set_random_seed(3)
    made = kcore.Sequential([kcore.Input((WIDTH,)), kcore.layers.Dense(8, activation="tanh"), kcore.layers.Dense(1)])
    made.compile(optimizer="sgd", loss="mse")
    return made


class Scribble(kcore.callbacks.Callback):
    """Overwrites the data of the batch that was just used."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def on_train_batch_end(self, batch, logs=None):
        self.x[batch * 100 : (batch + 1) * 100] = np.nan


def test_data_may_change_as_soon_as_a_step_returns(chosen, data):
    targets = data[:, :1].copy()
    expected, found = model(), model()
    expected.fit(data.copy(), targets, batch_size=100, shuffle=False, verbose=0)
    found.fit(data, targets, batch_size=100, shuffle=False, verbose=0, callbacks=[Scribble(data)])
    for a, b in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_array_may_be_reused_for_every_batch(chosen, data):
    expected, found = model(), model()
    room, aim = np.empty((100, WIDTH), np.float32), np.empty((100, 1), np.float32)
    for start in range(0, ROWS, 100):
        batch = data[start : start + 100]
        expected.train_on_batch(batch.copy(), batch[:, :1].copy())
        room[:], aim[:] = batch, batch[:, :1]
        found.train_on_batch(room, aim)
        room[:], aim[:] = np.nan, np.nan
    for a, b in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
