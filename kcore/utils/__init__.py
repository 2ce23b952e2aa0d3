"""`keras.utils`: labels, sequences, files and seeds; what lives in other rooms is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from kcore.runtime import set_random_seed
from kcore.utils.labels import normalize, to_categorical

#: Names of other rooms that Keras has here, and the module each comes from.
_ELSEWHERE: dict[str, str] = {}

__all__ = ["normalize", "set_random_seed", "to_categorical", *_ELSEWHERE]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'kcore.utils' has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
