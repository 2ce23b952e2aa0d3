"""Running one check over all cases of one op, and what is exempt from a check, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from kcore.dtypes import FLOATS
from kcore.graph.op import Op
from kcore.testing import checks, options
from kcore.testing.building import build
from kcore.testing.cases import Case, cases
from kcore.testing.compare import ConformanceError

CHECKS: dict[str, checks.Check] = {
    "eager": checks.check_eager,
    "compiled": checks.check_compiled,
    "gradient": checks.check_gradient,
    "second_gradient": checks.check_second_gradient,
}

#: Ops that have no samples, and what runs them instead.
NO_SAMPLES = {
    "constant": "its attribute is an array of the graph; test_control and test_memory run it",
    "cond": "its attributes are graphs; test_control runs it",
    "scan": "its attributes are graphs; test_control runs it",
    "while": "its attributes are graphs; test_control runs it",
}

#: Cases whose kernels are built together, and whose arrays are there at the same time.
TOGETHER = 32
#: Failures of one op shown in full; more are counted.
SHOWN = 4
#: Samples with more elements are left out of second derivatives, which need many evaluations.
SECOND_LIMIT = 2000


def exemption(op: Op, check: str) -> str | None:
    """Why a check does not apply to an op, or None if it does."""
    if not op.samples:
        return NO_SAMPLES.get(op.name)
    if check in ("gradient", "second_gradient"):
        if not op.differentiable:
            return "declared not differentiable"
        if not any(s.grad for s in op.samples):
            return "none of its samples asks for a gradient (grad=False)"
        if not any(_has_gradient(c) for c in cases(op, ("float64",))):
            return "it has no floating-point input or output"
    return None


def _has_gradient(case: Case) -> bool:
    visible = case.specs()[: len(case.specs()) - case.op.residuals]
    return case.sample.grad and bool(checks.gradient_inputs(case)) and any(s.dtype in FLOATS for s in visible)


def wanted_cases(op: Op, check: str) -> Iterator[Case]:
    """The cases a check runs on."""
    if check not in ("gradient", "second_gradient"):
        dtypes = tuple(d for d in options.dtypes if d not in FLOATS or checks.has_dtype(d))
        yield from cases(op, dtypes, options.case)
        return
    for case in cases(op, ("float64",), options.case):
        if not op.differentiable or not case.sample.grad:
            continue
        small = sum(a.size for a in case.arrays() if a is not None) <= SECOND_LIMIT
        if _has_gradient(case) and (check == "gradient" or small):
            yield case


def run_check(op: Op, check: str) -> int:
    """Run a check on every case of an op, their kernels built together; returns how many cases there were.

    Raises:
        ConformanceError: with the message of each failure.
    """
    found = list(wanted_cases(op, check))
    failures: list[str] = []
    with np.errstate(all="ignore"):
        for start in range(0, len(found), TOGETHER):
            failures += _failures(found[start : start + TOGETHER], check)
    if failures:
        more = f"\n... and {len(failures) - SHOWN} more cases" if len(failures) > SHOWN else ""
        raise ConformanceError(
            f"{len(failures)} of {len(found)} cases of {op.name!r} fail:\n" + "\n".join(failures[:SHOWN]) + more
        )
    return len(found)


def _failures(found: list[Case], check: str) -> list[str]:
    running = [(case, CHECKS[check](case)) for case in found]
    executables: list[Any] = []
    failures: list[str] = []
    for half in ("compile", "compare"):
        for case, steps in running:
            try:
                executables += next(steps, ())
            except ConformanceError as error:
                failures.append(str(error))
            except Exception as error:
                failures.append(_raised(case, check, error))
        if half == "compile":
            with suppress(Exception):  # the case whose kernel does not build meets that again, and is named
                build(executables)
    return failures


def _raised(case: Case, check: str, error: Exception) -> str:
    return (
        f"op {case.op.name!r}, sample {case.index}, dtype {case.dtype} ({check}): {case.describe()}\n"
        f"  raised {type(error).__name__}: {error}\n  run it alone: {checks.rerun(case, check)}"
    )
