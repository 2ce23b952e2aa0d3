"""cuDNN through NVIDIA's frontend: graphs of one operation, their plans, and the choice of deterministic ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from kcore.backend.base import Problem

#: dtypes cuDNN computes with, and what its frontend calls them.
DTYPES: Mapping[str, str] = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}
#: Bytes that every tensor of a graph must be aligned to.
ALIGNMENT = 16
#: Plans kept per device.
KEPT = 1024


@cache
def library() -> Any:
    """The frontend, or the reason why it, or cuDNN itself, is not there."""
    try:
        import cudnn

        cudnn.backend_version()
    except Exception as error:  # an optional package that does not load is one that is missing, and is reported so
        return error
    return cudnn


def available() -> bool:
    """Whether the frontend and cuDNN are installed and load."""
    return not isinstance(library(), Exception)


def missing(cuda: int) -> Problem | None:
    """What `kcore doctor` says where they are not."""
    extra = f'pip install "kcore-cuda[cudnn{"-cuda12" if cuda == 12 else ""}]"'
    wrong = [name for name in wheels() if not name.endswith(str(cuda))]
    if wrong:
        return Problem(
            f"cuda: {wrong[0]} is for another CUDA than CuPy's {cuda}",
            "cuDNN's wheels overwrite each other's files, and one for another CUDA finds no libraries of its own",
            f"pip uninstall -y {' '.join(wheels())}, then {extra}",
        )
    if available():
        return None
    reason = library()
    absent = isinstance(reason, ModuleNotFoundError) and reason.name == "cudnn"
    return Problem(
        "cuda: cuDNN is " + ("not installed" if absent else f"installed and does not load: {reason}"),
        "convolutions wider than one element, and attention in 16 bits, run on generated kernels, without tensor cores",
        extra,
    )


def wheels() -> list[str]:
    """The wheels of cuDNN that are installed."""
    found = []
    for name in ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13"):
        try:
            version(name)
        except PackageNotFoundError:
            continue
        found.append(name)
    return found


@dataclass(frozen=True)
class Tensor:
    """A tensor as cuDNN is told of it: channels second, wherever they lie.

    Attributes:
        dims: (batch, channels, *spatial).
        strides: elements from one to the next along each.
    """

    dims: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Options:
    """What a plan may do.

    Attributes:
        tf32: float32 may be rounded to TF32.
        deterministic: the same bits each time.
    """

    tf32: bool = False
    deterministic: bool = True


class Description(Protocol):
    """A graph before it is built: plain data, equal for equal graphs.

    Attributes:
        dtype: of the tensors.
    """

    @property
    def dtype(self) -> str: ...

    def __hash__(self) -> int: ...

    def build(self, graph: Any, types: Any) -> list[Any]:
        """Add tensors and the operation to a graph; gives the tensors in the order of their arrays."""
        ...


def new_graph(description: Description, **where: Any) -> tuple[Any, list[Any]]:
    """The graph of a description, checked by the frontend, and its tensors with numbers from 1 on.

    Args:
        description: what is computed.
        where: ``handle=`` of the device it will run on, or ``device_property=`` of one that need not be there.

    Raises:
        RuntimeError: the frontend does not take it; it says why.
    """
    cudnn = library()
    types = cudnn.data_type
    wide = types.DOUBLE if description.dtype == "float64" else types.FLOAT
    kind = getattr(types, DTYPES[description.dtype])
    graph = cudnn.pygraph(io_data_type=kind, intermediate_data_type=wide, compute_data_type=wide, **where)
    tensors = description.build(graph, types)
    for number, tensor in enumerate(tensors, 1):
        tensor.set_uid(number)
    graph.validate()
    return graph, tensors


def forbidden(dtype: str, options: Options) -> list[str]:
    """Names of the numerical notes of plans that may not be used.

    float32 without TF32 means float32 throughout: no tensor cores, and no transforms, whose rounding errors are larger
    than those of the sum itself. 16-bit tensors are added up in float32.
    """
    notes = ["REDUCED_PRECISION_REDUCTION"]
    if options.deterministic:
        notes.append("NONDETERMINISTIC")
    if dtype == "float32" and not options.tf32:
        notes += ["TENSOR_CORE", "DOWN_CONVERT_INPUTS", "WINOGRAD", "FFT"]
    return notes


def plan(description: Description, options: Options, **where: Any) -> Any | None:
    """A graph with the plan that cuDNN's heuristics prefer among those allowed; None where there is none."""
    cudnn = library()
    try:
        graph, _ = new_graph(description, **where)
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        graph.deselect_numeric_notes([getattr(cudnn.numerical_note, n) for n in forbidden(description.dtype, options)])
        graph.check_support()
        graph.build_plans()
    except (RuntimeError, cudnn.cudnnGraphNotSupportedError):
        return None  # cuDNN's way to say that it cannot do this; generated kernels can
    # the frontend's own engines compile with packages that need not be there, and want arrays rather than addresses
    return None if getattr(graph, "selected_engine", None) is not None else graph


class Cudnn:
    """One handle, for one stream, and the plans made with it.

    Args:
        stream: address of the stream all calls go to.
    """

    def __init__(self, stream: int):
        cudnn = library()
        self.handle = cudnn.create_handle()
        cudnn.set_stream(handle=self.handle, stream=stream)
        self._plans = lru_cache(KEPT)(partial(plan, handle=self.handle))

    def plan(self, description: Description, options: Options) -> Any | None:
        """The planned graph of a description, made once; None where cuDNN has none."""
        return self._plans(description, options)

    def call(self, graph: Any, addresses: list[int], workspace: int) -> Callable[[], None]:
        """The call that runs a planned graph.

        Args:
            graph: from `plan`.
            addresses: of the arrays, in the order of the description's tensors.
            workspace: address of ``graph.get_workspace_size()`` bytes.
        """
        return partial(graph.execute, dict(enumerate(addresses, 1)), workspace, handle=self.handle)
