"""What this backend keeps on disk: the folder ``opencl`` in the cache folder."""

from __future__ import annotations

from kcore.backend.cache import Cache, enabled

__all__ = ["CACHE", "enabled", "read", "write"]

CACHE = Cache("opencl")
read, write = CACHE.read, CACHE.write
