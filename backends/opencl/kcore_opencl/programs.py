"""From source to kernels: what is not on disk is built, many sources as one program, and kept."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyopencl as cl

from kcore.backend.dump import dump
from kcore.codegen import Source
from kcore_opencl.disk_cache import disk_cache
from kcore_opencl.errors import BuildError
from kcore_opencl.inlined import inlined
from kcore_opencl.joining import Joined, join

#: No warnings: PoCL would print them.
OPTIONS = ("-cl-std=CL1.2", "-w")

_building = threading.Lock()


class Programs:
    """The compiled kernels of one device, by `Source.key`.

    Args:
        context, device: PyOpenCL's.
        by_source: whether the driver caches programs itself (see `disk_cache`).
        profile: where building is noted, or None.
        keep: whether programs are looked for and kept on disk.
    """

    def __init__(
        self, context: Any, device: Any, by_source: bool = False, profile: Any = None, keep: bool = True
    ) -> None:
        self._context = context
        self._device = device
        self._profile = profile
        self._built: dict[str, tuple[Any, str]] = {}
        self._lock = threading.Lock()
        self.by_source = by_source
        self._disk = disk_cache(device, OPTIONS, by_source) if keep else None
        #: Kernels that were compiled, and those that were loaded from disk.
        self.compiled = self.loaded = 0

    @property
    def name(self) -> str:
        """The device and its driver, for messages."""
        device = self._device
        return f"{device.name.strip()} ({device.platform.name.strip()}, driver {device.driver_version})"

    def build(self, sources: Iterable[Source]) -> None:
        """Load or build all that are not there yet.

        Raises:
            BuildError: one of them does not compile.
        """
        with self._lock:
            missing = {s.key: s for s in sources if s.key not in self._built}
            if not missing:
                return
            dump(missing.values(), self.name)
            with self._profile.span(f"build {len(missing)} kernels") if self._profile else nullcontext():
                self._load(missing)
                rest = [s for key, s in missing.items() if key not in self._built]
                for joined in join(rest):
                    self._build(joined)

    def kernel(self, source: Source) -> Any:
        """A new kernel object of a source, with arguments of its own.

        Raises:
            BuildError: it does not compile.
        """
        known = self._built.get(source.key)
        if known is None:
            self.build([source])
            known = self._built[source.key]
        program, name = known
        return cl.Kernel(program, name)

    def _load(self, missing: dict[str, Source]) -> None:
        disk = self._disk
        if disk is None:
            return
        for stored in disk.find(missing):
            content = disk.load(stored)
            if content is None:
                continue
            try:
                if self.by_source:
                    program = self._compiled(content.decode())
                else:
                    program = _quietly(cl.Program(self._context, [self._device], [content]))
            except (cl.Error, UnicodeDecodeError):  # the driver does not take it back
                disk.forget(stored)
                continue
            present = program.get_info(cl.program_info.KERNEL_NAMES).split(";")
            if not set(stored.kernels.values()) <= set(present):  # a file of another process came in between
                disk.forget(stored)
                continue
            self.loaded += len(stored.kernels)
            self._built.update((key, (program, name)) for key, name in stored.kernels.items())

    def _build(self, joined: Joined) -> None:
        try:
            program = self._compiled(joined.text)
        except cl.Error as error:
            log = _log(error)
            if len(joined.sources) == 1 and joined.text == joined.sources[0].text:
                source = joined.sources[0]
                raise BuildError(self.name, source.name, source.text, log) from None
            for source in joined.sources:  # which one was it?
                self._build(Joined([source], [source.name], source.text))
            return
        kernels = {s.key: name for s, name in zip(joined.sources, joined.names, strict=True)}
        self.compiled += len(kernels)
        self._built.update((key, (program, name)) for key, name in kernels.items())
        if self._disk is None:
            return
        content = joined.text.encode() if self.by_source else _binary(program)
        if content:
            self._disk.store(kernels, content)

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
