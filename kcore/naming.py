"""Automatic names: ``ReLU`` becomes ``re_lu``, then ``re_lu_1``; counters start again with `clear_session`."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])

_counts: dict[str, int] = {}


def to_snake_case(name: str) -> str:
    """Write a class name as Keras does in automatic names.

    Args:
        name: a class name.

    Returns:
        The name in lower case with underscores.

    Example:
        >>> [to_snake_case(n) for n in ("ReLU", "MaxPooling2D", "Conv1DTranspose", "BinaryIoU")]
        ['re_lu', 'max_pooling2d', 'conv1d_transpose', 'binary_io_u']
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """The next free automatic name for a class name.

    Args:
        prefix: a class name, or any prefix.

    Returns:
        The snake-case prefix, with a number from the second time on.

    Example:
        >>> reset_names(); auto_name("Conv2D"), auto_name("Conv2D"); reset_names()
        ('conv2d', 'conv2d_1')
    """
    prefix = to_snake_case(prefix)
    count = _counts.get(prefix, 0)
    _counts[prefix] = count + 1
    return f"{prefix}_{count}" if count else prefix


def reset_names() -> None:
    """Start all counters again, as `clear_session` does."""
    _counts.clear()


@contextmanager
def fresh_names() -> Iterator[None]:
    """Context in which automatic names begin as in a new process; behind it they go on as before.

    Example:
        >>> with fresh_names():
        ...     auto_name("Conv2D"), auto_name("Conv2D")
        ('conv2d', 'conv2d_1')
    """
    before = dict(_counts)
    _counts.clear()
    try:
        yield
    finally:
        _counts.clear()
        _counts.update(before)


def named_arguments(method: Method) -> Method:
    """Decorator: what an object's class says of arguments the method does not have, with the near names, or misses."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    known = [p.name for p in parameters]
    required = [p.name for p in parameters if p.default is p.empty]

    @wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        unknown = next((name for name in kwargs if name not in known), None)
        if unknown is not None:
            near = did_you_mean(unknown, known)
            raise TypeError(f"{type(self).__name__}.{method.__name__}() has no argument {unknown!r}{near}")
        missing = [name for name in required[len(args) :] if name not in kwargs]
        if missing:
            raise TypeError(f"{type(self).__name__}.{method.__name__}() needs the argument {missing[0]!r}")
        if len(args) > len(known):
            taken = f"takes up to {len(known)} arguments ({', '.join(known)})"
            raise TypeError(f"{type(self).__name__}.{method.__name__}() {taken}, received {len(args)}")
        return method(self, *args, **kwargs)

    return cast(Method, checked)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the near ones, or nothing.

    Example:
        >>> did_you_mean("adm", ["adam", "sgd"])
        "; did you mean 'adam'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
