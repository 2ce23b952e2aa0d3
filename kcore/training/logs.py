"""Logs that are read from the device only when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def as_floats(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs as Keras hands them to callbacks: sorted by name, floats where that is possible.

    Example:
        >>> as_floats({"loss": 1, "accuracy": 0.5})
        {'accuracy': 0.5, 'loss': 1.0}
    """
    floats: dict[str, Any] = {}
    for name in sorted(logs):
        value = logs[name]
        if isinstance(value, Mapping):
            floats.update(as_floats(value))
            continue
        try:
            floats[name] = float(value)
        except (TypeError, ValueError):
            floats[name] = value
    return floats


class LazyLogs(dict):
    """A dict that asks for its contents at the first look.

    Args:
        read: called once, at the first look; gives the values.

    Example:
        >>> logs = LazyLogs(lambda: {"loss": 0.25})
        >>> logs.pending
        True
        >>> logs["loss"], logs.pending
        (0.25, False)
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], Mapping[str, Any]]):
        # one entry stands in until then: json's encoder looks at the C-level size before it asks for items()
        super().__init__({"": None})
        self._read: Callable[[], Mapping[str, Any]] | None = read

    @property
    def pending(self) -> bool:
        """Whether nobody has looked yet."""
        return self._read is not None

    def resolve(self) -> LazyLogs:
        """Read the values now."""
        read = self._read
        if read is not None:
            self._read = None
            dict.clear(self)
            dict.update(self, as_floats(read()))
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self.resolve()),)

    def __copy__(self) -> dict[str, Any]:
        return dict(self.resolve())

    copy = __copy__

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self.resolve())

    def __bool__(self) -> bool:
        # `logs or {}` is what every callback writes; it must not read anything
        return True if self._read is not None else dict.__len__(self) > 0


def _reading(name: str) -> Callable[..., Any]:
    plain = getattr(dict, name)

    def method(self: LazyLogs, *args: Any, **kwargs: Any) -> Any:
        self.resolve()
        return plain(self, *args, **kwargs)

    method.__name__ = name
    return method


for _name in (
    *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__reversed__", "__len__"),
    *("__eq__", "__ne__", "__or__", "__ror__", "__ior__", "__repr__"),
    *("get", "items", "keys", "values", "pop", "popitem", "setdefault", "update", "clear"),
):
    setattr(LazyLogs, _name, _reading(_name))
