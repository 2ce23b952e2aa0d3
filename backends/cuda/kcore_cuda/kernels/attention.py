"""Attention in 16 bits on cuDNN, where it is installed; in float32 generated kernels do it."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node
from kcore.graph.plan import aligned
from kcore_cuda.kernels.convolution import options
from kcore_cuda.kernels.splitting import PRIORITY, part, planned_place
from kcore_cuda.launch import Call
from kcore_cuda.libraries import cudnn, libraries_of
from kcore_cuda.libraries.attention import Attention, attention_of, takes
from kcore_cuda.place import place_of


def _description(node: Node) -> Attention:
    return attention_of(node, deterministic=options().deterministic)


def supports(node: Node) -> bool:
    """Whether cuDNN has a plan for it on the device that is planned for."""
    if not cudnn.available() or not takes(node):
        return False
    place = planned_place()
    return place is None or libraries_of(place).cudnn.plan(_description(node), options()) is not None


def _spare_bytes(node: Node) -> int:
    """Room for what cuDNN writes and nobody reads; the workspace lies behind it."""
    return aligned(max(v.nbytes for v in node.outputs))


def _scratch(node: Node) -> int:
    place = planned_place()
    assert place is not None
    graph = libraries_of(place).cudnn.plan(_description(node), options())
    assert graph is not None
    return _spare_bytes(node) + graph.get_workspace_size()


@kernel("attention", backend="cuda", supports=supports, scratch=_scratch, priority=PRIORITY)
def attention(site: Site) -> Thunk:
    """The plan; what it keeps of the scores is kcore's own logsumexp."""
    return _planned(site, [*site.inputs[:4]])


@kernel("attention_grad", backend="cuda", supports=supports, scratch=_scratch, priority=PRIORITY)
def attention_grad(site: Site) -> Thunk:
    """The plan, from the logsumexp that was kept."""
    slope, query, key, value, bias, _, out, kept = site.inputs
    return _planned(site, [query, key, value, out, slope, kept, bias])


def _planned(site: Site, given: list) -> Thunk:
    """The call: the arrays that are there in the order of the description's tensors, then all outputs."""
    place, node = place_of(site.device), site.node
    library = libraries_of(place).cudnn
    graph = library.plan(_description(node), options())
    assert graph is not None
    made = [
        part(site, 0, value.shape, value.dtype) if array is None else array
        for array, value in zip(site.outputs, node.outputs, strict=True)
    ]
    workspace = part(site, _spare_bytes(node), (graph.get_workspace_size(),), "uint8")
    arrays = [a.ptr for a in (*given, *made) if a is not None]
    return Call(place, library.call(graph, arrays, workspace.ptr), node, keeps=[graph])
