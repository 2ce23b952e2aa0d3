"""The test command: style, types, room contracts, tests, conformance, and wheels that work away from the checkout.

``python tools/check.py`` runs every step and prints a summary; ``python tools/check.py lint tests`` only some;
``python tools/check.py exhaustive`` what is too long for every day.
The exit status is 1 if a step failed; later steps run all the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from requirements import ROOT, projects, requirements

BIN = Path(sys.executable).parent
PACKAGES = [
    "kcore",
    "backends/cuda/kcore_cuda",
    "backends/numpy/kcore_numpy",
    "backends/opencl/kcore_opencl",
    "plugins/rotary/kcore_rotary",
]


def command(*arguments: object, cwd: Path = ROOT, **environment: str) -> bool:
    """Run a command and say whether it went well."""
    print("$", *arguments, flush=True)
    return subprocess.run([str(a) for a in arguments], cwd=cwd, env={**os.environ, **environment}).returncode == 0


def lint() -> bool:
    """Ruff, mypy and import-linter."""
    steps = [
        command(BIN / "ruff", "format", "--check", "."),
        command(BIN / "ruff", "check", "."),
        command(BIN / "mypy"),
        command(BIN / "lint-imports"),
    ]
    return all(steps)


def tests() -> bool:
    """Unit tests of all distributions, in two processes."""
    return command(BIN / "python", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal")


def doctests() -> bool:
    """Every example in a docstring."""
    return command(
        BIN / "python", "-m", "pytest", "-q", "-n", "2", "--doctest-modules", *PACKAGES, "--ignore=kcore/testing"
    )


def conformance() -> bool:
    """The conformance kit on numpy, with and without the kernels of composites, and on OpenCL's CPU drivers."""
    good = kit("numpy") & kit("numpy", "--primitives-only")
    for name in filter(available, ("opencl:intel-cpu", "opencl:pocl")):
        good &= kit(name)
    return good


def exhaustive() -> bool:
    """What takes long: the slow tests, and the kit on OpenCL's CPU drivers without the kernels of composites."""
    good = command(BIN / "python", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-m", "slow")
    for name in filter(available, ("opencl:intel-cpu", "opencl:pocl")):
        good &= kit(name, "--primitives-only")
    return good


def kit(name: str, *options: str) -> bool:
    """The conformance kit on one device, in two processes."""
    return command(BIN / "kcore", "test-backend", name, *options, "--", "-q", "-n", "2")


def available(name: str) -> bool:
    """Whether a device answers; says so where it does not. On x86-64 Linux every driver the tests use comes by pip."""
    if command(BIN / "python", "-c", f"import kcore; raise SystemExit(not kcore.is_backend_available({name!r}))"):
        return True
    print(f"{name} does not answer here")
    return False


def wheels() -> bool:
    """Build every distribution, install the wheels into a new environment far from here, and run the demo there."""
    folder = Path(tempfile.mkdtemp(prefix="kcore-wheels-"))
    try:
        for project in projects():
            if not command(BIN / "python", "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, project):
                return False
        built = sorted(folder.glob("*.whl"))
        away = folder / "away"
        away.mkdir()
        python = folder / "venv" / "bin" / "python"
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        home = {"HOME": str(away), "KERAS_HOME": "", "KERAS_BACKEND": "", "PYTHONPATH": ""}
        kcore = python.parent / "kcore"
        return (
            command(sys.executable, "-m", "venv", folder / "venv", cwd=away)
            and command(*pip, *requirements(["demo", "opencl"]), cwd=away)
            and command(*pip, "--no-deps", *built, cwd=away)
            and command(python, "-m", "pip", "check", cwd=away)
            and command(kcore, "--version", cwd=away, **home)
            and command(kcore, "doctor", cwd=away, **home)
            and command(kcore, "demo", cwd=away, **home)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


STEPS: dict[str, Callable[[], bool]] = {f.__name__: f for f in (lint, tests, doctests, conformance, wheels)}
#: Steps that run only when they are named.
LONG: dict[str, Callable[[], bool]] = {f.__name__: f for f in (exhaustive,)}


def main(names: list[str]) -> int:
    """Run the steps and print how each went."""
    results = {}
    for name in names or STEPS:
        print(f"\n=== {name} ===", flush=True)
        start = time.perf_counter()
        results[name] = ((STEPS | LONG)[name](), time.perf_counter() - start)
    print("\n=== summary ===")
    for name, (good, seconds) in results.items():
        print(f"{name:12} {'passed' if good else 'FAILED'}  {seconds:6.1f} s")
    return 0 if all(good for good, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
