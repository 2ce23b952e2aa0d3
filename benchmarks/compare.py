"""kcore beside Keras on JAX, torch and TensorFlow, in one run on one machine; prints a Markdown table of ratios.

    python benchmarks/compare.py --peers /path/to/other/venv/bin/python [--only mlp,cnn] [--rounds 2]

The peers live in an environment of their own (``pip install keras jax torch tensorflow-cpu``). Every workload runs
in a fresh process per library, the libraries take turns, and the median over the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def run(python: str, lib: str, engine: str, name: str, repeats: int) -> dict[str, float] | None:
    """Figures of one library on one workload, from a process of its own; None (with the reason said) if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        command = [python, str(HERE / "workloads.py"), "--lib", lib, "--only", name]
        command += ["--repeats", str(repeats), "--json", str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{lib}/{engine} {name} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return None
        report = json.loads(out.read_text(encoding="utf-8"))
        return {**report["rows"][name], "import_s": report["import_s"]}


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="python with keras, jax, torch and tensorflow-cpu")
    parser.add_argument("--backends", default="numpy", help="kcore's backends, e.g. numpy,opencl:intel,opencl:pocl")
    parser.add_argument("--engines", default="jax,torch,tensorflow")
    parser.add_argument("--only", default="mlp,mlp4,cnn,resnet20,lstm,gru,bilstm,transformer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", default="", help="write all figures there")
    args = parser.parse_args()
    sides = [("kcore", b, sys.executable) for b in args.backends.split(",")]
    sides += [("keras", e, args.peers) for e in args.engines.split(",")]
    table: Table = {}
    for name in args.only.split(","):
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(args.rounds):
            for lib, engine, python in sides:
                figures = run(python, lib, engine, name, args.repeats)
                if figures is not None:
                    found.setdefault(f"{lib}/{engine}", []).append(figures)
        table[name] = {side: middle(rounds) for side, rounds in found.items()}
        figures = "  ".join(f"{side} {f['steps_per_s']:.1f}/s" for side, f in table[name].items())
        print(f"{name}: {figures}", file=sys.stderr, flush=True)
    ours, peers = ([f"{lib}/{e}" for lib, e, _ in sides if lib == one] for one in ("kcore", "keras"))
    print(speeds(table, ours, peers))
    print()
    print(rest(table, ours, peers))
    if args.json:
        Path(args.json).write_text(json.dumps(table, indent=1), encoding="utf-8")


Table = dict[str, dict[str, dict[str, float]]]


def markdown(rows: list[list[str]]) -> str:
    """A table, its head first."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def speeds(table: Table, ours: list[str], peers: list[str]) -> str:
    """Steps per second of everyone, and kcore's ratios to the best peer."""
    rows = [["workload", *ours, *peers, *(f"{o} to the best peer" for o in ours)]]
    for name, sides in table.items():
        row = [name, *(f"{sides[s]['steps_per_s']:.1f}" if s in sides else "failed" for s in (*ours, *peers))]
        best = max((sides[p]["steps_per_s"] for p in peers if p in sides), default=float("nan"))
        rows.append(row + [f"{sides[o]['steps_per_s'] / best:.2f}" if o in sides else "failed" for o in ours])
    return markdown(rows)


def rest(table: Table, ours: list[str], peers: list[str]) -> str:
    """First step, latency of one sample and peak memory of kcore, the last two also as ratios to the best peer."""
    rows = [["workload", "backend", "first step", "predict of one", "ratio", "peak memory", "ratio"]]
    for name, sides in table.items():
        others = [sides[p] for p in peers if p in sides]
        for o in ours:
            mine: Any = sides.get(o)
            if mine is None or not others:
                continue
            latency = mine["latency_ms"] / min(other["latency_ms"] for other in others)
            memory = mine["peak_mb"] / min(other["peak_mb"] for other in others)
            row = [name, o, f"{mine['first_step_s']:.2f} s", f"{mine['latency_ms']:.2f} ms", f"{latency:.2f}"]
            rows.append([*row, f"{mine['peak_mb']:.0f} MB", f"{memory:.2f}"])
    return markdown(rows)


if __name__ == "__main__":
    main()
