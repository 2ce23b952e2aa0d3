"""Compiling ahead: compilers take the kernels of many programs together several times as fast as one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kcore.backend.compile import Bound, Executable, Program
from kcore.backend.kernel import Site, Thunk


class _Collected(Bound):
    """A program bound to memory for its kernels' sake; it never runs."""

    def arranged(self) -> list[tuple[Thunk, list[int]]]:
        return []


def build(executables: Iterable[Any]) -> None:
    """Compile all kernels of executables; those that a backend makes in a way of its own are left to it."""
    programs = [e.program for e in executables if type(e) is Executable]
    if programs:
        programs[0].backend.build(_launches(programs))


def _launches(programs: list[Program]) -> Iterator[tuple[Site, Thunk]]:
    backend, device = programs[0].backend, programs[0].device
    storage = backend.allocate(max(program.plan.arena for program in programs), device)
    for program in programs:
        yield from _Collected(program, storage, 0).pairs
