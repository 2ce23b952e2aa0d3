"""From source to kernels: every source is built once per device, several at a time, and kept."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyopencl as cl

from kcore.codegen import Source


class Programs:
    """The compiled programs of one device, by `Source.key`."""

    def __init__(self, context: Any, device: Any):
        self._context = context
        self._device = device
        self._built: dict[str, tuple[Any, str]] = {}
        self._lock = threading.Lock()

    def build(self, sources: Iterable[Source]) -> None:
        """Build all that are not built yet."""
        with self._lock:
            missing = {s.key: s for s in sources if s.key not in self._built}
            if not missing:
                return
            if len(missing) == 1:
                built = [self._build(s) for s in missing.values()]
            else:
                with ThreadPoolExecutor() as pool:
                    built = list(pool.map(self._build, missing.values()))
            self._built.update((key, (p, s.name)) for (key, s), p in zip(missing.items(), built, strict=True))

    def kernel(self, source: Source) -> Any:
        """A new kernel object of a source, with arguments of its own."""
        known = self._built.get(source.key)
        if known is None:
            self.build([source])
            known = self._built[source.key]
        program, name = known
        return cl.Kernel(program, name)

    def _build(self, source: Source) -> Any:
        return cl.Program(self._context, source.text).build(options=["-cl-std=CL1.2"], cache_dir=False)
