"""Memory of a device that blocks are cut from: it goes with its place, and what is given back is counted."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import pytest

from kcore.backend.slabs import LARGE, SLAB, Pool


class Buffer:
    """As much memory as one needs."""


class Memory(Pool):
    """Buffers that are nothing but objects."""

    def _buffer(self, nbytes):
        return Buffer()


@pytest.mark.parametrize("nbytes", [10, LARGE])
def test_a_place_that_keeps_blocks_for_itself_goes_when_nobody_uses_it(nbytes):
    place = SimpleNamespace()
    place.pool = Memory(place)
    place.staging = place.pool.take(nbytes)
    gone = weakref.ref(place.pool)
    buffer = weakref.ref(place.staging.buffer)
    del place
    gc.collect()
    assert gone() is None and buffer() is None


def test_what_is_given_back_is_counted():
    pool = Memory(None)
    small, large = pool.take(10), pool.take(LARGE)
    assert pool.nbytes == SLAB + LARGE
    del large
    assert pool.nbytes == SLAB
    offset = small.offset
    del small
    assert pool.take(10).offset == offset
