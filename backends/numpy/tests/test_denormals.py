"""Numbers below the normal ones are zero within a step, and what they were outside of it."""

from __future__ import annotations

import time

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore_numpy import denormals, threads

TINY = np.float32(1e-40)

pytestmark = pytest.mark.skipif(denormals.flush() is None, reason="this system has no way to take them for zero")


@pytest.fixture(autouse=True)
def as_usual():
    denormals.restore(denormals._Environment.from_buffer_copy(USUAL))
    yield
    assert TINY * np.float32(0.5) != 0, "a test left its thread otherwise"


def usual():
    before = denormals.flush()
    before[denormals._WORD] &= ~denormals._BITS
    denormals.restore(before)
    return bytes(before)


USUAL = usual() if denormals._found else b""


@pytest.mark.parametrize("size", [7, 300_000])  # one thread; several, and MKL's where it is there
def test_they_are_zero_in_a_step_on_every_thread(size):
    before = threads.count()
    threads.set_count(2)
    try:
        x = np.full(size, TINY)
        step = kcore.function(lambda x: (x * 0.5, ops.exp(x) - 1.0 + x, x + x))
        for result in step(x):
            assert not np.asarray(result).any()
        normal = np.full(size, 2e-38, "float32")
        np.testing.assert_array_equal(np.asarray(step(normal)[2]), normal + normal)
    finally:
        threads.set_count(before)
    assert np.asarray(ops.multiply(x, 0.5)).all(), "an op by itself keeps them"
    assert (x * np.float32(0.5)).all() and not denormals.flushing()


def test_threads_of_the_pool_do_as_the_one_that_asks():
    before = threads.count()
    threads.set_count(2)
    found = {}
    try:
        for on in (True, False, True, False):
            saved = denormals.flush() if on else None
            threads.run([lambda i=i: found.__setitem__(i, bool(TINY * np.float32(0.5))) for i in range(2)])
            denormals.restore(saved)
            assert found == {0: not on, 1: not on}
    finally:
        threads.set_count(before)


def test_what_a_thread_had_set_stays():
    outer = denormals.flush()
    inner = denormals.flush()
    denormals.restore(inner)
    assert denormals.flushing() and TINY * np.float32(0.5) == 0
    denormals.restore(outer)
    assert not denormals.flushing() and TINY * np.float32(0.5) != 0


def test_an_error_in_a_step_leaves_nothing_behind():
    x = kcore.layers.Input((2,))
    model = kcore.Model(x, kcore.layers.Embedding(3, 2)(x))
    with pytest.raises(ValueError, match="7"):
        model.predict(np.full((4, 2), 7), verbose=0)
    assert not denormals.flushing()


def test_a_moving_average_of_nothing_ends_at_zero_and_stays_fast():
    """RMSprop's averages of a unit that gets no gradient: 0.5 ** n reaches the smallest normal number at n = 126."""
    average = kcore.Variable(np.ones(400_000, "float32"))
    step = kcore.function(lambda: average.assign(average * 0.5))

    def seconds(steps):
        best = np.inf
        for _ in range(steps):
            start = time.perf_counter()
            step()
            best = min(best, time.perf_counter() - start)
        return best

    early = seconds(60)
    for _ in range(80):
        step()
    late = seconds(9)  # all steps between 2 ** -126 and 2 ** -149 were slow ones
    assert not np.asarray(average).any()
    assert late < 10 * early
