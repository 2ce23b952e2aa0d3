"""The states of the global random sources, as plain values that a file can hold."""

from __future__ import annotations

import random as python_random
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.runtime import seeds


def random_state() -> dict[str, Any]:
    """Where Python's `random`, NumPy's global generator and kcore's stand.

    Returns:
        Numbers, texts, lists and dicts, which JSON keeps exactly.

    Example:
        >>> state = random_state()
        >>> first = python_random.random(), float(np.random.random())
        >>> set_random_state(state)
        >>> first == (python_random.random(), float(np.random.random()))
        True
    """
    version, internal, gauss = python_random.getstate()
    generator = seeds._global_generator
    return {
        "python": [version, list(internal), gauss],
        "numpy": _plain(np.random.get_state(legacy=False)),
        "kcore": None if generator is None else generator.state.numpy().tolist(),
        "seed": seeds._explicit_seed,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set the global random sources to what `random_state` gave, here or in another process.

    Args:
        state: what it gave.

    Raises:
        ValueError: it is no such state; nothing was changed then.
    """
    before = (python_random.getstate(), np.random.get_state(legacy=False))
    try:
        version, internal, gauss = state["python"]
        python_random.setstate((version, tuple(internal), gauss))
        np.random.set_state(_arrays(state["numpy"]))
        own = None if state["kcore"] is None else np.array(state["kcore"], dtype=np.uint32).reshape(2)
        seed = state["seed"] if state["seed"] is None else int(state["seed"])
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        python_random.setstate(before[0])
        np.random.set_state(before[1])
        raise ValueError(f"this is no state of the random sources: {error}") from None
    seeds._explicit_seed = seed
    if own is None:
        seeds.forget_global_generator()
    else:
        seeds.global_seed_generator().state.assign(own)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return {"dtype": value.dtype.name, "values": value.tolist()} if isinstance(value, np.ndarray) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"dtype", "values"}:
            return np.array(value["values"], dtype=np.dtype(value["dtype"]))
        return {key: _arrays(inner) for key, inner in value.items()}
    return value
