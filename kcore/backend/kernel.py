"""What a kernel is: an op or a small pattern of ops, on one backend, where `supports` says yes, with a priority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kcore.errors import DuplicateKernelError

if TYPE_CHECKING:
    from kcore.graph.core import Node
    from kcore.graph.match import Pattern


@dataclass
class Site:
    """One place in a plan where a kernel runs: the node it computes and the buffers it is bound to.

    Attributes:
        node: the graph node (``node.inputs[i].shape`` and ``.dtype``, ``node.attrs``).
        inputs: one backend array per input; None for an absent optional input.
        outputs: one planned array per output, to be written; None where nobody reads that output.
        scratch: a flat byte array of the size the kernel asked for, or None.
        device: the device the node runs on.
        memory: (backend, storage, byte offset of the scratch), for kernels that bind other programs there.
    """

    node: Node
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    scratch: Any
    device: Any
    memory: Any = None

    @property
    def attrs(self) -> dict[str, Any]:
        return self.node.attrs


Thunk = Callable[[], None]

#: A kernel under this name is asked about every composite that has no kernel of its own, whoever declared it.
ANY_COMPOSITE = "any composite"


def _always(node: Node) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Kernel:
    """An implementation of one op (or pattern) on one backend.

    `bind(site)` is called once when a plan is made; the thunk it returns is called at every replay and must neither
    allocate nor look anything up. It reads `site.inputs` and writes `site.outputs`, always the same arrays.

    Attributes:
        op: name of the op; for a pattern kernel the pattern's name.
        backend: name of the backend.
        bind: site -> thunk.
        supports: whether this kernel can do a node, from its attributes, shapes and dtypes.
        scratch: bytes of working memory wanted for a node.
        inplace: pairs (output, input) that may share one buffer.
        view: for a movement op, a function of the input array that makes the output without copying; no thunk runs.
        strided: whether inputs may be strided views; if False they are made contiguous first.
        priority: the highest supported one wins; equal priorities of two packages are an error.
        pattern: the pattern this kernel computes, if it is more than one op.
        package: the distribution it came from, for the printed plan.
    """

    op: str
    backend: str
    bind: Callable[[Site], Thunk]
    supports: Callable[[Node], bool] = _always
    scratch: Callable[[Node], int] | None = None
    inplace: tuple[tuple[int, int], ...] = ()
    view: Callable[..., Any] | None = None
    strided: bool = True
    priority: int = 0
    pattern: Pattern | None = None
    package: str = "kcore"

    def __str__(self) -> str:
        return f"{self.package}:{self.op}"


class KernelTable:
    """The kernels of one backend by op name."""

    def __init__(self, backend: str):
        self.backend = backend
        self._kernels: dict[str, list[Kernel]] = {}
        #: Raised by one at every change, so that cached choices can be dropped.
        self.version = 0

    def add(self, kernel: Kernel) -> Kernel:
        rivals = self._kernels.setdefault(kernel.op, [])
        for rival in rivals:
            if rival.priority == kernel.priority and rival.package != kernel.package:
                raise DuplicateKernelError(
                    f"two kernels for op {kernel.op!r} on backend {self.backend!r} have priority {kernel.priority}: "
                    f"one from {rival.package}, one from {kernel.package}; one of them must choose another priority"
                )
        rivals.append(kernel)
        rivals.sort(key=lambda k: -k.priority)
        self.version += 1
        return kernel

    def remove(self, kernel: Kernel) -> None:
        self._kernels[kernel.op].remove(kernel)
        self.version += 1

    def find(self, node: Node) -> Kernel | None:
        """The kernel of highest priority that supports the node, or None."""
        for kernel in self._kernels.get(node.op.name, ()):
            if kernel.supports(node):
                return kernel
        if not node.op.primitive:
            for kernel in self._kernels.get(ANY_COMPOSITE, ()):
                if kernel.supports(node):
                    return kernel
        return None

    def patterns(self) -> list[Kernel]:
        """The pattern kernels, those of highest priority and largest pattern first."""
        found = [k for kernels in self._kernels.values() for k in kernels if k.pattern is not None]
        return sorted(found, key=lambda k: (-k.priority, -k.pattern.size if k.pattern else 0))

    def __iter__(self):
        return (k for kernels in self._kernels.values() for k in kernels)

    def __contains__(self, name: object) -> bool:
        return bool(self._kernels.get(name))  # type: ignore[call-overload]


_tables: dict[str, KernelTable] = {}


def kernels_of(backend: str) -> KernelTable:
    """The kernel table of a backend, by name; made when first asked for, so that plugins may fill it early."""
    if backend not in _tables:
        _tables[backend] = KernelTable(backend)
    return _tables[backend]


def all_tables() -> list[KernelTable]:
    """The kernel tables there are, one per backend."""
    return list(_tables.values())


def kernel(op: str, backend: str, **options: Any) -> Callable[[Callable[[Site], Thunk]], Kernel]:
    """Decorator: register a bind function as a kernel.

    Example::

        @kernel("exp", backend="numpy")
        def exp(site):
            return partial(np.exp, site.inputs[0], site.outputs[0])
    """

    def register(bind: Callable[[Site], Thunk]) -> Kernel:
        package = options.pop("package", None) or bind.__module__.split(".")[0].replace("_", "-")
        return kernels_of(backend).add(Kernel(op, backend, bind, package=package, **options))

    return register
