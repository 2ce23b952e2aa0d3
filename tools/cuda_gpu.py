"""What the three commands for a machine with a GPU share: the GPU, or one clear line that says why there is none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Seconds a command may take, so that a short visit to a GPU is enough.
BUDGET = 600


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


def require(command: str) -> None:
    """End the program with status 1 and one line where there is no GPU."""
    reason = why_none()
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

    def run(self, arguments: Sequence[str], share: float = 1.0, **environment: str) -> int | None:
        """Run a program in what is left, or a share of it; None where it was not over by then."""
        import os

        print("$", *arguments, flush=True)
        try:
            return subprocess.run(
                list(arguments), cwd=ROOT, env={**os.environ, **environment}, timeout=max(self.left * share, 1.0)
            ).returncode
        except subprocess.TimeoutExpired:
            return None


if __name__ == "__main__":
    require(sys.argv[1])
