"""Movement: reshapes are views; the rest copy blocks from one array into another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.codegen import Code
from kcore.codegen.layout import aligned, contiguous
from kcore.dtypes import itemsize, numpy_dtype
from kcore.graph.core import Node
from kcore.kernels.backend import DeviceArray
from kcore.kernels.movement import UNSIGNED, Block, moves, within
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

Blocks = Callable[[Node], list[Block]]


def movement(name: str, **options: Any) -> Callable[[Blocks], Blocks]:
    """Register a function from a node to the blocks it copies as the kernel of an op."""

    def register(blocks: Blocks) -> Blocks:
        @generated(name, **options)
        def code_for(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
            return moves(node, blocks(node), traits)

        return blocks

    return register


def bits(value: Any, dtype: str) -> int:
    """The bytes of a number of the dtype as an unsigned integer."""
    with np.errstate(over="ignore"):
        number = np.asarray(value).astype(numpy_dtype(dtype))
    return int(number.view(UNSIGNED[itemsize(dtype)]))


def _reshaped(array: DeviceArray, shape: tuple[int, ...], **attrs: Any) -> DeviceArray:
    return array.reshaped(shape)


@movement("reshape", view=_reshaped)
@movement("copy")
def copy(node: Node) -> list[Block]:
    """The elements as they lie."""
    return [Block((node.outputs[0].size,), (1,), (1,))]


@movement("transpose")
def transpose(node: Node) -> list[Block]:
    """Read along the axes' own strides."""
    strides = contiguous(node.sources[0].shape)
    shape = node.outputs[0].shape
    return [Block(shape, contiguous(shape), tuple(strides[a] for a in node.attrs["axes"]))]


@movement("broadcast_to")
def broadcast_to(node: Node) -> list[Block]:
    """Read with stride 0 where elements are repeated."""
    source, shape = node.sources[0].shape, node.outputs[0].shape
    return [Block(shape, contiguous(shape), aligned(source, contiguous(source), shape))]


@movement("slice")
def slice_(node: Node) -> list[Block]:
    """Read from the first element on, by steps."""
    origin, strides = within(node.sources[0].shape, node.attrs["start"], node.attrs["step"])
    shape = node.outputs[0].shape
    return [Block(shape, contiguous(shape), strides, origin=origin)]


@movement("flip")
def flip(node: Node) -> list[Block]:
    """Read backwards from the last element along the axes."""
    shape, axes = node.outputs[0].shape, node.attrs["axes"]
    start = [d - 1 if k in axes else 0 for k, d in enumerate(shape)]
    step = [-1 if k in axes else 1 for k in range(len(shape))]
    origin, strides = within(shape, start, step)
    return [Block(shape, contiguous(shape), strides, origin=origin)]


def _placed(node: Node, value: int, start: Any, step: Any) -> list[Block]:
    """The output filled with a value, then the input written into it."""
    source, shape = node.sources[0].shape, node.outputs[0].shape
    at, strides = within(shape, start, step)
    fill = Block((node.outputs[0].size,), (1,), input=None, value=value)
    block = Block(source, strides, contiguous(source), at=at)
    return [block] if source == shape else [fill, block]


@movement("unslice")
def unslice(node: Node) -> list[Block]:
    """Zeros, and the input by steps."""
    return _placed(node, 0, node.attrs["start"], node.attrs["step"])


@movement("pad")
def pad(node: Node) -> list[Block]:
    """A border, and the input inside."""
    pads = node.attrs["pads"]
    return _placed(node, bits(node.attrs["value"], node.outputs[0].dtype), [a for a, _ in pads], [1] * len(pads))


@movement("concatenate")
def concatenate(node: Node) -> list[Block]:
    """Each input to its place along the axis."""
    shape, axis = node.outputs[0].shape, node.attrs["axis"]
    strides, at, blocks = contiguous(shape), 0, []
    for i, value in enumerate(node.sources):
        blocks.append(Block(value.shape, strides, contiguous(value.shape), i, at=at * strides[axis]))
        at += value.shape[axis]
    return blocks
