"""Sequence kernels (LSTM, attention, embedding, dropout, gelu) beside the products and copies they cannot do without.

Run:  python benchmarks/sequence.py [--repeat 7]

Every row is the median time of one compiled step and the time of its bound: the matrix products it contains, as BLAS
runs them in the same process, and one read or write of each array it must touch, at the speed of a copy. Run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import kcore
from kcore import ops
from kcore.ops import random as random_ops
from kcore.ops.indexing import gather, scatter_add
from kcore.runtime import GradientTape, function

rng = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype("float32")


def clock(work: Callable[[], Any], repeat: int) -> float:
    """Median seconds of one call, each sample long enough to be measured."""
    work()
    start = time.perf_counter()
    work()
    calls = max(1, int(0.02 / max(time.perf_counter() - start, 1e-7)))
    samples = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        samples.append((time.perf_counter() - start) / calls)
    return statistics.median(samples)


def replay(fn: Callable[..., Any], *arrays: np.ndarray) -> Callable[[], None]:
    """The compiled step alone: its kernels, without uploading inputs or downloading results."""
    executable = function(fn).concrete(*arrays)
    executable.run(arrays)
    run, session = executable._bound.run, executable.backend.session

    def step() -> None:
        with session():
            run()

    return step


def product(m: int, k: int, n: int, batch: int = 1) -> Callable[[], None]:
    """A matrix product as BLAS runs it."""
    shape = (batch,) if batch > 1 else ()
    a, b = floats(*shape, m, k), floats(*shape, k, n)
    out = np.empty((*shape, m, n), "float32")
    return lambda: np.matmul(a, b, out=out)


def copy(elements: int) -> Callable[[], None]:
    a, b = floats(elements), np.empty(elements, "float32")
    return lambda: np.copyto(b, a)


def lstm_training(steps: int = 80, batch: int = 32, features: int = 128, units: int = 128):
    """The LSTM of `imdb_lstm`: forward, and the gradient for weights and inputs."""

    def step(x, kernel, recurrent, bias):
        with GradientTape() as tape:
            tape.watch([x, kernel, recurrent, bias])
            loss = ops.sum(ops.lstm(x, None, None, kernel, recurrent, bias)[1])
        return tape.gradient(loss, [x, kernel, recurrent, bias])

    weights = (floats(features, 4 * units) / 12, floats(units, 4 * units) / 12, floats(4 * units))
    rows = steps * batch
    bound = [
        (product(rows, features, 4 * units), 1),
        (product(rows, 4 * units, features), 1),
        (product(features, rows, 4 * units), 1),
        (product(units, rows, 4 * units), 1),
        (product(batch, units, 4 * units), steps),
        (product(batch, 4 * units, units), steps),
    ]
    return replay(step, floats(batch, steps, features), *weights), bound


def attention_training(batch: int = 32, length: int = 128, heads: int = 4, size: int = 32):
    """Self-attention of the transformer block, forward and backward."""

    def step(q, k, v):
        with GradientTape() as tape:
            tape.watch([q, k, v])
            loss = ops.sum(ops.dot_product_attention(q, k, v))
        return tape.gradient(loss, [q, k, v])

    scores, mixed = product(length, size, length, batch * heads), product(length, length, size, batch * heads)
    return replay(step, *(floats(batch, length, heads, size) for _ in range(3))), [(scores, 3), (mixed, 4)]


def embedding_gradient(rows: int, slots: int, width: int = 128):
    """The dense gradient of an embedding."""
    arrays = rng.integers(0, slots, rows).astype("int32"), floats(rows, width)
    bound = [(copy(slots * width), 0.5), (copy(rows * width), 1)]
    return replay(lambda i, u: scatter_add(i, u, size=slots), *arrays), bound


def embedding(rows: int, slots: int, width: int = 128):
    """An embedding's rows."""
    arrays = floats(slots, width), rng.integers(0, slots, rows).astype("int32")
    return replay(lambda t, i: gather(t, i), *arrays), [(copy(rows * width), 1)]


def dropout(*shape: int):
    """Dropout, its mask kept for the gradient."""
    state = np.array([1, 2], np.uint32)
    work = replay(lambda x: random_ops.dropout(x, state, rate=0.4), floats(*shape))
    philox = np.random.Philox(key=1)
    words = int(np.prod(shape)) // 4
    return work, [(lambda: philox.random_raw(words), 1), (copy(int(np.prod(shape))), 1)]


def gelu(*shape: int):
    """The exact gelu."""
    return replay(lambda x: ops.gelu(x, approximate=False), floats(*shape)), [(copy(int(np.prod(shape))), 1)]


CASES: dict[str, Callable[[], tuple]] = {
    "lstm 32x80x128, 128 units, train": lstm_training,
    "attention 32x128, 4 heads of 32, train": attention_training,
    "embedding 2560 of 20000x128": lambda: embedding(2560, 20000),
    "its gradient": lambda: embedding_gradient(2560, 20000),
    "embedding 4096 of 5000x128": lambda: embedding(4096, 5000),
    "its gradient ": lambda: embedding_gradient(4096, 5000),
    "dropout 128x256": lambda: dropout(128, 256),
    "dropout 128x9216": lambda: dropout(128, 9216),
    "gelu 4096x512": lambda: gelu(4096, 512),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="samples per row")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    kcore.use_backend("numpy")
    print(f"{'':42}{'step':>11}{'bound':>11}{'ratio':>8}")
    for name, case in CASES.items():
        if options.only not in name:
            continue
        work, bound = case()
        spent = clock(work, options.repeat)
        least = sum(clock(part, options.repeat) * times for part, times in bound)
        print(f"{name:42}{spent * 1e3:8.2f} ms{least * 1e3:8.2f} ms{spent / least:8.2f}", flush=True)


if __name__ == "__main__":
    main()
