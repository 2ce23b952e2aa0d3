"""Sound as the strength of its frequencies over time."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from kcore import config, initializers, ops
from kcore.declare import argument, one_of, optional, positive_int
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.layer import Layer
from kcore.layers.preprocessing.data_layer import DataLayer
from kcore.registry import public


def _mel(hertz: Any) -> Any:
    """Frequencies on the mel scale."""
    return 1127.0 * np.log1p(np.asarray(hertz, "float64") / 700.0)


@public("keras.layers")
class MelSpectrogram(DataLayer):
    """Strength of the frequencies of a signal in bands as wide as they sound, over time.

    A short-time Fourier transform, its magnitudes to a power, summed up in triangular bands on the mel scale, in
    decibels.

    Args:
        fft_length: samples of a Fourier transform.
        sequence_stride: samples between two frames.
        sequence_length: samples of a frame; `fft_length` if None.
        window: name of a window (``"hann"``, ``"hamming"``), or its values, or None for none.
        sampling_rate: samples in a second.
        num_mel_bins: number of bands.
        min_freq, max_freq: where the first band begins and the last one ends, in hertz; None is half of the sampling
            rate.
        power_to_db: whether the result is in decibels.
        top_db: decibels below the strongest value of all at which weaker ones are cut off.
        mag_exp: power of the magnitudes: 1 for magnitude, 2 for energy.
        min_power: the least value whose logarithm is taken.
        ref_power: the value of 0 decibels.

    Shapes:
        input ``(batch, samples)`` or ``(samples,)``; output ``(batch, num_mel_bins, frames)`` or without the batch.

    Raises:
        ValueError: frames longer than `fft_length`.

    Example:
        >>> signal = np.sin(np.arange(4000) * (2 * np.pi * 440 / 8000)).astype("float32")
        >>> layer = MelSpectrogram(fft_length=512, sequence_stride=256, sampling_rate=8000, num_mel_bins=32)
        >>> layer(signal).shape
        (32, 16)

    Source: `keras.layers.MelSpectrogram`.
    """

    fft_length: int = argument(2048, positive_int)
    sequence_stride: int = argument(512, positive_int)
    sequence_length: int | None = argument(None, optional(positive_int))
    window: Any = argument("hann")
    sampling_rate: int = argument(16000)
    num_mel_bins: int = argument(128, positive_int)
    min_freq: float = argument(20.0)
    max_freq: float | None = argument(None)
    power_to_db: bool = argument(True)
    top_db: float = argument(80.0)
    mag_exp: float = argument(2.0)
    min_power: float = argument(1e-10)
    ref_power: float = argument(1.0)

    def __post_init__(self) -> None:
        self.sequence_length = self.sequence_length or self.fft_length
        self.max_freq = self.max_freq or int(self.sampling_rate / 2)
        if self.fft_length < self.sequence_length:
            raise ValueError(
                f"{describe_layer(self)}: frames of sequence_length={self.sequence_length} samples do not fit into "
                f"fft_length={self.fft_length}"
            )

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype if self.compute_dtype in ("float32", "float64") else "float32")
        length = self.sequence_length or self.fft_length
        real, imaginary = ops.stft(
            inputs, length, self.sequence_stride, self.fft_length, window=self.window, center=True
        )
        energy = ops.square(real) + ops.square(imaginary)
        spectrum = energy if self.mag_exp == 2 else ops.power(ops.sqrt(energy), self.mag_exp)
        bands = ops.matmul(spectrum, self._bands(int(spectrum.shape[-1])).astype(spectrum.dtype))
        if self.power_to_db:
            bands = 10.0 * ops.log10(ops.maximum(bands, self.min_power))
            bands = bands - 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
            bands = ops.maximum(bands, ops.max(bands) - self.top_db)
        return ops.cast(ops.swapaxes(bands, -1, -2), self.compute_dtype)

    def _bands(self, bins: int) -> np.ndarray:
        """How much each frequency counts in each band: (bins, bands)."""
        frequencies = _mel(np.linspace(0, self.sampling_rate / 2, bins)[1:])[:, None]
        edges = np.linspace(_mel(self.min_freq), _mel(self.max_freq), self.num_mel_bins + 2)
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
        return np.pad(np.maximum(0, np.minimum(rising, falling)), [(1, 0), (0, 0)])


@public("keras.layers")
class STFTSpectrogram(Layer):
    """A short-time Fourier transform as a convolution, whose kernels may be trained.

    Args:
        mode: ``"log"``, the logarithm of ``"magnitude"``; ``"psd"``, the density of energy; ``"real"``, ``"imag"``,
            ``"angle"``; ``"stft"``, the real part and the imaginary one behind it.
        frame_length: samples of a frame.
        frame_step: samples between two frames; half of `frame_length` if None.
        fft_length: samples of a Fourier transform; the next power of two from `frame_length` on if None.
        window: name of a window, its values, or None for none.
        periodic: whether the window is periodic rather than symmetric.
        scaling: ``"density"``, ``"spectrum"`` or None: what the window is divided by; see `initializers.STFT`.
        padding: ``"valid"`` or ``"same"``.
        expand_dims: whether frequencies and channels have an axis each.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.

    Shapes:
        input ``(batch, samples, channels)``; output ``(batch, frames, channels * frequencies)``, expanded ``(batch,
        frames, frequencies, channels)``. Channels first: ``(batch, channels, samples)`` to ``(batch, channels *
        frequencies, frames)``, expanded ``(batch, channels, frames, frequencies)``. Weights ``(frame_length, 1,
        fft_length // 2 + 1)``.

    Raises:
        ValueError: an unknown mode, scaling or padding; a step longer than a frame, or a frame longer than
            `fft_length`.

    Example:
        >>> STFTSpectrogram("psd", 16, 8)(np.ones((1, 64, 1), "float32")).shape
        (1, 7, 9)

    Source: `keras.layers.STFTSpectrogram`.
    """

    mode: str = argument("log", one_of("log", "magnitude", "psd", "real", "imag", "angle", "stft"))
    frame_length: int = argument(256, positive_int)
    frame_step: int | None = argument(None, optional(positive_int))
    fft_length: int | None = argument(None, optional(positive_int))
    window: Any = argument("hann", initializers.STFT.arguments["window"].kind)
    periodic: bool = argument(False)
    scaling: str | None = argument("density", optional(one_of("density", "spectrum")))
    padding: str = argument("valid", one_of("valid", "same"))
    expand_dims: bool = argument(False)
    data_format: Any = argument(None, config.standardize_data_format)

    def __post_init__(self) -> None:
        who = describe_layer(self)
        if self.frame_step is not None and self.frame_step > self.frame_length:
            raise ValueError(f"{who}: frame_step={self.frame_step} is longer than frame_length={self.frame_length}")
        if self.fft_length is not None:
            if self.fft_length < self.frame_length:
                raise ValueError(f"{who}: fft_length={self.fft_length} is less than frame_length={self.frame_length}")
            if self.fft_length & (self.fft_length - 1):
                warnings.warn(f"{who}: fft_length={self.fft_length} is no power of two", stacklevel=2)
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        length = self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        shape = (self.frame_length, 1, length // 2 + 1)
        for name, side, without in (("real_kernel", "real", "imag"), ("imag_kernel", "imag", "real")):
            if self.mode != without:
                kernel = initializers.STFT(side, self.window, self.scaling, self.periodic)
                setattr(self, name, self.add_weight(shape, kernel, name=name))

    real_kernel: Any
    imag_kernel: Any

    def call(self, inputs: Any) -> Any:
        if not inputs.dtype.startswith("float"):
            raise TypeError(f"{describe_layer(self)}: expected a signal of floats, got {inputs.dtype}")
        if self.data_format == "channels_last":
            inputs = ops.transpose(inputs, (0, 2, 1))
        channels, samples = inputs.shape[1:]
        signals = ops.reshape(inputs, (-1, samples, 1))
        parts = [
            self._frames(signals, getattr(self, name), channels)
            for name, without in (("real_kernel", "imag"), ("imag_kernel", "real"))
            if self.mode != without
        ]
        return self._arranged(self._combined(parts))

    def _frames(self, signals: Any, kernel: Any, channels: int) -> Any:
        """(batch, channels, frames, frequencies)."""
        step = self.frame_step or self.frame_length // 2
        kernel = ops.cast(kernel, signals.dtype)
        frames = ops.conv(signals, kernel, strides=step, padding=self.padding, data_format="channels_last")
        return ops.reshape(frames, (-1, channels, *frames.shape[1:]))

    def _combined(self, parts: list[Any]) -> Any:
        if self.mode in ("real", "imag"):
            return parts[0]
        real, imaginary = parts
        if self.mode == "angle":
            return ops.arctan2(imaginary, real)
        if self.mode == "stft":
            return ops.concatenate([real, imaginary], axis=-1)
        power = ops.square(real) + ops.square(imaginary)
        if self.mode == "psd":
            return power + ops.pad(power[..., 1:-1], [(0, 0), (0, 0), (0, 0), (1, 1)])
        least = config.epsilon()
        magnitude = ops.sqrt(ops.maximum(power, least))
        return magnitude if self.mode == "magnitude" else ops.log(ops.maximum(magnitude, least))

    def _arranged(self, x: Any) -> Any:
        _, channels, frames, bins = x.shape
        if self.data_format == "channels_first":
            return x if self.expand_dims else ops.reshape(ops.swapaxes(x, 2, 3), (-1, channels * bins, frames))
        if self.expand_dims:
            return ops.transpose(x, (0, 2, 3, 1))
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, frames, channels * bins))
