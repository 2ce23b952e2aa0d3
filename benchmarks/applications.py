"""Images per second of `predict` for models of `applications`, kcore beside Keras; prints a Markdown table.

    python benchmarks/applications.py --peers /path/to/other/venv/bin/python [--only MobileNetV2] [--rounds 2]

The weights are random, the images 224x224, eight at a time. Every model runs in a fresh process per library, libraries
take turns, and the best of the repeats of a process counts, the median of them over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

MODELS = "MobileNetV2,ResNet50,EfficientNetB0"
BATCH, BATCHES = 8, 3


def measure(lib: str, name: str, seconds: float) -> dict[str, float]:
    """Figures of one model in this process."""
    import numpy as np

    began = time.perf_counter()
    if lib == "kcore":
        import kcore as keras
    else:
        import keras
    imported = time.perf_counter()
    model = getattr(keras.applications, name)(weights=None)
    built = time.perf_counter()
    images = np.random.default_rng(0).uniform(-1, 1, (BATCH * BATCHES, 224, 224, 3)).astype("float32")
    model.predict(images[:BATCH], batch_size=BATCH, verbose=0)
    first = time.perf_counter()
    best, end = float("inf"), first + seconds
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        model.predict(images, batch_size=BATCH, verbose=0)
        best = min(best, time.perf_counter() - start)
    rate = len(images) / best
    return {"images_per_s": rate, "import_s": imported - began, "build_s": built - imported, "first_s": first - built}


def run(python: str, lib: str, engine: str, name: str, seconds: float) -> dict[str, float] | None:
    """Figures of one library on one model, from a process of its own; None (with the reason said) if it failed."""
    environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    command = [python, os.path.abspath(__file__), "--one", lib, "--only", name, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{lib}/{engine} {name} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def table(found: dict[str, dict[str, list[dict[str, float]]]], sides: list[str]) -> str:
    """Images per second of everyone, then the seconds to build and to predict first of kcore."""
    lines = [["model", *sides, "build", "first batch"]]
    for name, by_side in found.items():
        row = [name]
        for side in sides:
            rates = [figures["images_per_s"] for figures in by_side.get(side, [])]
            row.append(f"{statistics.median(rates):.1f}" if rates else "failed")
        mine = [figures for side in sides if side.startswith("kcore") for figures in by_side.get(side, [])]
        for key in ("build_s", "first_s"):
            row.append(f"{statistics.median(f[key] for f in mine):.2f} s" if mine else "failed")
        lines.append(row)
    text = ["| " + " | ".join(row) + " |" for row in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="python with keras, jax, torch and tensorflow-cpu")
    parser.add_argument("--backends", default="numpy,opencl:intel", help="kcore's backends")
    parser.add_argument("--engines", default="jax,torch,tensorflow")
    parser.add_argument("--only", default=MODELS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long predictions are repeated")
    parser.add_argument("--one", choices=("kcore", "keras"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.only, args.seconds)))
        return
    sides = [("kcore", backend, sys.executable) for backend in args.backends.split(",") if backend]
    if args.peers:
        sides += [("keras", engine, args.peers) for engine in args.engines.split(",") if engine]
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name in args.only.split(","):
        for _ in range(args.rounds):
            for lib, engine, python in sides:
                figures = run(python, lib, engine, name, args.seconds)
                if figures is not None:
                    found.setdefault(name, {}).setdefault(f"{lib}/{engine}", []).append(figures)
                    print(f"{name} {lib}/{engine}: {figures['images_per_s']:.1f} images/s", file=sys.stderr, flush=True)
    print(table(found, [f"{lib}/{engine}" for lib, engine, _ in sides]))


if __name__ == "__main__":
    main()
