"""The default compile: lower a graph to a backend's kernels, plan one arena, bind, and run the kernels in order."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from kcore.backend.base import Backend, Device
from kcore.backend.batch import Rows
from kcore.backend.exhausted import out_of_memory
from kcore.backend.kernel import ANY_COMPOSITE, Kernel, KernelTable, Site, Thunk, all_tables, kernels_of
from kcore.errors import MissingKernelError
from kcore.graph.core import Constant, Graph, Node, State, Value
from kcore.graph.fuse import FUSED, fuse_elementwise, fuse_segments, fuse_updates
from kcore.graph.fuse_columns import FUSED_COLUMNS, fuse_columns
from kcore.graph.fuse_product import FUSED_PRODUCT, fuse_products, hoist_elementwise
from kcore.graph.fuse_reduction import FUSED_REDUCTION, fuse_reductions
from kcore.graph.fuse_rows import FUSED_ROWS, fuse_rows
from kcore.graph.loops import tighten_loops
from kcore.graph.match import fuse_patterns
from kcore.graph.op import OPS, Op
from kcore.graph.passes import remove_dead, rewrite
from kcore.graph.pieces import join_pieces
from kcore.graph.plan import Plan, make_plan

#: Kernels every backend has through the core: control flow, which only runs other graphs.
CORE = "*"


class Moves:
    """How often a variable has changed its buffer; an Executable bound before the last time binds anew."""

    count = 0


_primitives_only = False


@contextmanager
def primitives_only() -> Iterator[None]:
    """Within this context no kernel of a composite or a pattern is used: each runs as its decomposition.

    It holds for the whole process, eager ops included. What was compiled before keeps its kernels.
    """
    before = _primitives_only
    _set_primitives_only(True)
    try:
        yield
    finally:
        _set_primitives_only(before)


def _set_primitives_only(on: bool) -> None:
    global _primitives_only
    _primitives_only = on
    for table in all_tables():
        table.version += 1


def choose(backend: Backend, node: Node) -> Kernel | None:
    """The kernel a backend runs a node with; control flow comes from the core; None if there is none."""
    if _primitives_only and not node.op.primitive:
        return None
    return backend.kernels.find(node) or _core_kernels().find(node)


@cache
def _core_kernels() -> KernelTable:
    import kcore.backend.control  # noqa: F401  (registers them; it needs this module)

    return kernels_of(CORE)


def lower(backend: Backend, graph: Graph, composites: bool = True) -> Graph:
    """The graph in terms of kernels the backend has: patterns matched, the rest decomposed, simplified and fused.

    With `composites` False every composite is decomposed, whatever kernels there are for it.
    """
    composites = composites and not _primitives_only
    remove_dead(graph)
    table = backend.kernels
    graph = rewrite(graph, None, Op.decomposer)
    tighten_loops(graph, Op.decomposer)
    join_pieces(graph)
    if composites:
        backend.substitute(graph)
        fuse_patterns(graph, table.patterns())
    graph = rewrite(graph, lambda node: composites and choose(backend, node) is not None, Op.decomposer)
    if composites:
        fuse_patterns(graph, table.patterns())
    if FUSED_ROWS.name in table and composites:
        fuse_rows(graph, lambda node: _by_rows(backend, node), lambda node: choose(backend, node) is not None)
    if FUSED_PRODUCT.name in table and not backend.strided_views:
        hoist_elementwise(graph, lambda node: _fusible(backend, node))
    if FUSED_COLUMNS.name in table:
        fuse_columns(graph, lambda node: _fusible(backend, node), lambda node: choose(backend, node) is not None)
    if FUSED.name in table:
        fuse_elementwise(graph, lambda node: _fusible(backend, node))
        if FUSED_PRODUCT.name in table:  # before updates become segments: a weight's may follow its gradient's product
            fuse_products(graph, lambda node: _fusible(backend, node), lambda node: choose(backend, node) is not None)
        fuse_segments(graph)
        if FUSED_REDUCTION.name in table:
            from kcore.codegen import can_emit  # only backends that turn groups into source need it

            fuse_reductions(graph, lambda node: _fusible(backend, node), can_emit)
        fuse_updates(graph, lambda node: _fusible(backend, node))
    _snapshot_state(graph)
    return graph


def _by_rows(backend: Backend, node: Node) -> bool:
    """Whether a composite has no kernel but the one that all composites may have."""
    kernel = None if node.op.primitive else choose(backend, node)
    return kernel is not None and kernel.op == ANY_COMPOSITE


def _fusible(backend: Backend, node: Node) -> bool:
    return (
        node.op.elementwise
        and len(node.outputs) == 1
        and node.outputs[0].size > 0
        and choose(backend, node) is not None
    )


def _snapshot_state(graph: Graph) -> None:
    """Copy a variable's old content where the very step that changes it hands it out or moves it to another one."""
    copies: dict[Value, Value] = {}

    def keep(value: Value) -> Value:
        root = value
        while root.node is not None and root.node.op.family == "shape" and root.node.inputs:
            root = root.node.inputs[0]  # type: ignore[assignment]
        if isinstance(root.source, State) and root.source.variable in graph.updates:
            if value not in copies:
                node = Node(OPS["copy"], (value,), {}, (value.spec,))
                copies[value] = graph.add(node)[0]
            return copies[value]
        return value

    graph.outputs = [keep(v) for v in graph.outputs]
    graph.updates = {k: v if v is graph.state.get(k) else keep(v) for k, v in graph.updates.items()}


def _make_contiguous(backend: Backend, graph: Graph, kernel_of: Callable[[Node], Kernel]) -> None:
    """Insert copies where a kernel that wants contiguous inputs would see a strided view."""
    if not backend.strided_views:
        return
    strided: set[Value] = set()
    nodes: list[Node] = []
    copied: dict[Value, Value] = {}
    for node in graph.nodes:
        k = kernel_of(node)
        if k.view is not None and not node.op.aliases:
            strided.add(node.outputs[0])
        elif not k.strided and any(v in strided for v in node.inputs):
            for value in node.sources:
                if value in strided and value not in copied:
                    copy = Node(OPS["copy"], (value,), {}, (value.spec,), node.path, node.where)
                    copied[value] = copy.outputs[0]
                    nodes.append(copy)
            node.inputs = tuple(None if v is None else copied.get(v, v) for v in node.inputs)
        nodes.append(node)
    graph.nodes = nodes


class Program:
    """A lowered and planned graph that can be bound to memory, as often as wanted."""

    def __init__(
        self,
        backend: Backend,
        graph: Graph,
        device: Device,
        composites: bool = True,
        keep_inputs: bool = False,
    ):
        from kcore.backend.control import planning_for

        self.backend = backend
        self.device = device
        graph = lower(backend, _copy(graph), composites)
        chosen: dict[Node, Kernel] = {}

        def kernel_of(node: Node) -> Kernel:
            k = chosen.get(node)
            if k is None:
                k = choose(backend, node) or host_kernel(backend, node)
                chosen[node] = k
            return k

        _make_contiguous(backend, graph, kernel_of)
        with planning_for(backend, device):
            self.plan: Plan = make_plan(graph, kernel_of, backend.strided_views, keep_inputs, backend.largest(device))
        self._constants: dict[Value, Any] = {}

    def bind(self, storage: Any, base: int = 0, places: Mapping[Value, Any] | None = None) -> Bound:
        """Bind every kernel to its buffers in `storage` from byte `base` on, or where `places` has arrays for values.

        Places are for inputs, if the program keeps them, and for outputs that `Plan.may_lie_elsewhere`.
        """
        return Bound(self, storage, base, places)

    def constant(self, value: Value) -> Any:
        """A constant on the device, uploaded once."""
        array = self._constants.get(value)
        if array is None:
            array = self.backend.empty(value.shape, value.dtype, self.device)
            self.backend.upload(array, value.source.array)
            self._constants[value] = array
        return array


class Bound:
    """A program with its arrays: thunks in order, the input arrays to fill and the output arrays to read."""

    def __init__(self, program: Program, storage: Any, base: int, places: Mapping[Value, Any] | None = None):
        self.program = program
        plan, backend = program.plan, program.backend
        arrays: dict[Value, Any] = dict(places or {})

        def array_of(value: Value | None) -> Any:
            if value is None:
                return None
            array = arrays.get(value)
            if array is None:
                array = arrays[value] = make(value)
            return array

        def make(value: Value) -> Any:
            if value in plan.views:
                source, node = plan.views[value]
                k = choose(backend, node)
                assert k is not None and k.view is not None
                return k.view(array_of(source), **_view_attrs(node))
            if value in plan.homes:
                return plan.homes[value].buffer(backend, program.device)
            if isinstance(value.source, State):
                return value.source.variable.buffer(backend, program.device)
            if isinstance(value.source, Constant):
                return program.constant(value)
            return backend.view(storage, base + plan.offsets[value], value.shape, value.dtype)

        self.inputs = [array_of(v) for v in plan.graph.inputs]
        self.thunks: list[Thunk] = []
        sites: list[Site] = []
        for step in plan.steps:
            node = step.node
            written = tuple(
                array_of(v) if v in plan.offsets or v in plan.homes or v in plan.views else None for v in node.outputs
            )
            scratch = None
            if step.scratch_bytes:
                scratch = backend.view(storage, base + step.scratch_offset, (step.scratch_bytes,), "uint8")
            site = Site(node, tuple(array_of(v) for v in node.inputs), written, scratch, program.device)
            site.memory = (backend, storage, base + step.scratch_offset)
            sites.append(site)
            self.thunks.append(step.kernel.bind(site))
        self.pairs = list(zip(sites, self.thunks, strict=True))
        self.launches = self.arranged()
        plan.runs = [(numbers, getattr(thunk, "title", "")) for thunk, numbers in self.launches]
        self.outputs = [array_of(v) for v in plan.graph.outputs]
        self.copies = [(variable.buffer(backend, program.device), array_of(value)) for variable, value in plan.copies]

    def arranged(self) -> list[tuple[Thunk, list[int]]]:
        """What runs, in order: thunks, each with the numbers of the steps it covers."""
        return self.program.backend.arrange(self.pairs)

    def run(self) -> None:
        """Run all kernels, then commit what is not computed in place."""
        covered: list[int] = []
        try:
            for thunk, covered in self.launches:  # noqa: B007 (the handler names the launches that failed)
                thunk()
        except Exception as error:
            failed = getattr(error, "launch", None)
            for step in [self.program.plan.steps[i] for i in (covered[:8] if failed is None else [failed])]:
                error.add_note(f"in kernel {step.kernel} for op {step.node.op.name!r} ({step.node.location()})")
            raise
        copy = self.program.backend.copy
        for home, value in self.copies:
            copy(home, value)


def _view_attrs(node: Node) -> dict[str, Any]:
    return {**node.attrs, "shape": node.outputs[0].shape} if node.op.aliases else node.attrs


def _copy(graph: Graph) -> Graph:
    """A graph that passes may change, with nodes of its own."""
    copy = Graph(graph.name)
    copy.inputs, copy.state, copy._scalars = list(graph.inputs), dict(graph.state), graph._scalars
    copy.nodes, copy.outputs, copy.updates = list(graph.nodes), list(graph.outputs), dict(graph.updates)
    return copy


def host_kernel(backend: Backend, node: Node) -> Kernel:
    """A kernel that runs the node on the host with kcore-numpy, for what the device has no kernel for."""
    from kcore.backend.host import host_fallback

    k = host_fallback(backend, node)
    if k is None:
        raise MissingKernelError(
            f"backend {backend.name!r} has no kernel for op {node.op.name!r} on "
            f"{', '.join(str(v.spec) for v in node.sources)}, and nothing decomposes a primitive ({node.location()})"
        )
    return k


class SharedArena:
    """The one arena of a device, as large as the largest plan that ran; Executables run in it one at a time."""

    def __init__(self, backend: Backend, device: Device):
        self.backend = backend
        self.device = device
        self.lock = threading.RLock()
        self.nbytes = 0
        self.storage: Any = None
        self.version = 0
        self._bound: weakref.WeakSet[Executable] = weakref.WeakSet()

    def reserve(self, executable: Executable, nbytes: int) -> Any:
        """Storage of at least `nbytes`; growing it makes every other Executable bind anew at its next run."""
        if nbytes > self.nbytes or self.storage is None:
            for other in list(self._bound):
                other.unbind()
            self.storage = None
            self.storage = self.backend.allocate(nbytes, self.device)
            self.nbytes = nbytes
            self.version += 1
        self._bound.add(executable)
        return self.storage


_arenas: dict[tuple[str, str], SharedArena] = {}
_arenas_lock = threading.Lock()


def arena_of(backend: Backend, device: Device) -> SharedArena:
    """The shared arena of a device."""
    with _arenas_lock:
        key = (backend.name, str(device))
        arena = _arenas.get(key)
        if arena is None or arena.backend is not backend:
            arena = _arenas[key] = SharedArena(backend, device)
        return arena


class Executable:
    """A compiled graph: `run` fills the inputs, replays the kernels and copies the outputs out of the arena.

    Attributes:
        plan: the memory plan; ``print(executable.plan)`` shows it.
        runs: how often it has run.
    """

    def __init__(self, backend: Backend, device: Device, program: Program):
        self.backend = backend
        self.device = device
        self.program = program
        self.plan = program.plan
        self.arena = arena_of(backend, device)
        self.runs = 0
        self._bound: Bound | None = None
        self._moves = -1

    @property
    def nbytes(self) -> int:
        """Peak bytes of planned memory."""
        return self.plan.arena

    def unbind(self) -> None:
        """Forget the arrays, so that the arena they lie in can be freed."""
        self._bound = None

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Run once.

        Args:
            inputs: one host array, `Rows` or device array per graph input, of exactly its shape and dtype.

        Returns:
            New device arrays, one per graph output; they never alias the arena.
        """
        with self.arena.lock:
            bound = self._bound
            if bound is None or self._moves != Moves.count:
                try:
                    bound = self._bound = self.program.bind(self.arena.reserve(self, self.plan.arena))
                except MemoryError as error:
                    raise MemoryError(out_of_memory(self.backend, self.device, self.plan, error)) from error
                self._moves = Moves.count
            backend = self.backend
            for array, source in zip(bound.inputs, inputs, strict=True):
                if type(source) is Rows:
                    rows = source.array
                    if isinstance(rows, np.ndarray) or not rows.lies_on(backend, self.device):
                        backend.gather(array, source)
                    else:
                        rows.gather(array, source.indices)
                elif type(source) is np.ndarray:
                    backend.upload(array, source)
                else:
                    backend.copy(array, source)
            with backend.session():
                bound.run()
            self.runs += 1
            results = []
            for value, array in zip(self.plan.graph.outputs, bound.outputs, strict=True):
                result = backend.empty(value.shape, value.dtype, self.device)
                backend.copy(result, array)
                results.append(result)
            return results


def compile_graph(backend: Backend, graph: Graph, device: Device, composites: bool = True) -> Executable:
    """What `Backend.compile` does unless a backend overrides it."""
    return Executable(backend, device, Program(backend, graph, device, composites))
