"""``KCORE_PROFILE``: what host and device did when, as a Chrome trace and a table per op, written at exit.

Nothing here waits for the device before the process ends: events are read when they are over anyway.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from kcore.kernels.report import Row, Step, print_report
from kcore.kernels.work import label

if TYPE_CHECKING:
    from kcore.backend.kernel import Site, Thunk

VARIABLE = "KCORE_PROFILE"
#: Most entries of a trace; what comes later is only counted.
ENTRIES = 200_000


def wanted() -> Path | None:
    """The file to write: from KCORE_PROFILE, ``kcore-profile.json`` if that is 1; None if it is not set or 0."""
    value = os.environ.get(VARIABLE, "")
    if value in ("", "0"):
        return None
    return Path("kcore-profile.json" if value == "1" else value)


@dataclass(slots=True)
class _Pending:
    """A command that was enqueued and is not known to be over."""

    event: Any
    name: str
    row: Row | None
    kernel: int
    begin: int
    end: int


class Profile(ABC):
    """The record of one device.

    Args:
        name: what the device is called in trace and table.
    """

    def __init__(self, name: str):
        self.name = name
        self.entries: list[tuple[str, str, int, int]] = []  # (track, name, begin, end) in ns, device times unshifted
        self.rows: dict[str, Row] = {}
        self.steps: list[Step] = []
        self._pending: deque[_Pending] = deque()
        self._step = Step()
        self._read_steps = 0
        self._earliest, self._latest = -(1 << 63), 1 << 63
        self._lock = threading.RLock()

    # -- what a device says of its events ------------------------------------------------------------------------

    @abstractmethod
    def over(self, event: Any) -> bool:
        """Whether a command is done."""

    @abstractmethod
    def times(self, event: Any) -> tuple[int, int, int]:
        """When a command that is done was enqueued (0 where that is not known), began and ended, in ns of its clock."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until every command is done."""

    # -- recording -----------------------------------------------------------------------------------------------

    def row(self, name: str, kernels: Sequence[str] = ()) -> Row:
        """The row of the table for an op of a layer and its kernels."""
        return self.rows.setdefault(" ".join([name, *kernels]), Row(name, list(kernels)))

    def enqueue(self, name: str, row: Row | None, kernel: int, call: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """Enqueue a command and note it; returns its event."""
        begin = perf_counter_ns()
        event = call(*args, **kw)
        end = perf_counter_ns()
        with self._lock:
            self._host(f"enqueue {name}", begin, end)
            self._pending.append(_Pending(event, name, row, kernel, begin, end))
            self._step.enqueues += 1
            self._step.host += end - begin
            if len(self._pending) > 512:
                self._read_finished()
        return event

    def transfer(self, name: str, nbytes: int, call: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """Enqueue a command that moves so many bytes; returns its event."""
        row = self.row(f"transfer: {name}")
        row.moved += nbytes
        return self.enqueue(name, row, 0, call, *args, **kw)

    @contextmanager
    def span(self, name: str, row: Row | None = None) -> Iterator[None]:
        """A piece of the host's time."""
        begin = perf_counter_ns()
        try:
            yield
        finally:
            end = perf_counter_ns()
            with self._lock:
                self._host(name, begin, end)
                if row is not None:
                    row.add(0, end - begin)

    def on_host(self, site: Site, thunk: Thunk) -> Thunk:
        """A thunk that is not a launch, noted as the host's work."""
        name = label(site.node)
        row = self.row(f"{name} (host)")

        def run() -> None:
            with self.span(name, row):
                thunk()

        return run

    def step(self) -> None:
        """What was enqueued since the last call belongs to one step."""
        with self._lock:
            if self._step.enqueues:
                self._pending.append(_Pending(None, "", None, 0, 0, 0))
                self.steps.append(self._step)
                self._step = Step()

    def _host(self, name: str, begin: int, end: int) -> None:
        if len(self.entries) < ENTRIES:
            self.entries.append(("host", name, begin, end))

    # -- reading -------------------------------------------------------------------------------------------------

    def _read_finished(self, everything: bool = False) -> None:
        """Read the events that are over, in order, as far as they are."""
        while self._pending:
            first = self._pending[0]
            if first.event is None:
                self._read_steps += 1
            elif everything or self.over(first.event):
                self._read(first)
            else:
                return
            self._pending.popleft()

    def _read(self, done: _Pending) -> None:
        queued, start, end = self.times(done.event)
        if queued:  # the device's clock when the host enqueued: bounds of the offset between the clocks
            self._earliest = max(self._earliest, done.begin - queued)
            self._latest = min(self._latest, done.end - queued)
        if done.row is not None:
            done.row.add(done.kernel, end - start)
        step = self.steps[self._read_steps] if self._read_steps < len(self.steps) else self._step
        step.note(start, end)
        if len(self.entries) < ENTRIES:
            self.entries.append(("device", done.name, start, end))

    def finish(self) -> None:
        """Wait for the device and read all that is left."""
        with self._lock:
            self.wait()
            self._read_finished(everything=True)

    @property
    def offset(self) -> int:
        """Nanoseconds to add to the device's clock to get the host's."""
        return (self._earliest + self._latest) // 2


_profiles: list[Profile] = []
_lock = threading.Lock()


def register(profile: Profile) -> None:
    """Have a profile written at exit."""
    with _lock:
        if not _profiles:
            atexit.register(_write)
        _profiles.append(profile)


@contextmanager
def _session() -> Iterator[None]:
    with _profiles[0].span("step"):
        yield
    for profile in _profiles:
        profile.step()


def session() -> Any:
    """The context around a step: notes where it ends."""
    return _session() if _profiles else nullcontext()


def _write() -> None:
    """Write the trace and print the table."""
    path = wanted() or Path("kcore-profile.json")
    for profile in _profiles:
        profile.finish()
        print_report(profile.name, profile.rows.values(), profile.steps)
    try:
        path.write_text(json.dumps({"traceEvents": trace_events(_profiles), "displayTimeUnit": "ms"}))
    except OSError as error:
        print(f"kcore: the trace could not be written: {error}", file=sys.stderr)
    else:
        print(f"kcore: trace in {path.resolve()}, for https://ui.perfetto.dev or chrome://tracing", file=sys.stderr)


def trace_events(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """The records in the form chrome://tracing reads: one process per device, host and device a thread each."""
    events: list[dict[str, Any]] = []
    begins = [b + (p.offset if track == "device" else 0) for p in profiles for track, _, b, _ in p.entries]
    zero = min(begins, default=0)
    for number, profile in enumerate(profiles):
        common: dict[str, Any] = {"pid": number}
        events.append({"ph": "M", "name": "process_name", "args": {"name": profile.name}, **common})
        for thread, title in enumerate(("host", "device")):
            events.append({"ph": "M", "name": "thread_name", "tid": thread, "args": {"name": title}, **common})
        for track, name, begin, end in profile.entries:
            shift = profile.offset if track == "device" else 0
            times = {"ts": (begin + shift - zero) / 1e3, "dur": (end - begin) / 1e3}
            events.append({"ph": "X", "name": name, "tid": int(track == "device"), **times, **common})
    return events
