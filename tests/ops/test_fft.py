"""Fourier transforms and signals beside Keras's and NumPy's: values, dtypes, traced, symbolic, gradients, messages."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.backend.compile import primitives_only
from kcore.ops.fft import _transform
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(7)
RE, IM = (rng.standard_normal((2, 3, 8)).astype("float32") for _ in range(2))
HALF = (rng.standard_normal((2, 5)).astype("float32"), rng.standard_normal((2, 5)).astype("float32"))
WAVE = rng.standard_normal((2, 40)).astype("float32")
FRAMES = tuple(rng.standard_normal((2, 7, 9)).astype("float32") for _ in range(2))
WINDOW = rng.uniform(0.2, 1, 12).astype("float32")

CASES = [
    ("fft", ((RE, IM),), {}),
    ("fft2", ((RE, IM),), {}),
    ("ifft2", ((RE, IM),), {}),
    ("rfft", (RE,), {}),
    ("rfft", (RE[..., :7],), {}),
    ("rfft", (RE,), {"fft_length": 5}),
    ("rfft", (RE,), {"fft_length": 12}),
    ("irfft", (HALF,), {}),
    ("irfft", (HALF,), {"fft_length": 7}),
    ("irfft", (HALF,), {"fft_length": 14}),
    ("extract_sequences", (WAVE, 8, 3), {}),
    ("extract_sequences", (WAVE, 7, 7), {}),
    ("extract_sequences", (WAVE[0], 4, 9), {}),
    ("stft", (WAVE, 12, 4, 16), {}),
    ("stft", (WAVE, 12, 5, 15), {"window": "hamming", "center": False}),
    ("stft", (WAVE, 12, 4, 16), {"window": WINDOW}),
    ("stft", (WAVE, 16, 4, 16), {"window": None}),
    ("stft", (WAVE[0].astype("float32"), 1, 1, 1), {}),
    ("istft", (FRAMES, 12, 4, 16), {}),
    ("istft", (FRAMES, 12, 4, 16), {"length": 20}),
    ("istft", (FRAMES, 12, 4, 17), {"window": "hamming"}),
    ("istft", (FRAMES, 12, 4, 16), {"window": WINDOW}),
    ("istft", (FRAMES, 16, 4, 16), {"window": None}),
]


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.filterwarnings("ignore:NOLA condition failed")  # SciPy's, of windows that are zero at the ends
@pytest.mark.parametrize("name, arguments, config", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_transforms_are_keras_s_eager_traced_and_symbolic(name, arguments, config):
    wanted = [np.asarray(y) for y in flat(getattr(keras.ops, name)(*arguments, **config))]
    call = getattr(ops, name)
    traced = function(lambda x: call(x, *arguments[1:], **config))
    for got in (flat(call(*arguments, **config)), flat(traced(arguments[0]))):
        assert [(tuple(y.shape), y.dtype) for y in got] == [(w.shape, w.dtype.name) for w in wanted]
        for y, w in zip(got, wanted, strict=True):
            np.testing.assert_allclose(y.numpy(), w, rtol=2e-4, atol=3e-5)

    def symbol(x):
        return KerasTensor((None, *x.shape[1:]) if x.ndim > 1 else x.shape, x.dtype.name)

    first = tuple(map(symbol, arguments[0])) if isinstance(arguments[0], tuple) else symbol(arguments[0])
    shaped = flat(call(first, *arguments[1:], **config))
    assert [tuple(s.shape)[1:] for s in shaped] == [w.shape[1:] for w in wanted]


@pytest.mark.parametrize("n", [1, 2, 7, 64, 65, 72, 97, 134, 257, 521, 1000, 4096])
def test_products_transform_every_length(n):
    x = rng.standard_normal((2, n)) + 1j * rng.standard_normal((2, n))
    for inverse, wanted in ((False, np.fft.fft(x)), (True, np.fft.ifft(x, norm="forward"))):
        re, im = _transform(convert_to_tensor(x.real), convert_to_tensor(x.imag), inverse)
        np.testing.assert_allclose(re.numpy() + 1j * im.numpy(), wanted, atol=1e-10 * n)
    real = x.real.copy()
    with primitives_only():
        re, im = ops.rfft(real)
        np.testing.assert_allclose(re.numpy() + 1j * im.numpy(), np.fft.rfft(real), atol=1e-10 * n)
        np.testing.assert_allclose(ops.irfft((re, im), n).numpy(), real, atol=1e-10)


def test_products_lose_little_in_float32():
    x = rng.standard_normal(4096).astype("float32")
    with primitives_only():
        re, im = ops.rfft(x)
    wanted = np.fft.rfft(x.astype("float64"))
    assert np.abs(re.numpy() + 1j * im.numpy() - wanted).max() < 1e-6 * np.abs(wanted).max() * 5


def test_a_signal_comes_back_from_its_transform():
    for window in ("hann", "hamming", WINDOW):
        pair = ops.stft(WAVE, 12, 3, 16, window=window)
        np.testing.assert_allclose(
            ops.istft(pair, 12, 3, 16, length=36, window=window).numpy(), WAVE[:, :36], atol=1e-5
        )
    learned = function(lambda w: ops.istft(ops.stft(WAVE, 12, 3, 16, window=w), 12, 3, 16, length=36, window=w))
    np.testing.assert_allclose(learned(WINDOW).numpy(), WAVE[:, :36], atol=1e-5)


@pytest.mark.parametrize(
    "call, x",
    [
        (lambda x: ops.sum(ops.square(ops.stft(x, 12, 4, 16)[0]) * 0.5 + ops.stft(x, 12, 4, 16)[1]), WAVE),
        (lambda x: ops.sum(ops.sin(ops.istft((x, x * 0.5), 12, 4, 16))), FRAMES[0]),
        (lambda x: ops.sum(ops.square(ops.fft2((x, x * x))[1])), RE),
        (lambda x: ops.sum(ops.square(ops.irfft((x, x * x), 11))), HALF[0]),
    ],
)
def test_gradients_are_finite_differences(call, x):
    x = x.astype("float64")
    direction = rng.standard_normal(x.shape)

    def gradient(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        return tape.gradient(y, x)

    slope = float(np.vdot(function(gradient)(x).numpy(), direction))
    step = 1e-6
    ends = [float(call(convert_to_tensor(x + s * step * direction))) for s in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-6)


def test_transforms_are_steps_of_a_functional_model():
    inputs = kcore.Input((40,))
    re, im = ops.stft(inputs, 12, 4, 16)
    model = kcore.Model(inputs, ops.sqrt(re * re + im * im))
    wanted = np.hypot(*(y.numpy() for y in ops.stft(WAVE, 12, 4, 16)))
    np.testing.assert_allclose(model.predict(WAVE, verbose=0), wanted, atol=1e-5)
    assert model.output_shape == (None, *wanted.shape[1:])


def test_halves_and_integers_are_transformed_in_float32():
    re, im = ops.rfft(RE.astype("float16"))
    assert re.dtype == im.dtype == "float16"
    np.testing.assert_allclose(re.numpy(), np.fft.rfft(RE).real, atol=2e-2)
    assert ops.rfft(np.arange(8))[0].dtype == "float32"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.fft(RE), "fft: expected x to be a pair of tensors, real and imaginary parts"),
        (lambda: ops.fft((RE, IM[:1])), r"fft: expected real and .* one shape; received \(2, 3, 8\) and \(1, 3, 8\)"),
        (lambda: ops.fft2((RE[0, 0], IM[0, 0])), r"fft2: expected tensors of rank 2 or more; received shape \(8,\)"),
        (lambda: ops.rfft(RE, 0), "rfft: expected fft_length to be at least 1; received 0"),
        (lambda: ops.rfft(np.zeros((2, 0), "float32")), "rfft: there is nothing to transform"),
        (lambda: ops.irfft((RE, IM), -1), "irfft: expected fft_length to be at least 1; received -1"),
        (lambda: ops.extract_sequences(WAVE, 41, 1), "expected sequence_length to be from 1 to 40"),
        (lambda: ops.extract_sequences(WAVE, 4, 0), "expected sequence_stride to be a positive integer; received 0"),
        (
            lambda: ops.stft(WAVE, 12, 4, 8),
            "stft: expected fft_length to be sequence_length or more",
        ),
        (
            lambda: ops.stft(WAVE, 12, 4, 16, window="kaiser"),
            "stft: expected window to be 'hann', .*'kaiser'",
        ),
        (lambda: ops.istft(FRAMES, 11, 4, 16, window=WINDOW), r"istft: expected a window of shape \(11,\)"),
        (lambda: ops.istft(WAVE, 12, 4, 16), "istft: expected x to be a pair"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_stft_takes_float32_and_float64_only():
    with pytest.raises(TypeError, match="stft: expected float32 or float64; received float16"):
        ops.stft(WAVE.astype("float16"), 12, 4, 16)
