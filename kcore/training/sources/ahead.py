"""Making batches before they are wanted: in threads or processes, in order, never further than the epoch goes."""

from __future__ import annotations

import contextvars
import multiprocessing
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from kcore.errors import warn_user

#: Seconds that `close` waits for a batch that is being made.
PATIENCE = 5.0
#: Seconds that making a batch must take before a thread for it is worth while.
WORTH = 3e-4


class Workers(Protocol):
    """Who makes batches."""

    def submit(self, task: Any) -> Future:
        """Have one batch made."""

    def stop(self) -> bool:
        """Make nothing more and wait for what is being made; False if that takes too long."""


class Threads:
    """Threads that make batches.

    Args:
        make: from a task to a batch.
        count: number of threads.
    """

    def __init__(self, make: Callable[[Any], Any], count: int = 1):
        self._make = make
        self._tasks: SimpleQueue[tuple[Any, Future] | None] = SimpleQueue()
        self._failed = False
        self._threads = []
        for _ in range(count):
            context = contextvars.copy_context()  # the scopes of the thread that called fit hold here, too
            thread = threading.Thread(target=context.run, args=(self._work,), name="kcore batches", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                return
            self._serve(*task)

    def _serve(self, task: Any, future: Future) -> None:
        # a method of its own, so that nothing of a batch lives on in the thread that waits for its next task
        if self._failed or not future.set_running_or_notify_cancel():
            future.cancel()
            return
        try:
            future.set_result(self._make(task))
        except BaseException as error:  # raised again where the batch is wanted
            self._failed = True
            future.set_exception(error)

    def submit(self, task: Any) -> Future:
        future: Future = Future()
        self._tasks.put((task, future))
        return future

    def stop(self) -> bool:
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(PATIENCE)
        return not any(thread.is_alive() for thread in self._threads)


class Processes:
    """Processes that make the batches of a data set.

    Args:
        dataset: gives batches by number.
        count: number of processes.
        seed: what their random numbers follow from, together with the number of the batch.
    """

    def __init__(self, dataset: Any, count: int, seed: int):
        context = multiprocessing.get_context()
        self._pool = ProcessPoolExecutor(count, context, _begin_process, (dataset, seed))

    def submit(self, task: int) -> Future:
        return self._pool.submit(_make_in_process, task)

    def stop(self) -> bool:
        self._pool.shutdown(cancel_futures=True)
        return True


_in_process: tuple[Any, int] | None = None


def _begin_process(dataset: Any, seed: int) -> None:
    global _in_process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's affair, which stops the others
    _in_process = dataset, seed


def _make_in_process(index: int) -> Any:
    assert _in_process is not None
    dataset, seed = _in_process
    random.seed(seed + index)
    np.random.seed((seed + index) % 2**32)
    return dataset[index]


class Ahead:
    """An iterator whose next items are being made while the last one is used.

    Items come in the order of their tasks. Nothing is begun that `allow` has not allowed.

    Args:
        start: starts those who make items.
        tasks: one for each item.
        size: how many items may be there, or in the making, before they are wanted.
        here: from a task to an item, in the calling thread. If it is given, items are made so until two in a row have
            taken longer than `WORTH`: below that, handing an item over would take longer than making it.

    Example:
        >>> ahead = Ahead(lambda: Threads(lambda n: n * n, 2), range(4), size=3)
        >>> ahead.allow(2)
        >>> next(ahead), next(ahead)
        (0, 1)
        >>> ahead.allow(None)
        >>> next(ahead), ahead.close()
        (4, [9])
    """

    def __init__(
        self,
        start: Callable[[], Workers],
        tasks: Iterable[Any],
        size: int,
        here: Callable[[Any], Any] | None = None,
    ):
        self._start = start
        self._here = here
        self._workers: Workers | None = None
        self._tasks = iter(tasks)
        self._size = size
        self._coming: deque[Future] = deque()
        self._allowed: float = 0
        self._slow = False
        self._over = False

    def allow(self, count: int | None) -> None:
        """Say how many more items will be wanted; None is all there are."""
        self._allowed = float("inf") if count is None else count - len(self._coming)
        self._fill()

    def _fill(self) -> None:
        """Have items made ahead, as many as may be."""
        while self._here is None and self._allowed > 0 and len(self._coming) < self._size and not self._over:
            try:
                task = next(self._tasks)
            except StopIteration:
                return
            if self._workers is None:
                self._workers = self._start()
            self._coming.append(self._workers.submit(task))
            self._allowed -= 1

    def _make_here(self, make: Callable[[Any], Any]) -> None:
        begin = time.perf_counter()
        future: Future = Future()
        try:
            future.set_result(make(next(self._tasks)))
        except Exception as error:
            future.set_exception(error)
        self._coming.append(future)
        self._allowed -= 1
        slow = time.perf_counter() - begin > WORTH
        if slow and self._slow:
            self._here = None
            self._fill()
        self._slow = slow

    def more(self) -> bool:
        """Wait for the next item, which stays the next; False if there is none."""
        if not self._coming and not self._over:
            self._allowed = max(self._allowed, 1)
            if self._here is not None:
                self._make_here(self._here)
            else:
                self._fill()
        return bool(self._coming) and not isinstance(self._coming[0].exception(), StopIteration)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self.more():
            self.close()
            raise StopIteration
        try:
            item = self._coming[0].result()
        except BaseException:
            self._coming.popleft()
            self.close()
            raise
        self._coming.popleft()
        self._fill()
        return item

    def close(self) -> list[Any]:
        """Stop the workers; returns the items that were made and not taken."""
        if self._over:
            return []
        self._over = True
        waiting = [future for future in self._coming if not future.cancel()]
        self._coming.clear()
        if self._workers is not None and not self._workers.stop():
            warn_user(f"a batch is still being made after {PATIENCE:g} seconds; its thread is left to itself")
        return [f.result() for f in waiting if f.done() and not f.cancelled() and f.exception() is None]
