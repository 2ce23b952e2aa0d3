"""Convolutions and their gradients as cuDNN sees them: channels last in memory, channels second by name."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from kcore.graph.core import Node
from kcore_cuda.libraries.cudnn import DTYPES, Tensor

#: The ops, and what the frontend calls their operation, its operands and which tensor it makes.
OPERATIONS = {
    "conv": ("conv_fprop", "image", "weight"),
    "conv_input_grad": ("conv_dgrad", "loss", "filter"),
    "conv_kernel_grad": ("conv_wgrad", "image", "loss"),
}


@dataclass(frozen=True)
class Convolution:
    """A convolution, or one of its gradients, as a graph of one operation.

    Attributes:
        op: ``"conv"``, ``"conv_input_grad"`` or ``"conv_kernel_grad"``.
        dtype: of all three tensors.
        image: the input, or its gradient.
        filter: the kernel, or its gradient: (filters, channels / groups, *window), laid out (filters, *window,
            channels / groups), which kcore's is transposed to.
        response: the output, or its gradient.
        before, after: padding at the ends of each spatial axis.
        steps: strides.
        dilation: distance of the kernel's taps.
    """

    op: str
    dtype: str
    image: Tensor
    filter: Tensor
    response: Tensor
    before: tuple[int, ...]
    after: tuple[int, ...]
    steps: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def operands(self) -> tuple[Tensor, Tensor]:
        """What the operation reads, in the op's order."""
        return {
            "conv": (self.image, self.filter),
            "conv_input_grad": (self.response, self.filter),
            "conv_kernel_grad": (self.image, self.response),
        }[self.op]

    @property
    def result(self) -> Tensor:
        """What it makes."""
        return {"conv": self.response, "conv_input_grad": self.image, "conv_kernel_grad": self.filter}[self.op]

    def build(self, graph: Any, types: Any) -> list[Any]:
        """The two operands and the result, as tensors of the graph."""
        operation, *names = OPERATIONS[self.op]
        tensors = [
            graph.tensor(dim=list(t.dims), stride=list(t.strides), name=name)
            for t, name in zip(self.operands, names, strict=True)
        ]
        result = getattr(graph, operation)(
            **dict(zip(names, tensors, strict=True)),
            pre_padding=list(self.before),
            post_padding=list(self.after),
            stride=list(self.steps),
            dilation=list(self.dilation),
        )
        result.set_output(True).set_dim(list(self.result.dims)).set_stride(list(self.result.strides))
        return [*tensors, result]


def channels_last(dims: tuple[int, ...]) -> Tensor:
    """A tensor of those dims, (batch, channels, *spatial), whose channels lie side by side."""
    outer, channels, *spatial = dims
    strides = [channels * prod(spatial[i + 1 :]) for i in range(len(spatial))]
    return Tensor((outer, channels, *spatial), (channels * prod(spatial), 1, *strides))


def shapes_of(node: Node) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """kcore's shapes of the input, the kernel and the output of the convolution a node is of."""
    shapes = [v.shape for v in (*node.sources, *node.outputs)]
    if node.op.name == "conv":
        image, kernel, response = shapes
    elif node.op.name == "conv_input_grad":
        response, kernel, image = shapes
    else:
        image, response, kernel = shapes
    return image, kernel, response


def takes(node: Node) -> bool:
    """Whether cuDNN has such an operation at all: up to three spatial axes, floats of one dtype, nothing empty."""
    values = (*node.sources, *node.outputs)
    return (
        len(node.attrs["strides"]) <= 3
        and len({v.dtype for v in values}) == 1
        and values[0].dtype in DTYPES
        and all(v.size for v in values)
    )


def convolution_of(node: Node) -> Convolution:
    """The graph of a ``conv``, ``conv_input_grad`` or ``conv_kernel_grad`` node; one spatial axis becomes two."""
    image, kernel, response = shapes_of(node)
    attrs = node.attrs
    flat = (1,) if len(attrs["strides"]) == 1 else ()
    none = (0,) * len(flat)

    def tensor(shape: tuple[int, ...]) -> Tensor:
        return channels_last((shape[0], shape[-1], *flat, *shape[1:-1]))

    *window, inner, outer = kernel
    return Convolution(
        op=node.op.name,
        dtype=node.outputs[0].dtype,
        image=tensor(image),
        filter=channels_last((outer, inner, *flat, *window)),
        response=tensor(response),
        before=(*none, *(low for low, _ in attrs["padding"])),
        after=(*none, *(high for _, high in attrs["padding"])),
        steps=(*flat, *attrs["strides"]),
        dilation=(*flat, *attrs["dilation"]),
    )


def to_filter(rank: int) -> tuple[int, ...]:
    """The axes of kcore's kernel (*window, channels, filters) in cuDNN's order (filters, *window, channels)."""
    return (rank + 1, *range(rank), rank)


def from_filter(rank: int) -> tuple[int, ...]:
    """The way back."""
    return (*range(1, rank + 2), 0)


def is_product(node: Node) -> bool:
    """Whether a convolution is a matrix product of pixels by channels: a window of one element, nothing left out."""
    attrs = node.attrs
    *window, _, _ = shapes_of(node)[1]
    plain = {*window, *attrs["strides"], attrs["groups"]} == {1}
    return plain and all(pair == (0, 0) for pair in attrs["padding"])
