"""Attention in 16 bits on cuDNN, where it is installed; in float32 generated kernels do it."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, Spec
from kcore.graph.plan import aligned
from kcore_cuda.kernels.convolution import options, planned_place
from kcore_cuda.kernels.splitting import PRIORITY, Steps, part, run
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


def _stats(node: Node) -> Value:
    """The logsumexp as kcore keeps it: in the dtype of the query."""
    return node.outputs[1] if node.op.name == "attention" else node.inputs[7]  # type: ignore[return-value]


def _layout(node: Node) -> tuple[int, int]:
    """Where what nobody reads, and where the workspace begins, behind the logsumexp in float32."""
    spare_at = aligned(_stats(node).size * 4)
    return spare_at, spare_at + aligned(max(v.nbytes for v in node.outputs))


def _scratch(node: Node) -> int:
    place = planned_place()
    assert place is not None
    graph = libraries_of(place).cudnn.plan(_description(node), options())
    assert graph is not None
    return _layout(node)[1] + graph.get_workspace_size()


def _cast(value: Value, dtype: str) -> Node:
    return Node(OPS["cast"], [value], {"dtype": dtype}, [Spec(value.shape, dtype)])


@kernel("attention", backend="cuda", supports=supports, scratch=_scratch, priority=PRIORITY)
def attention(site: Site) -> Thunk:
    """The plan, and the logsumexp to the dtype in which it is kept."""
    place, node = place_of(site.device), site.node
    library = libraries_of(place).cudnn
    graph = library.plan(_description(node), options())
    assert graph is not None
    query, key, value, bias, _ = site.inputs
    out, kept = site.outputs
    wide = part(site, 0, _stats(node).shape, "float32")
    workspace = part(site, _layout(node)[1], (graph.get_workspace_size(),), "uint8")
    arrays = [a for a in (query, key, value, bias, out, wide) if a is not None]
    call = Call(place, library.call(graph, [a.ptr for a in arrays], workspace.ptr), node, keeps=[graph])
    if kept is None:
        return call
    narrow = _cast(Value(_stats(node).shape, "float32"), kept.dtype)
    return Steps(site, [call, run(site, narrow, [wide], [kept])])


@kernel("attention_grad", backend="cuda", supports=supports, scratch=_scratch, priority=PRIORITY)
def attention_grad(site: Site) -> Thunk:
    """The logsumexp in float32, and the plan."""
    place, node = place_of(site.device), site.node
    library = libraries_of(place).cudnn
    graph = library.plan(_description(node), options())
    assert graph is not None
    slope, query, key, value, bias, _, out, kept = site.inputs
    wide = part(site, 0, kept.shape, "float32")
    workspace = part(site, _layout(node)[1], (graph.get_workspace_size(),), "uint8")
    spare_at = _layout(node)[0]
    grads = [
        part(site, spare_at, value.shape, value.dtype) if array is None else array
        for array, value in zip(site.outputs, node.outputs, strict=True)
    ]
    arrays = [a for a in (query, key, value, out, slope, wide, bias, *grads) if a is not None]
    call = Call(place, library.call(graph, [a.ptr for a in arrays], workspace.ptr), node, keeps=[graph])
    return Steps(site, [run(site, _cast(_stats(node), "float32"), [kept], [wide]), call])
