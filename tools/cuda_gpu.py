"""What the three commands for a machine with a GPU share: the GPU, or one clear line that says why there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Seconds a command may take, so that a short visit to a GPU is enough.
BUDGET = 600
#: Where each command leaves what it found, as far as it came; another folder by this variable.
RESULTS = "KCORE_RESULTS"


def why_none() -> str:
    """Why kcore cannot use a GPU here, and what to do about it, in one line; "" where it can."""
    from kcore.backend import backend_of
    from kcore.errors import KcoreError

    try:
        backend = backend_of("cuda")
        if backend.devices():
            return ""
        problems = backend.problems()
    except (KcoreError, ImportError) as error:
        return " ".join(str(error).split())
    if not problems:
        return "the backend cuda has no device and does not say why"
    first = problems[0]
    return f"{first.what}: {first.why}; {first.hint}"


def why_no_driver() -> str:
    """The same of the driver alone: whether there is a GPU for which CuPy is worth fetching."""
    from kcore_cuda import gpus, installation

    found = gpus.listing()
    problem = installation.problem_of(found) if found.error else None
    return f"{problem.what}: {problem.why}; {problem.hint}" if problem else ""


def toolkit() -> int:
    """The major version of CUDA to install for the driver: 12 or 13."""
    from kcore_cuda import gpus

    return 12 if 12000 <= gpus.listing().version < 13000 else 13


def results(command: str) -> Path:
    """The file of a command's results; its folder is made."""
    folder = Path(os.environ.get(RESULTS) or ROOT / ".cuda-results")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / command


def require(command: str, driver_only: bool = False) -> None:
    """End the program with status 1 and one line where there is no GPU.

    Args:
        command: its name.
        driver_only: whether it is enough that the driver has one, before anything is installed.
    """
    reason = why_no_driver() if driver_only else why_none()
    if reason:
        print(f"{command}: no GPU to run on: {reason}", file=sys.stderr)
        raise SystemExit(1)


def describe() -> str:
    """The GPU, its driver and the versions of everything that computes on it, for the head of a report."""
    from importlib.metadata import distributions

    from kcore.backend import backend_of

    device = backend_of("cuda").devices()[0]
    wanted = ("cupy", "nvidia-", "nvmath", "cuda-", "kcore", "torch", "jax", "keras")
    found = {d.name: d.version for d in distributions() if d.name and d.name.startswith(wanted)}
    facts = ", ".join(f"{key} {value}" for key, value in device.details.items())
    packages = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    return f"{device.name}, {device.memory / 2**30:.0f} GiB ({facts})\n{packages}"


class Clock:
    """The time a command has left."""

    def __init__(self, seconds: float = BUDGET):
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self._end - time.monotonic(), 0.0)

    def run(
        self, arguments: Sequence[str], share: float = 1.0, log: Path | None = None, **environment: str
    ) -> int | None:
        """Run a program in what is left, or a share of it; None where it was not over by then.

        Args:
            arguments: the command; all it starts is ended with it.
            share: of what is left.
            log: a file that gets what it prints, line by line, as well.
            environment: variables for it.
        """
        print("$", *arguments, flush=True)
        process = subprocess.Popen(
            list(arguments), cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(max(self.left * share, 1.0), end)
        timer.start()
        try:
            assert process.stdout is not None
            with (log or Path(os.devnull)).open("a", encoding="utf-8") as file:
                print("$", *arguments, file=file, flush=True)
                for line in process.stdout:
                    print(line, end="", flush=True)
                    print(line, end="", file=file, flush=True)
            status = process.wait()
        finally:
            timer.cancel()
        return None if late.is_set() else status


if __name__ == "__main__":
    if len(sys.argv) > 1:
        require(sys.argv[1], driver_only=True)
    else:
        print(toolkit())
