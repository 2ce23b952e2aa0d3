"""Fourier transforms by np.fft, which returns new arrays."""

from __future__ import annotations

from functools import partial

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node


def _floats(node: Node) -> bool:
    out = node.outputs[0]
    return out.dtype in ("float32", "float64") and bool(out.size)


def _write(site: Site, result: np.ndarray) -> None:
    for out, part in zip(site.outputs, (result.real, result.imag), strict=True):
        if out is not None:
            out[...] = part


def _complex(site: Site) -> np.ndarray:
    re, im = site.inputs
    both = np.empty(re.shape, np.complex64 if re.dtype == np.float32 else np.complex128)
    both.real, both.imag = re, im
    return both


@kernel("fft", backend="numpy", supports=_floats)
def fft(site: Site) -> Thunk:
    if site.attrs["inverse"]:
        return lambda: _write(site, np.fft.ifft(_complex(site), norm="forward"))
    return lambda: _write(site, np.fft.fft(_complex(site)))


@kernel("rfft", backend="numpy", supports=_floats)
def rfft(site: Site) -> Thunk:
    return lambda: _write(site, np.fft.rfft(site.inputs[0]))


@kernel("irfft", backend="numpy", supports=_floats)
def irfft(site: Site) -> Thunk:
    return partial(_irfft, site, site.attrs["length"])


def _irfft(site: Site, length: int) -> None:
    site.outputs[0][...] = np.fft.irfft(_complex(site), length)
