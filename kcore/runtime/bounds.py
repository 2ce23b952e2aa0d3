"""Integers that must lie in a range, such as labels and indices: which inputs hold them, and the check on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.backend.resident import Resident
from kcore.graph.core import Graph, Node, Placeholder, Value
from kcore.graph.op import OPS
from kcore.runtime.scope import current_path
from kcore.runtime.tensor import EagerTensor

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
#: Ops that hand integers through unchanged, for checking indices on the host before a step.
_VALUE_PRESERVING = frozenset(
    {"cast", "reshape", "squeeze", "expand_dims", "identity", "transpose", "broadcast_to", "stop_gradient", "copy"}
)
#: What the user calls an op's input, where ops run on the user's own arrays.
_called: ContextVar[dict[str, str] | None] = ContextVar("kcore_called", default=None)


@contextmanager
def calling(**names: str) -> Iterator[None]:
    """Within this context messages about an op's input use the user's name for it."""
    token = _called.set(names)
    try:
        yield
    finally:
        _called.reset(token)


#: What the numbers of an op's input are called where its own name is not the word.
_WORDS = {"labels": "classes"}


@dataclass
class Bounds:
    """A check of one input: its integers must lie in [low, size)."""

    index: int
    name: str
    low: int
    size: int
    words: str
    who: str


def _bounds(node: Node, name: str, size_of: Callable[..., Any], index: int, argument: str, path: str) -> Bounds:
    limits = size_of([None if v is None else v.spec for v in node.inputs], node.attrs)
    low, size = limits if isinstance(limits, tuple) else (0, limits)
    if not path:
        who = f"op {node.attrs.get('caller', node.op.name)!r}"
    elif node.op.family == "losses":
        who = f"loss {path!r}"
    else:
        who = f"layer {path!r}"
    return Bounds(index, argument, int(low), int(size), _WORDS.get(name, name), who)


def check(bounds: Bounds, array: np.ndarray | EagerTensor | Resident) -> None:
    """Raise ValueError where a number is out of range, or none at all.

    Of what lies on a device its smallest and its largest number come to the host, and all of it only for the message.
    """
    if 0 in array.shape:
        return
    if isinstance(array, EagerTensor | Resident):
        if not isinstance(array.data, np.ndarray) and _within(bounds, array):
            return
        array = array.numpy()
    with np.errstate(invalid="ignore"):
        if array.min() >= bounds.low and array.max() < bounds.size:  # false where there is a nan
            return
        at = np.unravel_index(np.argmin((array >= bounds.low) & (array < bounds.size)), array.shape)
    row = f" in row {at[0]}" if at else ""
    wanted = f"{bounds.words} {bounds.low} to {bounds.size - 1}" if bounds.size else f"no {bounds.words}: it has none"
    raise ValueError(f"argument {bounds.name!r} holds {array[at].item()}{row}, but {bounds.who} takes {wanted}")


def _within(bounds: Bounds, array: EagerTensor | Resident) -> bool:
    """Whether all numbers of an array on a device are in range."""
    dtype = array.dtype if isinstance(array.dtype, str) else array.dtype.name
    tensor = EagerTensor(array.data, array.shape, dtype, array.backend, array.device)
    axes = tuple(range(len(array.shape)))
    low, high = (OPS[name](tensor, axis=axes, keepdims=False).numpy() for name in ("min", "max"))
    return bool(low >= bounds.low and high < bounds.size)  # false where there is a nan


def check_eager(node: Node, arrays: Sequence[Any], backend: Any) -> None:
    """Check the inputs of an op that runs now."""
    for name, size_of in node.op.bounds.items():
        i = node.op.inputs.index(name)
        array = arrays[i]
        if array is not None:
            host = array if isinstance(array, np.ndarray) else backend.download(array)
            said = (_called.get() or {}).get(name, name)
            check(_bounds(node, name, size_of, i, said, current_path()), host)


def check_numbers(name: str, x: Any) -> None:
    """Raise ValueError where values at hand, which are about to become integers, are none."""
    if type(x) is EagerTensor and x.dtype in FLOATS:
        array = np.asarray(x.numpy(), np.float64)
        if not np.isfinite(array).all():
            at = np.unravel_index(np.argmin(np.isfinite(array)), array.shape)
            row = f" in row {at[0]}" if at else ""
            where = f" of loss {current_path()!r}" if current_path() else ""
            raise ValueError(f"argument {name!r}{where} holds {array[at].item()}{row}, but expected whole numbers")


def find_bounds(graph: Graph) -> list[Bounds]:
    """The host checks a graph asks for: index inputs of ops that come straight from an argument."""
    found: dict[tuple[int, int, int], Bounds] = {}
    position = {v: i for i, v in enumerate(graph.inputs)}
    for node in graph.nodes:
        for name, size_of in node.op.bounds.items():
            value = node.inputs[node.op.inputs.index(name)]
            if value is None:
                continue
            source = _origin(value)
            if source in position and isinstance(source.source, Placeholder):
                at = position[source]
                bounds = _bounds(node, name, size_of, at, source.source.name, node.path)
                found.setdefault((at, bounds.low, bounds.size), bounds)
    return list(found.values())


def _origin(value: Value) -> Value:
    while value.node is not None and value.node.op.name in _VALUE_PRESERVING:
        value = value.node.inputs[0]  # type: ignore[assignment]
    return value
