"""Optional dependencies: imported when they are needed, and named with their pip command when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from kcore.errors import MissingExtraError


def require(module: str, extra: str, purpose: str | None = None) -> ModuleType:
    """Import a module that only comes with an extra of kcore.

    Args:
        module: dotted name of the module.
        extra: the extra that installs it, as in ``pip install "kcore[extra]"``.
        purpose: what it is needed for, for the message.

    Returns:
        The module.

    Raises:
        MissingExtraError: it is not installed; the message names the pip command.

    Example:
        >>> require("json", "demo").__name__
        'json'
        >>> require("no_such_module", "demo", "the demo")
        Traceback (most recent call last):
        ...
        kcore.errors.MissingExtraError: the demo needs 'no_such_module', which is not installed; type: ...
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise  # the module is there; something that it imports is not
        raise MissingExtraError(
            f'{purpose or "this"} needs {module!r}, which is not installed; type: pip install "kcore[{extra}]"'
        ) from error
