"""Convolutions and their gradients: those of one element on cuBLAS, the others on cuDNN where it is installed."""

from __future__ import annotations

from math import prod

from kcore.backend.kernel import Kernel, Site, Thunk, kernel, kernels_of
from kcore.graph.core import Node, Value
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.graph.plan import aligned
from kcore.kernels import convolutions
from kcore_cuda import settings
from kcore_cuda.kernels.splitting import (
    PRIORITY,
    Steps,
    multiplies,
    part,
    planned_place,
    rest_of,
    run,
    split,
    target_of,
    transposed,
)
from kcore_cuda.launch import Call
from kcore_cuda.libraries import cudnn, libraries_of
from kcore_cuda.libraries.convolution import (
    OPERATIONS,
    convolution_of,
    from_filter,
    is_product,
    shapes_of,
    takes,
    to_filter,
)
from kcore_cuda.libraries.cublas import Gemm, row_major
from kcore_cuda.place import place_of

# -- windows of one element --------------------------------------------------------------------------------------------


def gemm_of(node: Node) -> Gemm:
    """The matrix product that a convolution with windows of one element, or its gradient, is."""
    image, (*_, inner, outer), _ = shapes_of(node)
    pixels = prod(image[:-1])
    if node.op.name == "conv":
        return row_major(pixels, outer, inner, False, False)
    if node.op.name == "conv_input_grad":
        return row_major(pixels, inner, outer, False, True)
    return row_major(inner, outer, pixels, True, False)


def _is_product(node: Node) -> bool:
    head = _head(node)
    return head is not None and is_product(head) and gemm_of(head).fits and multiplies(head.outputs[0].dtype)


def _product_scratch(node: Node) -> int:
    return split(node).scratch_bytes


def _product(site: Site) -> Thunk:
    """One matrix product, and then one generated kernel for all that follows."""
    place, parts = place_of(site.device), split(site.node)
    a, b = (site.inputs[i].ptr for i in parts.operands if i is not None)
    target = target_of(site, parts)
    calls = libraries_of(place).cublas.gemm(gemm_of(parts.head), target.dtype, a, b, target.ptr, settings.tf32())
    return Steps(site, [*(Call(place, call, site.node) for call in calls), *rest_of(site, parts)])


# -- all others --------------------------------------------------------------------------------------------------------


def _head(node: Node) -> Node | None:
    """The convolution a node begins with, if it is one that NVIDIA's libraries and the generated kernels both know."""
    if not convolutions.supports(node):
        return None
    head = split(node).head
    return head if takes(head) else None


def options() -> cudnn.Options:
    """What plans may do, by the settings as they are now."""
    return cudnn.Options(settings.tf32(), settings.deterministic())


def _has_plan(node: Node) -> bool:
    head = _head(node)
    if head is None or not cudnn.available():
        return False
    place = planned_place()
    return place is None or libraries_of(place).cudnn.plan(convolution_of(head), options()) is not None


def _layout(node: Node, workspace: int) -> tuple[int, int, int]:
    """Where the transposed kernel and the workspace lie in scratch memory, behind the product; and bytes in all."""
    parts = split(node)
    kernel_at = aligned(parts.scratch_bytes)
    workspace_at = kernel_at + aligned(_kernel_of(parts.head).nbytes)
    return kernel_at, workspace_at, workspace_at + workspace


def _kernel_of(head: Node) -> Value:
    return head.outputs[0] if head.op.name == "conv_kernel_grad" else head.sources[1]


def _plan_scratch(node: Node) -> int:
    place = planned_place()
    assert place is not None
    graph = libraries_of(place).cudnn.plan(convolution_of(split(node).head), options())
    assert graph is not None
    below = generated(node)
    other = below.scratch(node) if below.scratch else 0
    return max(_layout(node, graph.get_workspace_size())[-1], other)


def generated(node: Node) -> Kernel:
    """The generated kernel of a node that a library's stands above."""
    return next(k for k in kernels_of("cuda") if k.op == node.op.name and k.priority < PRIORITY and k.supports(node))


def _planned(site: Site) -> Thunk:
    """The kernel transposed, the plan, and then one generated kernel for all that follows."""
    place, node = place_of(site.device), site.node
    parts, library = split(node), libraries_of(place).cudnn
    head = parts.head
    graph = library.plan(convolution_of(head), options())
    assert graph is not None
    kernel_at, workspace_at, _ = _layout(node, graph.get_workspace_size())
    first, second = (site.inputs[i] for i in parts.operands if i is not None)
    target = target_of(site, parts)
    given = [first, target] if head.op.name != "conv_kernel_grad" else [first, second]
    if any(array.ptr % cudnn.ALIGNMENT for array in given):
        return generated(node).bind(site)  # pieces of larger arrays, one behind the other in a loop over steps
    workspace = part(site, workspace_at, (graph.get_workspace_size(),), "uint8").ptr
    kernel_value = _kernel_of(head)
    rank = len(kernel_value.shape) - 2
    turn = transposed(kernel_value, to_filter(rank))
    turned = part(site, kernel_at, turn.outputs[0].shape, kernel_value.dtype)
    if head.op.name == "conv_kernel_grad":
        back = transposed(turn.outputs[0], from_filter(rank))
        call = Call(place, library.call(graph, [first.ptr, second.ptr, turned.ptr], workspace), node, keeps=[graph])
        return Steps(site, [call, run(site, back, [turned], [target]), *rest_of(site, parts)])
    call = Call(place, library.call(graph, [first.ptr, turned.ptr, target.ptr], workspace), node, keeps=[graph])
    return Steps(site, [run(site, turn, [second], [turned]), call, *rest_of(site, parts)])


for _name in (*OPERATIONS, FUSED_PRODUCT.name):
    kernel(_name, backend="cuda", supports=_has_plan, scratch=_plan_scratch, priority=PRIORITY)(_planned)
    kernel(_name, backend="cuda", supports=_is_product, scratch=_product_scratch, priority=PRIORITY + 1)(_product)
