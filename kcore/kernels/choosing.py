"""Which of several ways a generator takes: the measured one where there is one, and the same all through a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from kcore.codegen import Code
from kcore.graph.core import Node
from kcore.kernels.traits import Traits
from kcore.kernels.work import ops, product

Way = TypeVar("Way")


@dataclass(frozen=True)
class Asked:
    """A node that a generator asked for, and what the generator offers.

    Attributes:
        node, traits: what is computed, on what.
        candidates: the ways to cut it, the default first.
        emit: the node's code, cut in a given way.
    """

    node: Node
    traits: Traits
    candidates: Callable[[Node, Traits], Sequence[Any]]
    emit: Callable[[Node, Traits, Any], Code]


class Store(Protocol):
    """What was measured on a device.

    Attributes:
        name: the device.
        choices: the fastest way, as text, by the key of what is computed.
    """

    @property
    def name(self) -> str: ...

    @property
    def choices(self) -> Mapping[str, str]: ...

    def keep(self, key: str, way: str, microseconds: float, default: float) -> None:
        """Remember a choice."""


_stores: dict[Traits, Store] = {}
_taken: dict[tuple[Traits, str, str], Any] = {}
_used: dict[tuple[str, str], str] = {}
_recorded: Mapping[str, Mapping[str, str]] | None = None
_collected: ContextVar[list[Asked] | None] = ContextVar("kcore_kernels_collected", default=None)


def register(traits: Traits, store: Store) -> None:
    """Say where what was measured on a device of these traits is kept; the first word counts."""
    _stores.setdefault(traits, store)


def store_of(traits: Traits) -> Store | None:
    """The measured choices of the device with these traits."""
    return _stores.get(traits)


def chosen(
    node: Node,
    traits: Traits,
    candidates: Callable[[Node, Traits], Sequence[Way]],
    emit: Callable[[Node, Traits, Way], Code],
) -> Way:
    """The way to cut a node: what `kcore tune` found best on the device, else the first candidate.

    Asked again for an equal node it gives the same answer until the process ends, whatever is tuned meanwhile: plans
    rely on it.

    Args:
        node: what is computed.
        traits: of the device.
        candidates: the ways there are, the default first.
        emit: makes the node's code, cut in a given way; for the tuner.
    """
    collected = _collected.get()
    if collected is not None:
        collected.append(Asked(node, traits, candidates, emit))
        return candidates(node, traits)[0]
    key = key_of(node)
    place = (traits, key, ops(node))
    if place not in _taken:
        _taken[place] = _choose(candidates(node, traits), traits, key)
    return _taken[place]


def _choose(ways: Sequence[Way], traits: Traits, key: str) -> Way:
    store = _stores.get(traits)
    if store is None:
        return ways[0]
    known = store.choices if _recorded is None else _recorded.get(store.name, {})
    measured = known.get(key)
    way = next((w for w in ways if repr(w) == measured), None)  # another version's way may be none any more
    if way is None:
        return ways[0]
    _used[store.name, key] = repr(way)
    return way


def key_of(node: Node) -> str:
    """What a choice depends on: op, shapes, dtypes and attributes of the product in a node; not what is fused to it.

    Example:
        ``"matmul float32[128, 784] float32[784, 256] transpose_a=False transpose_b=False"``
    """
    head = product(node) or node
    attrs = [f"{name}={head.attrs[name]}" for name in sorted(head.attrs)]
    return " ".join([head.op.name, *(str(v.spec) for v in head.sources), *attrs])


def choices() -> dict[str, dict[str, str]]:
    """The measured choices this process uses: by device, by what is computed, how it is cut.

    Keep them with a run that is to be repeated or resumed bit for bit; `use` takes them back.
    """
    found: dict[str, dict[str, str]] = {}
    for (device, key), way in _used.items():
        found.setdefault(device, {})[key] = way
    return found


def use(recorded: Mapping[str, Mapping[str, str]]) -> None:
    """Take choices from a record instead of what is on disk; must come before the steps they are for.

    Args:
        recorded: what `choices` returned.

    Raises:
        RuntimeError: this process has already chosen otherwise.
    """
    global _recorded
    for traits, key, _ in _taken:
        store = _stores.get(traits)
        if store is not None and _used.get((store.name, key)) != recorded.get(store.name, {}).get(key):
            raise RuntimeError(f"kernels were chosen already, call use() earlier: {key} on {store.name}")
    _recorded = recorded


@contextmanager
def collecting() -> Iterator[list[Asked]]:
    """Within this context generators give their defaults, and what they were asked for is collected."""
    asked: list[Asked] = []
    token = _collected.set(asked)
    try:
        yield asked
    finally:
        _collected.reset(token)
