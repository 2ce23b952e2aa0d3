"""Running on the host what a device cannot do: a kernel made of a download, kcore-numpy's kernel and an upload."""

from __future__ import annotations

from typing import Any

from kcore.backend.base import Backend
from kcore.backend.kernel import Kernel, Site, Thunk
from kcore.errors import warn_user
from kcore.graph.core import Node

HOST = "numpy"

_warned: set[tuple[str, str]] = set()


def host_fallback(backend: Backend, node: Node) -> Kernel | None:
    """A kernel of `backend` that computes the node with kcore-numpy; None if that has none either."""
    if backend.name == HOST:
        return None
    from kcore.backend.selection import backend_of

    host = backend_of(HOST)
    inner = host.kernels.find(node)
    if inner is None:
        return None
    if (backend.name, node.op.name) not in _warned:
        _warned.add((backend.name, node.op.name))
        warn_user(
            f"op {node.op.name!r} has no kernel on backend {backend.name!r} and runs on the host ({node.location()}); "
            "`kcore doctor` lists such ops"
        )

    def bind(site: Site) -> Thunk:
        device = host.devices()[0]
        ins = [None if v is None else host.empty(v.shape, v.dtype, device) for v in node.inputs]
        outs = [
            None if a is None else host.empty(v.shape, v.dtype, device)
            for v, a in zip(node.outputs, site.outputs, strict=True)
        ]
        nbytes = inner.scratch(node) if inner.scratch else 0
        scratch: Any = host.view(host.allocate(nbytes, device), 0, (nbytes,), "uint8") if nbytes else None
        thunk = inner.bind(Site(node, tuple(ins), tuple(outs), scratch, device))

        def run() -> None:
            for array, source in zip(ins, site.inputs, strict=True):
                if array is not None:
                    host.upload(array, backend.download(source))
            thunk()
            for array, target in zip(outs, site.outputs, strict=True):
                if array is not None:
                    backend.upload(target, array)

        return run

    return Kernel(node.op.name, backend.name, bind, package="kcore-numpy (host)")
