"""From output tensors back to the inputs: the layer calls of a functional model, checked and put in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kcore.graph.op import Op
from kcore.layers import InputLayer
from kcore.layers.calling import _context
from kcore.runtime import KerasTensor
from kcore.runtime.symbolic import Step
from kcore.tree import flatten, is_nested


class OpCall:
    """An op or function of `kcore.ops` that was applied to symbolic tensors directly, as a step of a model.

    Attributes:
        op: the op, or the function as a `Step`; both have a name.
        name: unique in its model.
    """

    built = True

    def __init__(self, op: Op | Step, name: str):
        self.op = op
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.op(*args, **kwargs)

    def count_params(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"<op {self.name}>"


class Call:
    """One call of a layer or op in a model.

    Attributes:
        operation: the layer, or an `OpCall`.
        args, kwargs: with symbolic tensors in them; empty for an input.
        inputs, outputs: the symbolic tensors among arguments and results.
        masks: those that the inputs carry and the call took.
        index: which call of its operation it is, in this model.
    """

    def __init__(self, operation: Any, args: tuple, kwargs: dict[str, Any], outputs: Any, masks: tuple = ()):
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.inputs = symbolic_tensors((args, kwargs))
        self.outputs = symbolic_tensors(outputs)
        self.masks = symbolic_tensors(masks)
        self.structure = outputs
        self.index = 0

    @property
    def is_input(self) -> bool:
        return isinstance(self.operation, InputLayer)

    def run(self, values: dict[int, Any], **extra: Any) -> None:
        """Call the operation with the values of its inputs, and keep those of its outputs."""
        result = self.operation(*_fill(self.args, values), **{**_fill(self.kwargs, values), **extra})
        for tensor, value in zip(self.outputs, flatten(result), strict=True):
            values[id(tensor)] = value


@contextmanager
def outside_calls() -> Iterator[None]:
    """Within this context layer calls are recorded for a new model, even while another layer is being called."""
    token = _context.set(None)
    try:
        yield
    finally:
        _context.reset(token)


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """The inputs that a symbolic tensor is computed from, in the order in which its calls take them.

    Example:
        >>> import kcore
        >>> a, b = kcore.Input((2,), name="a"), kcore.Input((2,), name="b")
        >>> [x.name for x in get_source_inputs(kcore.layers.Add()([kcore.layers.Dense(2)(a), b]))]
        ['a', 'b']

    Source: `keras.utils.get_source_inputs`.
    """
    found: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        current = waiting.pop()
        record = current.record
        if record is None or isinstance(record.operation, InputLayer):
            found.setdefault(id(current), current)
        elif id(record) not in seen:
            seen.add(id(record))
            waiting += reversed(symbolic_tensors((record.args, record.kwargs)))
    return list(found.values())


def symbolic_tensors(structure: Any) -> list[KerasTensor]:
    """The symbolic tensors in a structure of arguments."""
    return [leaf for leaf in flatten(structure) if isinstance(leaf, KerasTensor)]


def _fill(structure: Any, values: dict[int, Any]) -> Any:
    if isinstance(structure, KerasTensor):
        return values[id(structure)]
    if not is_nested(structure):
        return structure
    if isinstance(structure, dict):
        return {key: _fill(value, values) for key, value in structure.items()}
    filled = [_fill(value, values) for value in structure]
    return filled if isinstance(structure, list) else tuple(filled)


class CallGraph:
    """The calls between a model's inputs and outputs.

    The order is Keras's: by the longest way to an output, then by when a walk back from the outputs meets them; files
    of weights depend on it. A way may lead through the ops that make a mask, though they are no calls of the model.

    Args:
        inputs, outputs: symbolic tensors.
        model: the model's name, for errors.

    Attributes:
        calls: all calls, each after those it needs.
        operations: layers and ops, each once.
        by_depth: the calls by depth, deepest first.

    Raises:
        ValueError: a cycle, an output that the inputs do not reach, or two layers of one name.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], model: str):
        self._model = model
        self._inputs = {id(t): t for t in inputs}
        self._calls: dict[int, Call] = {}  # by id of the record, or of the input tensor
        self._op_names: dict[str, int] = {}
        self._input_layers: dict[int, InputLayer] = {}
        order = self._walk(outputs)
        for operation in (call.operation for call in order if isinstance(call.operation, OpCall)):
            operation.name = self._op_name(operation.op.name)
        seen = {operation: i for i, operation in reversed(list(enumerate(c.operation for c in self._met)))}
        for tensor in inputs:  # an input that reaches no output may still be used by a loss
            call = self._call_of(tensor)
            if call.operation not in seen:
                seen[call.operation] = -1
                order.append(call)
        depths = _depths(order)
        self.by_depth = _grouped(depths, order)
        self.calls = [call for group in self.by_depth for call in group]
        operations: dict[Any, int] = {}
        for call in order:
            operations[call.operation] = max(depths[call], operations.get(call.operation, 0))
        self.operations = sorted(operations, key=lambda o: (-operations[o], seen[o]))
        self._number()
        self._check(inputs)

    def producer(self, tensor: KerasTensor) -> tuple[Call, int]:
        """The call that made a tensor, and which of its outputs it is."""
        return self._produced[id(tensor)]

    def input_layer(self, tensor: KerasTensor) -> InputLayer:
        """The `InputLayer` of an input; an inner tensor used as an input gets one of its own."""
        record = tensor.record
        if record is not None and isinstance(record.operation, InputLayer):
            return record.operation
        layer = self._input_layers.get(id(tensor))
        if layer is None:
            layer = self._input_layers[id(tensor)] = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype)
        return layer

    def calls_of(self, operation: Any) -> list[Call]:
        """The calls of one layer or op, in order."""
        return [call for call in self._in_order if call.operation is operation]

    # -- walking back ------------------------------------------------------------------------------------------------

    def _call_of(self, tensor: KerasTensor) -> Call:
        record = tensor.record
        is_input = id(tensor) in self._inputs
        key = id(tensor) if is_input or record is None else id(record)
        call = self._calls.get(key)
        if call is None:
            if record is not None and (not is_input or isinstance(record.operation, InputLayer)):
                operation = record.operation
                if isinstance(operation, Op | Step):
                    operation = OpCall(operation, operation.name)
                call = Call(operation, record.args, record.kwargs, record.outputs, record.masks)
            else:
                call = Call(self.input_layer(tensor), (), {}, tensor)
            self._calls[key] = call
        return call

    def _op_name(self, name: str) -> str:
        count = self._op_names.get(name, 0)
        self._op_names[name] = count + 1
        return f"{name}_{count}" if count else name

    def _walk(self, outputs: Sequence[KerasTensor]) -> list[Call]:
        """Depth first from the outputs, without recursion; a call comes after those it needs."""
        order: list[Call] = []
        self._met: list[Call] = []
        finished: set[Call] = set()
        for output in outputs:
            path: dict[Call, Iterator[KerasTensor]] = {}
            pending: list[KerasTensor] = [output]
            while pending or path:
                if pending:
                    tensor = pending.pop()
                    call = self._call_of(tensor)
                    if call in finished:
                        continue
                    if call in path:
                        cycle = " -> ".join(c.operation.name for c in [*list(path)[list(path).index(call) :], call])
                        raise ValueError(f"model {self._model!r} has a cycle: {cycle}")
                    if call.is_input and id(tensor) not in self._inputs:
                        self._disconnected(tensor, path)
                    self._met.append(call)
                    path[call] = iter(() if call.is_input else call.inputs)
                call, rest = next(reversed(path.items()))
                following = next(rest, None)
                if following is not None:
                    pending.append(following)
                else:
                    del path[call]
                    finished.add(call)
                    order.append(call)
        return order

    def _disconnected(self, tensor: KerasTensor, path: dict[Call, Any]) -> None:
        names = [self.input_layer(t).name for t in self._inputs.values()]
        needs = f", which {next(reversed(path)).operation.name!r} needs" if path else ""
        raise ValueError(
            f"model {self._model!r} is disconnected: the tensor of input {self.input_layer(tensor).name!r} "
            f"(shape {tensor.shape}){needs}, cannot be computed from the model's inputs {names}"
        )

    # -- checks and numbers ------------------------------------------------------------------------------------------

    def _number(self) -> None:
        self._in_order = sorted(self.calls, key=_creation)
        counts: dict[int, int] = {}
        for call in self._in_order:
            call.index = counts.get(id(call.operation), 0)
            counts[id(call.operation)] = call.index + 1
        self._produced = {id(t): (call, i) for call in self.calls for i, t in enumerate(call.outputs)}

    def _check(self, inputs: Sequence[KerasTensor]) -> None:
        names: dict[str, Any] = {}
        for operation in self.operations:
            other = names.setdefault(operation.name, operation)
            if other is operation:
                continue
            if isinstance(operation, OpCall):
                operation.name = _free(operation.name, names)
            elif isinstance(other, OpCall):
                other.name = _free(other.name, names)
                names[other.name] = other
            else:
                raise ValueError(
                    f"model {self._model!r} has two layers called {operation.name!r} ({type(other).__name__} and "
                    f"{type(operation).__name__}); names must be unique in a model: pass name=... to one of them"
                )
            names[operation.name] = operation


def _free(name: str, taken: dict[str, Any]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _creation(call: Call) -> int:
    """Where a call stands among the calls of its layer."""
    records = getattr(call.operation, "_records", ())
    return next((i for i, record in enumerate(records) if record.outputs is call.structure), 0)


def _depths(order: Sequence[Call]) -> dict[Call, int]:
    """Distance of each call to the outputs: the longest way; all calls of a shared layer count as the deepest."""
    depths: dict[Call, int] = {}
    of_operation: dict[Any, int] = {}
    producer = {id(t): call for call in order for t in call.outputs}
    steps = _with_masks(order, producer)
    for call in reversed(steps):
        depth = max(depths.setdefault(call, 0), of_operation.get(call.operation, 0))
        depths[call] = of_operation[call.operation] = depth
        for tensor in () if call.is_input else (*call.inputs, *call.masks):
            before = producer.get(id(tensor))
            if before is not None:  # a mask may come from outside of the model
                depths[before] = max(depth + 1, depths.get(before, 0))
    known = set(order)
    return {call: depth for call, depth in depths.items() if call in known}


def _with_masks(order: Sequence[Call], producer: dict[int, Call]) -> list[Call]:
    """The calls, and before each the ops that make the masks it takes, which join the producers."""
    steps: list[Call] = []
    for call in order:
        waiting = [] if call.is_input else call.masks[::-1]
        while waiting:
            record = waiting[-1].record
            if id(waiting[-1]) in producer or record is None or not isinstance(record.operation, Op | Step):
                waiting.pop()
                continue
            before = [t for t in symbolic_tensors((record.args, record.kwargs)) if id(t) not in producer]
            before = [t for t in before if t.record is not None and isinstance(t.record.operation, Op | Step)]
            if before:
                waiting += before[::-1]
                continue
            step = Call(OpCall(record.operation, record.operation.name), record.args, record.kwargs, record.outputs)
            producer.update((id(t), step) for t in (*step.outputs, waiting.pop()))
            steps.append(step)
        steps.append(call)
    return steps


def _grouped(depths: dict[Call, int], order: Sequence[Call]) -> list[list[Call]]:
    groups: dict[int, list[Call]] = {}
    for call, depth in depths.items():
        groups.setdefault(depth, []).append(call)
    return [groups[depth] for depth in sorted(groups, reverse=True)]
