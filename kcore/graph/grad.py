"""The one reverse pass: gradient rules applied from last node to first, for a traced slice as for a tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from kcore.errors import GradientError
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, GradContext

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def active_values(nodes: Sequence[Node], sources: Sequence[Value]) -> set[Value]:
    """The values among the nodes' outputs that depend on a source through differentiable ops."""
    active = {v for v in sources if v.dtype in FLOATS}
    for node in nodes:
        if node.op.differentiable and any(v in active for v in node.inputs):
            active.update(v for v in node.outputs if v.dtype in FLOATS)
    return active


def backpropagate(
    nodes: Sequence[Node],
    targets: Sequence[Value],
    target_grads: Sequence[Any],
    sources: Sequence[Value],
    lift: Callable[[Value], Any],
    derive: Callable[[GradContext, Sequence[Any]], Sequence[Any]],
    scope: Callable[[str], AbstractContextManager] = lambda path: nullcontext(),
) -> list[Any]:
    """Gradients of the targets with respect to the sources, as tensors (None where there is no path).

    Args:
        nodes: the forward computation, in program order.
        targets: values to differentiate; `target_grads` are their incoming gradients, as tensors.
        sources: values to differentiate with respect to.
        lift: makes a tensor of a value, so that the rules (written in ops) can use it.
        derive: gradient of an op without a rule of its own, through its decomposition.
        scope: context that gives the backward nodes the path of their forward node.
    """
    active = active_values(nodes, sources)
    grads: dict[Value, Any] = {}
    for value, grad in zip(targets, target_grads, strict=True):
        if value in active:
            _accumulate(grads, value, grad)
    for node in reversed(nodes):
        outputs = tuple(grads.get(v) for v in node.outputs)
        if not node.op.differentiable or all(g is None for g in outputs):  # a source may be what stop_gradient gave
            continue
        needs = tuple(v is not None and v in active for v in node.inputs)
        if not any(needs):
            continue
        with scope(node.path):
            for value, grad in _input_grads(node, needs, outputs, lift, derive):
                _accumulate(grads, value, grad)
    return [grads.get(v) for v in sources]


def _input_grads(
    node: Node, needs: tuple[bool, ...], outputs: tuple[Any, ...], lift: Callable[[Value], Any], derive: Callable
) -> Iterator[tuple[Value, Any]]:
    context = GradContext(
        node.op,
        tuple(None if v is None else lift(v) for v in node.inputs),
        tuple(lift(v) for v in node.outputs),
        node.attrs,
        needs,
    )
    if node.op.rule is not None:
        result = node.op.rule(context, *outputs)
    elif not node.op.primitive:
        result = derive(context, outputs)
    else:
        raise GradientError(f"op {node.op.name!r} has no gradient rule ({node.location()})")
    if not isinstance(result, tuple | list):
        result = (result,)
    if len(result) != len(node.inputs):
        raise GradientError(
            f"the gradient rule of {node.op.name!r} returned {len(result)} gradients for {len(node.inputs)} inputs"
        )
    for value, need, grad in zip(node.inputs, needs, result, strict=True):
        if need and grad is not None:
            assert value is not None
            yield value, _fit(grad, value)


def _fit(grad: Any, value: Value) -> Any:
    """Undo broadcasting and promotion: the gradient gets its input's shape and dtype."""
    if tuple(grad.shape) != value.shape:
        grad = OPS["sum_to"](grad, shape=value.shape)
    if grad.dtype != value.dtype:
        grad = OPS["cast"](grad, dtype=value.dtype)
    return grad


def _accumulate(grads: dict[Value, Any], value: Value, grad: Any) -> None:
    old = grads.get(value)
    grads[value] = grad if old is None else OPS["add"](old, grad)
