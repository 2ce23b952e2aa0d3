"""A product with elementwise work behind it, taken apart: a library does the product, one generated kernel the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kcore.backend import control
from kcore.backend.kernel import Site
from kcore.codegen import Source
from kcore.graph.core import Node, Value
from kcore.graph.fuse import FUSED, join_nodes
from kcore.graph.fuse_product import FUSED_PRODUCT, epilogue_operands
from kcore.graph.op import OPS, Spec
from kcore.graph.plan import aligned
from kcore.kernels.table import home
from kcore_cuda.launch import Submission
from kcore_cuda.place import Place, place_of

#: Of kernels that call a library: above the generated ones, below what a plugin may want to put over both.
PRIORITY = 10


class Steps(Submission):
    """Submissions one after the other: calls of libraries, and generated kernels between them.

    Args:
        site: where they stand.
        parts: the submissions, in order.
    """

    __slots__ = ("parts",)

    def __init__(self, site: Site, parts: Sequence[Submission]):
        super().__init__(place_of(site.device), site.node)
        self.parts = tuple(parts)

    @property
    def sources(self) -> list[Source]:
        """Those of all parts."""
        return [source for part in self.parts for source in part.sources]

    def prepare(self) -> None:
        """Prepare each."""
        for part in self.parts:
            part.prepare()

    def submit(self) -> None:
        """Submit each."""
        for part in self.parts:
            part.submit()


@dataclass(frozen=True, eq=False)
class Split:
    """The parts of a node.

    Attributes:
        head: the product.
        operands: for each operand of the product, its index among the node's inputs (None for an absent one).
        rest: the elementwise work behind it as one fused node, whose first input is the product; None if there is none.
        reads: for each further input of `rest`, its index among the node's inputs.
        writes: for each output of `rest`, its index among the node's outputs.
        product: which output of the node is the product itself, or None.
        target: which output the product is written to before the rest is done, or None: to scratch memory.
    """

    head: Node
    operands: tuple[int | None, ...]
    rest: Node | None = None
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    product: int | None = 0
    target: int | None = 0

    @property
    def scratch_bytes(self) -> int:
        """Bytes that the product lies in until the rest is done."""
        return aligned(self.head.outputs[0].nbytes) if self.target is None else 0


def split(node: Node) -> Split:
    """Take a product node apart; a plain product has no rest."""
    if node.op is not FUSED_PRODUCT:
        return Split(node, tuple(None if v is None else i for i, v in enumerate(node.inputs)))
    body = node.attrs["body"]
    head, *after = body.nodes
    total = head.outputs[0]
    place = {v: i for i, v in enumerate(body.inputs)}
    others = [i for i, v in enumerate(body.outputs) if v is not total]
    joined = join_nodes(FUSED, after, [body.outputs[i] for i in others], head)
    order = [total, *(v for v in joined.inputs if v is not total)]
    inner = joined.attrs["body"]
    inner.inputs = [inner.inputs[joined.inputs.index(v)] for v in order]
    specs = [v.spec for v in joined.outputs]
    attrs = {"body": inner, "segments": 1, "shared": 0}
    rest = Node(FUSED, order, attrs, specs, after[-1].path, after[-1].where, node.device)
    whole = next((i for i, v in enumerate(body.outputs) if v is total), None)
    return Split(
        head,
        tuple(None if v is None else place[v] for v in head.inputs),
        rest,
        tuple(place[v] for v in order[1:]),
        tuple(others),
        whole,
        _target(node, total, whole),
    )


def _target(node: Node, total: Value, whole: int | None) -> int | None:
    """An output of the product's size and dtype that lies over no operand which is still to be read, if any does."""
    still_read = [node.inputs[i] for i in epilogue_operands(node)]
    if any(v is not None and v.spec == total.spec for v in still_read):
        return None  # the plan may have put any output of that kind over it
    if whole is not None:
        return whole
    return next((i for i, v in enumerate(node.outputs) if v.spec == total.spec), None)


def planned_place() -> Place | None:
    """The GPU that a plan is being made for; None where somebody only asks what there is."""
    device = control.place()[1]
    return place_of(device) if device.backend == "cuda" else None


def multiplies(dtype: str) -> bool:
    """Whether the GPU that is planned for has products of a dtype: bfloat16 came with Ampere."""
    place = planned_place()
    return dtype != "bfloat16" or place is None or place.gpu.capability >= (8, 0)


def part(site: Site, offset: int, shape: tuple[int, ...], dtype: str) -> Any:
    """An array within the site's scratch memory."""
    backend, storage, base = site.memory
    return backend.view(storage, base + offset, shape, dtype)


def target_of(site: Site, parts: Split) -> Any:
    """The array that the product is written to."""
    total = parts.head.outputs[0]
    return part(site, 0, total.shape, total.dtype) if parts.target is None else site.outputs[parts.target]


def rest_of(site: Site, parts: Split) -> list[Submission]:
    """What is to be done once the product lies in its target."""
    if parts.rest is None:
        return []
    target = target_of(site, parts)
    inputs = [target, *(site.inputs[i] for i in parts.reads)]
    thunks = [run(site, parts.rest, inputs, [site.outputs[i] for i in parts.writes])]
    if parts.product is not None and parts.product != parts.target:
        total = parts.head.outputs[0]
        thunks.append(run(site, Node(OPS["copy"], [total], {}, [total.spec]), [target], [site.outputs[parts.product]]))
    return thunks


def run(site: Site, node: Node, inputs: Sequence[Any], outputs: Sequence[Any]) -> Submission:
    """Another node's kernel, bound to arrays; for nodes whose kernels need no scratch memory."""
    kernel = home(site).kernels.find(node)
    assert kernel is not None and kernel.scratch is None, node
    bound = kernel.bind(Site(node, tuple(inputs), tuple(outputs), None, site.device))
    assert isinstance(bound, Submission), bound
    return bound


def transposed(value: Value, axes: Sequence[int]) -> Node:
    """The node that moves the axes of a value."""
    shape = tuple(value.shape[a] for a in axes)
    return Node(OPS["transpose"], [value], {"axes": tuple(axes)}, [Spec(shape, value.dtype)])
