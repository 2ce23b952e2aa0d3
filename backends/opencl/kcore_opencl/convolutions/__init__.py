"""Generators of convolutions and their gradients: `emit` makes the code of a node, `candidates` says how it may be cut."""

from __future__ import annotations

from math import prod
from typing import Any

from kcore.codegen import Code
from kcore.codegen.epilogue import Epilogue
from kcore.graph.core import Node
from kcore_opencl.convolutions.correlation import emit_correlation, with_rows
from kcore_opencl.convolutions.geometry import Walk, backward, forward, merged
from kcore_opencl.convolutions.packing import emit_packing
from kcore_opencl.convolutions.strips import emit_strips
from kcore_opencl.convolutions.tiling import Patch, Strip, patches, strips
from kcore_opencl.traits import Traits

__all__ = ["OPS", "Tiling", "candidates", "emit", "scratch_bytes", "supports"]

#: One cut for each kernel of a node: a convolution has one, an input gradient one for each phase of its strides.
Tiling = tuple[Strip | Patch, ...]

OPS = ("conv", "conv_input_grad", "conv_kernel_grad")
_FLOATS = ("float32", "float64", "float16", "bfloat16")


def supports(node: Node) -> bool:
    """Whether the generators can do a node: one of `OPS`, or a fused product that begins with a convolution."""
    body = node.attrs.get("body")
    product = body.nodes[0] if body is not None else node
    if product.op.name not in OPS or (body is not None and product.op.name == "conv_kernel_grad"):
        return False
    x, kernel = _operands(product)
    return (
        product.outputs[0].dtype in _FLOATS
        and all(x[1:])
        and all(kernel)
        and len({v.dtype for v in product.sources}) == 1
    )


def candidates(node: Node, traits: Traits) -> list[Tiling]:
    """The ways to cut a node worth measuring, the default first."""
    walks, dtype = _walks(node), _product(node).outputs[0].dtype
    if _product(node).op.name == "conv_kernel_grad":
        return [(p,) for p in patches(walks[0], dtype, traits)[:24]]
    ways = [strips(w, dtype, traits)[:24] for w in walks]
    return [tuple(way[min(i, len(way) - 1)] for way in ways) for i in range(max(map(len, ways)))]


def default(node: Node, traits: Traits) -> Tiling:
    """The cut that is used where nothing was measured."""
    return candidates(node, traits)[0]


def emit(node: Node, traits: Traits, tiling: Tiling | None = None) -> Code:
    """The kernels of a convolution or of one of its gradients.

    Args:
        node: a node that `supports` accepts.
        tiling: one of `candidates`; the first if None.
    """
    tiling = tiling or default(node, traits)
    epilogue = Epilogue(node)
    product = epilogue.product
    walks = _walks(node)
    if product.op.name == "conv_kernel_grad":
        assert isinstance(tiling[0], Patch)
        return emit_correlation(walks[0], node, traits, tiling[0])
    first, second = (_argument(epilogue, i) for i in (0, 1))
    sources = []
    if _packs(product):
        kernel = product.inputs[1]
        assert kernel is not None
        sources.append(emit_packing(node, second, kernel.shape, product.attrs["groups"]))
        second = ("scratch", 0, second[2])
    for i, (walk, strip) in enumerate(zip(walks, tiling, strict=True)):
        assert isinstance(strip, Strip)
        sources.append(emit_strips(walk, epilogue, first, second, traits, strip, f"_{i}" if len(walks) > 1 else ""))
    return Code(tuple(sources), scratch_bytes(node, traits))


def scratch_bytes(node: Node, traits: Traits) -> int:
    """Bytes of scratch memory a node's kernels share when cut by default."""
    product = _product(node)
    if product.op.name == "conv_kernel_grad":
        return emit(node, traits).scratch_bytes
    return product.inputs[1].nbytes if _packs(product) else 0  # type: ignore[union-attr]


def _product(node: Node) -> Node:
    body = node.attrs.get("body")
    return body.nodes[0] if body is not None else node


def _operands(product: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of the convolution's input and kernel."""
    shapes = [v.shape for v in product.sources]
    if product.op.name == "conv":
        return shapes[0], shapes[1]
    if product.op.name == "conv_input_grad":
        return product.outputs[0].shape, shapes[1]
    return shapes[0], product.outputs[0].shape


def _walks(node: Node) -> list[Walk]:
    product = _product(node)
    attrs: dict[str, Any] = product.attrs
    x, kernel = _operands(product)
    if product.op.name == "conv":
        return [merged(forward(x, kernel, product.outputs[0].shape, attrs))]
    g = product.sources[1 if product.op.name == "conv_kernel_grad" else 0].shape
    if product.op.name == "conv_kernel_grad":
        return [with_rows(merged(forward(x, kernel, g, attrs)))]
    return [merged(w) for w in backward(x, kernel, g, attrs)]


def _packs(product: Node) -> bool:
    """Whether the weights must be rearranged: not if each channel reads only itself."""
    if product.op.name != "conv_input_grad":
        return False
    shape, groups = product.sources[1].shape, product.attrs["groups"]
    return (
        shape[-2] * groups > 1 and not (shape[-2] == 1 and shape[-1] == groups) or prod(shape[-2:]) > 1 and groups == 1
    )


def _argument(epilogue: Epilogue, which: int) -> tuple[str, int, str]:
    index, value = epilogue.inputs[which], epilogue.product.inputs[which]
    assert index is not None and value is not None
    return "input", index, value.dtype
