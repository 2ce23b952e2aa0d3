"""Random ops: raw bits of the one stream, the distributions made of them, and dropout. See ``docs/random.md``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, composite, primitive, sample
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import (
    add,
    cast,
    clip,
    cos,
    divide,
    greater_equal,
    less_equal,
    log,
    multiply,
    negative,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    where,
)
from kcore.ops.shape import broadcast_to, concatenate, reshape, slice
from kcore.runtime.seeds import AS241_CENTRE, AS241_TAIL, TRUNCATED_SHARE, UNIFORM_LANES

#: Keras has its functions in `kcore.random`; these are the ops under them.
__all__: list[str] = []

_STATE = In((2,), dtype="uint32", value=np.array([7, 3], dtype=np.uint32))
_FIRST = In((2,), dtype="uint32", value=np.array([0, 0], dtype=np.uint32))
_LAST = In((2,), dtype="uint32", value=np.array([2**32 - 1, 2**32 - 1], dtype=np.uint32))


# -- the stream ------------------------------------------------------------------------------------------------------


def _mul_hi_lo(a: int, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """High and low 64 bits of the 128-bit products a * b, by 32-bit halves."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a_low, a_high = np.uint64(a & 0xFFFFFFFF), np.uint64(a >> 32)
    b_low, b_high = b & mask, b >> half
    low = a_low * b_low
    cross = a_high * b_low + (low >> half)
    other = a_low * b_high + (cross & mask)
    return a_high * b_high + (cross >> half) + (other >> half), (other << half) | (low & mask)


def _philox(seed: int, call: int, blocks: int) -> np.ndarray:
    """Philox4x64-10 (Salmon et al. 2011) of the counters (0 .. blocks-1, call, 0, 0) under the key (seed, 0)."""
    c0 = np.arange(blocks, dtype=np.uint64)
    c1, c2, c3 = np.full_like(c0, call), np.zeros_like(c0), np.zeros_like(c0)
    k0, k1 = seed, 0
    for _ in range(10):
        high0, low0 = _mul_hi_lo(0xD2E7470EE14C6C93, c0)
        high1, low1 = _mul_hi_lo(0xCA5A826395121157, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0 = (k0 + 0x9E3779B97F4A7C15) % (1 << 64)
        k1 = (k1 + 0xBB67AE8584CAA73B) % (1 << 64)
    return np.stack((c0, c1, c2, c3), axis=1).reshape(-1)


def _bits_infer(state: Spec, *, shape: tuple[int, ...], width: int = 32, below: int | None = None) -> Spec:
    _check_state("random_bits", state)
    if width not in (16, 32, 64):
        raise ValueError(f"random_bits: lanes are 16, 32 or 64 bits wide; received width={width}")
    if below is not None and not (0 < below <= 1 << width and (width < 64 or below & (below - 1) == 0)):
        raise ValueError(
            f"random_bits: `below` must be in [1, 2**{width}]{' and a power of two' if width == 64 else ''}; "
            f"received below={below}"
        )
    return Spec(tuple(shape), f"uint{width}")


def _check_state(op: str, state: Spec) -> None:
    if state.shape != (2,) or state.dtype != "uint32":
        raise ValueError(f"{op}: expected a state uint32[2] = (seed, call number); received {state}")


@primitive(
    "random",
    infer=_bits_infer,
    differentiable=False,
    samples=[
        sample(_STATE, shape=(5,), width=16, grad=False),
        sample(_STATE, shape=(15,), width=16, grad=False),
        sample(_STATE, shape=(16,), width=16, grad=False),
        sample(_STATE, shape=(17,), width=16, grad=False),
        sample(_FIRST, shape=(3, 11), width=32, grad=False),
        sample(_LAST, shape=(31,), width=64, grad=False),
        sample(_STATE, shape=(0, 3), width=32, grad=False),
        sample(_STATE, shape=(33,), width=32, below=1 << 24, grad=False),
        sample(_STATE, shape=(33,), width=32, below=10, grad=False),
        sample(_STATE, shape=(9,), width=64, below=1 << 53, grad=False),
        sample(_STATE, shape=(70000,), width=32, grad=False),
        sample(_STATE, shape=(70001,), width=16, below=300, grad=False),
    ],
)
def random_bits(state, *, shape, width=32, below=None):
    """Lanes of `width` bits of the stream of one call, as unsigned integers.

    Element i (row-major, over the whole batch) is the i-th lane, least significant first, of the words that
    Philox4x64-10 makes of the counters (0, call, 0, 0), (1, call, 0, 0), ... under the key (seed, 0). With `below`
    the lane x becomes ``floor(x * below / 2**width)``.
    """
    count = math.prod(shape)
    words = _philox(int(state[0]), int(state[1]), -(-count * width // 256))
    per_word = 64 // width
    shifts = np.arange(per_word, dtype=np.uint64) * np.uint64(width)
    lanes = (words[:, None] >> shifts).reshape(-1)[:count]
    if width < 64:
        lanes &= np.uint64((1 << width) - 1)
        if below is not None:
            lanes = (lanes * np.uint64(below)) >> np.uint64(width)
    elif below is not None:
        lanes = lanes >> np.uint64(65 - below.bit_length())
    return lanes.astype(f"uint{width}").reshape(shape)


# -- distributions ---------------------------------------------------------------------------------------------------


def _draw_infer(state: Spec, *, shape: tuple[int, ...], dtype: str = "float32", **_: Any) -> Spec:
    _check_state("random op", state)
    return Spec(tuple(shape), dtype)


def _distribution(*extra, **attrs):
    shapes = ((17,), (4, 5), (0,), (33, 31))
    return [
        sample(_STATE, shape=shape, dtype=dtype, grad=False, **attrs)
        for shape in shapes
        for dtype in ("float32", "float64")
    ]


@composite("random", infer=_draw_infer, differentiable=False, samples=_distribution())
def random_uniform(state, *, shape, dtype="float32"):
    """Uniform draws from [0, 1): the lane's top bits times a power of two, so every value is exact."""
    width, values = UNIFORM_LANES[dtype]
    wide = _wide(dtype)
    lanes = random_bits(state, shape=shape, width=width, below=values)
    return _narrow(multiply(cast(lanes, dtype=wide), _scalar(1.0 / values, wide)), dtype)


@composite("random", infer=_draw_infer, differentiable=False, samples=_distribution())
def random_normal(state, *, shape, dtype="float32"):
    """Standard normal draws (Box and Muller 1958): lanes 2p and 2p+1 give elements 2p and 2p+1.

    ``sqrt(-2 log(u + 2**-24))`` times the cosine and the sine of ``2 pi v`` (2**-53 in float64).
    """
    count, wide = math.prod(shape), _wide(dtype)
    pairs = (count + 1) // 2
    uniform = random_uniform(state, shape=(pairs, 2), dtype=wide)
    above_zero = add(slice(uniform, (0, 0), (pairs, 1)), _scalar(1.0 / UNIFORM_LANES[wide][1], wide))
    radius = sqrt(multiply(log(above_zero), _scalar(-2.0, wide)))
    angle = multiply(slice(uniform, (0, 1), (pairs, 1)), _scalar(2.0 * math.pi, wide))
    draws = reshape(concatenate([multiply(radius, cos(angle)), multiply(radius, sin(angle))], axis=1), (2 * pairs,))
    if count % 2:
        draws = slice(draws, (0,), (count,))
    return _narrow(reshape(draws, shape), dtype)


@composite("random", infer=_draw_infer, differentiable=False, samples=_distribution())
def random_truncated_normal(state, *, shape, dtype="float32"):
    """Standard normal draws within two standard deviations, by the inverse distribution function (AS 241)."""
    wide = _wide(dtype)
    width, values = UNIFORM_LANES[wide]
    lanes = cast(random_bits(state, shape=shape, width=width, below=values // 2), dtype=wide)
    centred = subtract(multiply(add(lanes, _scalar(0.5, wide)), _scalar(2.0 / values, wide)), _scalar(0.5, wide))
    q = multiply(centred, _scalar(TRUNCATED_SHARE, wide))
    centre = multiply(q, _ratio(AS241_CENTRE, subtract(_scalar(0.180625, wide), square(q)), wide))
    depth = sqrt(negative(log(subtract(_scalar(0.5, wide), absolute(q)))))
    tail = multiply(sign(q), _ratio(AS241_TAIL, subtract(depth, _scalar(1.6, wide)), wide))
    draws = where(less_equal(absolute(q), _scalar(0.425, wide)), centre, tail)
    return _narrow(clip(draws, -2.0, 2.0), dtype)


def _ratio(coefficients, x, dtype):
    """The quotient of two polynomials in x, by Horner's rule."""

    def horner(parts):
        value = _scalar(parts[-1], dtype)
        for part in reversed(parts[:-1]):
            value = add(multiply(value, x), _scalar(part, dtype))
        return value

    return divide(horner(coefficients[0]), horner(coefficients[1]))


def _integer_infer(state: Spec, *, shape: tuple[int, ...], low: int, high: int, dtype: str = "int32") -> Spec:
    _check_state("random_integer", state)
    if not 0 < high - low <= 1 << 32:
        raise ValueError(f"random_integer: expected minval < maxval, at most 2**32 apart; received {low} and {high}")
    return Spec(tuple(shape), dtype)


@composite(
    "random",
    infer=_integer_infer,
    differentiable=False,
    samples=[
        sample(_STATE, shape=(4, 9), low=-5, high=11, grad=False),
        sample(_FIRST, shape=(31,), low=0, high=1, grad=False),
        sample(_STATE, shape=(0,), low=0, high=9, grad=False),
        sample(_LAST, shape=(33,), low=-(2**31), high=2**31, dtype="int64", grad=False),
    ],
)
def random_integer(state, *, shape, low, high, dtype="int32"):
    """Integers from [low, high): ``low + floor(x * (high - low) / 2**32)`` of the 32-bit lane x."""
    lanes = random_bits(state, shape=shape, width=32, below=high - low)
    return cast(add(cast(lanes, dtype="int64"), np.int64(low)), dtype=dtype)


# -- dropout ---------------------------------------------------------------------------------------------------------


def threshold(rate: float) -> int:
    """The 16-bit lane from which on an element is kept: ``round(rate * 65536)``, at most 65535."""
    return min(round(rate * 65536), 65535)


def _dropout_infer(x: Spec, state: Spec, *, rate: float, noise_shape: tuple[int, ...] | None = None):
    _check_state("dropout", state)
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout: expected a rate in [0, 1); received rate={rate}")
    if not x.dtype.startswith(("float", "bfloat")):
        raise ValueError(f"dropout: expected floating-point inputs; received {x}")
    mask = x.shape if noise_shape is None else tuple(noise_shape)
    if len(mask) != len(x.shape) or any(
        m not in (1, d) for m, d in zip(mask, x.shape, strict=True) if None not in (m, d)
    ):
        raise ValueError(f"dropout: noise_shape {mask} does not broadcast to the inputs' shape {x.shape}")
    return x, Spec(mask, "bool")


@composite(
    "random",
    infer=_dropout_infer,
    residuals=1,
    samples=[
        sample((16, 16), _STATE, rate=0.5),
        sample((3, 5), _FIRST, rate=0.25),
        sample((15,), _STATE, rate=0.4),
        sample((17,), _STATE, rate=0.0),
        sample((0, 4), _STATE, rate=0.1),
        sample((4, 6), _STATE, rate=0.3, noise_shape=(4, 1)),
        sample((300, 257), _LAST, rate=0.3, grad=False),
    ],
)
def dropout(x, state, *, rate, noise_shape=None):
    """Set elements to zero where their 16-bit lane is below ``round(rate * 65536)``; scale the rest by 1/(1-rate).

    Returns the result and, for the gradient, the mask of the elements kept.
    """
    lanes = random_bits(state, shape=x.shape if noise_shape is None else noise_shape, width=16)
    kept = greater_equal(lanes, np.uint16(threshold(rate)))
    return dropout_grad(x, kept, rate=rate), kept


@dropout.gradient
def _(ctx, g, _mask):
    return dropout_grad(g, ctx.outputs[1], rate=ctx.attrs["rate"]), None


@composite(
    "random",
    infer=lambda g, kept, *, rate: g,
    samples=[
        sample((4, 5), In((4, 5), dtype="bool", value=np.arange(20).reshape(4, 5) % 3 > 0), rate=0.25),
        sample((4, 5), In((4, 1), dtype="bool", value=np.arange(4).reshape(4, 1) % 2 > 0), rate=0.5),
        sample((0,), In((0,), dtype="bool", value=np.zeros(0, bool)), rate=0.5),
    ],
)
def dropout_grad(g, kept, *, rate):
    """``g / (1 - rate)`` where an element was kept, zero elsewhere: dropout's gradient, and its forward rule."""
    scaled = multiply(g, np.asarray(1.0 / (1.0 - rate), dtype=g.dtype))
    zero = np.zeros((), dtype=g.dtype)
    return where(broadcast_to(kept, g.shape), scaled, zero)


@dropout_grad.gradient
def _(ctx, g):
    return dropout_grad(g, ctx.inputs[1], rate=ctx.attrs["rate"]), None


# -- helpers ---------------------------------------------------------------------------------------------------------


def _wide(dtype: str) -> str:
    """The dtype in which a draw is computed: short floats are drawn as float32 and rounded."""
    return "float64" if dtype == "float64" else "float32"


def _narrow(x, dtype):
    return x if _wide(dtype) == dtype else cast(x, dtype=dtype)


def _scalar(value: float, dtype: str) -> np.ndarray:
    return np.asarray(value, dtype=dtype)
