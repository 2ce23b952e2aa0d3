"""Is a fast figure a right one: a training of 50 fixed steps against a float64 run of the same model.

    python benchmarks/accuracy.py [--only mlp,cnn] [--steps 50] [--backend opencl:intel]

Three runs start from the same weights on the same batches: float32 with every kernel and fusion the backend has,
float32 on NumPy with primitives only (NumPy's own float32 drift), and float64 on NumPy. The weights of the first must
end as near to those of float64 as four times those of the second do; the drift counted is at least one float32 rounding
of the weights per step. The losses are shown beside: once a ReLU of one run has switched where that of another has not,
their difference is a matter of luck, while the distance of the weights is one number for the whole history.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from workloads import WORKLOADS

import kcore
from kcore.backend.compile import primitives_only

Weights = list[np.ndarray]


def losses(
    name: str, steps: int, floatx: str, weights: Weights | None, mode: AbstractContextManager, backend: str = "numpy"
) -> tuple[float, Weights, Weights]:
    """Loss on one fixed batch after `steps` training steps on others, and the weights at the start and the end."""
    kcore.use_backend(backend)
    before = kcore.config.floatx()
    kcore.config.set_floatx(floatx)
    try:
        with mode:
            kcore.set_random_seed(1)
            model, x, y, batch = WORKLOADS[name](kcore, np.random.default_rng(0))
            if weights is not None:
                model.set_weights(weights)
            start = model.get_weights()
            batches = len(x) // batch
            for i in range(steps):
                at = slice((i % batches) * batch, (i % batches + 1) * batch)
                model.train_on_batch(x[at].astype(floatx) if x.dtype.kind == "f" else x[at], y[at])
            result: Any = model.evaluate(x[:batch], y[:batch], batch_size=batch, verbose=0)
            return float(np.ravel(result)[0]), start, model.get_weights()
    finally:
        kcore.config.set_floatx(before)


def distance(a: Weights, b: Weights | None = None) -> float:
    """Euclidean distance of all weights; from zero if only one list is given."""
    pairs = zip(a, b if b is not None else [0.0] * len(a), strict=True)
    return float(np.sqrt(sum(np.sum((np.asarray(p, "float64") - q) ** 2) for p, q in pairs)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--backend", default="numpy", help="the backend of the first run")
    args = parser.parse_args()
    print("| workload | loss, float64 | loss, float32 | weights apart | allowed | right |\n|---|---|---|---|---|---|")
    wrong = False
    for name in args.only.split(","):
        loss, weights, fast = losses(name, args.steps, "float32", None, nullcontext(), args.backend)
        _, _, plain = losses(name, args.steps, "float32", weights, primitives_only())
        exact_loss, _, exact = losses(name, args.steps, "float64", weights, nullcontext())
        rounding = args.steps * np.finfo(np.float32).eps * distance(exact)
        allowed = 4 * max(distance(plain, exact), rounding)
        right = distance(fast, exact) <= allowed
        wrong |= not right
        figures = f"{exact_loss:.8f} | {loss:.8f} | {distance(fast, exact):.1e} | {allowed:.1e}"
        print(f"| {name} | {figures} | {'yes' if right else 'NO'} |", flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
