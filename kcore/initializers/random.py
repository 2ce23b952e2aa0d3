"""Initializers that draw: uniform, normal, scaled by fan, orthogonal; from the one random stream, on the host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.declare import argument, at_least, one_of
from kcore.initializers.initializer import Initializer
from kcore.registry import deserialize, public
from kcore.runtime import seeds

#: Standard deviation of a standard normal cut off at two standard deviations.
TRUNCATED_STDDEV = 0.87962566103423978


def _seed(value: Any) -> Any:
    """An integer, a `SeedGenerator`, its configuration, or None for one drawn from Python's `random`."""
    value = deserialize(value) if isinstance(value, dict) else value
    if (
        value is not None
        and (isinstance(value, bool) or not hasattr(value, "__index__"))
        and not hasattr(value, "next")
    ):
        raise ValueError("expected an integer or a SeedGenerator")
    return value


class RandomInitializer(Initializer):
    """Base of the initializers that draw random numbers.

    Args:
        seed: an integer (the same numbers at every call), or a `SeedGenerator` (other ones each time); None draws one
            seed from Python's `random` when the initializer is made.
    """

    seed: Any = argument(None, _seed, attr="_init_seed")
    _init_seed: Any

    def __post_init__(self) -> None:
        self.seed = seeds.make_default_seed() if self._init_seed is None else self._init_seed

    def host_seed(self) -> Any:
        """The state of this draw, as the host functions of `kcore.runtime.seeds` take it."""
        if hasattr(self.seed, "next"):
            number, call = np.asarray(self.seed.next()).tolist()
            return number, call
        return int(self.seed)


@public("keras.initializers", "RandomNormal", "random_normal", "normal")
class RandomNormal(RandomInitializer):
    """Normal draws.

    Args:
        mean: their mean.
        stddev: their standard deviation.
        seed: see `RandomInitializer`.

    Example:
        >>> RandomNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    mean: float = argument(0.0)
    stddev: float = argument(0.05)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return seeds.host_normal(shape, self.mean, self.stddev, dtype, self.host_seed())


@public("keras.initializers", "TruncatedNormal", "truncated_normal")
class TruncatedNormal(RandomInitializer):
    """Normal draws within two standard deviations of the mean.

    Args:
        mean: mean of the normal distribution.
        stddev: its standard deviation, before the tails are cut off.
        seed: see `RandomInitializer`.

    Example:
        >>> bool((abs(TruncatedNormal(stddev=1.0, seed=1)((100,)).numpy()) <= 2).all())
        True
    """

    mean: float = argument(0.0)
    stddev: float = argument(0.05)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return seeds.host_truncated_normal(shape, self.mean, self.stddev, dtype, self.host_seed())


@public("keras.initializers", "RandomUniform", "random_uniform", "uniform")
class RandomUniform(RandomInitializer):
    """Uniform draws from ``[minval, maxval)``.

    Args:
        minval: lower end, included.
        maxval: upper end, not included.
        seed: see `RandomInitializer`.

    Example:
        >>> bool((abs(RandomUniform(seed=1)((100,)).numpy()) <= 0.05).all())
        True
    """

    minval: float = argument(-0.05)
    maxval: float = argument(0.05)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return seeds.host_uniform(shape, self.minval, self.maxval, dtype, self.host_seed())


def _positive(value: float) -> float:
    if not value > 0:
        raise ValueError("expected a positive number")
    return value


def _distribution(value: str) -> str:
    value = "truncated_normal" if value.lower() == "normal" else value.lower()
    return one_of("uniform", "truncated_normal", "untruncated_normal")(value)


@public("keras.initializers", "VarianceScaling", "variance_scaling")
class VarianceScaling(RandomInitializer):
    """Draws whose variance is ``scale / n``, with n the fan-in, the fan-out or their mean.

    Args:
        scale: factor of the variance.
        mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.
        distribution: ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``.
        seed: see `RandomInitializer`.
        input_axes: axes of the shape that are inputs; with `output_axes` they decide the fans of unusual kernels.
        output_axes: axes of the shape that are outputs.

    Example:
        >>> VarianceScaling(scale=2.0, mode="fan_out", seed=1)((3, 4)).shape
        (3, 4)

    Source: `keras.initializers.VarianceScaling`.
    """

    scale: float = argument(1.0, _positive)
    mode: str = argument("fan_in", one_of("fan_in", "fan_out", "fan_avg"))
    distribution: str = argument("truncated_normal", _distribution)
    seed: Any = argument(None, _seed, attr="_init_seed")
    input_axes: Any = argument(None)
    output_axes: Any = argument(None)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return seeds.host_uniform(shape, -limit, limit, dtype, self.host_seed())
        if self.distribution == "untruncated_normal":
            return seeds.host_normal(shape, 0.0, math.sqrt(variance), dtype, self.host_seed())
        return seeds.host_truncated_normal(shape, 0.0, math.sqrt(variance) / TRUNCATED_STDDEV, dtype, self.host_seed())


@public("keras.initializers", "GlorotUniform", "glorot_uniform")
class GlorotUniform(VarianceScaling):
    """Uniform draws within ``sqrt(6 / (fan_in + fan_out))``.

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `VarianceScaling`.

    Example:
        >>> GlorotUniform(seed=1)((3, 4)).shape
        (3, 4)

    Source: Glorot and Bengio, AISTATS 2010.
    """

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


@public("keras.initializers", "GlorotNormal", "glorot_normal")
class GlorotNormal(VarianceScaling):
    """Truncated normal draws of standard deviation ``sqrt(2 / (fan_in + fan_out))``.

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `VarianceScaling`.

    Example:
        >>> GlorotNormal(seed=1)((3, 4)).shape
        (3, 4)

    Source: Glorot and Bengio, AISTATS 2010.
    """

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


@public("keras.initializers", "HeUniform", "he_uniform")
class HeUniform(VarianceScaling):
    """Uniform draws within ``sqrt(6 / fan_in)``.

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `VarianceScaling`.

    Example:
        >>> HeUniform(seed=1)((3, 4)).shape
        (3, 4)

    Source: He et al., arXiv:1502.01852.
    """

    scale, mode, distribution = 2.0, "fan_in", "uniform"


@public("keras.initializers", "HeNormal", "he_normal")
class HeNormal(VarianceScaling):
    """Truncated normal draws of standard deviation ``sqrt(2 / fan_in)``.

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `VarianceScaling`.

    Example:
        >>> HeNormal(seed=1)((3, 4)).shape
        (3, 4)

    Source: He et al., arXiv:1502.01852.
    """

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


@public("keras.initializers", "LecunUniform", "lecun_uniform")
class LecunUniform(VarianceScaling):
    """Uniform draws within ``sqrt(3 / fan_in)``.

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `VarianceScaling`.

    Example:
        >>> LecunUniform(seed=1)((3, 4)).shape
        (3, 4)

    Source: LeCun et al., Efficient BackProp, 1998.
    """

    scale, mode, distribution = 1.0, "fan_in", "uniform"


@public("keras.initializers", "LecunNormal", "lecun_normal")
class LecunNormal(VarianceScaling):
    """Truncated normal draws of standard deviation ``sqrt(1 / fan_in)``.

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `VarianceScaling`.

    Example:
        >>> LecunNormal(seed=1)((3, 4)).shape
        (3, 4)

    Source: LeCun et al., Efficient BackProp, 1998.
    """

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Number of inputs and of outputs of a weight of the given shape.

    Example:
        >>> compute_fans((3, 3, 8, 16))
        (72, 144)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        fan = shape[0] if shape else 1
        return fan, fan
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


@public("keras.initializers", "Orthogonal", "orthogonal", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """A matrix with orthonormal rows or columns, from the QR decomposition of normal draws.

    Args:
        gain: factor of the matrix.
        seed: see `RandomInitializer`.

    Raises:
        ValueError: a shape of rank below 2.

    Example:
        >>> q = Orthogonal(seed=1)((3, 3)).numpy()
        >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-5))
        True

    Source: Saxe et al., arXiv:1312.6120.
    """

    gain: float = argument(1.0, at_least(0.0))

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two dimensions, got the shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        draws = seeds.host_normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, "float64", self.host_seed())
        q, r = np.linalg.qr(draws)
        q *= np.sign(np.diag(r))
        return self.gain * (q.T if rows < columns else q).reshape(shape)
