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
    parser.add_argument("--backend", default="numpy", help="kcore's backend")
    parser.add_argument("--engines", default="jax,torch,tensorflow")
    parser.add_argument("--only", default="mlp,mlp4,cnn,resnet20,lstm,transformer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", default="", help="write all figures there")
    args = parser.parse_args()
    sides = [("kcore", args.backend, sys.executable)] + [("keras", e, args.peers) for e in args.engines.split(",")]
    table: dict[str, dict[str, dict[str, float]]] = {}
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
    print(report(table, f"kcore/{args.backend}", [f"keras/{e}" for e in args.engines.split(",")]))
    if args.json:
        Path(args.json).write_text(json.dumps(table, indent=1), encoding="utf-8")


def report(table: dict[str, dict[str, dict[str, float]]], ours: str, peers: list[str]) -> str:
    """The Markdown table: steps per second of everyone, and kcore's ratios to the best peer."""
    head = ["workload", ours, *peers, "training ratio", "latency ratio", "memory ratio", "first step"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, sides in table.items():
        mine: Any = sides.get(ours)
        others = [sides[p] for p in peers if p in sides]
        cells = [name] + [f"{sides[s]['steps_per_s']:.1f}" if s in sides else "failed" for s in (ours, *peers)]
        if mine and others:
            cells.append(f"{mine['steps_per_s'] / max(o['steps_per_s'] for o in others):.2f}")
            cells.append(f"{mine['latency_ms'] / min(o['latency_ms'] for o in others):.2f}")
            cells.append(f"{mine['peak_mb'] / min(o['peak_mb'] for o in others):.2f}")
            cells.append(f"{mine['first_step_s']:.2f} s")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
