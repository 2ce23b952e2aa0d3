"""Eight training workloads written once against the Keras 3 API, and the measurement of one library on one of them.

    python benchmarks/workloads.py --lib kcore --only mlp,cnn --json out.json

`--lib keras` measures Keras on the engine KERAS_BACKEND names. `compare.py` runs both sides and prints the table.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Data = tuple[Any, np.ndarray, np.ndarray, int]


def _dense(k: Any, rng: np.random.Generator, layers: list[Any], batch: int, steps: int) -> tuple[Any, Any, Any]:
    model = k.Sequential([k.Input((784,)), *layers])
    x = rng.random((batch * steps, 784), dtype=np.float32)
    return model, x, np.eye(10, dtype=np.float32)[rng.integers(0, 10, len(x))]


def mlp(k: Any, rng: np.random.Generator) -> Data:
    """784-256-128-10 with dropout, RMSprop, batch 128."""
    L = k.layers
    layers = [L.Dense(256, activation="relu"), L.Dropout(0.4), L.Dense(128, activation="relu"), L.Dropout(0.3)]
    model, x, y = _dense(k, rng, [*layers, L.Dense(10, activation="softmax")], 128, 100)
    model.compile(k.optimizers.RMSprop(1e-3), "categorical_crossentropy", metrics=["accuracy"])
    return model, x, y, 128


def mlp4(k: Any, rng: np.random.Generator) -> Data:
    """Four hidden layers of 256 with dropout, Adam, batch 100."""
    L = k.layers
    layers = [layer for _ in range(4) for layer in (L.Dense(256, activation="relu"), L.Dropout(0.3))]
    model, x, y = _dense(k, rng, [*layers, L.Dense(10)], 100, 100)
    loss = k.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model, x, y, 100


def cnn(k: Any, rng: np.random.Generator) -> Data:
    """The convolutional network of Keras's MNIST example, Adam, batch 128."""
    L = k.layers
    model = k.Sequential(
        [
            k.Input((28, 28, 1)),
            L.Conv2D(32, 3, activation="relu"),
            L.Conv2D(64, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Dropout(0.25),
            L.Flatten(),
            L.Dense(128, activation="relu"),
            L.Dropout(0.5),
            L.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng.random((128 * 12, 28, 28, 1), dtype=np.float32)
    return model, x, rng.integers(0, 10, len(x)), 128


def resnet20(k: Any, rng: np.random.Generator) -> Data:
    """CIFAR ResNet-20 v1 (He et al. 2015), SGD with momentum, batch 64."""
    L = k.layers

    def normalized(x: Any, filters: int, size: int, strides: int = 1) -> Any:
        return L.BatchNormalization()(L.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x))

    def block(x: Any, filters: int, strides: int) -> Any:
        h = normalized(L.ReLU()(normalized(x, filters, 3, strides)), filters, 3)
        if strides != 1 or x.shape[-1] != filters:
            x = normalized(x, filters, 1, strides)
        return L.ReLU()(L.Add()([h, x]))

    inputs = k.Input((32, 32, 3))
    x = L.ReLU()(normalized(inputs, 16, 3))
    for filters, strides in [(16, 1)] * 3 + [(32, 2)] + [(32, 1)] * 2 + [(64, 2)] + [(64, 1)] * 2:
        x = block(x, filters, strides)
    model = k.Model(inputs, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))
    model.compile(k.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng.random((64 * 8, 32, 32, 3), dtype=np.float32)
    return model, x, rng.integers(0, 10, len(x)), 64


def lstm(k: Any, rng: np.random.Generator) -> Data:
    """Keras's IMDB LSTM example: Embedding 20000 x 128, LSTM 128, 80 steps, Adam, batch 32."""
    L = k.layers
    layers = [L.Embedding(20000, 128), L.LSTM(128), L.Dense(1, activation="sigmoid")]
    model = k.Sequential([k.Input((80,), dtype="int32"), *layers])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x = rng.integers(0, 20000, (32 * 12, 80)).astype("int32")
    return model, x, rng.integers(0, 2, (len(x), 1)).astype("float32"), 32


def gru(k: Any, rng: np.random.Generator) -> Data:
    """The `lstm` workload with a GRU."""
    L = k.layers
    layers = [L.Embedding(20000, 128), L.GRU(128), L.Dense(1, activation="sigmoid")]
    model = k.Sequential([k.Input((80,), dtype="int32"), *layers])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x = rng.integers(0, 20000, (32 * 12, 80)).astype("int32")
    return model, x, rng.integers(0, 2, (len(x), 1)).astype("float32"), 32


def bilstm(k: Any, rng: np.random.Generator) -> Data:
    """A tagger: Embedding 20000 x 128, bidirectional LSTM 2 x 64, 17 tags for each of 80 words, Adam, batch 32."""
    L = k.layers
    layers = [L.Embedding(20000, 128), L.Bidirectional(L.LSTM(64, return_sequences=True))]
    model = k.Sequential([k.Input((80,), dtype="int32"), *layers, L.Dense(17, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng.integers(0, 20000, (32 * 12, 80)).astype("int32")
    return model, x, rng.integers(0, 17, x.shape), 32


def transformer(k: Any, rng: np.random.Generator) -> Data:
    """One encoder block over 128 tokens of width 128, Adam, batch 32."""
    L = k.layers
    inputs = k.Input((128,), dtype="int32")
    x = L.Embedding(5000, 128)(inputs)
    attended = L.MultiHeadAttention(num_heads=4, key_dim=32)(x, x)
    x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, attended]))
    hidden = L.Dense(128)(L.Dense(512, activation="gelu")(x))
    x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, hidden]))
    model = k.Model(inputs, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(x)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng.integers(0, 5000, (32 * 12, 128)).astype("int32")
    return model, x, rng.integers(0, 2, len(x)), 32


WORKLOADS: dict[str, Callable[[Any, np.random.Generator], Data]] = {
    "mlp": mlp,
    "mlp4": mlp4,
    "cnn": cnn,
    "resnet20": resnet20,
    "lstm": lstm,
    "gru": gru,
    "bilstm": bilstm,
    "transformer": transformer,
}


def median_of(repeats: int, work: Callable[[], float]) -> float:
    return statistics.median(work() for _ in range(repeats))


def measure(k: Any, name: str, repeats: int) -> dict[str, float]:
    """First step in seconds, steps per second of fit, samples per second of predict, latency of one sample in ms."""
    model, x, y, batch = WORKLOADS[name](k, np.random.default_rng(0))
    start = time.perf_counter()
    model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0)
    first = time.perf_counter() - start
    model.fit(x, y, batch_size=batch, verbose=0)

    def timed(amount: float, call: Callable[[], Any]) -> Callable[[], float]:
        def run() -> float:
            begin = time.perf_counter()
            call()
            return amount / (time.perf_counter() - begin)

        return run

    steps = median_of(repeats, timed(len(x) // batch, lambda: model.fit(x, y, batch_size=batch, verbose=0)))
    model.predict(x, batch_size=batch, verbose=0)
    samples = median_of(repeats, timed(len(x), lambda: model.predict(x, batch_size=batch, verbose=0)))
    model.predict(x[:1], verbose=0)
    per_second = median_of(10, timed(1, lambda: model.predict(x[:1], verbose=0)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "first_step_s": first,
        "steps_per_s": steps,
        "predict_per_s": samples,
        "latency_ms": 1e3 / per_second,
        "peak_mb": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lib", default="kcore", help="kcore or keras")
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", default="", help="write the figures there")
    args = parser.parse_args()
    start = time.perf_counter()
    k = importlib.import_module(args.lib)
    k.layers.Dense  # noqa: B018 (kcore loads its modules when they are first used)
    seconds, engine = time.perf_counter() - start, os.environ.get("KERAS_BACKEND", "")
    report: dict[str, Any] = {"lib": args.lib, "engine": engine, "import_s": seconds, "rows": {}}
    for name in args.only.split(","):
        row = report["rows"][name] = measure(k, name, args.repeats)
        figures = "  ".join(f"{key} {value:.2f}" for key, value in row.items())
        print(f"{args.lib}/{report['engine']:10s} {name:12s} {figures}", flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
