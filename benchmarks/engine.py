"""What the engine itself costs: import, an eager op, tracing and planning per node, replay per node.

python benchmarks/engine.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import timeit
from typing import Any

import numpy as np


def import_seconds(rounds: int = 9) -> tuple[float, list[str]]:
    """Median seconds of a warm `import kcore`, and which heavy modules it loaded."""
    code = (
        "import time; t = time.perf_counter(); import kcore; s = time.perf_counter() - t; import sys; "
        "print(s, *[m for m in ('h5py', 'rich', 'kcore_numpy', 'cupy', 'pyopencl') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(rounds)]
    return statistics.median(float(r[0]) for r in runs[1:]), runs[0][1:]


def microseconds(call: Any, number: int = 5000) -> float:
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def replay_overhead(length: int = 200) -> float:
    """Microseconds per node that replaying a chain of tiny products costs beyond calling the same NumPy products."""
    import kcore
    from kcore import ops

    weights = [kcore.Variable(np.eye(4, dtype="float32")) for _ in range(length)]

    @kcore.function
    def chain(x: Any) -> Any:
        for w in weights:
            x = ops.matmul(x, w)
        return x

    x = np.ones((4, 4), "float32")
    executable = chain.concrete(x)
    matrices, out = [w.numpy() for w in weights], np.ones((4, 4), "float32")

    def bare() -> None:
        for m in matrices:
            np.matmul(x, m, out)

    return (microseconds(lambda: executable.run([x]), 200) - microseconds(bare, 200)) / len(executable.plan.steps)


def trace_cost(length: int = 300) -> float:
    """Milliseconds per node of tracing, passes, planning and binding together, for a trained chain of dense layers."""
    import kcore
    from kcore import ops

    weights = [kcore.Variable(np.eye(4, dtype="float32")) for _ in range(length)]

    def step(x: Any) -> Any:
        with kcore.GradientTape() as tape:
            y = x
            for w in weights:
                y = ops.tanh(ops.matmul(y, w))
            loss = ops.sum(y)
        for w, g in zip(weights, tape.gradient(loss, weights), strict=True):
            w.assign_sub(g * 0.1)
        return loss

    function = kcore.function(step)
    x = np.ones((4, 4), "float32")
    start = time.perf_counter()
    executable = function.concrete(x)
    executable.run([x])
    elapsed = time.perf_counter() - start
    # forward 2, backward 5 and update 2 nodes a layer, before fusion
    return elapsed * 1e3 / (length * 9)


def main() -> None:
    seconds, loaded = import_seconds()
    print(f"import kcore            {seconds:8.3f} s   (heavy modules loaded: {', '.join(loaded) or 'none'})")
    import kcore
    from kcore import ops

    a = ops.convert_to_tensor(np.ones(4, "float32"))
    print(f"eager add of two        {microseconds(lambda: ops.add(a, a)):8.2f} us")
    b = np.ones(4, "float32")
    print(f"the same in NumPy       {microseconds(lambda: b + b):8.2f} us")
    print(f"trace, passes, plan     {trace_cost():8.3f} ms per node")
    print(f"replay beyond kernels   {replay_overhead():8.3f} us per node   (kcore {kcore.__version__})")


if __name__ == "__main__":
    main()
