"""Kernels of a convolution that computes a short-time Fourier transform."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.declare import argument, one_of, optional
from kcore.initializers.initializer import Initializer
from kcore.registry import deserialize, public

#: Windows that are sums of cosines: ``sum_k a_k cos(k x)`` for x from -pi to pi.
COSINE_WINDOWS = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.50, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def window(name: str, length: int, periodic: bool) -> np.ndarray:
    """The values of a window by SciPy's name, float64 ``(length,)``.

    Args:
        name: one of `COSINE_WINDOWS`, or, where SciPy is installed, any name it knows.
        length: number of samples.
        periodic: whether sample `length` would equal sample 0 (for spectra), not the last one (for filters).

    Raises:
        ValueError: an unknown name.
    """
    if name not in COSINE_WINDOWS:
        try:
            from scipy.signal import get_window
        except ImportError:
            raise ValueError(
                f"there is no window {name!r} among {', '.join(COSINE_WINDOWS)}; others need SciPy (pip install scipy)"
            ) from None
        return get_window(name, length, periodic)
    if length == 1:
        return np.ones(1)
    angles = np.linspace(-math.pi, math.pi, length + periodic)[:length]
    return sum(a * np.cos(k * angles) for k, a in enumerate(COSINE_WINDOWS[name]))  # type: ignore[return-value]


def _window(value: Any) -> Any:
    value = deserialize(value) if isinstance(value, dict) else value
    if isinstance(value, str):
        window(value, 1, False)
    elif value is not None and np.asarray(value).ndim != 1:
        raise ValueError("expected the name of a window, its values, or None")
    return value


@public("keras.initializers", "STFT", "stft", "STFTInitializer")
class STFT(Initializer):
    """The real or the imaginary part of a short-time Fourier transform, as the kernel of a 1D convolution.

    ``kernel[t, 0, f] = window[t] * cos(-2 pi t f / F)``, or the sine, over the scaling, for a kernel of shape
    ``(T, 1, F // 2 + 1)``: T samples in a frame, F bins of which the first half is kept.

    Args:
        side: ``"real"`` or ``"imag"``.
        window: name of a window, its T values, or None for none.
        scaling: what it is divided by: ``"density"``, the window's L2 norm, ``"spectrum"``, its L1 norm, or None.
        periodic: whether the window is periodic rather than symmetric.

    Raises:
        ValueError: an unknown window or scaling; at the call, another shape than ``(T, 1, bins)``, or values of a
            window of another length than T.

    Example:
        >>> STFT("imag", window=None)((4, 1, 3)).numpy().round(3)[:, 0, 1].tolist()
        [-0.0, -1.0, -0.0, 1.0]

    Source: `keras.initializers.STFT`.
    """

    side: str = argument("real", one_of("real", "imag"))
    window: Any = argument("hann", _window)
    scaling: str | None = argument("density", optional(one_of("density", "spectrum")))
    periodic: bool = argument(False)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) != 3 or shape[1] != 1:
            raise ValueError(f"STFT makes kernels of shape (frame length, 1, bins), got the shape {shape}")
        length, _, bins = shape
        part = np.cos if self.side == "real" else np.sin
        angles = -2 * math.pi * np.arange(length)[:, None, None] * (np.arange(bins) / max(2 * (bins - 1), 1))
        kernel = part(angles)
        if self.window is None:
            return kernel
        values = self.window if not isinstance(self.window, str) else window(self.window, length, bool(self.periodic))
        values = np.asarray(values, "float64")
        if values.shape != (length,):
            raise ValueError(f"STFT: a window of shape {values.shape} does not fit frames of {length} samples")
        scale = {None: 1.0, "density": np.sqrt(np.sum(values**2)), "spectrum": np.sum(np.abs(values))}[self.scaling]
        return kernel * values[:, None, None] / scale
