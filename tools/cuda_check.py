"""Does the CUDA backend compute the right numbers on this GPU? Conformance, then trainings beside NumPy.

``python tools/cuda_check.py`` runs in less than ten minutes and ends with status 1 if anything was wrong, or not over.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from cuda_gpu import Clock, describe, require, results

#: Runs of the conformance kit: title, arguments, the share of what is left of the time that it may take, environment.
CONFORMANCE: tuple[tuple[str, list[str], float, dict[str, str]], ...] = (
    ("conformance", [], 0.6, {}),
    ("conformance in 16 bits", ["--dtypes", "float16,bfloat16", "-k", "eager or compiled"], 0.5, {}),
    ("batch normalization on cuDNN", ["-k", "compiled and batch_norm"], 0.3, {"KCORE_CUDA_CUDNN_BATCH_NORM": "1"}),
)
STEPS = 100
#: Most processes that share the GPU: each compiles on a core of its own.
PROCESSES = 8


def agreements(device: str, names: list[str], log: Path | None = None) -> dict[str, bool]:
    """Train models on a device and on NumPy, and print how far apart they end; one that raises has failed."""
    from kcore.testing.trainings import agreement

    print(f"{STEPS} steps on {device} beside NumPy: Euclidean distance of the weights at the end")
    print(f"{'model':12} {'distance':>10} {'NumPy f32-f64':>14} {'a rounding':>11}")
    held = {}
    for name in names:
        begin = time.perf_counter()
        try:
            found = agreement(name, device, STEPS)
        except Exception as error:  # the others run all the same
            held[name] = False
            print(f"{name:12} FAILED: {type(error).__name__}: {error}", flush=True)
            if log is not None:
                note(log, f"{name:12} FAILED: {type(error).__name__}: {error}")
            continue
        held[name] = found.holds
        state = "holds" if found.holds else "FAILED" if found.same_start else "FAILED: another start"
        line = (
            f"{name:12} {found.distance:10.2e} {found.drift:14.2e} {found.rounding:11.2e}  {state}"
            f"  ({time.perf_counter() - begin:.1f} s)"
        )
        print(line, flush=True)
        if log is not None:
            note(log, line)
    return held


def note(log: Path, line: str) -> None:
    """Add a line to the results."""
    with log.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def main(arguments: list[str]) -> int:
    """Run both parts; with ``--device NAME`` on another device than ``cuda:0``."""
    device = arguments[arguments.index("--device") + 1] if "--device" in arguments else "cuda:0"
    log = results("cuda-check.txt")
    log.write_text("", encoding="utf-8")
    if device.startswith("cuda"):
        require("cuda-check")
        print(describe())
        log.write_text(describe() + "\n", encoding="utf-8")
    clock = Clock()
    failed = []
    processes = ["-n", str(min(PROCESSES, os.cpu_count() or 1))]
    for title, extra, share, environment in CONFORMANCE if "--only-training" not in arguments else ():
        kcore = str(Path(sys.executable).with_name("kcore"))
        command = [kcore, "test-backend", device, "--", "-q", "--no-header", *processes, *extra]
        status = clock.run(command, share, log, **environment)
        if status != 0:
            failed.append(title + (" was not over in time" if status is None else ""))
    from kcore.testing.trainings import MODELS

    names = [n for n in MODELS if "--model" not in arguments or n == arguments[arguments.index("--model") + 1]]
    failed += [f"training {name}" for name, held in agreements(device, names, log).items() if not held]
    summary = json.dumps({"device": device, "failed": failed, "seconds_left": round(clock.left)})
    print(summary)
    note(log, summary)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
