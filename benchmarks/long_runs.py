"""Milliseconds per step of `fit`, early and late in a long run: what training itself does to the speed of training.

    KERAS_BACKEND=opencl:intel python benchmarks/long_runs.py [--steps 3000] [--only mlp]

Averages of gradients that have become zero shrink from step to step. Below the smallest normal number each would cost a
CPU some hundred cycles; the last line says what that is in NumPy here, for a product of 100,000 such numbers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

#: Samples, and thereby steps of an epoch: 10 of 128.
SAMPLES, BATCH = 1280, 128


def model_of(name: str):
    import kcore
    from kcore import layers

    sizes, rate, optimizer = {"mlp": ((256, 128), 0.2, "rmsprop"), "mlp4": ((256,) * 4, 0.3, "adam")}[name]
    hidden = [layer for n in sizes for layer in (layers.Dense(n, activation="relu"), layers.Dropout(rate))]
    model = kcore.Sequential([kcore.Input((784,)), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def best(call: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--only", default="mlp,mlp4")
    args = parser.parse_args()

    import kcore

    kcore.set_random_seed(0)
    draw = np.random.default_rng(0)
    x, y = draw.random((SAMPLES, 784), "float32"), draw.integers(0, 10, SAMPLES)
    print(f"device: {kcore.backend.current()}")
    print("| model | after the first tenth | half way | at the end |\n|---|---|---|---|")
    epochs = max(1, args.steps * BATCH // SAMPLES // 30)
    for name in args.only.split(","):
        model = model_of(name)
        took = []
        for _ in range(30):
            start = time.perf_counter()
            model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
            took.append((time.perf_counter() - start) / (epochs * SAMPLES // BATCH) * 1e3)
        parts = (np.median(took[part : part + 3]) for part in (2, 14, 27))
        print(f"| {name} | {' | '.join(f'{ms:.2f} ms' for ms in parts)} |")
    normal, tiny = np.full(100_000, 1.0, "float32"), np.full(100_000, 1e-40, "float32")
    out = np.empty_like(tiny)
    costs = [best(lambda z=z: np.multiply(z, np.float32(0.9), out=out), 20) * 1e6 for z in (normal, tiny)]
    print("a product of 100,000 numbers: {:.0f} us, below the normal ones {:.0f} us".format(*costs))


if __name__ == "__main__":
    main()
