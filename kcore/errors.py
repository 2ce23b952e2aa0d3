"""The errors kcore raises, each carrying the user's own names: layer, op, file, plugin."""

from __future__ import annotations


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
