"""What progress bar and callbacks cost a step: steps per second with them and without, of the same model.

A model whose step takes about a millisecond is trained with ``verbose=0`` and no callback, and with the bar drawn on a
terminal (``verbose=1``) beside `EarlyStopping`, `ReduceLROnPlateau`, `CSVLogger` and one of the user's own. They take
turns; of each its best round counts ("best"), and the median of what it took longer than the first in the same turn
("in turn"). Where other work runs, both swing by more than what they measure. So the time between the first and the
last line of every hook is added up, too, and divided by that of the run ("in hooks"): it holds all that the hooks do
and all they wait for, and leaves out the loop's microsecond around them and what they drive out of the caches.
The terminal is a pseudo-terminal that is read and thrown away.

    python benchmarks/callbacks.py [--steps 900] [--rounds 6]
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import kcore
from kcore import layers
from kcore.callbacks import Callback, CallbackList, CSVLogger, EarlyStopping, ReduceLROnPlateau


@contextmanager
def terminal() -> Iterator[None]:
    """Standard output is a terminal whose screen nobody looks at."""
    leader, follower = pty.openpty()
    screen = subprocess.Popen(["cat"], stdin=leader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shown = sys.stdout
    sys.stdout = os.fdopen(follower, "w")
    try:
        yield
    finally:
        sys.stdout.close()
        sys.stdout = shown
        os.close(leader)
        screen.terminate()
        screen.wait()


class Every(Callback):
    """A callback of the user's own that counts steps and looks at nothing."""

    steps = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps += 1


class Timed(CallbackList):
    """The callbacks of a run, which adds up the seconds spent in them."""

    seconds = 0.0

    def _timed(self, hook: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any, **more: Any) -> None:
            begin = time.perf_counter()
            hook(*arguments, **more)
            self.seconds += time.perf_counter() - begin

        return timed

    def _collect(self) -> None:
        super()._collect()
        for hooks in (self.train_batch_begin, self.train_batch_end):
            hooks[:] = map(self._timed, hooks)

    def _all(self, name: str, *arguments: Any) -> None:
        self._timed(super()._all)(name, *arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--units", type=int, default=224)
    options = parser.parse_args()
    kcore.set_random_seed(0)
    model = kcore.Sequential(
        [kcore.Input((options.units,)), *(layers.Dense(options.units, "relu") for _ in range(3)), layers.Dense(10)]
    )
    model.compile(kcore.optimizers.Adam(0.0), "mse", metrics=["mae"])  # every round computes the same numbers
    draw = np.random.default_rng(0)
    x = draw.normal(size=(options.steps * 64, options.units)).astype("float32")
    y = draw.normal(size=(len(x), 10)).astype("float32")
    folder = tempfile.mkdtemp()

    def fit(verbose: int, callbacks: list[Callback]) -> tuple[float, float]:
        """Seconds of an epoch, and those of them in hooks."""
        start = time.perf_counter()
        timed = Timed(callbacks, True, verbose != 0, model, verbose=verbose, epochs=1, steps=options.steps)
        model.fit(x, y, batch_size=64, verbose=verbose, shuffle=False, callbacks=timed)
        return time.perf_counter() - start, timed.seconds

    def usual() -> list[Callback]:
        return [
            EarlyStopping("loss", patience=9),
            ReduceLROnPlateau("loss", patience=9),
            CSVLogger(os.path.join(folder, "log.csv")),
            Every(),
        ]

    ways = {
        "verbose=0": lambda: fit(0, []),
        "verbose=0, callbacks": lambda: fit(0, usual()),
        "verbose=1": lambda: fit(1, []),
        "verbose=1, callbacks": lambda: fit(1, usual()),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(options.rounds + 1):
        for name, way in list(ways.items())[:: 1 if turn % 2 else -1]:
            with terminal():
                taken[name].append(way())
    first = [seconds for seconds, _ in taken["verbose=0"][1:]]
    title = f"(of {options.rounds} rounds of {options.steps} steps)"
    print(f"{'':24} {'ms/step':>8} {'best':>8} {'in turn':>8} {'in hooks':>8}   {title}")
    for name, runs in taken.items():
        whole = [seconds for seconds, _ in runs[1:]]
        best, hooks = min(whole) / min(first) - 1, statistics.median(i / w for w, i in runs[1:])
        turns = statistics.median(w / f - 1 for w, f in zip(whole, first, strict=True))
        print(f"{name:24} {min(whole) / options.steps * 1e3:8.3f} {best:8.2%} {turns:8.2%} {hooks:8.2%}")


if __name__ == "__main__":
    main()
