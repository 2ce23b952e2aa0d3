"""Seeds and their state, and the draws made on the host: initial weights and shuffles, the same on every backend.

The stream, and how a seed, a call number and an element index pick bits from it, is defined in ``docs/random.md``.
The functions ``host_*`` return NumPy arrays and are bit for bit (normals: to rounding) what the ops of
`kcore.ops.random` give for the same seed and call number.
"""

from __future__ import annotations

import math
import random as python_random
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.errors import DeterminismError

#: Lane width in bits and the number of equally likely values a draw of each dtype takes (`docs/random.md`).
UNIFORM_LANES: dict[str, tuple[int, int]] = {
    "float64": (64, 1 << 53),
    "float32": (32, 1 << 24),
    "float16": (32, 1 << 11),
    "bfloat16": (32, 1 << 8),
}

#: Phi(2) - Phi(-2): the share of a normal distribution within two standard deviations of its mean.
TRUNCATED_SHARE = 0.9544997361036416

#: Algorithm AS 241 (Wichura 1988), PPND16: numerator and denominator in the centre, |q| <= 0.425 ...
AS241_CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
#: ... and beside it, as long as sqrt(-log(tail probability)) <= 5, which two standard deviations never leave.
AS241_TAIL = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)

_explicit_seed: int | None = None
_global_generator: SeedGenerator | None = None


class SeedGenerator:
    """A random state that gives other numbers at every call.

    Its state is one variable of shape (2,) and dtype uint32, (seed, call number), as in Keras; each draw advances
    the call number by one, in program order.

    Args:
        seed: an int; None draws one from Python's `random`, so that `set_random_seed` makes it deterministic.
        name: name of the generator.

    Example:

    >>> from kcore import random
    >>> generator = random.SeedGenerator(seed=1)
    >>> bool((random.uniform((2,), seed=generator).numpy() == random.uniform((2,), seed=generator).numpy()).any())
    False

    Source: `keras.random.SeedGenerator`.
    """

    def __init__(self, seed: int | None = None, name: str | None = None):
        from kcore.runtime.variable import Variable

        self.name = name or "seed_generator"
        self._initial_seed = seed
        start = make_default_seed() if seed is None else check_seed(seed)
        self.state = Variable(
            np.array([start, 0], dtype=np.uint32), dtype="uint32", trainable=False, name="seed_generator_state"
        )

    def next(self, ordered: bool = True) -> Any:
        """The state before this call, a uint32 tensor of shape (2,); the stored call number advances by one.

        Args:
            ordered: accepted for Keras' sake; the order is always that of the program.
        """
        state = self.state.value
        self.state.assign(state + np.array([0, 1], dtype=np.uint32))
        return state

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


def check_seed(seed: Any) -> int:
    """A seed as the uint32 that goes into the state; ValueError for anything that is not an int."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(
            "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})"
        )
    return int(seed) & 0xFFFFFFFF


def make_default_seed() -> int:
    """A seed drawn from Python's `random`, in [1, 10^9].

    Raises:
        DeterminismError: `kcore.config.enable_op_determinism` was called, and `set_random_seed` was not.
    """
    if _explicit_seed is None and config.is_op_determinism_enabled():
        raise DeterminismError(
            "random numbers are drawn without a seed, so that they differ from run to run, while op determinism is "
            "enabled: call kcore.utils.set_random_seed(seed) first, or give every random thing a seed of its own"
        )
    return python_random.randint(1, int(1e9))


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy and kcore's global generator: after it a script gives the same numbers every time.

    Args:
        seed: an int in [0, 2^32).

    Raises:
        ValueError: if `seed` is not such an int.

    Example:

    >>> import kcore
    >>> kcore.set_random_seed(7); a = kcore.random.uniform((3,)).numpy()
    >>> kcore.set_random_seed(7); b = kcore.random.uniform((3,)).numpy()
    >>> bool((a == b).all())
    True

    Source: `keras.utils.set_random_seed`.
    """
    global _explicit_seed
    check_session_seed(seed)
    _explicit_seed = seed
    python_random.seed(seed)
    np.random.seed(seed)
    if _global_generator is not None:
        _global_generator.state.assign(np.array([seed, 0], dtype=np.uint32))


def check_session_seed(seed: Any) -> None:
    """Raise ValueError for anything but an int in [0, 2^32)."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 32:
        raise ValueError(
            f"Expected `seed` argument to be an integer in [0, 2**32). Received: seed={seed!r} "
            f"(of type {type(seed).__name__})"
        )


def forget_global_generator() -> None:
    """Let the next draw without a seed make a new global generator, from the seed last set if there is one."""
    global _global_generator
    _global_generator = None


def get_random_seed() -> int | None:
    """The seed last given to `set_random_seed`, or None."""
    return _explicit_seed


def global_seed_generator() -> SeedGenerator:
    """The generator that `kcore.random` functions use when they are given no seed."""
    global _global_generator
    if _global_generator is None:
        _global_generator = SeedGenerator(_explicit_seed, name="global_seed_generator")
    return _global_generator


def draw_seed(seed: int | SeedGenerator | None) -> Any:
    """The uint32 state (2,) for one draw: of a generator its next one, of an int (seed, 0), of None the global one."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    return np.array([check_seed(seed), 0], dtype=np.uint32)


#: Draws that `host_truncated_normal` computes together.
BLOCK = 1 << 13

# -- draws on the host -----------------------------------------------------------------------------------------------

HostSeed = int | tuple[int, int] | None


def host_lanes(count: int, width: int, seed: HostSeed = None, below: int | None = None) -> np.ndarray:
    """The first `count` lanes of `width` bits of one call's stream, as unsigned integers of that width.

    Args:
        count: how many.
        width: 16, 32 or 64.
        seed: an int, or a pair (seed, call number); None draws a seed from Python's `random`.
        below: map each lane x to ``floor(x * below / 2**width)``; a power of two if the width is 64.
    """
    number, call = seed if isinstance(seed, tuple) else (make_default_seed() if seed is None else seed, 0)
    # NumPy steps the counter before its first block, so it starts one below (0, call, 0, 0).
    before = ((check_seed(call) << 64) - 1) % (1 << 256)
    counter = np.array([(before >> (64 * i)) & ((1 << 64) - 1) for i in range(4)], dtype=np.uint64)
    stream = np.random.Philox(key=np.array([check_seed(number), 0], dtype=np.uint64), counter=counter)
    words = stream.random_raw(-(-count * width // 64))
    lanes = words.astype("<u8", copy=False).view(f"<u{width // 8}")[:count]
    if below is None:
        return lanes
    if width == 64 or below & (below - 1) == 0:  # a power of two, as for floats
        return lanes >> lanes.dtype.type(width - below.bit_length() + 1)
    scaled = (lanes.astype(np.uint64) * np.uint64(below)) >> np.uint64(width)
    return scaled.astype(lanes.dtype)


def _check_float(dtype: str) -> None:
    if dtype not in UNIFORM_LANES:
        raise ValueError(f"random floats cannot be {dtype}; expected one of {', '.join(UNIFORM_LANES)}")


def _unit(count: int, dtype: str, seed: HostSeed) -> np.ndarray:
    """Uniform draws from [0, 1) in the dtype itself."""
    _check_float(dtype)
    width, values = UNIFORM_LANES[dtype]
    lanes = host_lanes(count, width, seed, values)
    kind: Any = np.float64 if dtype == "float64" else np.float32
    return lanes.astype(kind) * kind(1.0 / values)


def _finish(draws: np.ndarray, scale: float, shift: float, shape: Sequence[int], dtype: str) -> np.ndarray:
    """``draws * scale + shift`` with one rounding each, in `shape` and `dtype`."""
    kind = draws.dtype.type
    if scale != 1.0:
        draws *= kind(scale)
    if shift != 0.0:
        draws += kind(shift)
    return _cast(draws, dtype).reshape(tuple(shape))


def _cast(draws: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bfloat16":
        import ml_dtypes

        return draws.astype(ml_dtypes.bfloat16)
    return draws.astype(dtype, copy=False)


def _wide(dtype: str) -> str:
    """The dtype in which a draw is computed: short floats are drawn as float32 and rounded."""
    _check_float(dtype)
    return "float64" if dtype == "float64" else "float32"


def host_uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32", seed: HostSeed = None
) -> np.ndarray:
    """Uniform draws from [minval, maxval), as `kcore.random.uniform` makes them, on the host.

    Args:
        shape: ints.
        minval, maxval: floats.
        dtype: a floating dtype.
        seed: an int, or a pair (seed, call number); None draws a seed from Python's `random`.

    Returns: a NumPy array.

    Example:

    >>> host_uniform((3,), seed=0).tolist()
    [0.789889395236969, 0.0872390866279602, 0.40303128957748413]
    """
    return _finish(_unit(math.prod(shape), dtype, seed), maxval - minval, minval, shape, dtype)


def host_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: HostSeed = None
) -> np.ndarray:
    """Normal draws by the transform of Box and Muller, as `kcore.random.normal` makes them, on the host."""
    count, wide = math.prod(shape), _wide(dtype)
    pairs = _unit(count + count % 2, wide, seed).reshape(-1, 2)
    kind = pairs.dtype.type
    radius = np.sqrt(kind(-2.0) * np.log(pairs[:, 0] + kind(1.0 / UNIFORM_LANES[wide][1])))
    angle = pairs[:, 1] * kind(2.0 * math.pi)
    draws = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1).reshape(-1)[:count]
    return _finish(draws, stddev, mean, shape, dtype)


def host_truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: HostSeed = None
) -> np.ndarray:
    """Normal draws within two standard deviations of the mean, by the inverse distribution function, on the host."""
    width, values = UNIFORM_LANES[_wide(dtype)]
    lanes = host_lanes(math.prod(shape), width, seed, values // 2)
    draws = np.empty(lanes.shape)
    for at in range(0, len(lanes), BLOCK):  # a block at a time stays in the cache
        centred = (lanes[at : at + BLOCK].astype(np.float64) + 0.5) * (2.0 / values) - 0.5
        draws[at : at + BLOCK] = inverse_normal(centred * TRUNCATED_SHARE)
    return _finish(draws, stddev, mean, shape, dtype)


def inverse_normal(q: np.ndarray) -> np.ndarray:
    """The normal quantile of 0.5 + q in float64, for sqrt(-log(0.5 - |q|)) <= 5 (algorithm AS 241)."""
    quantile = q * _ratio(AS241_CENTRE, 0.180625 - q * q)
    far = np.abs(q) > 0.425
    edge = q[far]
    tail = np.sqrt(-np.log(0.5 - np.abs(edge))) - 1.6
    quantile[far] = np.copysign(_ratio(AS241_TAIL, tail), edge)
    return quantile


def _ratio(coefficients: tuple[Sequence[float], Sequence[float]], x: np.ndarray) -> np.ndarray:
    top, bottom = (_polynomial(part, x) for part in coefficients)
    return np.divide(top, bottom, top)


def _polynomial(coefficients: Sequence[float], x: np.ndarray) -> np.ndarray:
    """By Horner's rule, lowest coefficient first."""
    value = np.full(x.shape, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value *= x
        value += coefficient
    return value


def host_integers(
    shape: Sequence[int], minval: int, maxval: int, dtype: str = "int32", seed: HostSeed = None
) -> np.ndarray:
    """Integers from [minval, maxval), as `kcore.random.randint` makes them, on the host."""
    lanes = host_lanes(math.prod(shape), 32, seed, maxval - minval)
    return (lanes.astype(np.int64) + minval).astype(dtype).reshape(tuple(shape))


def host_permutation(count: int, seed: HostSeed = None) -> np.ndarray:
    """A random order of ``range(count)``, int64: the stable order of the first `count` 64-bit lanes."""
    return np.argsort(host_lanes(count, 64, seed), kind="stable")
