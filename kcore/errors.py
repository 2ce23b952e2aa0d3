"""The errors kcore raises, each carrying the user's own names: layer, op, file, plugin; warnings at the user's line."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType

#: Where kcore itself lies: a frame from another file is the user's, whatever their project is called.
PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = os.path.join(_LIBRARY, "site-packages") + os.sep


def user_level() -> int:
    """The stacklevel, for a warning of the caller, of the first line outside of kcore and Python's own library."""
    frame: FrameType | None = sys._getframe()
    level = 0
    while frame is not None and _is_inner(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    return max(level, 1)


def _is_inner(file: str) -> bool:
    if file.startswith((PACKAGE, "<frozen ")):
        return True
    return file.startswith(_LIBRARY) and not file.startswith(_INSTALLED)


def warn_user(message: str | Warning, category: type[Warning] | None = None) -> None:
    """Warn at the line of the user's own code that led here, however deep in kcore that is found out."""
    warnings.warn(message, category, stacklevel=user_level())


class KcoreError(Exception):
    """Base of every error that only kcore raises; bad values raise ValueError or TypeError as in Keras."""


class DuplicateOpError(KcoreError):
    """Two ops were registered under one name."""


class UnknownOpError(KcoreError, KeyError):
    """An op was asked for by a name nobody registered."""

    def __str__(self) -> str:
        return str(self.args[0])


class DuplicateKernelError(KcoreError):
    """Two packages registered kernels of equal priority for one op on one backend."""


class MissingKernelError(KcoreError):
    """A primitive has no kernel on the backend that should run it."""


class DtypeError(KcoreError, TypeError):
    """A device cannot compute with a dtype."""


class BackendNotFoundError(KcoreError, ImportError):
    """The backend asked for is not installed, or none of its devices answers."""


class PluginError(KcoreError):
    """A plugin cannot be used: it fails to import, asks for another contract, or clashes with another."""


class MissingExtraError(KcoreError, ImportError):
    """An optional dependency is not installed; the message names the pip command."""


class ConfigError(KcoreError, ValueError):
    """A configuration file or environment variable holds something kcore cannot use."""


class DeterminismError(KcoreError, RuntimeError):
    """Results are to be the same in every run, and something was asked for that is not."""


class TracingError(KcoreError, TypeError):
    """A traced value was used where a concrete one is needed (``if``, ``float``, ``np.asarray``)."""


class UnknownLengthError(KcoreError, TypeError):
    """A loop over a symbolic tensor whose first size is not known."""


class GradientError(KcoreError, ValueError):
    """A gradient was asked for that does not exist."""
