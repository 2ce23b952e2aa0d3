"""Window functions, with which a signal is faded in and out before its spectrum is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import config
from kcore.ops.operands import known
from kcore.runtime.apply import convert_to_tensor

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def _window(name: str, make: Callable[..., np.ndarray], x: Any, *parameters: float) -> Any:
    """The window as a constant of floatx."""
    if not isinstance(x, int | np.integer):
        x = known(name, x, "x, the number of points, must be a number")
        if x.shape != () or "int" not in x.dtype:
            raise ValueError(f"{name}: expected x, the number of points, to be one integer; received {x.spec}")
    return convert_to_tensor(make(int(x), *parameters), config.floatx())


def bartlett(x: Any) -> Any:
    """The Bartlett window, a triangle that begins and ends at 0.

    Args:
        x: number of points, an integer.

    Returns:
        ``(x,)``, floatx.

    Example:
        >>> bartlett(5).numpy().tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]

    Source: `keras.ops.bartlett`.
    """
    return _window("bartlett", np.bartlett, x)


def blackman(x: Any) -> Any:
    """The Blackman window, ``0.42 - 0.5 cos(2 pi n / (x - 1)) + 0.08 cos(4 pi n / (x - 1))``.

    Args:
        x: number of points, an integer.

    Returns:
        ``(x,)``, floatx.

    Example:
        >>> blackman(5).numpy().round(2).tolist()[1:4]
        [0.3400000035762787, 1.0, 0.3400000035762787]

    Source: `keras.ops.blackman`.
    """
    return _window("blackman", np.blackman, x)


def hamming(x: Any) -> Any:
    """The Hamming window, ``0.54 - 0.46 cos(2 pi n / (x - 1))``.

    Args:
        x: number of points, an integer.

    Returns:
        ``(x,)``, floatx.

    Example:
        >>> hamming(3).numpy().round(2).tolist()
        [0.07999999821186066, 1.0, 0.07999999821186066]

    Source: `keras.ops.hamming`.
    """
    return _window("hamming", np.hamming, x)


def hanning(x: Any) -> Any:
    """The Hann window, ``0.5 - 0.5 cos(2 pi n / (x - 1))``.

    Args:
        x: number of points, an integer.

    Returns:
        ``(x,)``, floatx.

    Example:
        >>> hanning(5).numpy().tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]

    Source: `keras.ops.hanning`.
    """
    return _window("hanning", np.hanning, x)


def kaiser(x: Any, beta: float) -> Any:
    """The Kaiser window, ``I0(beta sqrt(1 - (2 n / (x - 1) - 1)^2)) / I0(beta)``.

    Args:
        x: number of points, an integer.
        beta: its shape: 0 is a rectangle, 14 is narrow.

    Returns:
        ``(x,)``, floatx.

    Example:
        >>> kaiser(3, 0.0).numpy().tolist()
        [1.0, 1.0, 1.0]

    Source: `keras.ops.kaiser`.
    """
    return _window("kaiser", np.kaiser, x, float(beta))
