"""Settings of this backend, read from the environment when a device is first used."""

from __future__ import annotations

import difflib
import os
import re
from typing import TypeVar

from kcore.config import is_op_determinism_enabled
from kcore.errors import ConfigError
from kcore.naming import did_you_mean

MEMORY = "KCORE_CUDA_MEMORY_LIMIT"
TF32 = "KCORE_CUDA_TF32"
GRAPHS = "KCORE_CUDA_GRAPHS"
NONDETERMINISTIC = "KCORE_CUDA_NONDETERMINISTIC"
BATCH_NORM = "KCORE_CUDA_CUDNN_BATCH_NORM"

Default = TypeVar("Default")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def tf32() -> bool:
    """Whether products and convolutions of float32 may use TF32, with 10 bits of mantissa: KCORE_CUDA_TF32=1.

    Every library call asks here when it is bound; there is no other switch.
    """
    return _switch(TF32, False)


def graphs() -> bool:
    """Whether steps are replayed as CUDA graphs: unless KCORE_CUDA_GRAPHS=0."""
    return _switch(GRAPHS, True)


def deterministic() -> bool:
    """Whether cuDNN may only use algorithms that give the same bits each time: unless KCORE_CUDA_NONDETERMINISTIC=1.

    `kcore.config.enable_op_determinism` overrules the variable.
    """
    return is_op_determinism_enabled() or not _switch(NONDETERMINISTIC, False)


def batch_norm() -> bool | None:
    """Whether cuDNN normalizes batches: KCORE_CUDA_CUDNN_BATCH_NORM; None if it is not set: where it should win."""
    return _switch(BATCH_NORM, None)


def memory_limit(total: int) -> int:
    """Bytes kcore may hold of a GPU's memory: KCORE_CUDA_MEMORY_LIMIT, or all.

    Args:
        total: bytes the GPU has.

    Raises:
        ConfigError: the variable holds neither a size nor a share.
    """
    text = os.environ.get(MEMORY, "").strip()
    if not text:
        return total
    share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
    size = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if share and 0 < float(share[1]) <= 100:
        return int(total * float(share[1]) / 100)
    if size and float(size[1]) > 0:
        return min(int(float(size[1]) * _UNITS[size[2].upper()]), total)
    raise ConfigError(f"{MEMORY}={text!r} is neither a size such as 6GiB or 500MB nor a share such as 50%")


def misspelt() -> list[str]:
    """What to say of variables that begin like these settings and are none."""
    known = (MEMORY, TF32, GRAPHS, NONDETERMINISTIC, BATCH_NORM)
    unknown = sorted(name for name in os.environ if name.startswith("KCORE_CUDA_") and name not in known)
    # all begin alike: only the nearest is meant
    near = (difflib.get_close_matches(name, known, n=1) for name in unknown)
    return [f"{n} is no setting of kcore{did_you_mean(n, k)}" for n, k in zip(unknown, near, strict=True)]


def _switch(name: str, default: Default) -> bool | Default:
    text = os.environ.get(name, "").strip()
    if text in ("", "0", "1"):
        return default if not text else text == "1"
    raise ConfigError(f"{name}={text!r} is neither 0 nor 1")
