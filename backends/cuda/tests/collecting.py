"""The sources of every kernel that the backend binds: those of the conformance kit's ops, and of whole steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import kcore
from kcore.backend import programs
from kcore.codegen import Source
from kcore.errors import MissingKernelError
from kcore.testing.cases import Case, all_ops, cases
from kcore.testing.trainings import MODELS, train


@contextmanager
def collected(build_too: bool = False) -> Iterator[dict[str, Source]]:
    """Within this context the sources that would be built are collected by key, and built only if that is wanted."""
    found: dict[str, Source] = {}
    build = programs.Programs.build

    def collect(self: Any, sources: Iterable[Source]) -> None:
        wanted = [s for s in sources if s.groups]
        found.update((s.key, s) for s in wanted)
        if build_too:
            build(self, wanted)

    programs.Programs.build = collect  # type: ignore[method-assign]
    try:
        yield found
    finally:
        programs.Programs.build = build  # type: ignore[method-assign]


def bind(executable: Any) -> Any:
    """The kernels of an executable, bound to memory."""
    return executable.program.bind(executable.arena.reserve(executable, executable.plan.arena))


def bind_case(case: Case) -> Any:
    """A case of the conformance kit, compiled and bound."""
    arrays = case.arrays()
    given = [a for a in arrays if a is not None]

    def call(*tensors: Any) -> Any:
        rest = iter(tensors)
        return case.op(*[None if a is None else next(rest) for a in arrays], **case.sample.attrs)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return bind(kcore.function(call).concrete(*given))


#: Dtypes the ops are bound in: the kit's own, and those of mixed policies.
DTYPES = ("float32", "float64", "int32", "bool", "float16", "bfloat16")
HALVES = ("float16", "bfloat16")


def is_computed_somewhere(case: Case) -> bool:
    """Whether a case is one at all: NumPy has none of linear algebra, and of neighbours, in half floats."""
    if case.dtype not in HALVES:
        return True
    before = kcore.backend.current()
    kcore.use_backend("numpy")
    try:
        bind_case(case)
    except (MissingKernelError, ValueError):
        return False
    finally:
        kcore.use_backend(str(before))
    return True


def all_sources() -> list[Source]:
    """Every kernel of the conformance kit's ops, and of the training steps of its six models."""
    with collected() as of_ops:
        for op in all_ops():
            for case in cases(op, DTYPES):
                try:
                    bind_case(case)
                except (MissingKernelError, ValueError):
                    if is_computed_somewhere(case):
                        raise
    with collected(build_too=True) as of_models:
        for name in MODELS:
            train(name, 1)
    return list({**of_ops, **of_models}.values())
