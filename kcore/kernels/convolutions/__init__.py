"""Generators of convolutions and their gradients: `emit` makes a node's code, `candidates` says how it may be cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.codegen import Code
from kcore.codegen.dialect import compute_dtype
from kcore.codegen.epilogue import Epilogue
from kcore.graph.core import Node
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.kernels.choosing import chosen
from kcore.kernels.convolutions import winograd, winograd_gradient
from kcore.kernels.convolutions.correlation import emit_correlation, with_rows
from kcore.kernels.convolutions.geometry import Walk, backward, forward, merged
from kcore.kernels.convolutions.gpu import Block, blocks_for, emit_product, emit_shared_correlation
from kcore.kernels.convolutions.packing import emit_packing, packed_bytes
from kcore.kernels.convolutions.strips import emit_strips
from kcore.kernels.convolutions.tiling import Patch, Strip, patches, strips
from kcore.kernels.convolutions.winograd import emit_winograd
from kcore.kernels.convolutions.winograd_gradient import emit_winograd_gradient
from kcore.kernels.convolutions.winograd_tiles import Tiles, fits, wins
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

__all__ = ["OPS", "Tiling", "candidates", "emit", "supports"]

#: One cut for each kernel of a node: a convolution has one, an input gradient one for each phase of its strides.
Tiling = tuple[Strip | Patch | Block | Tiles, ...]

OPS = ("conv", "conv_input_grad", "conv_kernel_grad")
#: Ways to cut a node that are offered to the tuner.
WAYS = 16
#: Result positions from which on packing the weights of a convolution pays.
PACKED = 1024
_FLOATS = {"float32", "float64", "float16", "bfloat16"}


def supports(node: Node) -> bool:
    """Whether the generators can do a node: one of `OPS`, or a fused product that begins with one of the first two."""
    product = _product(node)
    if product.op.name not in (OPS if product is node else OPS[:2]):
        return False
    if product is not node and any(n.op.expr is None for n in node.attrs["body"].nodes[1:]):
        return False
    x, kernel = _operands(product)
    dtypes = {v.dtype for v in (*product.sources, *product.outputs)}
    return len(dtypes) == 1 and dtypes <= _FLOATS and all(x[1:]) and all(kernel)


def candidates(node: Node, traits: Traits) -> list[Tiling]:
    """The ways to cut a node worth measuring, the default first."""
    product, walks = _product(node), _walks(node)
    dtype, correlation = product.outputs[0].dtype, product.op.name == "conv_kernel_grad"
    if not traits.cpu:
        return [(block,) * len(walks) for block in blocks_for(walks[0], traits, correlation)]
    tiles: list[Tiling] = []
    if fits(walks[0], dtype, traits):
        tilings = winograd_gradient.tilings if correlation else winograd.tilings
        tiles = [(t,) for t in tilings(walks[0], dtype, traits)]
    if correlation:
        return _first(tiles, [(p,) for p in patches(walks[0], dtype, traits)[:WAYS]], walks[0])
    ways = [strips(w, dtype, traits) for w in walks]
    found: list[Tiling] = []
    for first in ways[0][:WAYS]:
        # all phases read the same packed weights
        alike = [[s for s in way if s.vectors == first.vectors] for way in ways[1:]]
        if all(alike):
            found.append((first, *(way[0] for way in alike)))
    return _first(tiles, found, walks[0])


def _first(tiles: list[Tiling], direct: list[Tiling], walk: Walk) -> list[Tiling]:
    """Ways by Winograd's tiles and direct ones, those that should win first."""
    return tiles + direct if tiles and wins(walk) else direct + tiles


def emit(node: Node, traits: Traits, tiling: Tiling | None = None) -> Code:
    """The kernels of a convolution or of one of its gradients.

    Args:
        node: a node that `supports` accepts.
        traits: of the device it will run on.
        tiling: one of `candidates`; if None, as was measured on the device or else chosen from sizes and traits.
    """
    tiling = tiling or chosen(node, traits, candidates, emit)
    epilogue = Epilogue(node)
    product = epilogue.product
    walks = _walks(node)
    if product.op.name == "conv_kernel_grad":
        if isinstance(tiling[0], Block):
            return emit_shared_correlation(walks[0], node, traits, tiling[0])
        if isinstance(tiling[0], Tiles):
            return emit_winograd_gradient(walks[0], node, traits, tiling[0])
        assert isinstance(tiling[0], Patch)
        return emit_correlation(walks[0], node, traits, tiling[0])
    first, second = (_argument(epilogue, i) for i in (0, 1))
    exchanged = product.op.name == "conv_input_grad"
    parts = [f"_{i}" if len(walks) > 1 else "" for i in range(len(walks))]
    if isinstance(tiling[0], Tiles):
        return emit_winograd(walks[0], epilogue, first, second, exchanged, node, traits, tiling[0])
    sources, scratch = [], 0
    if isinstance(tiling[0], Strip):
        block = _block(walks[0], tiling[0])
        if _packs(walks[0], block, exchanged):
            sources.append(emit_packing(node, walks[0], second, block, exchanged))
            scratch = packed_bytes(walks[0], block, second[2])
            second = ("scratch", 0, compute_dtype(second[2]))
    for walk, tile, part in zip(walks, tiling, parts, strict=True):
        if isinstance(tile, Block):
            sources.append(emit_product(walk, epilogue, first, second, exchanged, traits, tile, part))
        else:
            assert isinstance(tile, Strip)
            sources.append(emit_strips(walk, epilogue, first, second, traits, tile, part))
    return Code(tuple(sources), scratch)


@generated(*OPS, FUSED_PRODUCT.name, supports=supports, scratch=True)
def _code_for(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    return emit(node, traits)


def _block(walk: Walk, tile: Strip) -> int:
    return min(tile.lanes * tile.vectors, walk.outer)


def _packs(walk: Walk, block: int, exchanged: bool) -> bool:
    """Whether the weights are rearranged: where channels change places, or blocks are far apart and often read."""
    if walk.channelwise:
        return False
    return exchanged or (block < walk.outer and walk.rows * walk.axes[-1].out >= PACKED)


def _product(node: Node) -> Node:
    """The convolution a node is or begins with."""
    return node.attrs["body"].nodes[0] if node.op is FUSED_PRODUCT else node


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


def _argument(epilogue: Epilogue, which: int) -> tuple[str, int, str]:
    index, value = epilogue.inputs[which], epilogue.product.inputs[which]
    assert index is not None and value is not None
    return "input", index, value.dtype
