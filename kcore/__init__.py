"""kcore: the Keras API on an engine made of plugins.

Importing it loads nothing but names; modules, and the backend, are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Public modules, loaded on first use.
_MODULES = frozenset(
    {
        "activations",
        "applications",
        "backend",
        "callbacks",
        "compat",
        "config",
        "constraints",
        "datasets",
        "dtype_policies",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "preprocessing",
        "random",
        "regularizers",
        "saving",
        "testing",
        "training",
        "tree",
        "utils",
        "visualization",
        "wrappers",
    }
)

#: Modules of Keras that are still to come.
_TO_COME = frozenset({"distribution", "export", "quantizers"})

#: Public names and the module each comes from.
_NAMES = {
    "DTypePolicy": "kcore.dtype_policies",
    "GradientTape": "kcore.runtime",
    "Initializer": "kcore.initializers",
    "Input": "kcore.layers",
    "InputSpec": "kcore.layers",
    "KerasTensor": "kcore.runtime",
    "Layer": "kcore.layers",
    "Loss": "kcore.losses",
    "Metric": "kcore.metrics",
    "Model": "kcore.models",
    "Optimizer": "kcore.optimizers",
    "Regularizer": "kcore.regularizers",
    "SeedGenerator": "kcore.runtime",
    "Sequential": "kcore.models",
    "Variable": "kcore.runtime",
    "compare_runs": "kcore.visualization",
    "devices": "kcore.backend",
    "function": "kcore.runtime",
    "grad": "kcore.runtime",
    "is_backend_available": "kcore.backend",
    "name_scope": "kcore.runtime",
    "set_random_seed": "kcore.runtime",
    "sweep": "kcore.training.sweep",
    "use_backend": "kcore.backend",
}

__all__ = sorted({*_MODULES, *_NAMES, "__version__", "version"})  # noqa: PLE0605


def version() -> str:
    """The version of kcore, as `keras.version` gives that of Keras."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"kcore.{name}")
    module = _NAMES.get(name)
    if module is None:
        known = ": Keras has it, kcore does not have it yet (README, Known gaps)" if name in _TO_COME else ""
        raise AttributeError(f"module 'kcore' has no attribute {name!r}{known}")
    if module == "kcore.runtime":
        importlib.import_module("kcore.ops")  # operators of tensors are ops
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
