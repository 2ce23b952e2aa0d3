"""compute-sanitizer over each family of kernels: invalid accesses, races in shared memory, missing barriers.

``python tools/cuda_sanitize.py [family ...]`` ends with status 1 if one was found, or where there is no GPU or no
compute-sanitizer, which comes with the CUDA toolkit or by ``pip install nvidia-cuda-sanitizer-api``.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from cuda_gpu import Clock, describe, require, results

#: What compute-sanitizer is asked to look for, and how much of the time it gets.
TOOLS = {"memcheck": 0.5, "racecheck": 0.8, "synccheck": 1.0}
#: Samples of each op that are run: the small ones come first.
SAMPLES = "*:[0-3]:float32"
FOUND = 99


def find() -> str | None:
    """The program."""
    purelib = Path(sysconfig.get_path("purelib"))
    places = [
        *purelib.glob("nvidia/*/bin/compute-sanitizer"),
        *purelib.glob("nvidia/*/compute-sanitizer/compute-sanitizer"),
    ]
    places += [Path("/usr/local/cuda/bin/compute-sanitizer")]
    return shutil.which("compute-sanitizer") or next((str(p) for p in places if p.exists()), None)


def families() -> dict[str, list[str]]:
    """The ops with samples, by family."""
    from kcore.testing.cases import all_ops

    found: dict[str, list[str]] = {}
    for op in all_ops():
        if op.samples:
            found.setdefault(op.family, []).append(op.name)
    return found


def run_family(device: str, family: str) -> int:
    """Run the ops of a family by themselves, on small samples; how many cases there were."""
    import kcore
    from kcore.graph.op import OPS
    from kcore.testing import options
    from kcore.testing.runner import run_check

    kcore.use_backend(device)
    options.dtypes, options.case = ("float32",), SAMPLES
    return sum(run_check(OPS[name], "eager") for name in families()[family])


def main(arguments: list[str]) -> int:
    """Run compute-sanitizer, or, with ``--run DEVICE FAMILY ...``, what it looks at."""
    if arguments[:1] == ["--run"]:
        for family in arguments[2:]:
            print(f"{family}: {run_family(arguments[1], family)} cases", flush=True)
        return 0
    require("cuda-sanitize")
    program = find()
    if program is None:
        print(
            "cuda-sanitize: compute-sanitizer is not there: install the CUDA toolkit, "
            "or type: pip install nvidia-cuda-sanitizer-api",
            file=sys.stderr,
        )
        return 1
    wanted = arguments or list(families())
    log = results("cuda-sanitize.txt")
    log.write_text(describe() + "\n", encoding="utf-8")
    clock, bad = Clock(), []
    for tool, share in TOOLS.items():
        command = [program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "20", sys.executable]
        # graphs would hide which launch it was
        status = clock.run([*command, __file__, "--run", "cuda:0", *wanted], share, log, KCORE_CUDA_GRAPHS="0")
        if status != 0:
            bad.append(
                f"{tool}: " + {None: "not over in time", FOUND: "found something"}.get(status, f"status {status}")
            )
    said = f"cuda-sanitize: {len(wanted)} families, {', '.join(TOOLS)}: " + ("; ".join(bad) or "nothing found")
    print(said)
    with log.open("a", encoding="utf-8") as file:
        file.write(said + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
