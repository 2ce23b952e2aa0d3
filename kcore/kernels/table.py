"""The table of generated kernels: for each op a function from a node and a device's traits to code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kcore.backend import control
from kcore.backend.kernel import ANY_COMPOSITE, Site, Thunk, kernel
from kcore.backend.selection import backend_of
from kcore.codegen import Code
from kcore.graph.core import Node
from kcore.kernels.backend import GeneratedBackend
from kcore.kernels.traits import Traits

#: Makes the code of a node: (node, traits of the device, which outputs are wanted).
Emit = Callable[[Node, Traits, Sequence[bool]], Code]
Bind = Callable[[Site], Thunk]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Generated:
    """One row of the table.

    Attributes:
        op: name of the op.
        emit: makes the code of a node.
        bind: what the kernel's `bind` is on every backend.
        options: the rest of the kernel, see `kcore.backend.kernel.Kernel`.
    """

    op: str
    emit: Emit
    bind: Bind
    options: dict[str, Any]


TABLE: list[Generated] = []
_provided: set[str] = set()


def generated(*ops: str, scratch: bool = False, **options: Any) -> Callable[[Emit], Emit]:
    """Decorator: a function that makes the code of a node becomes the kernel of ops, on every backend of C kernels.

    Args:
        ops: names of the ops.
        scratch: whether some of its code wants scratch memory.
        options: of the kernel (`supports`, `inplace`, `view`), see `kcore.backend.kernel.Kernel`.
    """

    def register(emit: Emit) -> Emit:
        def bind(site: Site) -> Thunk:
            backend = home(site)
            code = emit(site.node, backend.traits(site.device), [out is not None for out in site.outputs])
            return backend.bind(site, code)

        def wanted_scratch(node: Node) -> int:
            return emit(node, planned_traits(), [True] * len(node.outputs)).scratch_bytes

        every = {**options, "scratch": wanted_scratch} if scratch else options
        bound(*ops, emit=emit, **every)(bind)
        return emit

    return register


def bound(*ops: str, emit: Emit, **options: Any) -> Callable[[Bind], Bind]:
    """Decorator: the same for a function that binds a site by itself, with code that `emit` makes too."""

    def register(bind: Bind) -> Bind:
        TABLE.extend(Generated(op, emit, bind, options) for op in ops)
        return bind

    return register


def code_of(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code | None:
    """The code of a node for a device of these traits, which need not exist; None where there is no such kernel.

    Args:
        node: what is computed.
        traits: of the device.
        wanted: for each output whether it is read by anybody; all if None.
    """
    names = (node.op.name,) if node.op.primitive else (node.op.name, ANY_COMPOSITE)
    rows = [row for name in names for row in TABLE if row.op == name]
    row = next((r for r in rows if r.options.get("supports", lambda _: True)(node)), None)
    return None if row is None else row.emit(node, traits, wanted or [True] * len(node.outputs))


def home(site: Site) -> GeneratedBackend:
    """The backend of a site's device."""
    backend = backend_of(site.device.backend)
    assert isinstance(backend, GeneratedBackend), backend
    return backend


def planned_traits() -> Traits:
    """The traits of the device that a plan is being made for: what a kernel's `scratch` function may ask."""
    device = control.place()[1]
    backend = backend_of(device.backend)
    assert isinstance(backend, GeneratedBackend), backend
    return backend.traits(device)


def fill(backend: str, package: str) -> None:
    """Enter the whole table for a backend; once is enough."""
    if backend not in _provided:
        _provided.add(backend)
        for row in TABLE:
            kernel(row.op, backend=backend, package=package, **row.options)(row.bind)


def segment_buffers(operands: Sequence[Sequence[tuple[str, int]]], inputs: Sequence[Any], outputs: Sequence[Any]):
    """The distinct buffers the operands of a segmented kernel lie in."""
    found: dict[int, Any] = {}
    for row in operands:
        for kind, index in row:
            array = (inputs if kind == "input" else outputs)[index]
            found.setdefault(id(array.buffer), array.buffer)
    return list(found.values())


def in_one_float(node: Node) -> bool:
    """Whether all floats of a node are of one dtype, float32 or float64, and nothing is empty."""
    floats = {v.dtype for v in node.inputs if v is not None and v.dtype != "bool"}
    return floats in ({"float32"}, {"float64"}) and all(v is None or v.size for v in node.inputs)
