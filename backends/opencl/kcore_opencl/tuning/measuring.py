"""How long the candidates of a node take on a device."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

import numpy as np

from kcore.backend.base import Device
from kcore.dtypes import numpy_dtype
from kcore.kernels.choosing import Asked, key_of
from kcore.kernels.work import flops, label
from kcore_opencl.errors import BuildError
from kcore_opencl.launch import Launch
from kcore_opencl.place import Place, place_of
from kcore_opencl.programs import Programs

#: Share of its time a way must save to be taken instead of the default.
GAIN = 0.03
#: Most candidates of a node, the generator's most promising.
MOST = 24
#: Seconds of one measurement, of which the best counts.
TURN = 3e-3
#: Ways that are measured closely, and how often.
FINALISTS, ROUNDS = 8, 5
#: How often the fastest is compared with the default before it is taken.
PAIRS = 9


@dataclass(frozen=True)
class Result:
    """What was found for a node.

    Attributes:
        key: what is computed.
        label: layer and ops of the first node that computes it.
        way: the fastest way, as text.
        default: microseconds of the generator's default.
        best: microseconds of the way that was taken.
        tried: candidates that were measured.
        flops: additions and multiplications.
    """

    key: str
    label: str
    way: str
    default: float
    best: float
    tried: int
    flops: int


def measure(asked: Asked, device: Device) -> Result:
    """Measure the candidates of a node and find the best.

    Args:
        asked: the node and its generator.
        device: the device; nothing else should run on it.
    """
    ways = list(asked.candidates(asked.node, asked.traits))[:MOST]
    launches = _launches(asked, ways, place_of(device))
    times = _times(launches)
    best = min(range(len(ways)), key=times.__getitem__)
    share = _share(launches[best], launches[0], times[best]) if best else 1.0
    if share > 1 - GAIN:
        best, share = 0, 1.0
    return Result(
        key_of(asked.node),
        label(asked.node),
        repr(ways[best]),
        times[0] * 1e6,
        times[0] * share * 1e6,
        sum(t < inf for t in times),
        flops(asked.node),
    )


def _launches(asked: Asked, ways: Sequence[Any], place: Place) -> list[Launch | None]:
    """The node's kernels cut in each way, built, over the same arrays; None for a way that does not compile."""
    bench = copy.copy(place)  # with programs of its own: those of all candidates are not worth keeping
    bench.programs = Programs(place.context, place.device, place.programs.by_source, keep=False)
    bench.profile = None
    node, random = asked.node, np.random.default_rng(0)
    inputs = [None if v is None else _filled(place, v.shape, v.dtype, random) for v in node.inputs]
    outputs = [place.array(v.shape, v.dtype) for v in node.outputs]
    codes = [asked.emit(node, asked.traits, way) for way in ways]
    most = max(code.scratch_bytes for code in codes)
    scratch = place.array((most,), "uint8") if most else None
    found: list[Launch | None] = []
    for number, code in enumerate(codes):
        launch = Launch(bench, code, inputs, outputs, scratch, node)
        try:
            if not number:
                bench.programs.build(s for c in codes for s in c.launches)
            launch.ready()
        except BuildError:
            if not number:
                raise
            found.append(None)
        else:
            found.append(launch)
    return found


def _filled(place: Place, shape: tuple[int, ...], dtype: str, random: np.random.Generator) -> Any:
    array = place.array(shape, dtype)
    place.write(array, random.random(shape, np.float32).astype(numpy_dtype(dtype)))
    return array


def _times(launches: Sequence[Launch | None]) -> list[float]:
    """Seconds of each, infinite for one that is missing; those far from the best are measured only once."""
    times = [inf if launch is None else _once(launch, 1) for launch in launches]
    times = [inf if launch is None else min(t, _once(launch, 1)) for launch, t in zip(launches, times, strict=True)]
    order = sorted(range(len(times)), key=times.__getitem__)
    finalists = [i for i in order[:FINALISTS] if times[i] < inf]
    finalists = finalists if 0 in finalists else [*finalists, 0]
    for _ in range(ROUNDS):  # in turn, so that whatever else the machine does hits all alike
        for i in finalists:
            launch = launches[i]
            assert launch is not None
            times[i] = min(times[i], _once(launch, max(1, min(100, int(TURN / times[i])))))
    return [t if i in finalists else max(t, times[finalists[0]]) for i, t in enumerate(times)]


def _share(best: Launch | None, default: Launch | None, seconds: float) -> float:
    """The time of one as a share of the other's: the median over pairs measured one right after the other."""
    assert best is not None and default is not None
    repeats = max(1, min(100, int(TURN / seconds)))
    return median(_once(best, repeats) / _once(default, repeats) for _ in range(PAIRS))


def _once(launch: Launch, repeats: int) -> float:
    """Seconds of a run, of so many in a row."""
    queue = launch.place.queue
    queue.finish()
    begin = time.perf_counter()
    for _ in range(repeats):
        launch()
    queue.finish()
    return (time.perf_counter() - begin) / repeats
