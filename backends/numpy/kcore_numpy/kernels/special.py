"""erf and the exact gelu: NumPy has no erf, and importing SciPy for it would cost more than a training step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import threads, vectors
from kcore_numpy.schedule import sequence

#: Elements worked on at once. Long chunks: two threads that make short NumPy calls spend their time passing the
#: interpreter lock to each other (measured here: 16 ms with 4096, 2.4 ms with 131072, for gelu of 2M elements).
CHUNK = 131072

#: A thread gets at least so many elements.
GRAIN = 65536

#: erf(x) = tanh(x * P(x^2)): P is atanh(erf(x)) / x, fitted on |x| <= 4 for least relative error of erf (1e-7); its
#: leading coefficient is positive, so that beyond 4, where erf is 1 in float32, tanh saturates as it must.
_FIT = (
    1.1283792735717482,
    0.1027690618431814,
    -0.00019184308474291464,
    -0.0006197752508701204,
    8.763420391655417e-05,
    -5.668027817998853e-06,
    1.4182986263465513e-07,
)

#: Maclaurin coefficients of erf(x) / x in x^2, for |x| <= 1 (float64).
_SERIES = tuple(2.0 / math.sqrt(math.pi) * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(18))

#: exp(x^2) erfc(x) in t = (x - 2) / (x + 2), fitted on 1 <= x <= 6 to 3e-15 (float64); erf is 1 from 5.93 on.
_SCALED = (
    0.25539567631050586,
    -0.42718584741396004,
    0.24165819424244958,
    -0.07897858101565708,
    0.0037328924041203633,
    0.006997461764608111,
    -0.0008471432835761441,
    -0.0009819790173206339,
    4.356174909961351e-05,
    0.00017441251422210355,
    2.729605100302212e-05,
    -2.806686688240068e-05,
    -1.041824799091716e-05,
    1.0249595659822568e-06,
    -2.0246619928661108e-05,
    3.299941694431332e-05,
    4.8254667368529026e-05,
    -0.00013521839625507069,
    8.151522837859726e-05,
)


def _horner(coefficients: tuple, x: np.ndarray, out: np.ndarray) -> None:
    np.multiply(x, coefficients[-1], out=out)
    for c in coefficients[-2:0:-1]:
        np.add(out, c, out=out)
        np.multiply(out, x, out=out)
    np.add(out, coefficients[0], out=out)


def _odd_tanh(x: np.ndarray, y: np.ndarray, square: np.ndarray, sum: np.ndarray, coefficients: tuple) -> None:
    """``y = tanh(x P(x^2))``; leaves ``x^2`` in `square`; y may be x."""
    np.minimum(x, _FAR, out=square)  # far out the polynomial would overflow
    np.maximum(square, -_FAR, out=square)
    np.multiply(square, square, out=square)
    _horner(coefficients, square, sum)
    np.multiply(x, sum, out=y)
    np.tanh(y, out=y)


def _erf32(x: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> None:
    _odd_tanh(x, y, rooms[0, : y.size], rooms[1, : y.size], _TANH)


def _erf64(x: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> None:
    """erf to about 1e-15: its series inside [-1, 1], one minus erfc outside; y may be x."""
    n = y.size
    t, near, far, sign, inside = (*rooms[:4, :n], rooms[4].view(bool)[:n])
    np.absolute(x, out=far)
    np.less_equal(far, 1.0, out=inside)
    np.copysign(1.0, x, out=sign)
    np.minimum(far, 1.0, out=t)
    np.multiply(t, t, out=t)
    _horner(_SERIES, t, near)
    np.multiply(near, x, out=near)
    np.maximum(far, 1.0, out=far)
    np.minimum(far, 6.0, out=far)
    np.add(far, 2.0, out=t)
    np.subtract(far, 2.0, out=y)
    np.divide(y, t, out=t)
    _horner(_SCALED, t, y)
    np.multiply(far, far, out=far)
    np.negative(far, out=far)
    np.exp(far, out=far)
    np.multiply(y, far, out=y)
    np.subtract(1.0, y, out=y)
    np.multiply(y, sign, out=y)
    np.copyto(y, near, where=inside)


def _chunk(size: int) -> int:
    """Elements per chunk: what one thread gets of `size`, at most `CHUNK`."""
    return max((min(CHUNK, stop - start) for start, stop in threads.split(size, GRAIN)), default=0)


def _by_chunks(site: Site, steps: Callable[..., list[Thunk]], rows: int) -> Thunk:
    """A thunk for ``steps(*inputs, output, rooms)`` of all chunks, over the threads, with `rows` working arrays."""
    arrays = [a.reshape(-1) for a in (*site.inputs, site.outputs[0])]
    size = arrays[-1].size
    if not size:
        return _nothing
    parts, step = threads.split(size, GRAIN), _chunk(size)
    rooms = site.scratch.view(arrays[-1].dtype).reshape(len(parts), rows, step)
    thunks = []
    for room, (start, stop) in zip(rooms, parts, strict=True):
        work = [[a[i : min(i + step, stop)] for a in arrays] for i in range(start, stop, step)]
        thunks.append(sequence([thunk for chunk in work for thunk in steps(*chunk, room)]))
    return threads.team(thunks, blas=True)


def _nothing() -> None:
    """What there is to do for a tensor without elements."""


def _working(rows: int, only: str = "") -> dict[str, Any]:
    """The options of a kernel that works by chunks with `rows` arrays of working memory."""

    def supports(node: Any) -> bool:
        dtypes = {v.dtype for v in (*node.inputs, *node.outputs)}
        shapes = {v.shape for v in (*node.inputs, *node.outputs)}
        wanted = dtypes == {only} if only else dtypes in ({"float32"}, {"float64"})
        return wanted and len(shapes) == 1 and not node.attrs.get("approximate", False)

    def scratch(node: Any) -> int:
        size, itemsize = node.outputs[0].size, 8 if node.outputs[0].dtype == "float64" else 4
        return len(threads.split(size, GRAIN)) * rows * _chunk(size) * itemsize

    return {"supports": supports, "scratch": scratch, "inplace": ((0, 0),), "strided": False}


@kernel("erf", backend="numpy", **_working(5))
def erf(site: Site) -> Thunk:
    return _by_chunks(site, _erf_steps, 5)


def _erf_steps(x: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> list[Thunk]:
    call = vectors.error_function(x, y)
    return [call or partial(_erf32 if y.dtype == np.float32 else _erf64, x, y, rooms)]


def _gelu32(x: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> None:
    """``x (1 + erf(x / sqrt 2)) / 2``."""
    n = y.size
    normal = rooms[2, :n]
    _odd_tanh(x, normal, rooms[0, :n], rooms[1, :n], _NORMAL)
    np.multiply(normal, _HALF, out=normal)
    np.add(normal, _HALF, out=normal)
    np.multiply(x, normal, out=y)


@kernel("gelu", backend="numpy", **_working(3, "float32"))
def gelu(site: Site) -> Thunk:
    return _by_chunks(site, _gelu_steps, 3)


def _gelu_steps(x: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> list[Thunk]:
    normal = rooms[0, : y.size]
    call = vectors.normal(x, normal)
    return [call, partial(np.multiply, x, normal, y)] if call else [partial(_gelu32, x, y, rooms)]


def _gelu_grad32(x: np.ndarray, g: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> None:
    """``g (Phi(x) + x phi(x))``."""
    n = y.size
    square, density, normal = rooms[:, :n]
    _odd_tanh(x, normal, square, density, _NORMAL)
    np.multiply(normal, _HALF, out=normal)
    np.add(normal, _HALF, out=normal)
    np.multiply(square, -_HALF, out=square)
    np.exp(square, out=density)
    np.multiply(density, _DENSITY, out=density)
    np.multiply(density, x, out=density)
    np.add(normal, density, out=normal)
    np.multiply(normal, g, out=y)


@kernel("gelu_grad", backend="numpy", **_working(3, "float32"))
def gelu_grad(site: Site) -> Thunk:
    return _by_chunks(site, _gelu_grad_steps, 3)


def _gelu_grad_steps(x: np.ndarray, g: np.ndarray, y: np.ndarray, rooms: np.ndarray) -> list[Thunk]:
    density, normal = rooms[:2, : y.size]
    call = vectors.normal(x, normal)
    if call is None:
        return [partial(_gelu_grad32, x, g, y, rooms)]
    return [
        call,
        partial(np.multiply, x, x, density),
        partial(np.multiply, density, -_HALF, density),
        vectors.apply(np.exp, density, out=density),
        partial(np.multiply, density, _DENSITY, density),
        partial(np.multiply, density, x, density),
        partial(np.add, normal, density, normal),
        partial(np.multiply, normal, g, y),
    ]


_FAR = np.float32(14.0)  # exp(-14**2 / 2) is no float32 but zero
_HALF = np.float32(0.5)
_DENSITY = np.float32(1.0 / math.sqrt(2.0 * math.pi))

#: The same polynomial for erf(x / sqrt 2).
_NORMAL = tuple(np.float32(c * 0.5 ** (n + 0.5)) for n, c in enumerate(_FIT))
_TANH = tuple(map(np.float32, _FIT))
