"""Does the CUDA backend compute the right numbers on this GPU? Conformance, then trainings beside NumPy.

``python tools/cuda_check.py`` runs in less than ten minutes and ends with status 1 if anything was wrong, or not over.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from cuda_gpu import Clock, describe, require

#: Runs of the conformance kit: title, arguments, and the share of what is left of the time that it may take.
CONFORMANCE = (
    ("conformance", [], 0.6),
    ("conformance in 16 bits", ["--dtypes", "float16,bfloat16", "-k", "eager or compiled"], 0.5),
)
STEPS = 100


def agreements(device: str, names: list[str]) -> dict[str, bool]:
    """Train models on a device and on NumPy, and print how far apart they end."""
    from kcore.testing.trainings import agreement

    print(f"{STEPS} steps on {device} beside NumPy: Euclidean distance of the weights at the end")
    print(f"{'model':12} {'distance':>10} {'NumPy f32-f64':>14} {'a rounding':>11}")
    held = {}
    for name in names:
        begin = time.perf_counter()
        found = agreement(name, device, STEPS)
        held[name] = found.holds
        state = "holds" if found.holds else "FAILED" if found.same_start else "FAILED: another start"
        print(
            f"{name:12} {found.distance:10.2e} {found.drift:14.2e} {found.rounding:11.2e}  {state}"
            f"  ({time.perf_counter() - begin:.1f} s)",
            flush=True,
        )
    return held


def main(arguments: list[str]) -> int:
    """Run both parts; with ``--device NAME`` on another device than ``cuda:0``."""
    device = arguments[arguments.index("--device") + 1] if "--device" in arguments else "cuda:0"
    if device.startswith("cuda"):
        require("cuda-check")
        print(describe())
    clock = Clock()
    failed = []
    for title, extra, share in CONFORMANCE if "--only-training" not in arguments else ():
        command = [
            str(Path(sys.executable).with_name("kcore")),
            "test-backend",
            device,
            "--",
            "-q",
            "--no-header",
            *extra,
        ]
        status = clock.run(command, share)
        if status != 0:
            failed.append(title + (" was not over in time" if status is None else ""))
    from kcore.testing.trainings import MODELS

    names = [n for n in MODELS if "--model" not in arguments or n == arguments[arguments.index("--model") + 1]]
    failed += [f"training {name}" for name, held in agreements(device, names).items() if not held]
    print(json.dumps({"device": device, "failed": failed, "seconds_left": round(clock.left)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
