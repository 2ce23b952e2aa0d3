"""Spectrograms beside Keras's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from reference import array, pair, same

import kcore
from kcore import layers

SIGNAL = np.sin(np.arange(2 * 600) ** 1.3 * 0.05).astype("float32").reshape(2, 600)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"sequence_length": 100, "window": "hamming"},
        {"power_to_db": False, "mag_exp": 1.0},
        {"top_db": 20.0, "ref_power": 3.0, "min_freq": 100.0, "max_freq": 3000.0},
    ],
)
def test_mel_spectrogram(config):
    config = {"fft_length": 128, "sequence_stride": 50, "num_mel_bins": 12, "sampling_rate": 8000, **config}
    theirs, mine = pair("MelSpectrogram", **config)
    for x in (SIGNAL, SIGNAL[0]):
        expected, got = np.asarray(theirs(x)), mine(x).numpy()
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=2e-3 if mine.power_to_db else 1e-4)
    assert mine(kcore.Input((600,))).shape == (None, *expected.shape)


@pytest.mark.parametrize("mode", ["log", "magnitude", "psd", "real", "imag", "angle", "stft"])
@pytest.mark.parametrize("expand_dims", [False, True])
def test_stft_spectrogram(mode, expand_dims):
    x = array((2, 40, 3))
    same("STFTSpectrogram", x, mode, 16, 5, expand_dims=expand_dims, tolerance=2e-4)
    last = layers.STFTSpectrogram(mode, 16, expand_dims=expand_dims, padding="same")
    first = layers.STFTSpectrogram(mode, 16, expand_dims=expand_dims, padding="same", data_format="channels_first")
    expected, got = last(x).numpy(), first(x.transpose(0, 2, 1)).numpy()
    order = (0, 3, 1, 2) if expand_dims else (0, 2, 1)
    np.testing.assert_allclose(got, expected.transpose(order), rtol=1e-4, atol=1e-5)


def test_signals_of_unknown_length():
    assert layers.STFTSpectrogram("stft", 16, 8)(kcore.Input((None, 2))).shape == (None, None, 36)


def test_kernels_are_trained_and_windows_may_be_given():
    layer = layers.STFTSpectrogram("magnitude", 8, window=np.hanning(8), scaling=None, fft_length=16)
    model = kcore.Sequential([kcore.Input((32, 1)), layer, layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile(kcore.optimizers.SGD(0.01), "mse")
    before = layer.real_kernel.numpy()
    losses = model.fit(array((4, 32, 1)), np.ones((4, 1)), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and not np.array_equal(before, layer.real_kernel.numpy())
    np.testing.assert_allclose(before[:, 0, 0], np.hanning(8), atol=1e-6)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: layers.MelSpectrogram(fft_length=8, sequence_length=9), "do not fit into fft_length=8"),
        (lambda: layers.STFTSpectrogram("loud"), "expected one of 'log'"),
        (lambda: layers.STFTSpectrogram(frame_length=8, frame_step=9), "frame_step=9 is longer"),
        (lambda: layers.STFTSpectrogram(frame_length=8, fft_length=4), "fft_length=4 is less"),
    ],
)
def test_messages(made, message):
    with pytest.raises(ValueError, match=message):
        made()
    with pytest.raises(TypeError, match="expected a signal of floats"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers.STFTSpectrogram(frame_length=8)(np.ones((1, 32, 1), "int32"))
    with pytest.warns(UserWarning, match="fft_length=12 is no power of two"):
        layers.STFTSpectrogram(frame_length=8, fft_length=12)
