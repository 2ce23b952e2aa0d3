"""From source to kernels: what is not on disk is compiled by NVRTC, several at once, and kept as machine code."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache as once
from importlib.metadata import version
from typing import Any

from kcore.backend.cache import Cache
from kcore.backend.disk_cache import DiskCache
from kcore.backend.dump import dump
from kcore.codegen import Source
from kcore_cuda import cuda
from kcore_cuda.errors import BuildError

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


def compile_source(source: Source, architecture: str, device: str) -> bytes:
    """The machine code (cubin) of a source.

    Args:
        source: one kernel.
        architecture: ``"sm_90"``.
        device: what it is for, in the message.

    Raises:
        BuildError: it does not compile; the message has the line and what the compiler says.
    """
    nvrtc = cuda.nvrtc
    program = nvrtc.createProgram(source.text, f"{source.name}.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, options(architecture))
        except nvrtc.NVRTCError as error:
            log = nvrtc.getProgramLog(program).strip("\x00\n ") or str(error)
            raise BuildError(device, source.name, source.text, log) from None
        return nvrtc.getCUBIN(program)
    finally:
        nvrtc.destroyProgram(program)


class Programs:
    """The compiled kernels of one GPU, by `Source.key`.

    Args:
        name: the device, for messages.
        architecture: ``"sm_90"``.
        keep: whether programs are looked for and kept on disk.
    """

    def __init__(self, name: str, architecture: str, keep: bool = True):
        self.name = name
        self.architecture = architecture
        self._disk = DiskCache(CACHE, identity(architecture)) if keep else None
        self._functions: dict[str, int] = {}
        self._modules: list[Any] = []
        self._lock = threading.Lock()
        #: Kernels that were compiled, and those that were loaded from disk.
        self.compiled = self.loaded = 0

    def build(self, sources: Iterable[Source]) -> None:
        """Load or compile all that are not there yet; the GPU's context must be the current one.

        Raises:
            BuildError: one does not compile.
        """
        with self._lock:
            missing = {s.key: s for s in sources if s.groups and s.key not in self._functions}
            if not missing:
                return
            dump(missing.values(), self.name)
            self._load(missing)
            rest = [s for key, s in missing.items() if key not in self._functions]
            if len(rest) > 1:
                with ThreadPoolExecutor(min(len(rest), os.cpu_count() or 1)) as threads:
                    for source, cubin in zip(rest, threads.map(self._compile, rest), strict=True):
                        self._keep(source, cubin)
            else:
                for source in rest:
                    self._keep(source, self._compile(source))

    def function(self, source: Source) -> int:
        """The handle of a source's kernel.

        Raises:
            BuildError: it does not compile.
        """
        known = self._functions.get(source.key)
        if known is None:
            self.build([source])
            known = self._functions[source.key]
        return known

    def _compile(self, source: Source) -> bytes:
        return compile_source(source, self.architecture, f"{self.name} ({self.architecture})")

    def _keep(self, source: Source, cubin: bytes) -> None:
        self._functions[source.key] = self._loaded(cubin, source.name)
        self.compiled += 1
        if self._disk is not None:
            self._disk.store({source.key: source.name}, cubin)

    def _load(self, missing: dict[str, Source]) -> None:
        disk = self._disk
        if disk is None:
            return
        for stored in disk.find(missing):
            cubin = disk.load(stored)
            if cubin is None:
                continue
            try:
                found = {key: self._loaded(cubin, name) for key, name in stored.kernels.items()}
            except cuda.driver.CUDADriverError:  # the driver does not take it back
                disk.forget(stored)
                continue
            self.loaded += len(found)
            self._functions.update(found)

    def _loaded(self, cubin: bytes, name: str) -> int:
        module = cuda.driver.moduleLoadData(cubin)
        self._modules.append(module)
        return cuda.driver.moduleGetFunction(module, name)


def identity(architecture: str) -> dict[str, str]:
    """All that machine code depends on but for its source."""
    return {
        "architecture": architecture,
        "nvrtc": ".".join(map(str, cuda.nvrtc.getVersion())),
        "options": " ".join(OPTIONS),
        "kcore": f"{version('kcore')} {version('kcore-cuda')}",
    }
