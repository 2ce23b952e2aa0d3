"""`keras.random`: draws from the one stream that ``docs/random.md`` defines, the same on every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.config import floatx
from kcore.ops import random as _ops
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import (
    add,
    cast,
    clip,
    cos,
    exp,
    floor,
    log,
    log1p,
    logical_and,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    sigmoid,
    sqrt,
    where,
)
from kcore.ops.indexing import gather, take_along_axis
from kcore.ops.reduction import argmax, cumsum
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import broadcast_to, expand_dims, squeeze
from kcore.ops.sorting import argsort
from kcore.runtime.seeds import SeedGenerator, draw_seed

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Seed = int | SeedGenerator | None


def _float_dtype(function: str, dtype: str | None) -> str:
    name = floatx() if dtype is None else str(dtype)
    if name not in _ops.UNIFORM_LANES:
        raise ValueError(f"`keras.random.{function}` requires a floating point `dtype`. Received: dtype={dtype}")
    return name


def _shape(function: str, shape: Sequence[int] | int) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in sizes):
        raise ValueError(f"`keras.random.{function}` requires a shape of non-negative ints. Received: shape={shape}")
    return tuple(int(size) for size in sizes)


def _affine(draws: Any, scale: Any, shift: Any, dtype: str) -> Any:
    """``draws * scale + shift``; neither where it would change nothing."""
    if not (isinstance(scale, (int, float)) and scale == 1):
        draws = multiply(draws, _constant(scale, dtype))
    if not (isinstance(shift, (int, float)) and shift == 0):
        draws = add(draws, _constant(shift, dtype))
    return draws


def _constant(value: Any, dtype: str) -> Any:
    return np.asarray(value, dtype=dtype) if isinstance(value, (int, float)) else cast(value, dtype=dtype)


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None, seed: Seed = None
) -> Any:
    """Draw from the uniform distribution on [minval, maxval).

    Args:
        shape: ints.
        minval: lower end, included.
        maxval: upper end, excluded.
        dtype: a floating dtype; None is `config.floatx()`.
        seed: an int gives the same numbers at every call; a `SeedGenerator` advances; None is the global generator.

    Returns: a tensor of `shape` and `dtype`.

    Raises:
        ValueError: if `dtype` is not a floating dtype.

    Example:

    >>> from kcore import random
    >>> random.uniform((2, 2), seed=0).shape
    (2, 2)

    Source: `keras.random.uniform`.
    """
    dtype = _float_dtype("uniform", dtype)
    draws = _ops.random_uniform(draw_seed(seed), shape=_shape("uniform", shape), dtype=dtype)
    return _affine(draws, maxval - minval, minval, dtype)


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: Seed = None
) -> Any:
    """Draw from the normal distribution.

    Args:
        shape: ints.
        mean: mean.
        stddev: standard deviation.
        dtype: a floating dtype; None is `config.floatx()`.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of `shape` and `dtype`.

    Example:

    >>> from kcore import random
    >>> random.normal((3,), seed=0).dtype
    'float32'

    Source: `keras.random.normal`; transform of Box and Muller (1958).
    """
    dtype = _float_dtype("normal", dtype)
    draws = _ops.random_normal(draw_seed(seed), shape=_shape("normal", shape), dtype=dtype)
    return _affine(draws, stddev, mean, dtype)


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: Seed = None
) -> Any:
    """Draw from the normal distribution, without what lies more than two standard deviations from the mean.

    Args:
        shape: ints.
        mean: mean of the distribution before it is cut.
        stddev: standard deviation before it is cut.
        dtype: a floating dtype; None is `config.floatx()`.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of `shape` and `dtype`.

    Example:

    >>> from kcore import random
    >>> bool((abs(random.truncated_normal((100,), seed=0).numpy()) <= 2).all())
    True

    Source: `keras.random.truncated_normal`; inverse distribution function by AS 241 (Wichura 1988).
    """
    dtype = _float_dtype("truncated_normal", dtype)
    draws = _ops.random_truncated_normal(draw_seed(seed), shape=_shape("truncated_normal", shape), dtype=dtype)
    return _affine(draws, stddev, mean, dtype)


#: Candidates per draw of a gamma distribution. Each is taken with a probability above 0.95, so that none is with one
#: below 1e-13; the first one then stands.
ROUNDS = 10


def _parameter(function: str, name: str, value: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """A shape parameter as a tensor of the draws' shape."""
    if not hasattr(value, "dtype") or isinstance(value, np.ndarray | np.generic):
        known = np.asarray(value)
        if known.dtype.kind not in "fiu" or not (known > 0).all():
            raise ValueError(f"`keras.random.{function}` requires a positive `{name}`. Received: {name}={value!r}")
        value = known.astype(dtype)
    return broadcast_to(cast(value, dtype), shape)


def _gamma_parts(uniform: Any, alpha: Any, tiny: float) -> tuple[Any, Any]:
    """(d, log(draw / d)) of gamma draws: d (1 + c x)^3 with a normal x, accepted by comparison with a uniform number.

    Below 1 the parameter is raised by 1, and the draw multiplied by the root of order alpha of a uniform number.

    Args:
        uniform: draws from [0, 1), ``(3 * ROUNDS + 1, *shape)``: first and second for x, third to compare, last root.
        alpha: ``shape``.
        tiny: what is added to uniform draws before their logarithm.
    """
    raised = alpha < 1.0
    d = where(raised, alpha + 1.0, alpha) - 1.0 / 3.0
    x = sqrt(log(uniform[:ROUNDS] + tiny) * -2.0) * cos(uniform[ROUNDS : 2 * ROUNDS] * (2.0 * math.pi))
    root = x * (1.0 / sqrt(d * 9.0)) + 1.0
    inside = root > 0.0
    cube = log(where(inside, root, 1.0)) * 3.0
    bound = x * x * 0.5 + d * (1.0 - exp(cube) + cube)
    taken = logical_and(inside, log(uniform[2 * ROUNDS : 3 * ROUNDS] + tiny) < bound)
    first = expand_dims(argmax(cast(taken, "int32"), axis=0), 0)
    chosen = squeeze(take_along_axis(cube, first, axis=0), 0)
    return d, chosen + where(raised, log(uniform[3 * ROUNDS] + tiny) / alpha, 0.0)


def gamma(shape: Sequence[int], alpha: Any, dtype: str | None = None, seed: Seed = None) -> Any:
    """Draw from the gamma distribution with density ``x^(alpha - 1) exp(-x) / Gamma(alpha)``.

    Args:
        shape: ints.
        alpha: shape parameter above 0, a number or what broadcasts to `shape`.
        dtype: a floating dtype; None is `config.floatx()`.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of `shape` and `dtype`.

    Raises:
        ValueError: if `dtype` is not a floating dtype, or a given number is not above 0.

    Example:

    >>> from kcore import random
    >>> draws = random.gamma((1000,), 3.0, seed=0).numpy()
    >>> bool((draws > 0).all()), bool(abs(draws.mean() - 3) < 0.2)
    (True, True)

    Source: `keras.random.gamma`; Marsaglia and Tsang (2000).
    """
    dtype, sizes = _float_dtype("gamma", dtype), _shape("gamma", shape)
    wide = "float64" if dtype == "float64" else "float32"
    alpha = _parameter("gamma", "alpha", alpha, sizes, wide)
    uniform = _ops.random_uniform(draw_seed(seed), shape=(3 * ROUNDS + 1, *sizes), dtype=wide)
    d, scale = _gamma_parts(uniform, alpha, 1.0 / _ops.UNIFORM_LANES[wide][1])
    return cast(d * exp(scale), dtype)


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: str | None = None, seed: Seed = None) -> Any:
    """Draw from the beta distribution with density proportional to ``x^(alpha - 1) (1 - x)^(beta - 1)``.

    Args:
        shape: ints.
        alpha: first shape parameter above 0, a number or what broadcasts to `shape`.
        beta: second shape parameter, the same.
        dtype: a floating dtype; None is `config.floatx()`.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of `shape` and `dtype`, in [0, 1].

    Raises:
        ValueError: if `dtype` is not a floating dtype, or a given number is not above 0.

    Example:

    >>> from kcore import random
    >>> draws = random.beta((1000,), 2.0, 6.0, seed=0).numpy()
    >>> bool(abs(draws.mean() - 0.25) < 0.02)
    True

    Source: `keras.random.beta`; X / (X + Y) of two gamma draws, from their logarithms.
    """
    dtype, sizes = _float_dtype("beta", dtype), _shape("beta", shape)
    wide = "float64" if dtype == "float64" else "float32"
    parameters = [_parameter("beta", name, p, sizes, wide) for name, p in (("alpha", alpha), ("beta", beta))]
    count = 3 * ROUNDS + 1
    uniform = _ops.random_uniform(draw_seed(seed), shape=(2 * count, *sizes), dtype=wide)
    tiny = 1.0 / _ops.UNIFORM_LANES[wide][1]
    halves = (uniform[:count], uniform[count:])
    parts = [_gamma_parts(half, parameter, tiny) for half, parameter in zip(halves, parameters, strict=True)]
    (d, scale), (other, other_scale) = parts
    return cast(sigmoid(log(d / other) + scale - other_scale), dtype)


#: Candidates per draw of a binomial distribution of mean 10 or more; each is taken with a probability above 0.86.
CANDIDATES = 14
#: Values that a binomial draw of a mean below 10 can have: a larger one has a probability below 1e-16.
SMALL_VALUES = 48


def _stirling(k: Any) -> Any:
    """log k! - (log sqrt(2 pi) + (k + 1/2) log(k + 1) - (k + 1)), by the first terms of its series; k >= 0."""
    x = k + 1.0
    square = x * x
    return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / x


def _few_successes(uniform: Any, n: Any, p: Any) -> Any:
    """Binomial draws of a mean below 10: how many values of the distribution function a uniform number exceeds."""
    ahead = np.arange(SMALL_VALUES - 1, dtype=uniform.dtype).reshape(-1, *(1,) * len(uniform.shape))
    left = expand_dims(n, 0) - ahead
    ratio = log(maximum(left, 1.0)) - np.log(ahead + 1) + expand_dims(log(maximum(p, 1e-30)) - log1p(negative(p)), 0)
    first = expand_dims(n * log1p(negative(p)), 0)
    rest = first + cumsum(where(left > 0.0, ratio, -200.0), axis=0)
    reached = exp(first) + cumsum(exp(rest), axis=0)
    more = cast(expand_dims(uniform, 0) >= reached, uniform.dtype)
    return cast(uniform >= squeeze(exp(first), 0), uniform.dtype) + reduce_sum(more, axis=0)


def _many_successes(u: Any, v: Any, n: Any, p: Any, tiny: float) -> Any:
    """Binomial draws of a mean of 10 or more and p of 1/2 or less: of the candidates the first that is taken."""
    spread = sqrt(n * p * (1.0 - p))
    b = spread * 2.53 + 1.15
    a = b * 0.0248 + p * 0.01 - 0.0873
    alpha = (5.1 / b + 2.83) * spread
    odds = p / (1.0 - p)
    mode = floor((n + 1.0) * p)
    u = u - 0.5
    near = maximum(0.5 - absolute(u), tiny)
    k = floor((a * 2.0 / near + b) * u + n * p + 0.5)
    inside = logical_and(k >= 0.0, k <= n)
    k = minimum(maximum(k, 0.0), n)
    at_once = logical_and(near >= 0.07, v <= 0.92 - 4.2 / b)
    bound = (
        (mode + 0.5) * log((mode + 1.0) / (odds * (n - mode + 1.0)))
        + (n + 1.0) * log((n - mode + 1.0) / (n - k + 1.0))
        + (k + 0.5) * log(odds * (n - k + 1.0) / (k + 1.0))
        + (_stirling(mode) + _stirling(n - mode) - _stirling(k) - _stirling(n - k))
    )
    below = log(maximum(v, tiny) * alpha / (a / (near * near) + b)) <= bound
    taken = logical_and(inside, logical_or(at_once, below))
    first = expand_dims(argmax(cast(taken, "int32"), axis=0), 0)
    return squeeze(take_along_axis(k, first, axis=0), 0)


def _known(function: str, name: str, value: Any, limit: float) -> np.ndarray | None:
    """A parameter's numbers, checked, if they are known now."""
    if hasattr(value, "dtype") and not isinstance(value, np.ndarray | np.generic):
        return None
    known = np.asarray(value)
    if known.dtype.kind not in "fiu" or not ((known >= 0) & (known <= limit)).all():
        range_ = "in [0, 1]" if limit == 1 else "of 0 or more"
        raise ValueError(f"`keras.random.{function}` requires `{name}` {range_}. Received: {name}={value!r}")
    return known


def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: str | None = None, seed: Seed = None) -> Any:
    """Draw from the binomial distribution: how many of `counts` trials succeed, each with its probability.

    Args:
        shape: ints.
        counts: number of trials, 0 or more, a number or what broadcasts to `shape`.
        probabilities: probability of success in [0, 1], a number or what broadcasts to `shape`.
        dtype: a floating dtype; None is `config.floatx()`.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of `shape` and `dtype`, of whole numbers.

    Raises:
        ValueError: if `dtype` is not a floating dtype, or a given number is out of its range.

    Example:

    >>> from kcore import random
    >>> draws = random.binomial((1000,), 20, 0.3, seed=0).numpy()
    >>> bool((draws == draws.round()).all()), bool(abs(draws.mean() - 6) < 0.3)
    (True, True)

    Source: `keras.random.binomial`; Hoermann (1993), and inversion for means below 10.
    """
    dtype, sizes = _float_dtype("binomial", dtype), _shape("binomial", shape)
    wide = "float64" if dtype == "float64" else "float32"
    known = _known("binomial", "counts", counts, np.inf), _known("binomial", "probabilities", probabilities, 1)
    n, p = (
        broadcast_to(cast(value if array is None else array, wide), sizes)
        for value, array in zip((counts, probabilities), known, strict=True)
    )
    p = clip(p, 0.0, 1.0)
    likely = p > 0.5
    p = where(likely, 1.0 - p, p)
    uniform = _ops.random_uniform(draw_seed(seed), shape=(2 * CANDIDATES + 1, *sizes), dtype=wide)
    means = None
    if known[0] is not None and known[1] is not None:
        means = known[0] * np.minimum(known[1], 1 - known[1])
    if means is not None and (means < 10).all():
        draws = _few_successes(uniform[2 * CANDIDATES], n, p)
    else:
        small = n * p < 10.0
        safe = where(small, maximum(n, 20.0), n), where(small, 0.5, p)
        tiny = 1.0 / _ops.UNIFORM_LANES[wide][1]
        draws = _many_successes(uniform[:CANDIDATES], uniform[CANDIDATES : 2 * CANDIDATES], *safe, tiny)
        if means is None or (means < 10).any():
            few = where(small, n, 0.0), where(small, p, 0.0)
            draws = where(small, _few_successes(uniform[2 * CANDIDATES], *few), draws)
    return cast(where(likely, n - draws, draws), dtype)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: str = "int32", seed: Seed = None) -> Any:
    """Draw integers uniformly from [minval, maxval).

    Args:
        shape: ints.
        minval: lower end, included.
        maxval: upper end, excluded; at most ``minval + 2**32``.
        dtype: an integer dtype.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of `shape` and `dtype`.

    Raises:
        ValueError: if `dtype` is not an integer dtype, or the range is empty or too wide.

    Example:

    >>> from kcore import random
    >>> sorted(set(random.randint((100,), 0, 3, seed=0).numpy().tolist()))
    [0, 1, 2]

    Source: `keras.random.randint`.
    """
    if "int" not in str(dtype):
        raise ValueError(f"`keras.random.randint` requires an integer `dtype`. Received: dtype={dtype}")
    return _ops.random_integer(
        draw_seed(seed), shape=_shape("randint", shape), low=int(minval), high=int(maxval), dtype=str(dtype)
    )


def categorical(logits: Any, num_samples: int, dtype: str = "int32", seed: Seed = None) -> Any:
    """Draw classes with probabilities ``softmax(logits)``, by the Gumbel-max rule.

    Args:
        logits: unnormalised log-probabilities `(batch, classes)`, floats.
        num_samples: draws per row.
        dtype: integer dtype of the result.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: class indices `(batch, num_samples)`.

    Raises:
        ValueError: if `logits` is not of rank 2.

    Example:

    >>> import numpy as np
    >>> from kcore import random
    >>> random.categorical(np.array([[-50.0, 0.0]], "float32"), 3, seed=0).numpy().tolist()
    [[1, 1, 1]]

    Source: `keras.random.categorical`.
    """
    shape = tuple(logits.shape)
    if len(shape) != 2:
        raise ValueError(
            f"`logits` should be a 2-D tensor with shape [batch_size, num_classes]. Received: logits with shape {shape}"
        )
    # (2k + 1) / 2**24 lies strictly between 0 and 1 and is exact in float32, so both logarithms are finite.
    lanes = _ops.random_bits(draw_seed(seed), shape=(shape[0], num_samples, shape[1]), width=32, below=1 << 23)
    inside = multiply(add(cast(lanes, dtype="float32"), np.float32(0.5)), np.float32(2.0**-23))
    gumbel = negative(log(negative(log(inside))))
    return cast(argmax(add(expand_dims(logits, 1), gumbel), axis=-1), dtype=dtype)


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None) -> Any:
    """Set a share `rate` of the elements to zero and scale the others by ``1 / (1 - rate)``.

    Args:
        inputs: a floating tensor of any shape.
        rate: share to drop, in [0, 1); in steps of 2**-16.
        noise_shape: shape of the mask, broadcast to the inputs'; None in it stands for the inputs' size.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of the inputs' shape and dtype.

    Example:

    >>> import numpy as np
    >>> from kcore import random
    >>> set(random.dropout(np.ones(100, "float32"), 0.5, seed=0).numpy().tolist()) == {0.0, 2.0}
    True

    Source: `keras.random.dropout`.
    """
    if noise_shape is not None:
        noise_shape = tuple(inputs.shape[i] if size is None else int(size) for i, size in enumerate(noise_shape))
    return _ops.dropout(inputs, draw_seed(seed), rate=float(rate), noise_shape=noise_shape)[0]


def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> Any:
    """Put the slices along an axis into random order.

    Args:
        x: a tensor of any shape.
        axis: the axis.
        seed: an int, a `SeedGenerator`, or None for the global generator.

    Returns: a tensor of the same shape and dtype.

    Example:

    >>> import numpy as np
    >>> from kcore import random
    >>> sorted(random.shuffle(np.arange(5), seed=1).numpy().tolist())
    [0, 1, 2, 3, 4]

    Source: `keras.random.shuffle`.
    """
    axis = axis % len(x.shape)
    keys = _ops.random_bits(draw_seed(seed), shape=(x.shape[axis],), width=64)
    return gather(x, argsort(keys), axis=axis)
