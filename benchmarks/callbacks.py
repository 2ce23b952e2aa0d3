"""What progress bar and callbacks cost a step: steps per second with them and without, of the same model.

A model whose step takes about a millisecond is trained with ``verbose=0`` and no callback, and with the bar drawn on a
terminal (``verbose=1``) beside `EarlyStopping`, `ReduceLROnPlateau` and `CSVLogger`. The two take turns, the best
round of each counts. The terminal is a pseudo-terminal that is read and thrown away.

    python benchmarks/callbacks.py [--steps 900] [--rounds 6]
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import kcore
from kcore import layers
from kcore.callbacks import Callback, CSVLogger, EarlyStopping, ReduceLROnPlateau


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

    def plain() -> None:
        model.fit(x, y, batch_size=64, verbose=0, shuffle=False)

    def silent() -> None:
        model.fit(x, y, batch_size=64, verbose=0, shuffle=False, callbacks=usual())

    def watched() -> None:
        model.fit(x, y, batch_size=64, verbose=1, shuffle=False, callbacks=usual())

    def usual() -> list[Callback]:
        return [
            EarlyStopping("loss", patience=9),
            ReduceLROnPlateau("loss", patience=9),
            CSVLogger(os.path.join(folder, "log.csv")),
            Every(),
        ]

    ways = {"verbose=0": plain, "verbose=0, callbacks": silent, "verbose=1, callbacks": watched}
    with terminal():
        for way in ways.values():
            way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(options.rounds):
        for name, way in list(ways.items())[:: 1 if turn % 2 else -1]:
            with terminal():
                start = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - start)
    base = min(seconds["verbose=0"])
    print(f"{'':24} {'ms/step':>8} {'steps/s':>8} {'cost':>8}   (best of {options.rounds}, {options.steps} steps)")
    for name, times in seconds.items():
        best = min(times)
        print(f"{name:24} {best / options.steps * 1e3:8.3f} {options.steps / best:8.0f} {best / base - 1:8.2%}")


if __name__ == "__main__":
    main()
