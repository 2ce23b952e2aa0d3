"""Memory of steady training steps: growth over many steps, what a kernel allocates at most, the arena's peak.

The second figure is all that a launch holds at once beyond its planned buffers, over all its arrays and threads; the
kernels that allocate at all (dropout's random words, the sorting in an embedding's gradient) do so in chunks of which
none is larger than 120 KB.

python benchmarks/memory.py [--only mlp,cnn] [--steps 10000]
"""

from __future__ import annotations

import argparse
import sys
import tracemalloc
from typing import Any

import numpy as np
from workloads import WORKLOADS

import kcore
from kcore_numpy import threads

#: Bytes one thread's part of a launch may allocate.
LIMIT = 200 * 1024


def executable_of(model: Any) -> Any:
    """The compiled training step that ran last."""
    return list(model.make_train_function()._cache.values())[-1].executable


def largest_temporary(executable: Any) -> tuple[int, str]:
    """Bytes of the largest memory any single kernel launch held beyond what was there before it, and which one."""
    bound = executable._bound
    worst = (0, "")
    tracemalloc.start()
    for step, thunk in zip(executable.plan.steps, bound.thunks, strict=True):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        thunk()
        held = tracemalloc.get_traced_memory()[1] - before
        if held > worst[0]:
            worst = (held, f"{step.kernel} ({step.node.path})")
    tracemalloc.stop()
    return worst


def growth(model: Any, x: np.ndarray, y: np.ndarray, batch: int, steps: int) -> int:
    """Bytes by which traced memory grew over that many steps."""
    tracemalloc.start()
    for _ in range(20):  # what is made once: caches, the interpreter's own free lists
        model.train_on_batch(x[:batch], y[:batch])
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(steps):
        model.train_on_batch(x[:batch], y[:batch])
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--steps", type=int, default=0, help="0: 10,000 of mlp and 20 of the others")
    args = parser.parse_args()
    failed = False
    print("| workload | arena | growth per 1,000 steps | most a kernel allocates |\n|---|---|---|---|")
    for name in args.only.split(","):
        model, x, y, batch = WORKLOADS[name](kcore, np.random.default_rng(0))
        model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0)
        executable = executable_of(model)
        temporary, kernel = largest_temporary(executable)
        steps = args.steps or (10_000 if name == "mlp" else 20)
        grown = growth(model, x, y, batch, steps)
        failed |= temporary > LIMIT * threads.count()
        growing = f"{grown / steps:.2f} KB ({steps} steps)"
        held = f"{temporary / 1024:.1f} KB in {kernel}"
        print(f"| {name} | {executable.nbytes / 1e6:.1f} MB | {growing} | {held} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
