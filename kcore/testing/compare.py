"""Comparing results with the reference, and the message that says what broke and how to run it alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kcore.dtypes import FLOATS
from kcore.graph.op import Op, Spec

#: Families whose elements are one rounding or a few each, however large the tensors are.
_POINTWISE = frozenset({"elementwise", "shape", "copy", "indexing", "sorting", "random"})


class ConformanceError(AssertionError):
    """A backend's result differs from what the op's declaration says."""


def tolerance(op: Op, dtype: str, inputs: Sequence[np.ndarray | None], outputs: Sequence[Spec]) -> tuple[float, float]:
    """Relative and absolute tolerance of an op: its own, grown by the root of how many elements one result sums."""
    relative, absolute = op.tolerance[dtype]
    if op.family in _POINTWISE:
        return relative, absolute
    elements = max((a.size for a in inputs if a is not None), default=1)
    results = min((_size(s.shape) for s in outputs if _size(s.shape)), default=1)
    terms = max(elements / results, max((d for s in outputs for d in s.shape if d), default=1))
    terms = max(terms, max((d for a in inputs if a is not None for d in a.shape), default=1))
    growth = float(np.sqrt(terms))
    return relative * growth, absolute * growth


def _size(shape: tuple) -> int:
    return int(np.prod(shape))


def difference(result: np.ndarray, wanted: np.ndarray, relative: float, absolute: float) -> str | None:
    """What is wrong with a result, or None: the largest error and where it is."""
    if result.shape != wanted.shape:
        return f"shape {result.shape}, expected {wanted.shape}"
    if not result.size:
        return None
    if result.dtype.kind in "biu":
        bad = result != wanted.astype(result.dtype)
        if not bad.any():
            return None
        error = np.abs(result.astype("float64") - wanted.astype("float64"))
        allowed = np.zeros(result.shape)
    else:
        with np.errstate(all="ignore"):
            x, y = result.astype("float64"), wanted.astype("float64")
            equal = (x == y) | (np.isnan(x) & np.isnan(y))
            error = np.where(equal, 0.0, np.abs(x - y))
            error = np.where(np.isnan(error), np.inf, error)
            allowed = absolute + relative * np.where(np.isfinite(y), np.abs(y), 0.0)
        bad = error > allowed
        if not bad.any():
            return None
    excess = np.where(bad, error / np.maximum(allowed, 1e-300), -1.0)
    at = np.unravel_index(int(np.argmax(excess)), result.shape)
    where = f" at {tuple(map(int, at))}" if at else ""
    return (
        f"largest error {float(np.max(error[bad])):.3g} ({int(bad.sum())} of {bad.size} elements wrong); "
        f"{result[at]!r}{where}, expected {wanted[at]!r} within {float(allowed[at]):.3g}"
    )


def check_outputs(
    op: Op,
    inputs: Sequence[np.ndarray | None],
    results: Sequence[np.ndarray],
    specs: Sequence[Spec],
    wanted: Sequence[np.ndarray],
    factor: float = 1.0,
) -> list[str]:
    """Complaints about results: number, shape and dtype by `infer`, values by the reference."""
    if not len(results) == len(specs) == len(wanted):
        return [f"{len(results)} outputs; infer says {len(specs)}, the reference gives {len(wanted)}"]
    found = []
    for i, (result, spec, reference) in enumerate(zip(results, specs, wanted, strict=True)):
        which = f"output {i}: " if len(specs) > 1 else ""
        if result.shape != spec.shape:
            found.append(f"{which}shape {result.shape}, infer says {spec.shape}")
        elif result.dtype.name != spec.dtype:
            found.append(f"{which}dtype {result.dtype.name}, infer says {spec.dtype}")
        else:
            relative, absolute = tolerance(op, spec.dtype if spec.dtype in FLOATS else "float64", inputs, specs)
            message = difference(result, reference, relative * factor, absolute * factor)
            if message:
                found.append(which + message)
    return found
