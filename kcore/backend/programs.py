"""From source to kernels on a device: what is not on disk is compiled, many sources as one program, and kept."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, ClassVar

from kcore.backend.build_error import BuildError
from kcore.backend.disk_cache import DiskCache
from kcore.backend.dump import dump
from kcore.codegen import Source
from kcore.codegen.joining import Joined, join

#: Kernels held for whoever asks next; those that were asked for least recently go first. What an executable runs stays
#: as long as the executable does, and what is gone from here is loaded from disk when it is asked for again.
HELD = 256


class Refused(Exception):
    """A compiler does not take a text; `log` is what it says."""

    def __init__(self, log: str):
        super().__init__(log)
        self.log = log


class Programs(ABC):
    """The compiled kernels of one device, by `Source.key`.

    Args:
        name: the device and its driver, for messages.
        disk: where programs are looked for and kept; None for nowhere.
        profile: where building is noted, or None.
    """

    #: The error for a source that does not compile.
    error: ClassVar[type[BuildError]] = BuildError

    def __init__(self, name: str, disk: DiskCache | None, profile: Any = None) -> None:
        self.name = name
        self._disk = disk
        self._profile = profile
        self._built: OrderedDict[str, tuple[Any, str]] = OrderedDict()
        self._lock = threading.RLock()
        #: Kernels that were compiled, and those that were loaded from disk.
        self.compiled = self.loaded = 0

    @abstractmethod
    def _compile(self, text: str, name: str) -> Any:
        """The program of a text.

        Raises:
            Refused: it does not compile.
        """

    @abstractmethod
    def _content(self, program: Any, text: str) -> bytes:
        """What to keep of a program; empty where nothing can be kept."""

    @abstractmethod
    def _restored(self, content: bytes, kernels: Iterable[str]) -> Any:
        """The program of what was kept.

        Raises:
            Refused: the driver does not take it back, or it does not hold the kernels.
        """

    def build(self, sources: Iterable[Source]) -> None:
        """Load or build all that are not there yet.

        Raises:
            BuildError: one does not compile.
        """
        with self._lock:
            asked = {s.key: s for s in sources if s.groups}
            missing = {key: s for key, s in asked.items() if key not in self._built}
            for key in asked.keys() - missing.keys():
                self._built.move_to_end(key)
            if not missing:
                return
            dump(missing.values(), self.name)
            with self._profile.span(f"build {len(missing)} kernels") if self._profile else nullcontext():
                self._load(missing)
                rest = [s for key, s in missing.items() if key not in self._built]
                for joined in join(rest):
                    self._build(joined)
            for key in [key for key in self._built if key not in asked][: max(0, len(self._built) - HELD)]:
                del self._built[key]

    def find(self, source: Source) -> tuple[Any, str]:
        """The program that holds a source's kernel, and what the kernel is called in it.

        Raises:
            BuildError: it does not compile.
        """
        with self._lock:
            if source.key in self._built:
                self._built.move_to_end(source.key)
            else:
                self.build([source])
            return self._built[source.key]

    def release(self) -> None:
        """Let go of the kernels held for whoever asks next; what an executable runs stays with it."""
        with self._lock:
            self._built.clear()

    def _load(self, missing: dict[str, Source]) -> None:
        disk = self._disk
        if disk is None:
            return
        for stored in disk.find(missing):
            content = disk.load(stored)
            if content is None:
                continue
            try:
                program = self._restored(content, stored.kernels.values())
            except Refused:
                disk.forget(stored)
                continue
            self.loaded += len(stored.kernels)
            self._built.update((key, (program, name)) for key, name in stored.kernels.items())

    def _build(self, joined: Joined) -> None:
        name = joined.names[0] if len(joined.names) == 1 else "kernels"
        try:
            program = self._compile(joined.text, name)
        except Refused as refused:
            if len(joined.sources) == 1 and joined.text == joined.sources[0].text:
                source = joined.sources[0]
                raise self.error(self.name, source.name, source.text, refused.log) from None
            for source in joined.sources:  # which one was it?
                self._build(Joined([source], [source.name], source.text))
            return
        kernels = {s.key: name for s, name in zip(joined.sources, joined.names, strict=True)}
        self.compiled += len(kernels)
        self._built.update((key, (program, name)) for key, name in kernels.items())
        if self._disk is not None:
            content = self._content(program, joined.text)
            if content:
                self._disk.store(kernels, content)
