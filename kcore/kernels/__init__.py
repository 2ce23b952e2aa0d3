"""Kernels that are generated as C, for every backend that speaks a dialect of it: OpenCL C, CUDA C.

A *generator* is a pure function from a graph node and the `Traits` of a device to `kcore.codegen.Code`: readable text,
its arguments in order, work-groups. Where work-items are cores (a CPU) it writes wide OpenCL vectors; where they are
lanes (a GPU) it writes through the table of `Traits.dialect`. A backend derives from `GeneratedBackend` and calls
`provide` once.
"""

from __future__ import annotations

import importlib
import pkgutil

from kcore.kernels import table
from kcore.kernels.backend import GeneratedBackend
from kcore.kernels.placed import PlacedBackend
from kcore.kernels.table import home
from kcore.kernels.traits import Traits

__all__ = ["GeneratedBackend", "PlacedBackend", "Traits", "home", "provide"]


def provide(backend: str, package: str) -> None:
    """Register every generated kernel for a backend, with priority 0: its own may have a higher one.

    Args:
        backend: its name.
        package: the distribution it comes from, for the printed plan.
    """
    import kcore.ops  # noqa: F401  (kernels of elementwise ops are made for all ops there are)

    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    table.fill(backend, package)
