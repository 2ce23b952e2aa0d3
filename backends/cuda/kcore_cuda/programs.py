"""The compiled kernels of a GPU: machine code (cubin) by NVRTC."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache as once
from importlib.metadata import version
from typing import Any

from kcore.backend import programs
from kcore.backend.cache import Cache
from kcore.backend.disk_cache import DiskCache
from kcore.backend.programs import Refused
from kcore.codegen import Source
from kcore_cuda import cuda
from kcore_cuda.errors import STICKY, BuildError, status_of

CACHE = Cache("cuda")
#: No warnings: nobody would read them.
OPTIONS = ("--std=c++17", "-w")


@once
def include_folder() -> str | None:
    """The folder of the toolkit's headers (cuda_fp16.h), which come with CuPy's ``[ctk]``; None if there is none."""
    from cuda.pathfinder import find_nvidia_header_directory

    return find_nvidia_header_directory("cudart")


def options(architecture: str) -> tuple[str, ...]:
    """Options of NVRTC for machine code of an architecture (``"sm_90"``)."""
    folder = include_folder()
    return (f"-arch={architecture}", *OPTIONS, *([f"-I{folder}"] if folder else []))


def virtual(architecture: str) -> str | None:
    """For a GPU that is newer than NVRTC what is compiled for, and finished by the driver: ``"compute_121"``."""
    newest = max(cuda.nvrtc.getSupportedArchs())
    return f"compute_{newest}" if int(architecture.removeprefix("sm_")) > newest else None


def compiled(text: str, name: str, architecture: str) -> bytes:
    """The machine code (cubin) of a text; of a GPU that is newer than NVRTC, PTX.

    Args:
        text: one or more kernels.
        name: what the compiler calls the text.
        architecture: ``"sm_90"``.

    Raises:
        Refused: it does not compile.
    """
    nvrtc, ptx = cuda.nvrtc, virtual(architecture)
    program = nvrtc.createProgram(text, f"{name}.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, options(ptx or architecture))
        except nvrtc.NVRTCError as error:
            raise Refused(nvrtc.getProgramLog(program).strip("\x00\n ") or str(error)) from None
        return nvrtc.getPTX(program) if ptx else nvrtc.getCUBIN(program)
    finally:
        nvrtc.destroyProgram(program)


def identity(architecture: str) -> dict[str, str]:
    """All that machine code depends on but for its source."""
    return {
        "architecture": architecture,
        "nvrtc": ".".join(map(str, cuda.nvrtc.getVersion())),
        "options": " ".join(OPTIONS),
        "kcore": f"{version('kcore')} {version('kcore-cuda')}",
    }


class Programs(programs.Programs):
    """The compiled kernels of one GPU, by `Source.key`.

    Args:
        name: the device, for messages.
        architecture: ``"sm_90"``.
        profile: where building is noted, or None.
        keep: whether programs are looked for and kept on disk.
    """

    error = BuildError

    def __init__(self, name: str, architecture: str, profile: Any = None, keep: bool = True) -> None:
        disk = DiskCache(CACHE, identity(architecture)) if keep else None
        super().__init__(f"{name}, {architecture}", disk, profile)
        self.architecture = architecture
        self._functions: dict[str, int] = {}

    def function(self, source: Source) -> int:
        """The handle of a source's kernel.

        Raises:
            BuildError: it does not compile.
        """
        handle = self._functions.get(source.key)
        if handle is None:
            program, name = self.find(source)
            handle = self._functions[source.key] = cuda.driver.moduleGetFunction(program.module, name)
        return handle

    def _compile(self, text: str, name: str) -> Any:
        return _Program(compiled(text, name, self.architecture))

    def _content(self, program: Any, text: str) -> bytes:
        return program.cubin

    def _restored(self, content: bytes, kernels: Iterable[str]) -> Any:
        try:
            program = _Program(content)
            for name in kernels:
                cuda.driver.moduleGetFunction(program.module, name)
        except cuda.driver.CUDADriverError as error:
            if status_of(error) in STICKY:
                raise
            raise Refused(str(error)) from None
        return program


class _Program:
    """Machine code, and the module the driver made of it, which stays as long as the process."""

    __slots__ = ("cubin", "module")

    def __init__(self, cubin: bytes):
        self.cubin = cubin
        self.module: int = cuda.driver.moduleLoadData(cubin)
