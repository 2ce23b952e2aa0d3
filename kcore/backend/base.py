"""What a backend is: a name, devices, memory and a way to compile a graph; its kernels stand in a `KernelTable`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from kcore.backend.kernel import Kernel, KernelTable, Site, Thunk, kernels_of

if TYPE_CHECKING:
    import numpy as np

    from kcore.backend.batch import Rows
    from kcore.graph.core import Graph


@dataclass(frozen=True)
class Device:
    """One thing that computes.

    Attributes:
        backend: name of the backend that drives it.
        index: its number among the backend's devices.
        name: what its maker calls it.
        kind: ``"cpu"``, ``"gpu"`` or ``"accelerator"``.
        memory: bytes of memory it can address, 0 where that is not known.
        details: more facts for `kcore devices`: driver, cores, ...; ``maker``, ``vendor`` and ``platform`` are words
            that the device is also chosen by.
        default: ranks as the choice where nobody chose: a device that has not earned it (an OpenCL CPU that no
            self-test found faster than NumPy) says False.
        part: which piece of the device, for one that can be split: ``".0"`` of ``opencl:1.0``; empty for the whole.

    Example:
        >>> str(Device("opencl", 1, "gfx1100", "gpu"))
        'opencl:1'
    """

    backend: str
    index: int
    name: str
    kind: str = "cpu"
    memory: int = 0
    details: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)
    default: bool = field(default=True, hash=False, compare=False)
    part: str = ""

    def __str__(self) -> str:
        return f"{self.backend}:{self.index}{self.part}"


def facts_of(device: Device) -> list[str]:
    """What a device may be chosen by, in lower case: its kind, its name, and its maker, vendor and platform if known.

    Example:
        >>> facts_of(Device("opencl", 0, "gfx1100", "gpu", details={"vendor": "AMD", "units": 96}))
        ['gpu', 'gfx1100', 'amd']
    """
    known = (device.details[key] for key in ("maker", "vendor", "platform") if key in device.details)
    return [str(fact).lower() for fact in (device.kind, device.name, *known)]


@dataclass(frozen=True)
class Problem:
    """Something `kcore doctor` reports: what is not usable, why, and what to type next.

    Example:
        >>> print(Problem("opencl: no device", "the ICD loader found no platform", "apt install pocl-opencl-icd"))
        opencl: no device
          why:  the ICD loader found no platform
          next: apt install pocl-opencl-icd
    """

    what: str
    why: str
    hint: str

    def __str__(self) -> str:
        return f"{self.what}\n  why:  {self.why}\n  next: {self.hint}"


class Backend(ABC):
    """How one family of devices computes.

    A backend package subclasses this, names the class in the entry-point group ``kcore.backends``, and registers
    kernels for at least the primitives with `kcore.backend.kernel.kernel`. It is constructed once, without
    arguments, when it is first selected or asked about; its kernels must be registered when the constructor
    returns. A constructor that cannot work (no driver) raises; one that works but finds no device returns an empty
    list from `devices` and says why in `problems`.

    Storage and arrays are the backend's own types. A *storage* is a piece of raw device memory; an *array* is a
    shaped, typed, contiguous piece of a storage and keeps that storage alive. Both are opaque to the core, which
    passes arrays to kernels.

    Class attributes:
        name: the name it is selected by and that its kernels give.
        aliases: other names it is selected by.
        rank: the installed backend of the highest rank whose device answers is the choice where nobody chose.
        kcore_contract: major version of the contract it was written for.
        strided_views: whether arrays may be strided (transpose and slice as views); if False kernels see only
            contiguous arrays.
        alignment: every buffer in an arena starts at a multiple of this many bytes.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    rank: ClassVar[int] = 0
    kcore_contract: ClassVar[int]
    strided_views: ClassVar[bool] = False
    alignment: ClassVar[int] = 64

    @property
    def kernels(self) -> KernelTable:
        """Every kernel registered for this backend, by whichever package."""
        return kernels_of(self.name)

    # -- devices -------------------------------------------------------------------------------------------------

    @abstractmethod
    def devices(self) -> list[Device]:
        """The devices that answer, best first, with rising indices; the list does not change in a process."""

    def unused(self) -> list[tuple[Device, str]]:
        """Devices that were found but cannot be used, each with the reason; `problems` says what to do about it."""
        return []

    def find_device(self, wanted: str) -> Device | None:
        """The device a wish stands for, the part of ``"opencl:amd"`` behind the colon; None if there is none.

        By default a wish is the device's number, or its kind, name, maker, vendor or platform, or part of one of
        them; whole ones go before parts. A backend overrides it for wishes of its own. What it returns need not be
        among `devices`: a piece of a device that can be split is found by its name alone.

        Raises:
            BackendNotFoundError: there is no such device, and the backend can say more than that.
        """
        if wanted.isdecimal():
            return next((d for d in self.devices() if d.index == int(wanted)), None)
        wish = wanted.lower()
        facts = [(d, facts_of(d)) for d in self.devices()]
        whole = (d for d, known in facts if wish in known)
        part = (d for d, known in facts if any(wish in fact for fact in known))
        return next(whole, None) or next(part, None)

    def problems(self) -> list[Problem]:
        """What `kcore doctor` should say about this backend; empty if all is well."""
        return []

    def set_threads(self, count: int | None) -> None:  # noqa: B027 (a device whose results do not depend on it)
        """Compute with this many threads of the host from now on; None for what the environment says.

        Called where results must not depend on the number of processors; a backend whose results do not may do nothing.
        """

    def synchronize(self, device: Device) -> None:  # noqa: B027 (a device that computes at once has nothing to wait for)
        """Wait until everything submitted to the device has finished."""

    def release(self) -> None:  # noqa: B027 (a backend that keeps nothing has nothing to free)
        """Free what is kept for calls to come, such as compiled kernels that no executable runs."""

    # -- memory --------------------------------------------------------------------------------------------------

    @abstractmethod
    def allocate(self, nbytes: int, device: Device) -> Any:
        """Raw storage of at least `nbytes` bytes (0 is allowed), aligned to `alignment`; its contents are undefined.

        Raises:
            MemoryError: the device has not so much left.
        """

    def largest(self, device: Device) -> int:
        """Bytes of the largest storage that is one piece; 0 where there is no such limit.

        Where there is one, `allocate` may be asked for more, and gives pages of so many bytes each: the core places
        no array across a multiple of it.
        """
        return 0

    def held(self, device: Device) -> int:
        """Bytes of the device's memory that this process holds now, where the backend counts them, else 0."""
        return 0

    @abstractmethod
    def view(self, storage: Any, offset: int, shape: tuple[int, ...], dtype: str) -> Any:
        """A contiguous array over part of a storage, without a copy; `offset` in bytes, a multiple of the item size."""

    def empty(self, shape: tuple[int, ...], dtype: str, device: Device) -> Any:
        """A new array with undefined contents."""
        from kcore.dtypes import itemsize

        nbytes = itemsize(dtype)
        for dim in shape:
            nbytes *= dim
        return self.view(self.allocate(nbytes, device), 0, shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: str, device: Device) -> Any:
        """A new array of zeros; a backend overrides it that has them without writing each."""
        import numpy as np

        from kcore.dtypes import numpy_dtype

        array = self.empty(shape, dtype, device)
        self.upload(array, np.zeros(shape, numpy_dtype(dtype)))
        return array

    @abstractmethod
    def upload(self, array: Any, values: np.ndarray) -> None:
        """Copy host values of the array's shape and dtype into a device array; `values` may change when it returns."""

    def gather(self, array: Any, rows: Rows) -> None:
        """Copy the rows of a batch that has not been gathered yet into a device array."""
        self.upload(array, rows.gather())

    @abstractmethod
    def download(self, array: Any) -> np.ndarray:
        """Wait for the array and copy it to the host; the result never aliases device memory."""

    def memory(self, array: Any) -> np.ndarray | None:
        """The array's own memory, where the host reads and writes it as it likes; None where it is a device's."""
        return None

    @abstractmethod
    def copy(self, dst: Any, src: Any) -> None:
        """Copy between two arrays of one device with the same shape and dtype."""

    def row(self, array: Any, index: int) -> Any:
        """Element `index` of the first axis, as an array over the same storage."""
        return array[index, ...]

    def rows(self, array: Any, start: int, stop: int) -> Any:
        """Elements of the first axis from one number up to another, as an array over the same storage."""
        return array[start:stop]

    def contiguous(self, array: Any) -> bool:
        """Whether the array lies in memory without gaps; always so where `strided_views` is False."""
        return True

    def adopt(self, values: Any, device: Device) -> Any:
        """An array of another package that lies in the device's memory, without a copy; None where it does not.

        What is submitted from then on waits for what the other package had submitted, and the array keeps that memory.
        """
        return None

    # -- computing -----------------------------------------------------------------------------------------------

    def substitute(self, graph: Graph) -> None:  # noqa: B027 (most have none)
        """Put ops of the backend's own into a graph, in place, before composites without a kernel are decomposed."""

    def arrange(self, launches: Sequence[tuple[Site, Thunk]]) -> list[tuple[Thunk, list[int]]]:
        """What a step runs, in order: thunks, each with the numbers of the launches it covers.

        A backend overrides it to run launches that do not depend on each other at once. An error that a thunk raises
        should carry the number of its launch as the attribute `launch`. What a thunk has as its attribute `title` is
        printed with the plan.
        """
        return [(thunk, [i]) for i, (_, thunk) in enumerate(launches)]

    def build(self, launches: Iterable[tuple[Site, Thunk]]) -> None:
        """Compile the kernels of launches ahead of their first run, many together; where none are compiled, nothing."""
        return

    def session(self) -> AbstractContextManager[Any]:
        """Context around every run of an `Executable`, for settings that its kernels share."""
        return nullcontext()

    def launch(self, kernel: Kernel, site: Site) -> None:
        """Run one kernel now, outside of any `Executable`: an eager op."""
        kernel.bind(site)()

    def compile(self, graph: Any, device: Device) -> Any:
        """Turn a graph into an `Executable` for a device.

        The default lowers to the kernels there are, removes duplicates and dead nodes, plans one arena and binds the
        kernels to it. A backend overrides it to turn fused groups into source of its own.
        """
        from kcore.backend.compile import compile_graph

        return compile_graph(self, graph, device)

    def __repr__(self) -> str:
        return f"<backend {self.name}>"
