"""The version of the contract between kcore and what plugs into it, and the check of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kcore.errors import PluginError

if TYPE_CHECKING:
    from kcore.plugins.discovery import EntryPoint

#: Major version of the contract between kcore and its backends and plugins. A backend class or plugin module
#: declares the one it was written for as ``kcore_contract = 1``; another one is refused with a message.
CONTRACT = 1


def check_contract(thing: Any, entry: EntryPoint) -> None:
    """Refuse a backend class or plugin module that was written for another major version of the contract.

    Raises:
        PluginError: it declares none or another one; the message names the distribution and what to type.
    """
    version = getattr(thing, "kcore_contract", None)
    if version == CONTRACT:
        return
    if not isinstance(version, int):
        raise PluginError(
            f"{entry} does not say which contract of kcore it was written for; its author should add "
            f"`kcore_contract = {CONTRACT}` to {entry.value!r}"
        )
    older = entry.distribution if version < CONTRACT else "kcore"
    raise PluginError(
        f"{entry} was written for contract {version} of kcore, this kcore has contract {CONTRACT}; "
        f"type: pip install --upgrade {older}"
    )
