"""Memory of a device: slabs, pages where a buffer may not be larger, what is held, and the error at its end."""

from __future__ import annotations

import dataclasses
import gc
import random
from itertools import pairwise

import numpy as np
import pyopencl as cl
import pytest

import kcore
from kcore import ops
from kcore.graph.plan import Arena
from kcore_opencl.errors import DeviceLostError
from kcore_opencl.memory import LARGE, SLAB, Pages, Pool


def test_small_arrays_share_a_buffer_and_give_their_room_back(device):
    pool = Pool(device.place)
    first, second = pool.take(400), pool.take(120)
    assert first.buffer is second.buffer and first.offset != second.offset
    offset = first.offset
    del first
    gc.collect()
    assert pool.take(400).offset == offset


def _overlapping(blocks):
    """Pairs of blocks that have bytes in common."""
    placed = sorted((id(b.buffer), b.offset, b.offset + b.nbytes) for b in blocks)
    return [(a, b) for a, b in pairwise(placed) if a[0] == b[0] and b[1] < a[2]]


def test_no_block_lies_on_another_however_full_the_slabs_are(device):
    choose, pool, held = random.Random(1), Pool(device.place), []
    for _ in range(1500):
        if held and choose.random() < 0.48:
            held.pop(choose.randrange(len(held)))
        else:
            held.append(pool.take(choose.choice([400, 100_000, 2_640_000, 5_280_000, 7_000_000])))
        assert not _overlapping(held)
        assert all(b.offset + b.nbytes <= SLAB for b in held)


def test_a_result_stays_where_the_next_does_not_fit_behind_it(device):
    """What the conformance kit saw once: a held result of 5 MB under the next one, in a slab that was nearly full."""
    pool = Pool(device.place)
    held = [pool.take(LARGE - 128) for _ in range(3)]
    held.append(pool.take(SLAB - 3 * LARGE - 5_500_000))
    other_slab = pool.take(6_000_000)
    first = pool.take(5_280_000)
    second = pool.take(200_000)
    third = pool.take(2_000_000)
    assert not _overlapping([*held, other_slab, first, second, third])


def test_blocks_that_are_given_back_while_another_is_taken(device, monkeypatch):
    """The garbage collector runs finalizers wherever it likes, in the middle of `take`, too."""
    pool = Pool(device.place)
    dropped, first = [pool.take(64)], pool.take(64)
    gap, last = pool.take(10_000), pool.take(64)
    del gap
    whole = Arena._skipped

    def collecting(arena, offset, nbytes):
        dropped.clear()
        return whole(arena, offset, nbytes)

    monkeypatch.setattr(Arena, "_skipped", collecting)
    assert not _overlapping([first, last, pool.take(10_000)])


def test_large_arrays_have_buffers_of_their_own_which_are_freed(device):
    place = device.place
    before = place.pool.nbytes
    large = place.array((LARGE,), "uint8")
    assert large.offset == 0 and place.pool.nbytes == before + LARGE
    del large
    gc.collect()
    assert place.pool.nbytes == before


def test_a_slab_that_nobody_uses_is_freed(device):
    pool = Pool(device.place)
    blocks = [pool.take(LARGE - 128) for _ in range(5)]
    assert pool.nbytes == 2 * SLAB
    del blocks
    gc.collect()
    assert pool.nbytes == SLAB


def test_what_is_uploaded_may_change_at_once(device):
    place = device.place
    for n in (7, 5_000, 3_000_000):
        values = np.arange(n, dtype="float32")
        array = place.array((n,), "float32")
        place.write(array, values)
        values[:] = -1
        np.testing.assert_array_equal(place.read(array), np.arange(n, dtype="float32"))


@pytest.fixture
def tight(device, monkeypatch):
    """The device, as if one of its buffers could have 64 KiB."""
    monkeypatch.setattr("kcore.backend.compile._arenas", {})
    monkeypatch.setattr(device.place, "traits", dataclasses.replace(device.place.traits, largest=1 << 16))
    kcore.use_backend(str(device.device))
    yield device
    kcore.use_backend("numpy")


def test_an_arena_larger_than_a_buffer_is_made_of_pages(tight):
    def f(x):
        return [ops.tanh(x * float(i)) @ ops.transpose(x) for i in range(1, 6)]

    x = np.random.default_rng(0).normal(size=(100, 60)).astype("float32")
    step = kcore.function(f)
    assert step.concrete(x).plan.arena > tight.place.page
    for i, y in enumerate(step(x), start=1):
        np.testing.assert_allclose(y.numpy(), np.tanh(x * i) @ x.T, rtol=2e-5, atol=2e-5)
    assert isinstance(tight.place.allocate(1 << 17), Pages)


def test_a_value_larger_than_a_buffer_is_refused_by_name(tight):
    message = r"float32\[200, 200\] of op 'matmul'.*160,000 bytes are more than the 65,536"
    with pytest.raises(MemoryError, match=message):
        kcore.function(lambda x: ops.sum(ops.matmul(x, ops.transpose(x))))(np.ones((200, 3), "float32"))


def test_out_of_memory_says_what_was_asked_and_what_would_fit(device, monkeypatch):
    kcore.use_backend(str(device.device))
    model = kcore.Sequential([kcore.Input((20,)), kcore.layers.Dense(30, name="wide"), kcore.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((6000, 20), "float32"), np.ones((6000, 1), "float32")

    def refuse(self, nbytes):
        raise MemoryError(f"the device refused {nbytes:,} bytes")

    monkeypatch.setattr("kcore.backend.compile._arenas", {})  # that of an earlier test may be large enough
    monkeypatch.setattr(type(device.place.pool), "_own", refuse)
    monkeypatch.setattr("kcore.backend.slabs.LARGE", 1 << 18)
    monkeypatch.setattr("kcore_opencl.backend.OpenCLBackend.held", lambda self, d: d.memory - (1 << 19))
    with pytest.raises(MemoryError) as caught:
        model.fit(x, y, batch_size=6000, verbose=0)
    kcore.use_backend("numpy")
    message = str(caught.value)
    for part in ("has no room for", "refused", "the largest values", "wide", "batch size is 6000; about"):
        assert part in message, message


def test_nothing_grows_over_steps(device):
    kcore.use_backend(str(device.device))
    model = kcore.Sequential([kcore.Input((20,)), kcore.layers.Dense(30), kcore.layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = np.ones((64, 20), "float32"), np.ones((64, 1), "float32")
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    model.predict(x, verbose=0)
    gc.collect()
    before = device.place.pool.nbytes
    model.fit(x, y, batch_size=8, epochs=20, verbose=0)
    for _ in range(20):
        model.predict(x, verbose=0)
    gc.collect()
    kcore.use_backend("numpy")
    assert device.place.pool.nbytes == before


@pytest.mark.parametrize(
    "code, kind", [("MEM_OBJECT_ALLOCATION_FAILURE", MemoryError), ("DEVICE_NOT_AVAILABLE", DeviceLostError)]
)
def test_only_the_end_of_memory_is_called_so(device, monkeypatch, code, kind):
    class Failure(cl.Error):
        pass

    Failure.code = getattr(cl.status_code, code)

    def fail(*args):
        raise Failure(code)

    monkeypatch.setattr("kcore_opencl.memory.cl.Buffer", fail)
    with pytest.raises(kind):
        Pool(device.place).take(LARGE)
