"""Tracing: the graph under construction, what it captures from outside, and the variables it reads and assigns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.errors import PACKAGE, TracingError
from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import OPS, Op, Spec
from kcore.runtime.promote import promoted, to_array
from kcore.runtime.scope import at_path, current_path
from kcore.runtime.tensor import EagerTensor, KerasTensor, TracedTensor
from kcore.runtime.variable import Variable

_current: ContextVar[Trace | None] = ContextVar("kcore_trace", default=None)


def current_trace() -> Trace | None:
    """The trace that ops append to now, or None."""
    return _current.get()


def in_trace() -> bool:
    """Whether ops are being traced now rather than run."""
    return _current.get() is not None


def _user_line() -> tuple[str, int] | None:
    frame = sys._getframe(2)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return None


class Trace:
    """One graph being built.

    A body trace (of `cond`, `scan`, `while_loop`) has a parent: everything it uses from outside, traced or not,
    becomes a captured input of the body, so that gradients reach it.
    """

    def __init__(self, graph: Graph, parent: Trace | None = None, body: bool = False):
        self.graph = graph
        self.parent = parent
        self.body = body
        #: What the body takes from outside, in order: id -> (outer tensor or variable, inner value).
        self.captures: dict[int, tuple[Any, Value]] = {}
        self.values: dict[Variable, Value] = {}
        #: Every value a variable has been read as, for gradients with respect to it.
        self.reads: dict[Variable, list[Value]] = {}
        self.assigned: dict[Variable, Value] = {}
        #: Variables that were assigned and not read since.
        self._unread: set[Variable] = set()

    @contextmanager
    def active(self) -> Iterator[Trace]:
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    # -- values ------------------------------------------------------------------------------------------------

    def lift(self, x: Any, dtype: str | None = None) -> Value:
        """The value in this graph that stands for a tensor, variable, array or number."""
        if type(x) is TracedTensor:
            if x.trace is self:
                return x.value
            if not self._inside(x.trace):
                raise TracingError(
                    f"a tensor of the traced function {x.trace.graph.name!r} is used in {self.graph.name!r} after its "
                    "trace ended; return it from the function instead of keeping it"
                )
            return self._capture(x, x.value)
        if isinstance(x, Variable):
            return self.read(x)
        if isinstance(x, EagerTensor):
            if self.body:
                return self._capture(x, x)
            return self.graph.constant(x.numpy(), x.dtype)
        if isinstance(x, KerasTensor):
            raise TracingError(f"{x!r} is symbolic and cannot be used while {self.graph.name!r} is traced")
        array, name = to_array(x, dtype)
        return self.graph.constant(array, name)

    def _inside(self, other: Trace) -> bool:
        trace: Trace | None = self
        while trace is not None:
            if trace is other:
                return True
            trace = trace.parent
        return False

    def _capture(self, tensor: Any, like: Any) -> Value:
        key = id(like)
        if key not in self.captures:
            self.captures[key] = (
                tensor,
                self.graph.placeholder(tuple(like.shape), like.dtype, f"captured{len(self.captures)}"),
            )
        return self.captures[key][1]

    def read(self, variable: Variable) -> Value:
        """The variable's content at this point of the program."""
        value = self.values.get(variable)
        if value is None:
            if self.body:
                value = self._capture(variable, variable)
            else:
                value = self.graph.variable(variable)
        elif variable in self._unread:  # a variable's content has no history: no gradient flows through an assignment
            self._unread.discard(variable)
            node = Node(OPS["stop_gradient"], (value,), {}, (Spec(value.shape, value.dtype),), current_path())
            value = self.graph.add(node)[0]
        else:
            return value
        self.values[variable] = value
        self.reads.setdefault(variable, []).append(value)
        return value

    def assign(self, variable: Variable, value: Any) -> None:
        """Let the variable have this value from here on; the step commits the last one."""
        if self.body:
            raise TracingError(
                f"variable {variable.path!r} is assigned inside the body of {self.graph.name!r}; pass it as part of "
                "the loop's state and assign the result after the loop"
            )
        lifted = self.lift(value)
        self.values[variable] = self.assigned[variable] = lifted
        self._unread.add(variable)

    def tensor(self, value: Value) -> TracedTensor:
        return TracedTensor(value, self)

    # -- ops ---------------------------------------------------------------------------------------------------

    def apply(self, op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Append a node and return its outputs as traced tensors."""
        targets = promoted(op, args)
        values: list[Value | None] = []
        for x, target in zip(args, targets, strict=True):
            if x is None:
                values.append(None)
                continue
            value = self.lift(x, target)
            if target is not None and value.dtype != target:
                value = self._cast(value, target)
            values.append(value)
        try:
            specs = op.infer(*[None if v is None else Spec(v.shape, v.dtype) for v in values], **attrs)
        except (ValueError, TypeError) as error:
            path = current_path()
            if path and not getattr(error, "__notes__", None):
                error.add_note(f"in op {op.name!r} of layer {path!r}")
            raise
        node = Node(op, values, attrs, specs, current_path(), _user_line())
        outputs = self.graph.add(node)
        if len(outputs) == 1:
            return TracedTensor(outputs[0], self)
        return tuple([TracedTensor(v, self) for v in outputs])

    def _cast(self, value: Value, dtype: str) -> Value:
        array = value.constant
        if array is not None:
            return self.graph.constant(array.astype(numpy_dtype(dtype)), dtype)
        node = Node(OPS["cast"], (value,), {"dtype": dtype}, (Spec(value.shape, dtype),), current_path())
        return self.graph.add(node)[0]


@contextmanager
def no_trace() -> Iterator[None]:
    """Within this context ops run at once, whatever is being traced."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def trace_body(name: str, fn: Callable[..., Any], specs: Sequence[Spec]) -> tuple[Graph, list[Any], Any]:
    """Trace the body of a control-flow op.

    Returns:
        The body, with inputs `specs` followed by the captured values; the captured tensors; and what `fn` returned,
        with traced tensors in it (`graph.outputs` is still empty).
    """
    trace = Trace(Graph(name), current_trace(), body=True)
    arguments = [trace.tensor(trace.graph.placeholder(tuple(s.shape), s.dtype)) for s in specs]  # type: ignore[arg-type]
    with trace.active():
        result = fn(*arguments)
    captured = [tensor for tensor, _ in trace.captures.values()]
    trace.graph.inputs = [t.value for t in arguments] + [v for _, v in trace.captures.values()]
    return trace.graph, captured, result


def body_value(graph: Graph, x: Any) -> Value:
    """The value of something a body returned; a constant or outer tensor becomes a value of the body."""
    if type(x) is TracedTensor and x.trace.graph is graph:
        return x.value
    raise TracingError(f"the body of {graph.name!r} returned {x!r}, which it did not compute")


def inline(graph: Graph, inputs: Sequence[Any], values: Mapping[Value, Any] | None = None) -> list[Any]:
    """Apply a graph's nodes to tensors, in the current mode; returns its outputs as tensors.

    Args:
        graph: what to apply.
        inputs: one tensor per input.
        values: what some outputs of nodes are known to be.
    """
    known: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))

    def get(value: Value | None) -> Any:
        if value is None:
            return None
        if value not in known:
            array = value.constant
            if array is None:
                raise TracingError(f"{graph.name!r} reads {value!r}, which is not one of its inputs")
            known[value] = OPS["constant"](value=_Frozen(array, value.dtype))
        return known[value]

    for node in graph.nodes:
        with at_path(node.path):
            result = node.op(*map(get, node.inputs), **node.attrs)
        known.update(zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=True))
        if values and node.outputs[0] in values:
            known[node.outputs[0]] = OPS["known_as"](result, values[node.outputs[0]])
    return [get(v) for v in graph.outputs]


class _Frozen:
    """A constant array as an op attribute."""

    def __init__(self, array: np.ndarray, dtype: str):
        self.array = array
        self.dtype = dtype


def decompose(node: Node, inputs: tuple) -> tuple[list[Node], list[Value]]:
    """The nodes of a composite's decomposition applied to values, and the values of its outputs."""
    trace = Trace(Graph(node.op.name))
    tensors = [None if v is None else trace.tensor(v) for v in inputs]
    with trace.active(), at_path(node.path):
        result = node.op.fn(*tensors, **node.attrs)
        results = result if isinstance(result, tuple | list) else (result,)
        values = [trace.lift(r) for r in results]
    for step in trace.graph.nodes:
        step.where = node.where
    return trace.graph.nodes, values
