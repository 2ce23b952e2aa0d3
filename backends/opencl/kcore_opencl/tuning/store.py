"""Measured choices of a device on disk: a small file each, so that processes that tune at once share what they find."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kcore_opencl import cache
from kcore_opencl.disk_cache import identity

FOLDER = "tuning"


class Store:
    """What was measured on a device, with its driver and this version of kcore; read from disk at first use.

    Args:
        device: PyOpenCL's device.
    """

    def __init__(self, device: Any):
        self.name = f"{device.name.strip()} ({device.platform.name.strip()})"
        self._about = identity(device)
        self._folder = f"{FOLDER}/{_digest(json.dumps(self._about))}"
        self._choices: dict[str, str] | None = None

    @property
    def choices(self) -> dict[str, str]:
        """The fastest way, as text, by the key of what is computed."""
        if self._choices is None:
            self._choices = self._read()
        return self._choices

    def keep(self, key: str, way: str, microseconds: float, default: float) -> None:
        """Remember a choice, here and on disk.

        Args:
            key: what is computed.
            way: how it is cut.
            microseconds, default: time of this way, and of the generator's own choice.
        """
        self.choices[key] = way
        content = {"about": self._about, "key": key, "way": way, "microseconds": microseconds, "default": default}
        cache.write(f"{self._folder}/{_digest(key)}.json", json.dumps(content, indent=1).encode())

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if not cache.enabled():
            return found
        for path in sorted((cache.CACHE.folder / self._folder).glob("*.json")):
            try:
                content = json.loads(path.read_text())
                if content["about"] == self._about:
                    found[str(content["key"])] = str(content["way"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # torn or another program's: as if it had not been measured
        return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
