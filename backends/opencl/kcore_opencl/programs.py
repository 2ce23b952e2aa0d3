"""The compiled kernels of an OpenCL device."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyopencl as cl

from kcore.backend import programs
from kcore.backend.programs import Refused
from kcore.codegen import Source
from kcore_opencl.disk_cache import disk_cache
from kcore_opencl.errors import BuildError
from kcore_opencl.inlined import inlined

#: No warnings: PoCL would print them. Numbers below the normal ones are zero, as on NumPy in a step: averages of
#: gradients that have become zero end there, and made long trainings on CPUs twice as slow.
OPTIONS = ("-cl-std=CL1.2", "-w", "-cl-denorms-are-zero")

_building = threading.Lock()


class Programs(programs.Programs):
    """The compiled kernels of one device, by `Source.key`.

    Args:
        context, device: PyOpenCL's.
        by_source: whether the driver caches programs itself (see `disk_cache`).
        profile: where building is noted, or None.
        keep: whether programs are looked for and kept on disk.
    """

    error = BuildError

    def __init__(
        self, context: Any, device: Any, by_source: bool = False, profile: Any = None, keep: bool = True
    ) -> None:
        name = f"{device.name.strip()} ({device.platform.name.strip()}, driver {device.driver_version})"
        super().__init__(name, disk_cache(device, OPTIONS, by_source) if keep else None, profile)
        self._context = context
        self._device = device
        self.by_source = by_source

    def kernel(self, source: Source) -> Any:
        """A new kernel object of a source, with arguments of its own.

        Raises:
            BuildError: it does not compile.
        """
        return cl.Kernel(*self.find(source))

    def _compile(self, text: str, name: str) -> Any:
        try:
            return self._compiled(text)
        except cl.Error as error:
            raise Refused(_log(error)) from None

    def _content(self, program: Any, text: str) -> bytes:
        return text.encode() if self.by_source else _binary(program)

    def _restored(self, content: bytes, kernels: Iterable[str]) -> Any:
        try:
            if self.by_source:
                program = self._compiled(content.decode())
            else:
                program = _quietly(cl.Program(self._context, [self._device], [content]))
            present = program.get_info(cl.program_info.KERNEL_NAMES).split(";")
        except (cl.Error, UnicodeDecodeError) as error:
            raise Refused(str(error)) from None
        if not set(kernels) <= set(present):  # a file of another process came in between
            raise Refused("it holds other kernels")
        return program

    def _compiled(self, text: str) -> Any:
        if "portable" in self._device.platform.name.lower():
            text = inlined(text)
        return _quietly(cl.Program(self._context, text))


def _binary(program: Any) -> bytes:
    """What the driver made; empty where it keeps that to itself."""
    try:
        return program.binaries[0]
    except cl.Error:
        return b""


def _log(error: Any) -> str:
    """What the compiler said; PyOpenCL leaves the source in a file then, which nobody needs."""
    log = str(error)
    for saved in re.findall(r"^\(source saved as (.*)\)$", log, re.MULTILINE):
        Path(saved).unlink(missing_ok=True)
    return re.sub(r"^\((source saved as|options:) .*\)$", "", log, flags=re.MULTILINE).strip()


def _quietly(program: Any) -> Any:
    """Build a program; what compilers say of programs they accept is of no use to anybody."""
    with _building, warnings.catch_warnings():  # which changes what all threads see
        warnings.simplefilter("ignore", cl.CompilerWarning)
        return program.build(options=list(OPTIONS), cache_dir=False)
