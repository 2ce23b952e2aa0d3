"""The one thread pool of the NumPy backend: fork-join over persistent workers, in balance with BLAS's own threads."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from _thread import allocate_lock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from kcore_numpy import denormals

Thunk = Callable[[], Any]

#: OpenBLAS threads wait for more work by spinning for 2**26 cycles (some 25 ms) and would take the cores from the
#: workers here all that time: a split product right after a BLAS one then runs at half speed. 2**18 cycles still
#: catch back-to-back products without a wake-up, and are over before they hurt.
_BLAS_SPIN = "18"
#: prctl's number for how late a thread's timers may come, in nanoseconds.
_TIMER_SLACK = 29


def _from_environment() -> int:
    """Thread count from KCORE_NUM_THREADS, OMP_NUM_THREADS or the processors this process may use."""
    for name in ("KCORE_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()  # OMP allows one number per nesting level
        if not text:
            continue
        if not text.isdigit() or int(text) < 1:
            raise ValueError(f"{name} is {text!r}; expected a whole number of threads, at least 1")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Blas:
    """The BLAS libraries of this process, and a context that holds them to one thread."""

    def __init__(self) -> None:
        self._setters: list[Callable[[int], Any]] = []
        self.openblas: list[Any] = []
        self.version = ""
        self._lock = allocate_lock()
        self._depth = 0
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            self._setters.append(_raw_setter(library))
            if library.internal_api == "openblas":
                self.openblas.append(library.dynlib)
                self.version = str(library.version)
            _shorten_spin(library)

    def add(self, setter: Callable[[int], Any]) -> None:
        """Hold a library that was loaded later, too."""
        with self._lock:
            self._setters.append(setter)
            setter(1 if self._depth else _count)

    def set_threads(self, number: int) -> None:
        for setter in self._setters:
            setter(number)

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self.set_threads(1)

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self.set_threads(_count)


def _raw_setter(library: Any) -> Callable[[int], Any]:
    """The library's own C function, without threadpoolctl's search for its name at every call, where it is known."""
    if library.internal_api == "openblas":
        prefixes, suffixes = ("", "scipy_"), ("64_", "", "_64")
        for name in (f"{p}openblas_set_num_threads{s}" for p in prefixes for s in suffixes):
            if hasattr(library.dynlib, name):
                return getattr(library.dynlib, name)
    return library.set_num_threads


def _shorten_spin(library: Any) -> None:
    """Let idle OpenBLAS threads sleep soon, unless the user has chosen a time (see `_BLAS_SPIN`)."""
    needed = ("openblas_read_env", "blas_thread_shutdown_")
    if library.internal_api != "openblas" or "OPENBLAS_THREAD_TIMEOUT" in os.environ:
        return
    if getattr(library, "threading_layer", "") == "pthreads" and all(hasattr(library.dynlib, n) for n in needed):
        os.environ["OPENBLAS_THREAD_TIMEOUT"] = _BLAS_SPIN
        library.dynlib.openblas_read_env()
        # The threads read the time when they start; the next product starts them again.
        library.dynlib.blas_thread_shutdown_()


class prompt:
    """Context in which a thread that finds the interpreter lock taken looks again soon, by itself.

    The holder of the lock mostly gives it back within a microsecond, at the start of its next NumPy call. A thread that
    sleeps until it is told has to be woken, which may cost both of them 25 us where its processor has gone idle.
    """

    def __enter__(self) -> None:
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)

    def __exit__(self, *exc: object) -> None:
        sys.setswitchinterval(self._before)


def _wake_promptly() -> None:
    """Let this thread's timed waits end when they are over, and not up to 50 us later, where the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_TIMER_SLACK, 1, 0, 0, 0)  # refused, nothing is lost but the microseconds


class _Worker:
    """A daemon thread that runs one thunk at a time; two locks are its doorbells."""

    def __init__(self, number: int) -> None:
        self.go, self.done = allocate_lock(), allocate_lock()
        self.go.acquire()
        self.done.acquire()
        self.thunk: Thunk | None = None
        self.flushing = False
        self.error: BaseException | None = None
        threading.Thread(target=self._loop, name=f"kcore-numpy-{number}", daemon=True).start()

    def _loop(self) -> None:
        _wake_promptly()
        np.seterr(all="ignore")  # NaN and infinity are results; what the caller has set does not reach this thread
        while True:
            self.go.acquire()
            denormals.follow(self.flushing)
            try:
                self.thunk()  # type: ignore[misc]
            except BaseException as error:  # noqa: BLE001 - handed to the caller of run(), which raises it
                self.error = error
            self.thunk = None
            self.done.release()

    def wait(self) -> None:
        """Wait for the end of the thunk, come what may: it writes to buffers that are about to be reused."""
        interrupt: BaseException | None = None
        while True:
            try:
                self.done.acquire()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None and self.error is None:
            self.error = interrupt


_count = _from_environment()
_blas = _Blas()
_workers: list[_Worker] = []
_pool = allocate_lock()


def count() -> int:
    """The number of threads the backend uses, from `set_count`, the environment or the affinity mask.

    Example:
        >>> count() >= 1
        True
    """
    return _count


def set_count(number: int | None) -> None:
    """Use this many threads, in the pool and in BLAS; None for as many as the environment says.

    Raises:
        ValueError: number is less than 1.

    Example:
        >>> before = count()
        >>> set_count(1); count()
        1
        >>> set_count(before)
    """
    global _count
    if number is None:
        number = _from_environment()
    if int(number) < 1:
        raise ValueError(f"set_count() needs at least one thread, got {number}")
    with _pool:
        _count = int(number)
        _blas.set_threads(_count)


def openblas() -> list[Any]:
    """The OpenBLAS libraries NumPy's products may come from, as ctypes knows them; empty with another BLAS."""
    return _blas.openblas


def openblas_version() -> str:
    """The version of the last of them; empty with another BLAS."""
    return _blas.version


def single_blas() -> _Blas:
    """Context in which every BLAS product runs on the thread that asks for it; for code that does its own splitting."""
    return _blas


def split(n: int, grain: int = 1) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into at most `count()` even parts of at least `grain` elements; empty for n = 0.

    Example:
        >>> before = count(); set_count(2)
        >>> split(10), split(10, grain=6), split(0)
        ([(0, 5), (5, 10)], [(0, 10)], [])
        >>> set_count(before)
    """
    if n <= 0:
        return []
    parts = max(1, min(_count, n // max(1, grain)))
    edges = [n * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))


def run(thunks: Sequence[Thunk]) -> None:
    """Run thunks in parallel, the first on the calling thread, and wait for all; raise the first error.

    With more thunks than threads, each thread takes the next one when it is free. A call from within a thunk, or
    while another thread holds the pool, runs its thunks one after the other.
    """
    number = min(len(thunks), _count)
    parts = thunks
    if number > 1 and len(thunks) > number:
        parts = [_drain_into(iter(thunks))] * number
    if number < 2 or not together(parts):
        for thunk in thunks:
            thunk()


def together(thunks: Sequence[Thunk]) -> bool:
    """Run each thunk on a thread of its own, the first on the calling one, and wait for all; raise the first error.

    Returns:
        False, and nothing has run, where there are not that many threads or the pool is taken.
    """
    number = len(thunks)
    if number > _count or not _pool.acquire(False):
        return False
    try:
        while len(_workers) < number - 1:
            _workers.append(_Worker(len(_workers) + 1))
        helpers = _workers[: number - 1]
        flushing = denormals.flushing()
        for worker, thunk in zip(helpers, thunks[1:], strict=True):
            worker.thunk, worker.flushing = thunk, flushing
            worker.go.release()
        error: BaseException | None = None
        with prompt():
            try:
                thunks[0]()
            except BaseException as caught:  # noqa: BLE001 - the others must end before it is raised
                error = caught
            for worker in helpers:
                worker.wait()
                error, worker.error = error or worker.error, None
    finally:
        _pool.release()
    if error is not None:
        raise error
    return True


@contextmanager
def alone() -> Iterator[bool]:
    """Hold the pool, for work with other threads than its own; False where somebody else holds it already."""
    free = _pool.acquire(False)
    try:
        yield free
    finally:
        if free:
            _pool.release()


def _drain_into(thunks: Iterator[Thunk]) -> Thunk:
    """A thunk that takes thunks from a shared iterator until none is left."""

    def drain() -> None:
        for thunk in thunks:
            thunk()

    return drain


def team(thunks: Sequence[Thunk], blas: bool = False) -> Thunk:
    """One thunk that runs these in parallel; `blas` says that they call BLAS, which then stays on one thread each."""
    if len(thunks) == 1:
        return thunks[0]
    return partial(_run_single_blas if blas else run, list(thunks))


def is_team(thunk: Thunk) -> bool:
    """Whether a thunk uses the pool itself."""
    return isinstance(thunk, partial) and thunk.func in (run, _run_single_blas)


def _run_single_blas(thunks: Sequence[Thunk]) -> None:
    with _blas:
        run(thunks)


def _forget_workers() -> None:
    """After a fork the child has no threads but its own."""
    global _pool
    _workers.clear()
    _pool = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)

if os.environ.get("KCORE_NUM_THREADS"):  # OMP_NUM_THREADS has reached BLAS already
    _blas.set_threads(_count)
