"""Random programs made of ops, views, and variables, for testing the compiler: the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.graph.op import OPS
from kcore.runtime import Variable

#: Elementwise ops that map [-1, 1] into [-1, 1] or so, with how many inputs they take.
_CHAIN: dict[str, int] = {
    "tanh": 1, "sin": 1, "negative": 1, "abs": 1, "relu": 1, "sigmoid": 1, "square": 1, "softsign": 1,
    "add": 2, "subtract": 2, "multiply": 2, "maximum": 2, "minimum": 2,
}  # fmt: skip


class Program:
    """A random step: a function of arrays that also reads and assigns variables.

    Args:
        seed: decides everything.
        length: how many operations.
        variables: how many variables; their updates include swaps and the handing out of old values.
        elementwise: whether there are only elementwise operations.
    """

    def __init__(self, seed: int, length: int = 12, variables: int = 2, elementwise: bool = False):
        self.seed, self.length, self.elementwise = seed, length, elementwise
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(1, 6))
        # square more often than not: there a value and its transpose fit each other, and one another's memory
        self.shape = (rows, rows if rng.random() < 0.6 else int(rng.integers(1, 9)))
        self.inputs = [rng.uniform(-1, 1, self.shape) for _ in range(2)] + [rng.uniform(-1, 1, self.shape[1:])]
        self.values = [rng.uniform(-1, 1, self.shape) for _ in range(variables)]

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """The inputs."""
        return [np.asarray(a, dtype) for a in self.inputs]

    def variables(self, dtype: str) -> list[Variable]:
        """New variables with their first values."""
        return [Variable(np.asarray(v, dtype), name=f"v{i}") for i, v in enumerate(self.values)]

    def step(self, variables: list[Any], assign: Callable[[Any, Any], None]) -> Callable[..., list[Any]]:
        """The function; its random choices are made anew, and alike, at each call."""

        def run(*xs: Any) -> list[Any]:
            rng = np.random.default_rng(self.seed + 1)
            alive = [*xs, *[OPS["identity"](v) if rng.random() < 0.5 else v for v in variables]]
            for _ in range(self.length):
                alive.append(self._operation(rng, alive))
            same = [t for t in alive if tuple(t.shape) == self.shape]
            for v in variables:
                kind = rng.random()
                if kind < 0.3 and self.shape[0] == self.shape[1] and not self.elementwise:
                    assign(v, OPS["subtract"](v, OPS["transpose"](v, axes=(1, 0))))
                elif kind < 0.5:
                    assign(v, OPS["multiply"](v, same[int(rng.integers(len(same)))]))
                elif kind < 0.9:
                    assign(v, same[int(rng.integers(len(same)))])
            count = int(rng.integers(1, 4))
            outputs = [alive[-1], *[alive[int(rng.integers(len(alive)))] for _ in range(count)]]
            return [OPS["identity"](t) for t in outputs]

        return run

    def _operation(self, rng: np.random.Generator, alive: list[Any]) -> Any:
        recent = rng.random() < 0.7
        x = alive[int(rng.integers(max(0, len(alive) - 6) if recent else 0, len(alive)))]
        kind = 0.0 if self.elementwise else rng.random()
        if kind < 0.5:
            name = list(_CHAIN)[int(rng.integers(len(_CHAIN)))]
            others = [self._fitting(rng, alive, x) for _ in range(_CHAIN[name] - 1)]
            return OPS[name](x, *others)
        ndim = len(x.shape)
        if ndim == 2 and x.shape[0] == x.shape[1] and rng.random() < 0.4:
            turned = OPS["transpose"](x, axes=(1, 0))
            if rng.random() < 0.5:
                return OPS["subtract"](OPS["tanh"](x), turned)
            return OPS["tanh"](OPS["matmul"](x, turned if rng.random() < 0.5 else x))
        if kind < 0.6 and ndim:
            return OPS["transpose"](x, axes=tuple(int(a) for a in rng.permutation(ndim)))
        if kind < 0.7 and ndim and min(x.shape) > 0:
            start = tuple(int(rng.integers(d)) for d in x.shape)
            step = tuple(int(rng.integers(1, 3)) for _ in x.shape)
            return OPS["slice"](x, start=start, stop=tuple(x.shape), step=step)
        if kind < 0.78:
            return OPS["reshape"](x, shape=tuple(x.shape)[::-1] if rng.random() < 0.5 else (int(np.prod(x.shape)),))
        if kind < 0.86 and ndim:
            return OPS["concatenate"](x, x, axis=int(rng.integers(ndim)))
        if kind < 0.93 and ndim:
            return OPS["mean"](x, axis=(int(rng.integers(ndim)),), keepdims=bool(rng.random() < 0.5))
        if ndim == 2:
            return OPS["tanh"](OPS["matmul"](x, x, transpose_a=False, transpose_b=True))
        return OPS["broadcast_to"](x, shape=(2, *x.shape))

    @staticmethod
    def _fitting(rng: np.random.Generator, alive: list[Any], x: Any) -> Any:
        """Another value of the same shape, or a number."""
        same = [t for t in alive if tuple(t.shape) == tuple(x.shape)]
        if rng.random() < 0.2 or not same:
            return float(rng.uniform(-1, 1))
        return same[int(rng.integers(len(same)))]
