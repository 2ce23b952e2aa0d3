"""Settings by name, as attributes and as items."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from kcore.naming import did_you_mean


class Config:
    """A dictionary whose entries are attributes, too, and which can be frozen.

    Args:
        **kwargs: the entries.

    Example:
        >>> config = Config(rate=0.1)
        >>> config.layers = 3
        >>> config["layers"], config.rate, "size" in config
        (3, 0.1, False)

    Source: `keras.utils.Config`.
    """

    _entries: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_entries", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether entries may not be changed."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse every change from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_frozen", False)

    def _changing(self) -> dict[str, Any]:
        if self._frozen:
            raise ValueError("this Config is frozen, so its entries cannot be changed: unfreeze() it first")
        return self._entries

    def as_dict(self) -> dict[str, Any]:
        """A copy of the entries."""
        return dict(self._entries)

    def to_json(self) -> str:
        """The entries as JSON."""
        return json.dumps(self._entries)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._entries.keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._entries.values()

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self._entries.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """An entry, or `value` if there is none."""
        return self._entries.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Take an entry out."""
        return self._changing().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Change several entries."""
        self._changing().update(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._entries:
            raise AttributeError(f"Config has no entry {name!r}{did_you_mean(name, self._entries)}")
        return self._entries[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._changing()[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._changing():
            raise AttributeError(f"Config has no entry {name!r}{did_you_mean(name, self._entries)}")
        del self._entries[name]

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __setitem__(self, key: str, item: Any) -> None:
        self._changing()[key] = item

    def __delitem__(self, key: str) -> None:
        del self._changing()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __reduce__(self) -> Any:
        return _restored, (self._entries, self._frozen)

    def __repr__(self) -> str:
        return f"<Config {self._entries}>"


def _restored(entries: dict[str, Any], frozen: bool) -> Config:
    config = Config(**entries)
    if frozen:
        config.freeze()
    return config
