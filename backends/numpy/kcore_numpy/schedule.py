"""Which thread runs what: launches whose parts touch no common memory run side by side without waiting for each other.

Handing work to a thread and waiting for it costs some 40 us, more than many a kernel. So a kernel may offer its work
as `Jobs`, each with the memory it reads and writes, and a step's launches are gathered into regions: within one, every
thread runs its own jobs of many launches in a row, and only where one thread needs what another has written (or still
reads what it would overwrite) does everybody wait. The regions are fixed when a plan is bound, so that a run is the
same every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from kcore.backend.kernel import Site, Thunk
from kcore_numpy import threads

#: Microseconds a region must save to be worth waking a thread.
WORTH = 50.0
#: A launch that offers no jobs and touches more bytes than this may use the pool itself: everybody waits for it.
SMALL = 1 << 21

Span = tuple[int, int]


@dataclass
class Job:
    """A piece of a launch, the memory it touches, and about how many microseconds it takes."""

    thunk: Thunk
    reads: Sequence[np.ndarray]
    writes: Sequence[np.ndarray]
    cost: float


class Jobs:
    """A launch made of pieces that may run at once; called by itself, it runs them over the pool."""

    def __init__(self, jobs: Sequence[Job]):
        self.jobs = list(jobs)
        costs = [job.cost for job in self.jobs]
        self._apart = len(costs) > 1 and sum(costs) - max(costs) > WORTH
        self._thunks = [job.thunk for job in self.jobs]

    def __call__(self) -> None:
        if self._apart:
            with threads.single_blas():
                threads.run(self._thunks)
            return
        for thunk in self._thunks:
            thunk()


def _spans(arrays: Sequence[Any]) -> list[Span]:
    """The pieces of memory the arrays lie in, those that touch joined."""
    joined: list[Span] = []
    for start, stop in sorted(byte_bounds(a) for a in arrays if a is not None and a.size):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


def _meet(one: Sequence[Span], other: Sequence[Span]) -> bool:
    return any(a < d and c < b for a, b in one for c, d in other)


@dataclass
class _Worker:
    thunks: list[Thunk] = field(default_factory=list)
    reads: list[Span] = field(default_factory=list)
    writes: list[Span] = field(default_factory=list)
    cost: float = 0.0

    def clashes(self, reads: list[Span], writes: list[Span]) -> bool:
        """Whether a job that touches this memory must wait for what this worker does."""
        return _meet(reads, self.writes) or _meet(writes, self.writes) or _meet(writes, self.reads)

    def take(self, job: Job, reads: list[Span], writes: list[Span]) -> None:
        self.thunks.append(job.thunk)
        self.reads += reads
        self.writes += writes
        self.cost += job.cost


class _Region:
    """Launches that run between two points at which all threads wait."""

    def __init__(self, count: int):
        self.workers = [_Worker() for _ in range(count)]
        self.in_order: list[Thunk] = []
        self.steps: list[int] = []

    def accept(self, step: int, jobs: Sequence[Job]) -> bool:
        """Take in all jobs of a launch if none has to wait for another thread; else change nothing."""
        chosen: list[tuple[_Worker, Job, list[Span], list[Span]]] = []
        load = {id(w): w.cost for w in self.workers}
        for number, job in enumerate(jobs):
            reads, writes = _spans(job.reads), _spans(job.writes)
            free = [w for w in self.workers if not any(o.clashes(reads, writes) for o in self.workers if o is not w)]
            home = self.workers[number % len(self.workers)]
            if len(jobs) > 1 and home not in free or not free:
                return False
            worker = home if len(jobs) > 1 else min(free, key=lambda w: load[id(w)])
            load[id(worker)] += job.cost
            chosen.append((worker, job, reads, writes))
        for worker, job, reads, writes in chosen:
            worker.take(job, reads, writes)
            self.in_order.append(job.thunk)
        self.steps.append(step)
        return True

    def launch(self) -> Thunk:
        """The region as one thunk: over the threads, or in program order where that would save too little."""
        busy = sorted((w for w in self.workers if w.thunks), key=lambda w: -w.cost)
        if len(busy) > 1 and sum(w.cost for w in busy[1:]) > WORTH:
            return partial(threads.run, [sequence(w.thunks) for w in busy])
        return sequence(self.in_order)


def sequence(thunks: Sequence[Thunk]) -> Thunk:
    """One thunk that runs these in a row."""
    if len(thunks) == 1:
        return thunks[0]

    def run() -> None:
        for thunk in thunks:
            thunk()

    return run


def arrange(launches: Sequence[tuple[Site, Thunk]]) -> list[tuple[Thunk, list[int]]]:
    """The launches of a step as regions: thunks in order, each with the numbers of the launches it runs."""
    count = threads.count()
    if count == 1:
        return [(thunk, [i]) for i, (_, thunk) in enumerate(launches)]
    result: list[tuple[Thunk, list[int]]] = []
    region = _Region(count)

    def close() -> None:
        nonlocal region
        if region.steps:
            result.append((region.launch(), region.steps))
            region = _Region(count)

    for i, (site, thunk) in enumerate(launches):
        jobs = _jobs(site, thunk)
        if jobs is None:
            close()
            result.append((thunk, [i]))
        elif not region.accept(i, jobs):
            close()
            region.accept(i, jobs)
    close()
    return result


def _jobs(site: Site, thunk: Callable[[], Any]) -> Sequence[Job] | None:
    """The jobs of a launch; a small one is one job, a large one that offers none must run alone."""
    if isinstance(thunk, Jobs):
        return thunk.jobs
    if threads.is_team(thunk):
        return None
    writes = [a for a in (*site.outputs, site.scratch) if a is not None]
    touched = sum(a.nbytes for a in (*site.inputs, *site.outputs) if a is not None)
    if touched > SMALL:
        return None
    return [Job(thunk, [a for a in site.inputs if a is not None], writes, 3.0 + touched / 1e4)]
