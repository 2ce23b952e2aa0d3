"""Random kernels: bits from numpy.random.Philox in chunks that fit the cache, dropout fused over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.match import Pattern, term
from kcore.graph.op import In, sample
from kcore_numpy import threads
from kcore_numpy.schedule import Job, Jobs, sequence

#: Words of 64 bits drawn at once: 120 KB. Shorter chunks make threads pass the interpreter lock back and forth.
CHUNK = 15360

#: From this many words on the stream is drawn by several threads.
PARALLEL = 2048

_FULL = (1 << 64) - 1


class Stream:
    """The raw Philox stream, positioned by (seed, call number, block of four words)."""

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._counter = np.zeros(4, np.uint64)
        self._key = np.zeros(2, np.uint64)
        self._state: Any = {
            "bit_generator": "Philox",
            "state": {"counter": self._counter, "key": self._key},
            "buffer": np.zeros(4, np.uint64),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        self.generator = np.random.Generator(self._philox)
        self.raw = self._philox.random_raw

    def seek(self, state: np.ndarray, block: int) -> None:
        """Go to a block of the call that `state` = (seed, call number) names."""
        self._key[0] = state[0]
        # NumPy steps the 256-bit counter before it makes a block, so it stands one below.
        before = (int(state[1]) << 64) + block - 1
        self._counter[0] = before & _FULL
        self._counter[1] = (before >> 64) & _FULL
        self._counter[2:] = _FULL if before < 0 else 0
        self._philox.state = self._state

    def raw_free(self, count: int) -> np.ndarray:
        """`raw` without holding the interpreter lock; slower alone, faster on several threads."""
        return self.generator.integers(0, _FULL, count, dtype=np.uint64, endpoint=True)


def _parts(words: int) -> list[tuple[int, int]]:
    """Ranges of words for the threads, each beginning with a whole block of four."""
    if words < PARALLEL:
        return [(0, words)] if words else []
    return [(a * 4, min(b * 4, words)) for a, b in threads.split(-(-words // 4))]


def _draw(
    stream: Stream, state: np.ndarray, first: int, work: list[tuple[int, Any]], source: Callable, use: Callable
) -> None:
    stream.seek(state, first // 4)
    for count, slices in work:
        use(source(count), slices)


def _plan(
    site_words: int,
    state: np.ndarray,
    use: Callable[[int], Callable],
    slices: Callable[[int, int], Any],
    rooms: Any = None,
) -> Thunk:
    """A thunk that draws all words by chunks; ``use(part)`` takes (words, slices(start, stop)) on a part's thread."""
    parts = _parts(site_words)
    jobs = []
    for number, (start, stop) in enumerate(parts):
        stream = Stream()
        source = stream.raw if stop - start < CHUNK else stream.raw_free
        edges = [(a, min(a + CHUNK, stop)) for a in range(start, stop, CHUNK)]
        work = [(b - a, slices(a, b)) for a, b in edges]
        touched = [a for _, arrays in work for a in (arrays if isinstance(arrays, tuple) else (arrays,))]
        touched += [] if rooms is None else [rooms[number]]
        cost = 10.0 + (stop - start) / 250
        jobs.append(Job(partial(_draw, stream, state, start, work, source, use(number)), (state,), touched, cost))
    return Jobs(jobs) if jobs else _nothing


def _nothing() -> None:
    """Zero elements need no work."""


# -- bits ------------------------------------------------------------------------------------------------------------


def _bits_scratch(node: Any) -> int:
    below, width = node.attrs.get("below"), node.attrs.get("width", 32)
    if below is None or below & (below - 1) == 0:
        return 0
    return threads.count() * CHUNK * (64 // width) * 8


@kernel("random_bits", backend="numpy", scratch=_bits_scratch)
def random_bits(site: Site) -> Thunk:
    out, width, below = site.outputs[0].reshape(-1), site.attrs["width"], site.attrs["below"]
    lanes, kind = 64 // width, site.outputs[0].dtype
    slices = lambda a, b: out[a * lanes : b * lanes]  # noqa: E731
    if below is None or below == 1 << width:
        use = _copy_lanes(kind)
    elif below & (below - 1) == 0:
        use = _shift_lanes(kind, kind.type(width + 1 - below.bit_length()))
    else:
        rooms = site.scratch.view(np.uint64).reshape(threads.count(), -1)
        return _plan(
            -(-out.size // lanes),
            site.inputs[0],
            lambda part: _scale_lanes(kind, below, width, rooms[part]),
            slices,
            rooms,
        )
    return _plan(-(-out.size // lanes), site.inputs[0], lambda part: use, slices)


def _copy_lanes(kind: np.dtype) -> Callable:
    def use(words: np.ndarray, out: np.ndarray) -> None:
        out[:] = words.view(kind)[: out.size]

    return use


def _shift_lanes(kind: np.dtype, shift: Any) -> Callable:
    def use(words: np.ndarray, out: np.ndarray) -> None:
        np.right_shift(words.view(kind)[: out.size], shift, out=out)

    return use


def _scale_lanes(kind: np.dtype, below: int, width: int, room: np.ndarray) -> Callable:
    factor, shift = np.uint64(below), np.uint64(width)

    def use(words: np.ndarray, out: np.ndarray) -> None:
        wide = room[: out.size]
        np.copyto(wide, words.view(kind)[: out.size])
        np.multiply(wide, factor, out=wide)
        np.right_shift(wide, shift, out=wide)
        np.copyto(out, wide, casting="unsafe")

    return use


# -- uniform ---------------------------------------------------------------------------------------------------------


def _uniform(stream: Stream, state: np.ndarray, block: int, out: np.ndarray) -> None:
    stream.seek(state, block)
    stream.generator.random(out=out, dtype=out.dtype)


@kernel("random_uniform", backend="numpy", supports=lambda node: node.outputs[0].dtype in ("float32", "float64"))
def random_uniform(site: Site) -> Thunk:
    # Generator.random makes a float32 of the top 24 bits of a 32-bit lane, a float64 of the top 53 of a word, the low
    # lane of a word first: exactly the definition.
    out = site.outputs[0].reshape(-1)
    lanes = 8 // out.itemsize
    thunks = [
        partial(_uniform, Stream(), site.inputs[0], start // 4, out[start * lanes : stop * lanes])
        for start, stop in _parts(-(-out.size // lanes))
    ]
    return threads.team(thunks) if thunks else _nothing


# -- dropout ---------------------------------------------------------------------------------------------------------

_SIGNED: dict[int, np.dtype] = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}
#: Elements of a chunk: the 16-bit lanes of its words.
_LANES = 4 * CHUNK


def _maskable(node: Any) -> bool:
    return node.inputs[0].dtype in ("float32", "float64") and node.attrs.get("noise_shape") is None


def _dropout_scratch(node: Any) -> int:
    return threads.count() * _room(node.inputs[0])


def _room(x: Any) -> int:
    return _LANES * (2 + (8 if x.dtype == "float64" else 4))


@kernel("dropout", backend="numpy", supports=_maskable, scratch=_dropout_scratch, inplace=((0, 0),), strided=False)
def dropout(site: Site) -> Thunk:
    """Compare 16-bit lanes with the threshold; clear what is dropped by its bits, so that NaN and inf go too."""
    x = site.inputs[0].reshape(-1)
    # where only the mask is read, as in a second derivative, the result still needs a place
    y = np.empty_like(x) if site.outputs[0] is None else site.outputs[0].reshape(-1)
    kept = None if site.outputs[1] is None else site.outputs[1].reshape(-1)
    rate = site.attrs["rate"]
    least = np.uint16(min(round(rate * 65536), 65535))
    scale = y.dtype.type(1.0 / (1.0 - rate))
    rooms = site.scratch.reshape(threads.count(), -1)
    bits = y.view(_SIGNED[y.itemsize])

    def slices(start: int, stop: int) -> tuple:
        part = slice(start * 4, min(stop * 4, y.size))
        return x[part], y[part], bits[part], None if kept is None else kept[part]

    def on(part: int) -> Callable:
        room = rooms[part]
        own, sign = room[:_LANES].view(bool), room[_LANES : 2 * _LANES].view(np.int8)
        wide = room[2 * _LANES :].view(bits.dtype)

        def use(words: np.ndarray, views: tuple) -> None:
            x, y, y_bits, kept = views
            n = y.size
            if kept is None:
                kept = own[:n]
            np.greater_equal(words.view(np.uint16)[:n], least, out=kept)
            np.negative(kept.view(np.int8), out=sign[:n])
            np.copyto(wide[:n], sign[:n])
            np.multiply(x, scale, out=y)
            np.bitwise_and(y_bits, wide[:n], out=y_bits)

        return use

    return _plan(math.ceil(y.size / 4), site.inputs[1], on, slices, rooms)


def _grad_supports(node: Any) -> bool:
    return node.inputs[0].dtype in ("float32", "float64") and node.inputs[1].shape == node.inputs[0].shape


def _clear(work: list[tuple], scale: Any, room: np.ndarray, kind: np.dtype) -> None:
    sign, wide = room[:_LANES].view(np.int8), room[_LANES : _LANES + _LANES * kind.itemsize].view(kind)
    for g, kept, y, bits in work:
        n = y.size
        np.negative(kept, out=sign[:n])
        np.copyto(wide[:n], sign[:n])
        np.multiply(g, scale, out=y)
        np.bitwise_and(bits, wide[:n], out=bits)


@kernel(
    "dropout_grad", backend="numpy", supports=_grad_supports, scratch=_dropout_scratch, inplace=((0, 0),), strided=False
)
def dropout_grad(site: Site) -> Thunk:
    g, kept, y = site.inputs[0].reshape(-1), site.inputs[1].reshape(-1).view(np.int8), site.outputs[0].reshape(-1)
    kind = _SIGNED[y.itemsize]
    scale = y.dtype.type(1.0 / (1.0 - site.attrs["rate"]))
    rooms = site.scratch.reshape(threads.count(), -1)
    jobs = []
    for number, (start, stop) in enumerate(threads.split(y.size, 2 * _LANES)):
        cuts = [slice(a, min(a + _LANES, stop)) for a in range(start, stop, _LANES)]
        work = [(g[cut], kept[cut], y[cut], y.view(kind)[cut]) for cut in cuts]
        part = slice(start, stop)
        thunk = partial(_clear, work, scale, rooms[number], kind)
        jobs.append(Job(thunk, (g[part], kept[part]), (y[part], rooms[number]), 3.0 + (stop - start) / 1500))
    return Jobs(jobs) if jobs else _nothing


# -- dropout after relu, backwards -------------------------------------------------------------------------------------


def _alike(captured: dict[str, Any], matched: dict[str, Any]) -> bool:
    y, g, kept = captured["y"], captured["g"], captured["kept"]
    return y.shape == g.shape == kept.shape and y.dtype == g.dtype and g.dtype in ("float32", "float64")


def _masked(*shape: int) -> tuple[Any, ...]:
    return shape, shape, In(shape, dtype="bool", value=np.arange(math.prod(shape)).reshape(shape) % 3 > 0)


_RATES = {"dropout_grad": ("dropout_grad", {"rate": 0.25}), "relu_grad": ("relu_grad", {})}
_RELU_DROPOUT = Pattern(
    "relu_dropout_grad",
    term("relu_grad", "y", term("dropout_grad", "g", "kept")),
    accepts=_alike,
    samples=[sample(*_masked(*shape), **_RATES, grad=False) for shape in ((4, 5), (31, 33), (0, 3))],
)


@kernel(
    "relu_dropout_grad",
    backend="numpy",
    scratch=lambda node: threads.count() * _room(node.inputs[1]),
    inplace=((0, 0), (0, 1)),
    strided=False,
    pattern=_RELU_DROPOUT,
)
def relu_dropout_grad(site: Site) -> Thunk:
    """Both masks as one, so that the gradient is read and written once."""
    y, g, kept, out = (a.reshape(-1) for a in (*site.inputs, site.outputs[0]))
    scale, zero = out.dtype.type(1.0 / (1.0 - site.attrs["dropout_grad"][1]["rate"])), np.zeros((), out.dtype)
    rooms = site.scratch.reshape(threads.count(), -1)
    jobs = []
    for number, (start, stop) in enumerate(threads.split(out.size, 2 * _LANES)):
        thunks: list[Thunk] = []
        for at in range(start, stop, _LANES):
            cut = slice(at, min(at + _LANES, stop))
            thunks += _mask_both(y[cut], g[cut], kept[cut], out[cut], scale, zero, rooms[number])
        part = slice(start, stop)
        cost = 3.0 + (stop - start) / 1800
        jobs.append(Job(sequence(thunks), (y[part], g[part], kept[part]), (out[part], rooms[number]), cost))
    return Jobs(jobs) if jobs else _nothing


def _mask_both(
    y: np.ndarray, g: np.ndarray, kept: np.ndarray, out: np.ndarray, scale: Any, zero: Any, room: np.ndarray
) -> list[Thunk]:
    """Steps for one chunk: y is read before out, which may be y or g, is written."""
    bits = out.view(_SIGNED[out.itemsize])
    passes = room[: out.size].view(bool)
    spread = room[_LANES : _LANES + out.nbytes].view(bits.dtype)
    return [
        partial(np.greater, y, zero, out=passes),
        partial(np.logical_and, passes, kept, out=passes),
        partial(np.negative, passes.view(np.int8), out=passes.view(np.int8)),
        partial(np.copyto, spread, passes.view(np.int8)),
        partial(np.multiply, g, scale, out=out),
        partial(np.bitwise_and, bits, spread, out=bits),
    ]
