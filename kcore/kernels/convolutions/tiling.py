"""How a convolution is cut: the sizes that are compiled in, chosen from shapes and traits alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, prod

from kcore.dtypes import itemsize
from kcore.kernels.convolutions.geometry import Axis, Walk
from kcore.kernels.traits import Traits

#: Multiply-adds one work-item should have, so that starting it costs little beside them.
WORK = 1 << 21
#: Bytes of positions a patch walks over before the next.
CACHED = 40 << 10
#: Last axes of more taps than this are walked tap by tap.
UNROLLED = 11


@dataclass(frozen=True)
class Strip:
    """How a walk is cut: a work-item holds some neighbouring results by a block of channels in registers.

    Attributes:
        pixels: results of a strip, along the last axis.
        vectors: vectors of a block.
        lanes: channels of a vector.
        unrolled: whether the taps of the last axis are written out, so that a value read serves several of them.
        each: strips a work-item computes, one after another.
    """

    pixels: int
    vectors: int
    lanes: int
    unrolled: bool
    each: int


def lanes_of(dtype: str, traits: Traits) -> int:
    """Lanes of the widest vector worth using."""
    return max(1, min(16, traits.vector * 4 // max(4, itemsize(dtype))))


def _registers(traits: Traits) -> int:
    return 32 if traits.vector >= 16 else 16


@lru_cache(256)
def strips(walk: Walk, dtype: str, traits: Traits) -> list[Strip]:
    """Ways to cut a walk, the most promising first."""
    lanes = lanes_of(dtype, traits)
    unrolled = walk.axes[-1].taps <= UNROLLED
    ways = {
        (pixels, vectors, unroll): _cycles(walk, pixels, vectors, lanes, unroll, traits)
        for unroll in ((True, False) if unrolled else (False,))
        for vectors in range(1, min(6, ceil(walk.outer / lanes)) + 1)
        for pixels in range(1, min(28, walk.axes[-1].out) + 1)
    }
    order = sorted((cost, way) for way, cost in ways.items() if cost < inf)
    return [Strip(p, v, lanes, u, _each(walk, p, v * lanes, traits)) for _, (p, v, u) in order]


def _cycles(walk: Walk, pixels: int, vectors: int, lanes: int, unrolled: bool, traits: Traits) -> float:
    """Estimated cycles of one row of results by all channels."""
    axis = walk.axes[-1]
    held = vectors * axis.taps if unrolled else vectors
    if pixels * vectors + min(held, 2 * vectors) + 1 > _registers(traits):
        return inf
    steps = 1 if walk.channelwise else walk.inner
    outer = prod(a.taps for a in walk.axes[:-1]) * steps
    total = 0.0
    full, rest = divmod(axis.out, pixels)
    for count, times in ((pixels, full), (rest, 1 if rest else 0)):
        fmas: float = count * vectors * axis.taps
        loads: float
        spilled = 0
        if unrolled:
            read = len({p * axis.step + t * axis.spacing for p in range(count) for t in range(axis.taps)})
            spilled = max(0, count * vectors + held + 1 - _registers(traits))
            loads = read * (vectors if walk.channelwise else 1) + held
        else:
            loads = 1.6 * (count * (vectors if walk.channelwise else 1) + vectors) * axis.taps
            fmas *= 1.15
        chain = 4 * axis.taps  # a multiply-add waits four cycles for the one before
        guarded = _guarded(axis, count, pixels, unrolled)
        total += times * (
            outer * (max(fmas / 2, loads / 2, chain) + 3 * guarded + 4 * spilled + 1) + 2 * count * vectors + 10
        )
    return total * ceil(walk.outer / (vectors * lanes)) * walk.groups


def _guarded(axis: Axis, count: int, pixels: int, unrolled: bool) -> int:
    """How many of a strip's reads may lie outside of the row and must be checked."""
    if axis.inside:
        return 0
    if not unrolled:
        return count * axis.taps
    reach = pixels * axis.step
    return max(0, min(axis.below - reach, count)) + max(0, min(axis.above - reach, count))


def _each(walk: Walk, pixels: int, block: int, traits: Traits) -> int:
    """Strips of a work-item: enough to be worth a turn, few enough that all units have some."""
    per_row = ceil(walk.axes[-1].out / pixels)
    count = walk.rows * per_row * ceil(walk.outer / block) * walk.groups
    if not count:
        return 1
    return max(1, min(WORK * count // max(walk.work, 1), count // (16 * traits.units)))


@dataclass(frozen=True)
class Patch:
    """How a kernel gradient is cut: a work-item holds some elements of it in registers while it walks over positions.

    Attributes:
        channels: input channels of a patch.
        vectors: vectors of output channels of a patch.
        lanes: output channels of a vector.
        row: whether a patch holds all taps of the last axis, or one.
        rows, pixels: positions walked before the sums go to memory and the next patch is taken, so that what is read
            stays in cache.
        splits: parts of the batch that are summed apart, and added at the end in order.
    """

    channels: int
    vectors: int
    lanes: int
    row: bool
    rows: int
    pixels: int
    splits: int


@lru_cache(256)
def patches(walk: Walk, dtype: str, traits: Traits) -> list[Patch]:
    """Ways to cut a kernel gradient, the most promising first; `walk` has at least two axes."""
    lanes = lanes_of(dtype, traits)
    taps = walk.axes[-1].taps
    most = 1 if walk.channelwise else walk.inner
    ways = {
        (channels, vectors, row): _patch_cycles(walk, channels, vectors, lanes, row, traits)
        for row in ((False, True) if 1 < taps <= UNROLLED else (False,))
        for vectors in range(1, min(6, ceil(walk.outer / lanes)) + 1)
        for channels in range(1, min(16, most) + 1)
    }
    order = sorted((cost, way) for way, cost in ways.items() if cost < inf)
    return [_patch(walk, c, v, lanes, r, dtype, traits) for _, (c, v, r) in order]


def _patch_cycles(walk: Walk, channels: int, vectors: int, lanes: int, row: bool, traits: Traits) -> float:
    """Estimated cycles of one row of positions for the whole kernel."""
    axis = walk.axes[-1]
    taps = axis.taps if row else 1
    if channels * taps * vectors + vectors + 1 > _registers(traits):
        return inf
    total = 0.0
    inner = 1 if walk.channelwise else walk.inner
    full, rest = divmod(inner, channels)
    for count, times in ((channels, full), (rest, 1 if rest else 0)):
        fmas = count * taps * vectors
        loads = 1.2 * (count * taps * (vectors if walk.channelwise else 1) + vectors)
        if count == 16:  # compilers load sixteen neighbours at once, and then take the vector apart
            loads *= 1.3
        guarded = 0.0 if axis.inside or not row else 2.0 * count * taps / axis.out * (axis.below + axis.above)
        total += times * (max(fmas / 2, loads / 2, 4) + 1 + guarded)
    columns = ceil(walk.outer / (vectors * lanes))
    if columns > 1 and not walk.channelwise:
        image = 4 * prod(a.out for a in walk.axes[-2:]) * (walk.inner + vectors * lanes)
        if image > CACHED:  # what is read once for each column comes from farther away
            total *= 1.06
    return total * axis.taps / taps * columns * (1.02 if row else 1.0)


def _patch(walk: Walk, channels: int, vectors: int, lanes: int, row: bool, dtype: str, traits: Traits) -> Patch:
    block = min(vectors * lanes, walk.outer)
    last, lines = walk.axes[-1], walk.axes[-2]
    inner = block if walk.channelwise else walk.inner
    pixel = itemsize(dtype) * (inner * last.step + block)
    pixels = min(last.out, max(16, CACHED // pixel))
    if pixels < last.out < 2 * pixels:
        pixels = ceil(last.out / 2)
    rows = max(1, min(lines.out, CACHED // (pixel * pixels)))
    rows = ceil(lines.out / ceil(lines.out / rows))
    units = walk.batch * prod(a.out for a in walk.axes[:-2]) * ceil(lines.out / rows) * ceil(last.out / pixels)
    columns = ceil(walk.outer / block) * walk.groups
    splits = max(1, min(units, ceil(4 * traits.units / columns), walk.work // WORK))
    splits = ceil(units / ceil(units / splits)) if units else 1
    return Patch(channels, vectors, lanes, row, rows, pixels, splits)
