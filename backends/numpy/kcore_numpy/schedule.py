"""Which thread runs what: a step's launches as one list of jobs per thread, with waits where memory is shared.

Handing work to a thread and waiting for it costs some 40 us, more than many a kernel. So a kernel may offer its work
as `Jobs`, each with the memory it reads and writes, and the launches of a step are laid out over the threads once, when
a plan is bound: a job waits for another thread's job only if it reads what that one writes, or writes what that one
still reads. The layout is fixed, so a run is the same every time, whatever the threads' luck.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from kcore.backend.kernel import Site, Thunk
from kcore_numpy import blas, threads

#: Microseconds until a waiting thread has noticed that it may go on.
LATENCY = 40.0
#: Microseconds it costs to tell it.
SIGNAL = 4.0
#: Microseconds a layout must save, by estimate, to be worth its trouble: threads must wake, and wait for each other's
#: interpreter lock.
WORTH = 250.0
#: Microseconds up to which a step leaves the second thread to a BLAS that has threads of its own: they meet no
#: interpreter lock, but compute nothing but products and functions of large arrays.
LONG = 10000.0
#: Seconds a step with threads of BLAS may take beyond twice its best time; more means that they wait for processors.
STALL = 1e-3
#: Steps without them after the first such step, see `_Within`.
PAUSE = 8
#: A launch that offers no jobs and touches more bytes than this may use the pool itself: everybody waits for it.
SMALL = 1 << 21

Span = tuple[int, int]


@dataclass
class Job:
    """A piece of a launch, the memory it touches, about how many microseconds it takes, and whether they go to BLAS."""

    thunk: Thunk
    reads: Sequence[np.ndarray]
    writes: Sequence[np.ndarray]
    cost: float
    product: bool = False


class Jobs:
    """A launch made of pieces that may run at once; called by itself, it runs them over the pool.

    Args:
        jobs: the pieces.
        whole: the same in one piece, where that is faster on one thread than one piece after the other.
    """

    def __init__(self, jobs: Sequence[Job], whole: Thunk | None = None):
        self.jobs = list(jobs)
        self.serial = [whole] if whole is not None else [job.thunk for job in self.jobs]
        costs = [job.cost for job in self.jobs]
        self._apart = len(costs) > 1 and sum(costs) - max(costs) > WORTH
        self._thunks = [job.thunk for job in self.jobs]

    def __call__(self) -> None:
        if self._apart:
            with threads.single_blas():
                threads.run(self._thunks)
            return
        for thunk in self.serial:
            thunk()


def spans(arrays: Sequence[Any]) -> list[Span]:
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
class _Placed:
    """A job on a thread: what it touches, when it should be done, whom it waits for and who waits for it."""

    step: int
    thunk: Thunk
    reads: list[Span]
    writes: list[Span]
    done: float
    waits: list[_Placed] = field(default_factory=list)
    waited_for: int = 0

    def clashes(self, reads: list[Span], writes: list[Span]) -> bool:
        return _meet(reads, self.writes) or _meet(writes, self.writes) or _meet(writes, self.reads)


@dataclass
class _Lane:
    """The jobs of one thread, and up to which of every other lane's jobs it has waited already."""

    jobs: list[_Placed] = field(default_factory=list)
    known: dict[int, int] = field(default_factory=dict)
    busy: float = 0.0

    def last_clash(self, reads: list[Span], writes: list[Span], after: int) -> int:
        """Number of the last job, beyond `after`, that the memory clashes with; -1 if there is none."""
        for i in range(len(self.jobs) - 1, after, -1):
            if self.jobs[i].clashes(reads, writes):
                return i
        return -1


class _Layout:
    """Launches between two points at which all threads wait."""

    def __init__(self, count: int):
        self.lanes = [_Lane() for _ in range(count)]
        self.in_order: list[tuple[int, Thunk]] = []
        self.alone: list[tuple[int, Thunk]] = []
        self.steps: list[int] = []
        self.serial = 0.0

    def take(self, step: int, jobs: Sequence[Job], serial: Sequence[Thunk] = ()) -> None:
        """Put each job on the thread where it is done first; `serial` is the same for a layout on one thread."""
        self.steps.append(step)
        self.alone += [(step, thunk) for thunk in serial or [job.thunk for job in jobs]]
        for job in jobs:
            reads, writes = spans(job.reads), spans(job.writes)
            options = [self._option(i, job.cost, reads, writes) for i in range(len(self.lanes))]
            _, home, needed = min(options, key=lambda option: option[:2])
            lane = self.lanes[home]
            placed = _Placed(step, job.thunk, reads, writes, options[home][0])
            for other, i in needed:
                lane.known[other] = i
                target = self.lanes[other].jobs[i]
                target.waited_for += 1
                placed.waits.append(target)
                self.lanes[other].busy += SIGNAL
            lane.jobs.append(placed)
            lane.busy = placed.done
            self.in_order.append((step, job.thunk))
            self.serial += job.cost

    def _option(
        self, home: int, cost: float, reads: list[Span], writes: list[Span]
    ) -> tuple[float, int, list[tuple[int, int]]]:
        """When the job would be done on a lane, and which jobs of other lanes it would have to wait for."""
        lane = self.lanes[home]
        begin = lane.busy if lane.jobs or home == 0 else LATENCY
        needed = []
        for other, theirs in enumerate(self.lanes):
            if other == home:
                continue
            i = theirs.last_clash(reads, writes, lane.known.get(other, -1))
            if i >= 0:
                needed.append((other, i))
                begin = max(begin, theirs.jobs[i].done + LATENCY)
        return begin + cost, home, needed

    def launch(self) -> Thunk:
        """The layout as one thunk: over the threads, or in program order where that would save too little."""
        used = [lane for lane in self.lanes if lane.jobs]
        if len(used) > 1 and self.serial - max(lane.busy for lane in used) - LATENCY > WORTH:
            return _Together(used, self.in_order)
        return _numbered(self.alone)


class _Failed(Exception):
    """Another thread's job raised; what waits for it stops."""


class _Bell:
    """A lock that one job opens and one job, on another thread, waits at; closed again after each run."""

    def __init__(self, run: _Together):
        self.run = run
        self.lock = allocate_lock()
        self.lock.acquire()

    def ring(self) -> None:
        self.lock.release()

    def wait(self) -> None:
        self.lock.acquire()
        if self.run.failed:
            raise _Failed


class _Together:
    """Several lanes at once; where the pool is taken, all jobs in program order."""

    def __init__(self, lanes: Sequence[_Lane], in_order: Sequence[tuple[int, Thunk]]):
        self.lanes = lanes
        self.in_order = _numbered(in_order)
        self.failed = False
        self._connect()

    def _connect(self) -> None:
        """Make the bells, and each lane a list of calls."""
        self.failed = False
        self.bells: list[_Bell] = []
        rings: dict[int, list[_Bell]] = {}
        waits: dict[int, list[_Bell]] = {}
        for lane in self.lanes:
            for job in lane.jobs:
                for target in job.waits:
                    bell = _Bell(self)
                    self.bells.append(bell)
                    rings.setdefault(id(target), []).append(bell)
                    waits.setdefault(id(job), []).append(bell)
        self.calls = []
        for lane in self.lanes:
            calls: list[tuple[int, Thunk]] = []
            for job in lane.jobs:
                calls += [(job.step, bell.wait) for bell in waits.get(id(job), ())]
                calls.append((job.step, job.thunk))
                calls += [(job.step, bell.ring) for bell in rings.get(id(job), ())]
            self.calls.append(partial(self._run, _numbered(calls)))

    def _run(self, lane: Thunk) -> None:
        try:
            lane()
        except _Failed:
            self._open()
        except BaseException:
            self.failed = True
            self._open()
            raise

    def _open(self) -> None:
        """Let everybody pass who waits, now or later."""
        for bell in self.bells:
            if bell.lock.locked():
                bell.lock.release()

    def __call__(self) -> None:
        try:
            together = threads.together(self.calls)
        except BaseException:
            self._connect()
            raise
        if not together:
            self.in_order()


class _Within:
    """A step on one thread, with the threads of BLAS, as long as nothing else keeps the processors busy.

    Those threads wait for each other by spinning. Where another process has the processor of one, the others wait until
    it gets that back, which is milliseconds for each product. So after a step that took much longer than it should, the
    next ones do without them, the more of them the oftener that happens; results are the same to the bit.
    """

    def __init__(self, work: Thunk):
        self.work = work
        self.best = inf
        self.rest, self.pause = 0, PAUSE

    def __call__(self) -> None:
        if self.rest:
            self.rest -= 1
            self.work()
            return
        start = perf_counter()
        blas.with_threads(self.work)
        self.learn(perf_counter() - start)

    def learn(self, seconds: float) -> None:
        """Decide from the time of a step with all threads how the next ones are run."""
        self.best = min(self.best, seconds)
        if seconds > 2 * self.best + STALL:
            self.rest, self.pause = self.pause, min(2 * self.pause, 64 * PAUSE)
        else:
            self.pause = max(PAUSE, self.pause // 2)


def sequence(thunks: Sequence[Thunk]) -> Thunk:
    """One thunk that runs these in a row."""
    if len(thunks) == 1:
        return thunks[0]
    thunks = list(thunks)

    def run() -> None:
        for thunk in thunks:
            thunk()

    return run


def _numbered(thunks: Sequence[tuple[int, Thunk]]) -> Thunk:
    """These in a row; an error carries the number of the launch it came from as `launch`."""
    numbers, calls = [n for n, _ in thunks], [t for _, t in thunks]

    def run() -> None:
        i = 0
        try:
            for i, call in enumerate(calls):  # noqa: B007 (the handler names the launch that failed)
                call()
        except Exception as error:
            error.launch = numbers[i]  # type: ignore[attr-defined]
            raise

    return run


def pipeline(jobs: Sequence[Job]) -> Thunk:
    """One thunk for jobs of one launch in program order, over the threads as far as the memory they share allows."""
    layout = _Layout(threads.count())
    for job in jobs:
        layout.take(0, [job])
    work = layout.launch()

    def run() -> None:
        with threads.single_blas():
            work()

    return run


def arrange(launches: Sequence[tuple[Site, Thunk]]) -> list[tuple[Thunk, list[int]]]:
    """The launches of a step laid out: thunks in order, each with the numbers of the launches it runs."""
    count = threads.count()
    if count == 1:
        return [(thunk, [i]) for i, (_, thunk) in enumerate(launches)]
    if _within(launches):
        serial = [
            (i, one)
            for i, (_, thunk) in enumerate(launches)
            for one in (thunk.serial if isinstance(thunk, Jobs) else [thunk])
        ]
        return [(_Within(_numbered(serial)), list(range(len(launches))))]
    result: list[tuple[Thunk, list[int]]] = []
    layout = _Layout(count)

    def close() -> None:
        nonlocal layout
        if layout.steps:
            result.append((layout.launch(), layout.steps))
            layout = _Layout(count)

    for i, (site, thunk) in enumerate(launches):
        jobs = _jobs(site, thunk)
        if jobs is None:
            close()
            result.append((thunk, [i]))
        else:
            layout.take(i, jobs, thunk.serial if isinstance(thunk, Jobs) else ())
    close()
    return result


def _within(launches: Sequence[tuple[Site, Thunk]]) -> bool:
    """Whether a step had better go on one thread with BLAS's own: short, with products that are worth a second one."""
    if not blas.has_threads() or any(threads.is_team(thunk) for _, thunk in launches):
        return False
    jobs = [thunk.jobs for _, thunk in launches if isinstance(thunk, Jobs)]
    cost = sum(job.cost for one in jobs for job in one)
    cost += sum(_touched(site) / 1e4 for site, thunk in launches if not isinstance(thunk, Jobs))
    products = sum(job.cost for one in jobs for job in one if job.product)
    return cost < LONG and products > WORTH


def _touched(site: Site) -> int:
    return sum(a.nbytes for a in (*site.inputs, *site.outputs) if a is not None)


def _jobs(site: Site, thunk: Callable[[], Any]) -> Sequence[Job] | None:
    """The jobs of a launch; a small one is one job, a large one that offers none must run alone."""
    if isinstance(thunk, Jobs):
        return thunk.jobs
    if threads.is_team(thunk):
        return None
    touched = _touched(site)
    if touched > SMALL:
        return None
    writes = [a for a in (*site.outputs, site.scratch) if a is not None]
    return [Job(thunk, [a for a in site.inputs if a is not None], writes, 5.0 + touched / 1e4)]
