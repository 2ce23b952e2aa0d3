"""Fourier transforms of pairs (real, imaginary): np.fft on the host, matrix products on devices, nothing to wait for.

On a device a transform of n = n1 n2 elements is n2 transforms of n1 elements, a rotation, and n1 transforms of n2
elements (Cooley and Tukey 1965); those of up to `DIRECT` elements are one product with a matrix of sines and cosines. A
length with a larger prime factor is a convolution of a power of two (Bluestein 1970).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.dtypes import is_float
from kcore.graph.op import Spec, composite, sample
from kcore.ops.contraction import matmul
from kcore.ops.creation import zeros_like
from kcore.ops.elementwise import cast
from kcore.ops.shape import _tensor, concatenate, flip, pad, reshape, swapaxes
from kcore.ops.shapes import canonical_axis

__all__ = ["fft", "fft2", "ifft2", "irfft", "rfft"]

#: Elements that are transformed by one product with a matrix; a larger length is taken apart if it can be.
DIRECT = 64
#: The largest length with no small factor that is still one product.
LARGEST_PRIME = 256

_TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (1e-11, 1e-11)}


# -- transforms by products ------------------------------------------------------------------------------------------


def _angles(rows: np.ndarray, columns: np.ndarray, n: int, inverse: bool) -> np.ndarray:
    """2 pi jk / n, in float64; jk is taken modulo n first, so that large products lose nothing."""
    turns = (rows.astype(np.int64)[:, None] * columns.astype(np.int64)[None, :]) % n
    return (2.0 if inverse else -2.0) * np.pi * turns / n


def _rotated(re: Any, im: Any, angles: np.ndarray) -> tuple[Any, Any]:
    """Complex numbers turned by angles."""
    cosine, sine = np.cos(angles).astype(re.dtype), np.sin(angles).astype(re.dtype)
    return re * cosine - im * sine, re * sine + im * cosine


def _factor(n: int) -> int:
    """The largest factor of n that is transformed by one product; 1 if there is none."""
    return max(d for d in range(1, DIRECT + 1) if n % d == 0)


def _transform(re: Any, im: Any, inverse: bool) -> tuple[Any, Any]:
    """The transform of the last axis, not divided by its length."""
    n = re.shape[-1]
    if n <= DIRECT:
        return _by_product(re, im, inverse)
    first = _factor(n)
    if first == 1:
        return _by_product(re, im, inverse) if n <= LARGEST_PRIME else _by_convolution(re, im, inverse)
    second, batch = n // first, tuple(re.shape[:-1])
    re, im = (swapaxes(reshape(x, (*batch, first, second)), -1, -2) for x in (re, im))
    re, im = _by_product(re, im, inverse)
    re, im = _rotated(re, im, _angles(np.arange(second), np.arange(first), n, inverse))
    re, im = _transform(swapaxes(re, -1, -2), swapaxes(im, -1, -2), inverse)
    return reshape(swapaxes(re, -1, -2), (*batch, n)), reshape(swapaxes(im, -1, -2), (*batch, n))


def _by_product(re: Any, im: Any, inverse: bool) -> tuple[Any, Any]:
    """Real and imaginary parts side by side, times a matrix of four blocks."""
    n = re.shape[-1]
    angles = _angles(np.arange(n), np.arange(n), max(n, 1), inverse)
    cosine, sine = np.cos(angles), np.sin(angles)
    matrix = np.block([[cosine, sine], [-sine, cosine]]).astype(re.dtype)
    both = matmul(concatenate([re, im], axis=-1), matrix)
    return both[..., :n], both[..., n:]


def _by_convolution(re: Any, im: Any, inverse: bool) -> tuple[Any, Any]:
    """``jk = (j^2 + k^2 - (k - j)^2) / 2``: a rotation, a convolution with a chirp, and the rotation again."""
    n = re.shape[-1]
    at = np.arange(n, dtype=np.int64)
    chirp = (1.0 if inverse else -1.0) * np.pi * (at * at % (2 * n)) / n
    size = 1 << (2 * n - 2).bit_length()
    wave = np.zeros(size, np.complex128)
    wave[:n] = np.exp(-1j * chirp)
    wave[size - n + 1 :] = wave[1:n][::-1]
    response = np.fft.fft(wave) / size
    widths = [(0, 0)] * (len(re.shape) - 1) + [(0, size - n)]
    re, im = _rotated(re, im, chirp)
    re, im = _transform(pad(re, widths), pad(im, widths), False)
    real, imaginary = response.real.astype(re.dtype), response.imag.astype(re.dtype)
    re, im = _transform(re * real - im * imaginary, re * imaginary + im * real, True)
    return _rotated(re[..., :n], im[..., :n], chirp)


# -- the ops ---------------------------------------------------------------------------------------------------------


def _pair_infer(re: Spec, im: Spec, *, inverse: bool = False) -> tuple[Spec, Spec]:
    _check_pair("", re, im)
    return re, re


def _check_pair(function: str, re: Any, im: Any, rank: int = 1) -> None:
    said = f"{function}: " if function else ""  # in an infer rule, the op adds its own name
    if tuple(re.shape) != tuple(im.shape):
        raise ValueError(
            f"{said}expected real and imaginary parts of one shape; received {tuple(re.shape)} and {tuple(im.shape)}"
        )
    if len(re.shape) < rank:
        raise ValueError(f"{said}expected tensors of rank {rank} or more; received shape {tuple(re.shape)}")


@composite(
    "fft",
    "fft",
    infer=_pair_infer,
    promote="float",
    tolerance=_TOLERANCE,
    samples=[
        sample((3, 8), (3, 8)),
        sample((2, 5), (2, 5), inverse=True, grad=False),
        sample((2, 96), (2, 96), grad=False),
        sample((0, 4), (0, 4)),
    ],
)
def _fft(re, im, *, inverse=False):
    """Transform of the last axis; the inverse one is not divided by the length."""
    return _transform(re, im, inverse)


@_fft.gradient
def _(ctx, g_re, g_im):
    g_re, g_im = (zeros_like(x) if g is None else g for g, x in zip((g_re, g_im), ctx.inputs, strict=True))
    return _fft(g_re, g_im, inverse=not ctx.attrs["inverse"])


def _rfft_infer(x: Spec) -> tuple[Spec, Spec]:
    if not x.ndim:
        raise ValueError(f"expected a tensor of rank 1 or more; received {x}")
    n = x.shape[-1]
    if n == 0:
        raise ValueError(f"there is nothing to transform in {x}")
    spec = Spec((*x.shape[:-1], None if n is None else n // 2 + 1), x.dtype)
    return spec, spec


@composite(
    "fft",
    "rfft",
    infer=_rfft_infer,
    promote="float",
    tolerance=_TOLERANCE,
    samples=[sample((3, 8)), sample((2, 5)), sample((2, 130), grad=False)],
)
def _rfft(x):
    """Transform of real tensors: the first half of the frequencies, of which the others are the mirror image."""
    n, bins = x.shape[-1], x.shape[-1] // 2 + 1
    if n <= DIRECT:
        angles = _angles(np.arange(n), np.arange(bins), n, False)
        both = matmul(x, np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(x.dtype))
        return both[..., :bins], both[..., bins:]
    re, im = _transform(x, zeros_like(x), False)
    return re[..., :bins], im[..., :bins]


def _shares(bins: int, n: int, dtype: str) -> np.ndarray:
    """How many frequencies of n each of the first ones stands for: itself, and its mirror image if it has one."""
    shares = np.full(bins, 2.0, dtype)
    shares[0] = 1.0
    if n % 2 == 0:
        shares[-1] = 1.0
    return shares


@_rfft.gradient
def _(ctx, g_re, g_im):
    (x,), (re, im) = ctx.inputs, ctx.outputs
    n = x.shape[-1]
    scale = (n / _shares(re.shape[-1], n, "float64")).astype(re.dtype)
    g_re, g_im = (zeros_like(y) if g is None else g for g, y in zip((g_re, g_im), (re, im), strict=True))
    return _irfft(g_re * scale, g_im * scale, length=n)


def _irfft_infer(re: Spec, im: Spec, *, length: int) -> Spec:
    _check_pair("", re, im)
    if re.shape[-1] not in (None, length // 2 + 1):
        raise ValueError(f"expected {length // 2 + 1} frequencies for a length of {length}; received {re}")
    return Spec((*re.shape[:-1], length), re.dtype)


@composite(
    "fft",
    "irfft",
    infer=_irfft_infer,
    promote="float",
    tolerance=_TOLERANCE,
    samples=[
        sample((3, 5), (3, 5), length=8),
        sample((2, 3), (2, 3), length=5),
        sample((1, 66), (1, 66), length=130, grad=False),
    ],
)
def _irfft(re, im, *, length):
    """Real tensors from the first half of their frequencies; imaginary parts that such have not, do not count."""
    bins = length // 2 + 1
    if length <= DIRECT:
        angles = _angles(np.arange(bins), np.arange(length), length, True)
        scale = _shares(bins, length, "float64")[:, None] / length
        matrix = np.concatenate([np.cos(angles) * scale, -np.sin(angles) * scale], axis=0)
        return matmul(concatenate([re, im], axis=-1), matrix.astype(re.dtype))
    known = np.ones(bins, re.dtype)  # the first, and the last if the length is even, are real
    known[0] = 0.0
    if length % 2 == 0:
        known[-1] = 0.0
    im = im * known
    mirrored = slice(1, bins - 1 if length % 2 == 0 else bins)
    re = concatenate([re, flip(re[..., mirrored], axis=-1)], axis=-1)
    im = concatenate([im, -flip(im[..., mirrored], axis=-1)], axis=-1)
    return _transform(re, im, True)[0] * (1.0 / length)


@_irfft.gradient
def _(ctx, g):
    re, im = _rfft(g)
    n = ctx.attrs["length"]
    scale = (_shares(re.shape[-1], n, "float64") / n).astype(re.dtype)
    return re * scale, im * scale


# -- the Keras functions ---------------------------------------------------------------------------------------------


def wide(x: Any) -> tuple[Any, str]:
    """A tensor in a dtype that is transformed in, and the dtype the result should have."""
    x = _tensor(x)
    if not is_float(x.dtype):
        return cast(x, "float32"), "float32"
    return (cast(x, "float32"), x.dtype) if x.dtype in ("float16", "bfloat16") else (x, x.dtype)


def pair(function: str, x: Any, rank: int = 1) -> tuple[Any, Any, str]:
    """The two parts of complex numbers as tensors, and the dtype of the result.

    Raises:
        ValueError: no pair, parts of two shapes, or a rank below `rank`.
    """
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(f"{function}: expected x to be a pair of tensors, real and imaginary parts; received {x!r}")
    (re, dtype), (im, _) = wide(x[0]), wide(x[1])
    _check_pair(function, re, im, rank)
    return re, im, dtype


def fft(x: tuple[Any, Any]) -> tuple[Any, Any]:
    """The discrete Fourier transform of the last axis: ``X[k] = sum over t of x[t] exp(-2 pi i k t / n)``.

    Args:
        x: real and imaginary parts, each (..., n), float.

    Returns: real and imaginary parts, of the same shape and dtype.

    Raises:
        ValueError: no pair of tensors of one shape.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> re, im = ops.fft((np.array([1.0, 2.0]), np.array([0.0, 1.0])))
        >>> re.numpy().tolist(), im.numpy().tolist()
        ([3.0, -1.0], [1.0, -1.0])

    Source: `keras.ops.fft`.
    """
    re, im, dtype = pair("fft", x)
    return _as(dtype, *_fft(re, im))


def fft2(x: tuple[Any, Any]) -> tuple[Any, Any]:
    """The discrete Fourier transform of the last two axes.

    Args:
        x: real and imaginary parts, each (..., m, n), float.

    Returns: real and imaginary parts, of the same shape and dtype.

    Raises:
        ValueError: no pair of tensors of one shape and of rank 2 or more.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> re, im = ops.fft2((np.ones((2, 2)), np.zeros((2, 2))))
        >>> re.numpy().tolist()
        [[4.0, 0.0], [0.0, 0.0]]

    Source: `keras.ops.fft2`.
    """
    re, im, dtype = pair("fft2", x, rank=2)
    return _as(dtype, *_both_axes(re, im, False))


def ifft2(x: tuple[Any, Any]) -> tuple[Any, Any]:
    """The inverse of `fft2`.

    Args:
        x: real and imaginary parts, each (..., m, n), float.

    Returns: real and imaginary parts, of the same shape and dtype.

    Raises:
        ValueError: no pair of tensors of one shape and of rank 2 or more.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> re, im = ops.ifft2((np.array([[4.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2))))
        >>> re.numpy().tolist()
        [[1.0, 1.0], [1.0, 1.0]]

    Source: `keras.ops.ifft2`.
    """
    re, im, dtype = pair("ifft2", x, rank=2)
    re, im = _both_axes(re, im, True)
    scale = 1.0 / (re.shape[-1] * re.shape[-2])
    return _as(dtype, re * scale, im * scale)


def _both_axes(re: Any, im: Any, inverse: bool) -> tuple[Any, Any]:
    if None in re.shape[-2:]:
        raise ValueError(f"fft2: the last two sizes must be known; received shape {tuple(re.shape)}")
    re, im = _fft(re, im, inverse=inverse)
    re, im = _fft(swapaxes(re, -1, -2), swapaxes(im, -1, -2), inverse=inverse)
    return swapaxes(re, -1, -2), swapaxes(im, -1, -2)


def rfft(x: Any, fft_length: int | None = None) -> tuple[Any, Any]:
    """The discrete Fourier transform of the last axis of real tensors, the frequencies up to half of the length.

    Args:
        x: (..., n), float.
        fft_length: what x is cut or filled with zeros to; None means n.

    Returns: real and imaginary parts, each (..., fft_length // 2 + 1), of x's dtype.

    Raises:
        ValueError: a scalar, or a length below 1.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> re, im = ops.rfft(np.array([1.0, 2.0]))
        >>> re.numpy().tolist(), im.numpy().tolist()
        ([3.0, -1.0], [0.0, 0.0])

    Source: `keras.ops.rfft`.
    """
    x, dtype = wide(x)
    if fft_length is not None:
        x = _fitted("rfft", x, int(fft_length), int(fft_length))
    return _as(dtype, *_rfft(x))


def irfft(x: tuple[Any, Any], fft_length: int | None = None) -> Any:
    """Real tensors from the first half of their frequencies: the inverse of `rfft`.

    Args:
        x: real and imaginary parts, each (..., m), float.
        fft_length: the length of the result, for which x is cut or filled with zeros to ``fft_length // 2 + 1``; None
            means ``2 * (m - 1)``.

    Returns: (..., fft_length), of the parts' dtype.

    Raises:
        ValueError: no pair of tensors of one shape, or a length below 1.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.irfft(ops.rfft(np.array([1.0, 2.0, 3.0, 4.0]))).numpy().round(6).tolist()
        [1.0, 2.0, 3.0, 4.0]

    Source: `keras.ops.irfft`.
    """
    re, im, dtype = pair("irfft", x)
    if fft_length is None and re.shape[-1] is None:
        raise ValueError(f"irfft: fft_length must be given for parts of shape {tuple(re.shape)}")
    length = 2 * (re.shape[-1] - 1) if fft_length is None else int(fft_length)
    re, im = (_fitted("irfft", part, length // 2 + 1, length) for part in (re, im))
    return cast(_irfft(re, im, length=length), dtype)


def _fitted(function: str, x: Any, size: int, length: int) -> Any:
    """The last axis cut, or filled with zeros."""
    canonical_axis(-1, len(x.shape))
    if length < 1:
        raise ValueError(f"{function}: expected fft_length to be at least 1; received {length}")
    n = x.shape[-1]
    if n == size:
        return x
    if n is None or n > size:
        return x[..., :size]
    return pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, size - n)])


def _as(dtype: str, re: Any, im: Any) -> tuple[Any, Any]:
    return cast(re, dtype), cast(im, dtype)
