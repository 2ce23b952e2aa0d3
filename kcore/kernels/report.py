"""The table of a profile: time per op and layer, and how a step's time is spent."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

#: Rows printed; the rest is summed in one.
ROWS = 40


@dataclass
class Row:
    """An op of a layer, or a kind of transfer.

    Attributes:
        name: layer and ops.
        kernels: names of its kernels, in order.
        arithmetic: additions and multiplications, all runs together.
        moved: bytes of its operands, all runs together.
        counts, times: per kernel, runs and nanoseconds.
    """

    name: str
    kernels: list[str] = field(default_factory=list)
    arithmetic: int = 0
    moved: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    times: Counter[int] = field(default_factory=Counter)

    def add(self, kernel: int, nanoseconds: int) -> None:
        """Count a run of a kernel."""
        self.counts[kernel] += 1
        self.times[kernel] += nanoseconds

    @property
    def count(self) -> int:
        return max(self.counts.values(), default=0)

    @property
    def total(self) -> int:
        return sum(self.times.values())

    @property
    def rate(self) -> str:
        """Multiply-adds or bytes per second; for products the former."""
        if not self.total:
            return ""
        if self.arithmetic:
            return f"{self.arithmetic / self.total:,.0f} GFLOP/s"
        return f"{self.moved / self.total:,.1f} GB/s" if self.moved else ""


@dataclass
class Step:
    """One step.

    Attributes:
        enqueues: commands enqueued since the step before.
        host: nanoseconds the host spent in enqueueing them.
        first, last: when its first command began and its last one ended, by the device's clock.
        busy: nanoseconds of its commands.
    """

    enqueues: int = 0
    host: int = 0
    first: int = 0
    last: int = 0
    busy: int = 0

    def note(self, start: int, end: int) -> None:
        """Count a command that ran from `start` to `end`."""
        self.first = min(self.first or start, start)
        self.last = max(self.last, end)
        self.busy += end - start


def print_report(name: str, rows: Iterable[Row], steps: Sequence[Step]) -> None:
    """Print the table to standard error."""
    for line in report(name, rows, steps):
        print(line, file=sys.stderr)


def report(name: str, rows: Iterable[Row], steps: Sequence[Step]) -> list[str]:
    """The table as lines of text.

    Args:
        name: the device.
        rows: what was counted; rows that never ran are left out.
        steps: the steps, in order.
    """
    ran = sorted((r for r in rows if r.count), key=lambda r: -r.total)
    total = sum(r.total for r in ran) or 1
    lines = [f"{name}: time per op", f"{'count':>7} {'total ms':>9} {'share':>6} {'mean us':>9} {'rate':>13}  op"]
    for row in ran[:ROWS]:
        lines.append(_line(row.count, row.total, total, row.rate, row.name))
        if len(row.kernels) > 1:
            lines += [_line(row.counts[i], row.times[i], total, "", f"  {k}") for i, k in enumerate(row.kernels)]
    if ran[ROWS:]:
        rest = ran[ROWS:]
        lines.append(_line(sum(r.count for r in rest), sum(r.total for r in rest), total, "", f"{len(rest)} others"))
    lines.append(_line(sum(r.count for r in ran), total, total, "", "all"))
    return [*lines, *_steps(steps)]


def _line(count: int, time: int, total: int, rate: str, name: str) -> str:
    mean = time / count / 1e3 if count else 0.0
    return f"{count:7d} {time / 1e6:9.2f} {time / total:6.1%} {mean:9.1f} {rate:>13}  {name}"


def _steps(steps: Sequence[Step]) -> list[str]:
    """What a step of each kind takes, from its beginning to that of the next of the same kind."""
    kinds: dict[int, list[tuple[Step, int]]] = {}
    for step, following in zip(steps, steps[1:], strict=False):
        if step.enqueues == following.enqueues and step.first and following.first:
            kinds.setdefault(step.enqueues, []).append((step, following.first - step.first))
    lines = []
    for enqueues, found in sorted(kinds.items(), key=lambda kind: -sum(p for _, p in kind[1]))[:5]:
        period = median(p for _, p in found) / 1e3
        busy = median(s.busy for s, _ in found) / 1e3
        host = median(s.host for s, _ in found) / 1e3
        lines.append(
            f"{len(found) + 1} steps of {enqueues} commands: {period:,.0f} us from one to the next (median), "
            f"{busy:,.0f} in commands, {period - busy:,.0f} between them; "
            f"the host enqueues for {host:,.0f} ({host / enqueues:.1f} each)"
        )
    return lines
