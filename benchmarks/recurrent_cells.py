"""Recurrent layers that no op computes as a whole (other activations, recurrent dropout, own cells), beside Keras.

    python benchmarks/recurrent_cells.py --peers /path/to/other/venv/bin/python [--backends numpy,opencl:intel]

Each runs in a process of its own; libraries take turns, and the best of the rounds counts. Steps per second of fit:
batches of 32 sequences of 80 steps and 128 features, 128 units, Adam.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH, STEPS, FEATURES, UNITS, BATCHES = 32, 80, 128, 128, 6


def own_cell(k: Any) -> Any:
    """A recurrent layer of a cell written by the user: a leaky unit."""

    class Leaky(k.layers.Layer):
        def __init__(self, units: int, **kwargs: Any):
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform", name="kernel")
            self.recurrent = self.add_weight(shape=(self.units, self.units), initializer="orthogonal", name="recurrent")
            self.rate = self.add_weight(shape=(self.units,), initializer="zeros", name="rate")

        def call(self, inputs: Any, states: Any) -> Any:
            (h,) = states
            kept = k.ops.sigmoid(self.rate)
            new = k.ops.tanh(k.ops.matmul(inputs, self.kernel) + k.ops.matmul(h, self.recurrent))
            h = kept * h + (1.0 - kept) * new
            return h, [h]

    return k.layers.RNN(Leaky(UNITS))


LAYERS: dict[str, Callable[[Any], Any]] = {
    "lstm": lambda k: k.layers.LSTM(UNITS),
    "lstm, recurrent_dropout=0.2": lambda k: k.layers.LSTM(UNITS, recurrent_dropout=0.2),
    "lstm, relu": lambda k: k.layers.LSTM(UNITS, activation="relu"),
    "gru, recurrent_dropout=0.2": lambda k: k.layers.GRU(UNITS, recurrent_dropout=0.2),
    "gru, relu, before": lambda k: k.layers.GRU(UNITS, activation="relu", reset_after=False),
    "simple rnn, relu": lambda k: k.layers.SimpleRNN(UNITS, activation="relu"),
    "own cell": own_cell,
}


def measure(k: Any, name: str, rounds: int) -> dict[str, float]:
    """Seconds of the first step, and steps per second after it."""
    model = k.Sequential([k.Input((STEPS, FEATURES)), LAYERS[name](k), k.layers.Dense(1)])
    model.compile("adam", "mse")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(BATCH * BATCHES, STEPS, FEATURES)).astype("float32")
    y = draw.normal(size=(len(x), 1)).astype("float32")
    start = time.perf_counter()
    model.fit(x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0)
    first = time.perf_counter() - start
    model.fit(x, y, batch_size=BATCH, verbose=0)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, verbose=0)
        best = min(best, time.perf_counter() - start)
    return {"first_s": first, "steps_per_s": BATCHES / best}


def run(python: str, lib: str, engine: str, name: str, rounds: int) -> dict[str, float]:
    """The figures of one library, from a process of its own."""
    environment = {**os.environ, "KERAS_BACKEND": engine, "PYTHONWARNINGS": "ignore"}
    command = [python, __file__, "--lib", lib, "--only", name, "--rounds", str(rounds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="python with keras and jax")
    parser.add_argument("--backends", default="numpy", help="kcore's backends, e.g. numpy,opencl:intel")
    parser.add_argument("--only", default="", help="layers whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lib", default="", help="measure this library here (kcore or keras)")
    options = parser.parse_args()
    if options.lib:
        print(json.dumps(measure(importlib.import_module(options.lib), options.only, options.rounds)))
        return
    sides = [("kcore", backend, sys.executable) for backend in options.backends.split(",")]
    sides += [("keras", "jax", options.peers)] if options.peers else []
    heads = [f"{lib} {engine}" for lib, engine, _ in sides]
    print(
        f"{'steps/s (first step)':30}", *(f"{head:>22}" for head in heads), "  ratio to Keras" if options.peers else ""
    )
    for name in [n for n in LAYERS if options.only in n]:
        found = [run(python, lib, engine, name, options.rounds) for lib, engine, python in sides]
        cells = [f"{f['steps_per_s']:12.1f} ({f['first_s']:5.2f} s)" for f in found]
        ratios = [f"{f['steps_per_s'] / found[-1]['steps_per_s']:.2f}" for f in found[:-1]] if options.peers else []
        print(f"{name:30}", *(f"{cell:>22}" for cell in cells), "  ", " ".join(ratios), flush=True)


if __name__ == "__main__":
    main()
