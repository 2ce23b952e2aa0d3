"""GradientTape: the ops that ran, recorded into a graph with values attached; inside a trace, a slice of its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kcore.errors import GradientError
from kcore.graph.core import Node, Value
from kcore.graph.grad import backpropagate
from kcore.graph.op import OPS, GradContext, Op
from kcore.runtime.scope import at_path, current_path
from kcore.runtime.tensor import EagerTensor, TracedTensor
from kcore.runtime.trace import current_trace
from kcore.runtime.variable import Variable

_tapes: ContextVar[tuple[GradientTape, ...]] = ContextVar("kcore_tapes", default=())


def recording() -> bool:
    """Whether an eager op must be recorded."""
    return bool(_tapes.get())


def record(op: Op, inputs: Sequence[Any], attrs: dict[str, Any], outputs: Sequence[EagerTensor]) -> None:
    """Add an op that has run to every active tape that follows one of its inputs."""
    for tape in _tapes.get():
        tape._record(op, inputs, attrs, outputs)


def watchable(tensors: list[Any]) -> list[Any]:
    """Replace variables by snapshots the innermost tape keeps, so that a later assign does not change the past."""
    tapes = _tapes.get()
    return [tapes[0]._snapshot(x, tapes) if isinstance(x, Variable) else x for x in tensors]


def forget(variable: Variable) -> None:
    """A variable is about to be assigned: later reads are another value."""
    for tape in _tapes.get():
        tape._snapshots.pop(variable, None)


@contextmanager
def paused() -> Iterator[None]:
    """Within this context nothing is recorded."""
    token = _tapes.set(())
    try:
        yield
    finally:
        _tapes.reset(token)


class GradientTape:
    """Records what is computed within the context, to differentiate it; works eagerly and while tracing.

    Variables are watched by themselves; other tensors after `watch`. Nested tapes give higher orders.

    Args:
        persistent: whether `gradient` may be called more than once.

    Example:
        >>> x = Variable(3.0)
        >>> with GradientTape() as tape:
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self.persistent = persistent
        self.watch_variables = watch_accessed_variables
        self._trace: Any = None
        self._start = 0
        self._stop: int | None = None
        self._nodes: list[Node] = []
        self._values: dict[int, Value] = {}
        self._tensors: dict[Value, EagerTensor] = {}
        self._snapshots: dict[Variable, EagerTensor] = {}
        self._variables: dict[Variable, list[Value]] = {}
        self._token: Any = None
        self._used = False

    def __enter__(self) -> GradientTape:
        self._trace = current_trace()
        if self._trace is not None:
            self._start = len(self._trace.graph.nodes)
            self._stop = None
        else:
            self._token = _tapes.set((*_tapes.get(), self))
        return self

    def __exit__(self, *exc: object) -> None:
        if self._trace is not None:
            self._stop = len(self._trace.graph.nodes)
        elif self._token is not None:
            _tapes.reset(self._token)
            self._token = None

    def watch(self, tensor: Any) -> None:
        """Follow a tensor (or each of a list of tensors) that is not a variable."""
        for x in tensor if isinstance(tensor, list | tuple) else [tensor]:
            if isinstance(x, EagerTensor):
                self._value(x)

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: Any = None
    ) -> Any:
        """Gradient of the sum of `target` with respect to each source, in the structure of `sources`.

        Args:
            target: a tensor, or a list of them.
            sources: a tensor or Variable, or a list or dict of them.
            output_gradients: incoming gradients of the targets; ones if not given.
            unconnected_gradients: ``"zero"`` for zeros instead of None where the target does not depend on a source.
        """
        if self._used and not self.persistent:
            raise GradientError(
                "this GradientTape was used already; make it with persistent=True to call gradient() again"
            )
        self._used = True
        targets = list(target) if isinstance(target, list | tuple) else [target]
        seeds = (
            list(output_gradients) if isinstance(output_gradients, list | tuple) else [output_gradients] * len(targets)
        )
        names: Any = None
        if isinstance(sources, dict):
            names, flat = list(sources), list(sources.values())
        else:
            flat = list(sources) if isinstance(sources, list | tuple) else [sources]
        seeds = [OPS["ones_like"](t) if s is None else s for t, s in zip(targets, seeds, strict=True)]
        if self._token is not None:  # called inside the context: what follows is not recorded by this tape
            _tapes.set(tuple(t for t in _tapes.get() if t is not self))
            try:
                grads = self._gradient(targets, seeds, flat)
            finally:
                _tapes.set((*_tapes.get(), self))
        else:
            grads = self._gradient(targets, seeds, flat)
        if unconnected_gradients == "zero":
            grads = [OPS["zeros_like"](s) if g is None else g for g, s in zip(grads, flat, strict=True)]
        if names is not None:
            return dict(zip(names, grads, strict=True))
        return grads if isinstance(sources, list | tuple) else grads[0]

    # -- the two modes ---------------------------------------------------------------------------------------------

    def _gradient(self, targets: list[Any], seeds: list[Any], sources: list[Any]) -> list[Any]:
        if self._trace is not None:
            trace = self._trace
            nodes = trace.graph.nodes[self._start : self._stop]
            values = [trace.lift(t) for t in targets]
            read = [trace.reads.get(s, []) if isinstance(s, Variable) else [trace.lift(s)] for s in sources]
            return _reverse(nodes, values, seeds, read, trace.tensor)
        values = [self._values.get(id(t)) or Value(tuple(t.shape), t.dtype) for t in targets]
        read = []
        for s in sources:
            if isinstance(s, Variable):
                read.append(self._variables.get(s, []))
            else:
                value = self._values.get(id(s))
                read.append([] if value is None else [value])
        return _reverse(self._nodes, values, seeds, read, self._tensors.__getitem__)

    def _value(self, tensor: EagerTensor) -> Value:
        value = self._values.get(id(tensor))
        if value is None:
            value = self._values[id(tensor)] = Value(tensor.shape, tensor.dtype)
            self._tensors[value] = tensor  # keeps it alive, so that its id stays its own
        return value

    def _snapshot(self, variable: Variable, tapes: tuple[GradientTape, ...]) -> EagerTensor:
        tensor = self._snapshots.get(variable)
        if tensor is None:
            tensor = variable.snapshot()
        for tape in tapes:
            if variable not in tape._snapshots:
                tape._snapshots[variable] = tensor
                if tape.watch_variables:
                    tape._variables.setdefault(variable, []).append(tape._value(tensor))
        return tensor

    def _record(self, op: Op, inputs: Sequence[Any], attrs: dict[str, Any], outputs: Sequence[EagerTensor]) -> None:
        if not any(id(x) in self._values for x in inputs if type(x) is EagerTensor):
            return
        values: list[Value | None] = []
        for x in inputs:
            if x is None:
                values.append(None)
            elif type(x) is EagerTensor:
                values.append(self._value(x))
            else:
                values.append(self._value(_as_tensor(x)))
        node = Node(op, values, attrs, [t.spec for t in outputs], current_path())
        for tensor, value in zip(outputs, node.outputs, strict=True):
            self._values[id(tensor)] = value
            self._tensors[value] = tensor
        self._nodes.append(node)


def _as_tensor(x: Any) -> EagerTensor:
    from kcore.runtime.apply import convert_to_tensor

    return convert_to_tensor(x)


def _reverse(
    nodes: Sequence[Node], targets: list[Value], seeds: list[Any], read: list[list[Value]], lift: Callable
) -> list[Any]:
    """Gradient for each source, summed over the values it was read as."""
    flat = list(dict.fromkeys(v for values in read for v in values))
    grads = dict(zip(flat, backpropagate(nodes, targets, seeds, flat, lift, derive, at_path), strict=True))
    result = []
    for values in read:
        parts = [grads[v] for v in values if grads[v] is not None]
        total = parts[0] if parts else None
        for part in parts[1:]:
            total = OPS["add"](total, part)
        result.append(total)
    return result


def derive(context: GradContext, output_grads: Sequence[Any]) -> list[Any]:
    """Gradient of a composite through its decomposition."""
    return vjp(lambda *inputs: context.op.fn(*inputs, **context.attrs), context.inputs, output_grads)


def vjp(fn: Callable[..., Any], inputs: Sequence[Any], output_grads: Sequence[Any]) -> list[Any]:
    """Vector-Jacobian product of `fn` at `inputs`: its outputs' gradients pulled back to the inputs."""
    fresh = [None if x is None else OPS["identity"](x) for x in inputs]
    with GradientTape() as tape:
        tape.watch([x for x in fresh if x is not None])
        result = fn(*fresh)
    results = result if isinstance(result, tuple | list) else (result,)
    pairs = [(r, g) for r, g in zip(results, output_grads, strict=True) if g is not None]
    if not pairs:
        return [None] * len(fresh)
    sources = [x for x in fresh if x is not None]
    grads = iter(tape.gradient([r for r, _ in pairs], sources, [g for _, g in pairs]))
    return [None if x is None else next(grads) for x in fresh]


def grad(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of a function of one tensor with a scalar result, as a function; ``grad(grad(f))`` works.

    Example:
        >>> float(grad(lambda x: x * x * x)(2.0))
        12.0
    """

    def gradient(x: Any, *args: Any) -> Any:
        from kcore.runtime.apply import convert_to_tensor

        x = OPS["identity"](convert_to_tensor(x))
        with GradientTape() as tape:
            tape.watch(x)
            y = fn(x, *args)
        return tape.gradient(y, x)

    return gradient


__all__ = ["GradientTape", "TracedTensor", "derive", "grad", "vjp"]
