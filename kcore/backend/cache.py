"""What a backend keeps on disk and may lose: self-tests, tuning results, compiled kernels. It works without."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from kcore.errors import warn_user

_said = False


def enabled() -> bool:
    """Whether anything is kept: not where the environment variable KCORE_NO_CACHE is set (and not 0)."""
    return os.environ.get("KCORE_NO_CACHE", "0") in ("", "0")


class Cache:
    """The folder of one backend.

    Args:
        backend: the backend's name, which is the folder's. A backend that keeps something depends on platformdirs.
    """

    def __init__(self, backend: str):
        self.backend = backend

    @property
    def folder(self) -> Path:
        """It lies in ``$KCORE_CACHE_DIR``, or in the user's cache folder for kcore. It need not exist."""
        from platformdirs import user_cache_path

        return Path(os.environ.get("KCORE_CACHE_DIR") or user_cache_path("kcore")) / self.backend

    def read(self, name: str) -> bytes | None:
        """What was written under a name (``"selftest/ab12.json"``), or None."""
        if not enabled():
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def write(self, name: str, content: bytes, say: bool = True) -> bool:
        """Write under a name, as a whole or not at all; whoever reads at the same time sees the old or the new content.

        Args:
            name: the file, in the folder.
            content: what it is to hold.
            say: whether it is said, once, that the folder cannot be written or the disk is full.

        Returns:
            Whether it was written.
        """
        if not enabled():
            return False
        path = self.folder / name
        unfinished = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(unfinished, path)
        except OSError as error:
            if unfinished is not None:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
            if say:
                _say(path, error)
            return False
        return True


def _say(path: Path, error: OSError) -> None:
    global _said
    if not _said:
        _said = True
        warn_user(
            f"kcore cannot write {path}: {error.strerror or error}. It works without, but tests devices and compiles "
            "kernels again in every process; the environment variable KCORE_CACHE_DIR names another folder",
            RuntimeWarning,
        )
