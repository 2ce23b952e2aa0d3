"""Every call that the backend makes is one that CuPy has, with that signature; the fake has the same ones."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import kcore_cuda
from kcore_cuda import cuda

cupy = pytest.importorskip("cupy", reason='to install it, type: pip install "cupy-cuda13x[ctk]"')

#: Modules of CuPy by their door in `kcore_cuda.cuda`.
MODULES = {"runtime": "cupy.cuda", "driver": "cupy.cuda", "nvrtc": "cupy.cuda"}
ROOT = Path(kcore_cuda.__file__).parent


def made(file: Path) -> set[tuple[str, str]]:
    """(door, name) of everything of CuPy's low-level modules that a file of this backend names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        base = node.value
        if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and base.value.id == "cuda":
            found.add((base.attr, node.attr))
        elif isinstance(base, ast.Name) and base.id in MODULES:
            found.add((base.id, node.attr))
    return {(door, name) for door, name in found if door in MODULES}


CALLS = sorted({call for file in ROOT.glob("*.py") for call in made(file)})


def signature(function: object) -> list[str]:
    """Names of a function's parameters; CuPy's compiled functions have them in the first line of their docstrings."""
    line = (getattr(function, "__doc__", None) or "").partition("\n")[0]
    found = re.fullmatch(r"\w+\((.*)\)(?: -> .*)?", line)
    assert found is not None, f"{function} does not tell its signature: {line!r}"
    return [re.sub(r"=.*", "", p).split()[-1] for p in found[1].split(",") if p.strip()]


def test_the_calls_were_found():
    assert ("driver", "launchKernel") in CALLS and ("runtime", "graphLaunch") in CALLS and len(CALLS) > 30


@pytest.mark.parametrize("door, name", CALLS)
def test_cupy_has_what_is_called_and_the_fake_has_the_same(machine, door, name):
    module = getattr(importlib.import_module("cupy.cuda"), door)
    theirs, fake = getattr(module, name), getattr(getattr(machine, door), name)
    if isinstance(theirs, int):
        assert theirs == fake
    elif not isinstance(theirs, type):
        mine = list(inspect.signature(fake).parameters)
        assert mine == signature(theirs)


def test_doors_open_to_cupy():
    for name, (module, attribute) in cuda._DOORS.items():
        found = importlib.import_module("cupy.cuda") if module.startswith("cupy.cuda") else cupy
        for part in module.split(".")[2:]:
            found = getattr(found, part)
        assert getattr(found, attribute) if attribute else found, name


def test_queries_answer_with_a_status_and_do_not_raise(machine):
    """Whatever they are asked: that an event is not over is no error."""
    runtime = importlib.import_module("cupy.cuda").runtime
    assert isinstance(runtime.eventQuery(0), int) and isinstance(runtime.streamQuery(0), int)
    assert machine.runtime.streamQuery(1) == 0


def test_errors_of_cupy_carry_their_number():
    runtime = importlib.import_module("cupy.cuda").runtime
    error = runtime.CUDARuntimeError(700)
    assert error.status == 700 and isinstance(error, RuntimeError)


def test_memory_that_another_owns_is_wrapped_as_cupy_wants_it():
    memory = importlib.import_module("cupy.cuda").memory
    assert "UnownedMemory(intptr_t ptr, size_t size, owner, int device_id=-1)" in memory.UnownedMemory.__doc__
    assert memory.MemoryPointer.__doc__.startswith("MemoryPointer(BaseMemory mem, ptrdiff_t offset)")
    assert "malloc(self, size_t size) -> MemoryPointer" in memory.MemoryPool.malloc.__doc__
