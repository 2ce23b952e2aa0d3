"""What it costs to feed fit: the loop's own microseconds per step, and what a generator of 1 ms a batch adds to a step.

    python benchmarks/feeding.py [--threads 1]

A generator of the user's runs in a thread while a step runs. What it adds is the time of an epoch fed by it, less that
of one fed with the same batches as arrays, per step. Three kinds of a millisecond: one that waits (a file, the
network), one that computes in NumPy, which lets other threads run, and one that holds Python's lock all the time.
Where steps keep all cores busy, whatever a generator computes is taken from them; `--threads` leaves it some.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

#: Steps of an epoch: what an epoch costs once, such as starting the thread, is shared by them.
STEPS = 150


def model_of(units: int, depth: int) -> Any:
    import kcore

    layers = [kcore.layers.Dense(units, activation="relu") for _ in range(depth)]
    model = kcore.Sequential([kcore.Input((units,)), *layers, kcore.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def waits() -> None:
    time.sleep(0.001)


_numbers = np.random.default_rng(0).random(1 << 18)


def computes() -> None:
    np.sqrt(_numbers[: _computes_size()])


def holds_the_lock(seconds: float = 0.001) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


_size: list[int] = []


def _computes_size() -> int:
    """How many square roots take a millisecond here."""
    if not _size:
        start = time.perf_counter()
        for _ in range(10):
            np.sqrt(_numbers)
        _size.append(min(len(_numbers), int(len(_numbers) * 0.01 / (time.perf_counter() - start))))
    return _size[0]


def generator(x: np.ndarray, y: np.ndarray, batch: int, work: Callable[[], None] | None) -> Iterator[Any]:
    for start in range(0, len(x), batch):
        if work is not None:
            work()
        yield x[start : start + batch], y[start : start + batch]


def per_step(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Microseconds per step of each, taken in turns: of the first its best, of the others that and the median of what
    they took longer in the same turn, so that all see the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    first, *_ = seconds.values()
    more = {n: statistics.median(t - f for t, f in zip(times, first, strict=True)) for n, times in seconds.items()}
    return {name: (min(first) + extra) / STEPS * 1e6 for name, extra in more.items()}


def data(batch: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((batch * STEPS, features), dtype="float32"), rng.random((batch * STEPS, 1), dtype="float32")


def main() -> None:
    import kcore
    from kcore.training.data import pack, whole

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="threads that compute, where the backend can be told")
    threads = parser.parse_args().threads
    if threads:
        kcore.backend.current().backend.set_threads(threads)
    model, (x, y), size = model_of(4, 0), data(8, 4), 8
    model.fit(x, y, batch_size=size, verbose=0)
    step, one = model.make_train_function(), pack(whole(x[:size]), whole(y[:size]))
    runs: dict[str, Callable[[], Any]] = {
        "step": lambda: [step(one) for _ in range(STEPS)],
        "arrays": lambda: model.fit(x, y, batch_size=size, shuffle=False, verbose=0),
        "arrays, shuffled": lambda: model.fit(x, y, batch_size=size, verbose=0),
        "generator": lambda: model.fit(generator(x, y, size, None), verbose=0),
    }
    best = per_step(runs, 10)
    bare = best.pop("step")
    print(f"a small step alone          {bare:8.1f} us")
    for name, cost in best.items():
        print(f"{name:27s} {cost - bare:+8.1f} us a step")

    big, (u, v), many = model_of(256, 6), data(256, 256), 256
    big.fit(u, v, batch_size=many, verbose=0)
    runs = {"arrays": lambda: big.fit(u, v, batch_size=many, shuffle=False, verbose=0)}
    for work in (None, waits, computes, holds_the_lock):
        name = f"generator, {f'1 ms that {work.__name__}' if work else 'no work'}"
        runs[name] = lambda work=work: big.fit(generator(u, v, many, work), verbose=0)
    best = per_step(runs, 9)
    step_ms = best.pop("arrays")
    print(f"a larger step               {step_ms / 1e3:8.2f} ms")
    for name, cost in best.items():
        print(f"{name:27s} {(cost - step_ms) / 1e3:+8.2f} ms a step")


if __name__ == "__main__":
    main()
