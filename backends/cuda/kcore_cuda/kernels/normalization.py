"""Batch normalization in training on cuDNN, where that is expected to move fewer bytes than the generated kernels do.

A composite of its own stands in a graph for what cuDNN does: 16-bit images in and out with float32 statistics, where
kcore's ops write a cast, the op in float32 and a cast back. It is put there before composites without a kernel are
decomposed, and decomposes into just these where cuDNN has no plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import OPS, Op, Spec
from kcore.graph.passes import remove_dead
from kcore.graph.plan import aligned
from kcore_cuda import settings
from kcore_cuda.kernels.convolution import options
from kcore_cuda.kernels.splitting import PRIORITY, part, planned_place
from kcore_cuda.launch import Call
from kcore_cuda.libraries import cudnn, libraries_of
from kcore_cuda.libraries.normalization import BatchNorm, batch_norm_of, takes
from kcore_cuda.place import place_of

#: Ops whose kernels are joined with no elementwise work behind or before them that could be a normalization's.
HEAVY = frozenset({"convolution", "contraction", "pooling"})
#: How often the image goes through memory. Generated: mean, variance and result read it, and the result is written; its
#: gradient is two passes over image and slope and one result. cuDNN's forward has one pass for both statistics.
GENERATED = {"batch_norm_train": 4, "batch_norm_grad": 5}
CUDNN = {"batch_norm_train": 3, "batch_norm_grad": 5}
#: ... and what elementwise work beside it costs more where it cannot be joined: read and written once again.
APART = 2


def _forward(x: Any, gamma: Any, beta: Any, *, epsilon: float) -> tuple[Any, ...]:
    """Batch normalization in float32 of an image of any float dtype: result, mean, 1 / deviation."""
    wide = OPS["cast"](x, dtype="float32")
    y, mean, _, rstd = OPS["batch_norm_train"](wide, gamma, beta, epsilon=epsilon)
    return OPS["cast"](y, dtype=str(x.dtype)), mean, rstd


def _backward(x: Any, gamma: Any, mean: Any, rstd: Any, slope: Any) -> tuple[Any, ...]:
    """Its gradients for image, gamma and beta."""
    wide, wide_slope = (OPS["cast"](a, dtype="float32") for a in (x, slope))
    dx, dgamma, dbeta = OPS["batch_norm_grad"](wide, gamma, mean, rstd, wide_slope)
    return OPS["cast"](dx, dtype=str(x.dtype)), dgamma, dbeta


#: They are in no registry: nobody but the pass below makes them.
FORWARD = Op("cudnn_batch_norm", _forward, primitive=False, family="normalization")
BACKWARD = Op("cudnn_batch_norm_grad", _backward, primitive=False, family="normalization")


# -- where it is put ---------------------------------------------------------------------------------------------------


def substitute(graph: Graph) -> None:
    """Put cuDNN's batch normalization into a graph, in place, where it is allowed and expected to win."""
    wanted = settings.batch_norm()
    if wanted is False or not cudnn.available():
        return
    found = [n for n in graph.nodes if n.op.name in GENERATED]
    if found:
        _Sweep(graph, wanted is True).run(found)


def expected(op: str, beside: int) -> tuple[int, int]:
    """How often the image goes through memory on generated kernels and on cuDNN.

    Args:
        op: ``"batch_norm_train"`` or ``"batch_norm_grad"``.
        beside: pieces of elementwise work before and behind it that generated kernels would join.
    """
    return GENERATED[op], CUDNN[op] + APART * beside


class _Sweep:
    """One pass over a graph.

    Args:
        graph: the graph.
        always: whether cuDNN is taken wherever it can be, whatever is expected.
    """

    def __init__(self, graph: Graph, always: bool):
        self.graph = graph
        self.always = always
        self.readers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in node.sources:
                self.readers.setdefault(value, []).append(node)
        self.results = set(graph.results)
        self.now: dict[Value, Value] = {}

    def run(self, found: Sequence[Node]) -> None:
        """Replace what can and should be replaced."""
        made = {node: new for node in found if (new := self._replaced(node))}
        if not made:
            return
        nodes: list[Node] = []
        for node in self.graph.nodes:
            nodes += made.get(node, [node])
        for node in nodes:
            node.inputs = tuple(None if v is None else self.now.get(v, v) for v in node.inputs)
        self.graph.nodes = nodes
        self.graph.outputs = [self.now.get(v, v) for v in self.graph.outputs]
        self.graph.updates = {k: self.now.get(v, v) for k, v in self.graph.updates.items()}
        remove_dead(self.graph)

    def _replaced(self, node: Node) -> list[Node]:
        """The nodes in place of one; none if it stays."""
        image = node.inputs[0]
        assert image is not None
        images = [image] if node.op.name == "batch_norm_train" else [image, node.inputs[4]]
        vectors = [v for v in node.inputs if v not in images]
        narrow = [_before_cast(v) for v in images]
        dtype = narrow[0].dtype
        result, casts = self._narrowed(node.outputs[0], dtype)
        if not (
            takes(image.shape, dtype)
            and {v.dtype for v in narrow} == {dtype}
            and all(v is not None and v.dtype == "float32" for v in vectors)
            and (casts or dtype == node.outputs[0].dtype)
        ):
            return []
        if not self.always:
            beside = sum(not self._heavy_makes(v) for v in narrow) + (not all(map(self._heavy_reads, result)))
            generated, library = expected(node.op.name, beside)
            if library >= generated:
                return []
        own = self._own(node, dict(zip(images, narrow, strict=True)), dtype)
        return self._made(node, own, result) if supports(own) else []

    def _narrowed(self, value: Value, dtype: str) -> tuple[list[Value], bool]:
        """What is read in place of a float32 result: its casts back, if it has no other readers; or itself."""
        readers = self.readers.get(value, [])
        casts = [n.outputs[0] for n in readers if n.op.name == "cast" and n.outputs[0].dtype == dtype]
        if dtype != value.dtype and len(casts) == len(readers) > 0 and value not in self.results:
            return casts, True
        return [value], False

    def _heavy_makes(self, value: Value) -> bool:
        return value.node is None or value.node.op.family in HEAVY

    def _heavy_reads(self, value: Value) -> bool:
        return all(n.op.family in HEAVY for n in self.readers.get(value, []))

    def _own(self, node: Node, narrow: dict[Any, Value], dtype: str) -> Node:
        """The node that cuDNN computes."""
        forward = node.op.name == "batch_norm_train"
        specs = [Spec(node.outputs[0].shape, dtype), *(v.spec for v in node.outputs[1:])]
        if forward:
            del specs[2]  # the variance
        inputs = [narrow.get(v, v) for v in node.inputs]
        return Node(FORWARD if forward else BACKWARD, inputs, node.attrs, specs, node.path, node.where, node.device)

    def _made(self, node: Node, own: Node, result: Sequence[Value]) -> list[Node]:
        """All nodes in place of one; what takes the place of its outputs stands in `now` then."""
        self.now.update(dict.fromkeys(result, own.outputs[0]))
        if own.op is BACKWARD:
            self.now.update(zip(node.outputs[1:], own.outputs[1:], strict=True))
            return [own]
        _, mean, variance, rstd = node.outputs
        self.now.update({mean: own.outputs[1], rstd: own.outputs[2]})
        nodes = [own, *self._variance(own, float(node.attrs["epsilon"]))]
        self.now[variance] = nodes[-1].outputs[0]
        return nodes

    def _variance(self, own: Node, epsilon: float) -> list[Node]:
        """``max(1 / rstd ** 2 - epsilon, 0)``: cuDNN gives the variance itself only with Bessel's correction."""
        rstd = own.outputs[2]
        one, less, zero = (self.graph.constant(np.array(c, "float32"), "float32") for c in (1.0, epsilon, 0.0))
        nodes: list[Node] = []

        def add(op: str, *inputs: Value) -> Value:
            nodes.append(Node(OPS[op], inputs, {}, [rstd.spec], own.path, own.where, own.device))
            return nodes[-1].outputs[0]

        add("maximum", add("subtract", add("divide", one, add("multiply", rstd, rstd)), less), zero)
        return nodes


def _before_cast(value: Value | None) -> Value:
    """What a value was before it became float32, if a cast made it so."""
    assert value is not None
    node = value.node
    if node is not None and node.op.name == "cast" and value.dtype == "float32":
        source = node.inputs[0]
        if source is not None and source.dtype in ("float16", "bfloat16"):
            return source
    return value


# -- the calls ---------------------------------------------------------------------------------------------------------


def _description(node: Node) -> BatchNorm:
    image = node.inputs[0]
    assert image is not None
    return batch_norm_of(image.shape, image.dtype, node.op is BACKWARD)


def _plan(node: Node) -> Any:
    place = planned_place()
    return None if place is None else libraries_of(place).cudnn.plan(_description(node), options())


def supports(node: Node) -> bool:
    """Whether cuDNN has a plan for it on the device that is planned for."""
    return cudnn.available() and _plan(node) is not None


def _spare(node: Node) -> int:
    """Bytes of one result that nobody reads."""
    return aligned(max(v.nbytes for v in node.outputs[1:]))


def _scratch(node: Node) -> int:
    """Room for an image and, one behind the other, vectors nobody reads; the workspace lies behind them."""
    return aligned(node.outputs[0].nbytes) + 4 * _spare(node) + _plan(node).get_workspace_size()


def _bind(site: Site) -> Thunk:
    """The plan with the site's arrays; what nobody reads goes to scratch memory."""
    place, node = place_of(site.device), site.node
    library = libraries_of(place).cudnn
    graph = library.plan(_description(node), options())
    assert graph is not None
    behind = aligned(node.outputs[0].nbytes)

    def spare(number: int) -> Any:
        value = node.outputs[min(number, len(node.outputs) - 1)]
        return part(site, behind + (number - 1) * _spare(node) if number else 0, value.shape, value.dtype)

    made = [spare(i) if array is None else array for i, array in enumerate(site.outputs)]
    given = [array.ptr for array in site.inputs]
    numbers = np.empty(0, "float32")
    if node.op is FORWARD:
        # the running statistics so far count for nothing, with a momentum of 1; the next ones are for nobody
        numbers = np.array([node.attrs["epsilon"], 1.0], "float32")
        at = numbers.ctypes.data
        given += [at, at + 4, given[1], given[2]]
        made += [spare(3), spare(4)]
    workspace = part(site, behind + 4 * _spare(node), (graph.get_workspace_size(),), "uint8")
    call = library.call(graph, [*given, *(array.ptr for array in made)], workspace.ptr)
    return Call(place, call, node, keeps=[graph, numbers])


for _op in (FORWARD, BACKWARD):
    kernel(_op.name, backend="cuda", supports=supports, scratch=_scratch, priority=PRIORITY)(_bind)
