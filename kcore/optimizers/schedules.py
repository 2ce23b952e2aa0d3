"""Learning rate schedules: the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kcore import config, ops
from kcore.declare import Configurable, argument, optional
from kcore.optimizers.checks import not_negative, number, positive
from kcore.registry import Namespace, public

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]

_names = Namespace("keras.optimizers.schedules", "learning rate schedule")


@public("keras.optimizers.schedules")
class LearningRateSchedule(Configurable):
    """Base of the schedules: ``schedule(step)`` gives the learning rate of a step.

    ``__call__`` is traced with the training step: it is written in ops, and `step` is an int32 scalar, the number of
    calls of the optimizer so far. A schedule with an ``__init__`` of its own says in ``get_config()`` how it is saved.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     start: float = argument(1.0)
        ...     def __call__(self, step):
        ...         return self.start * 0.5 ** ops.cast(step, "float32")
        >>> float(Halving()(2))
        0.25

    Source: `keras.optimizers.schedules.LearningRateSchedule`.
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} does not implement __call__(step)")

    def get_config(self) -> dict[str, Any]:
        initialize = type(self).__init__
        if not self.arguments and initialize is not object.__init__:
            raise NotImplementedError(
                f"{type(self).__name__} has an __init__() of its own, so it must override get_config() to be saved"
            )
        return super().get_config()


def _at(step: Any) -> Any:
    """The step as a floatx scalar."""
    return ops.cast(step, config.floatx())


@public("keras.optimizers.schedules")
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ^ (step / decay_steps)``.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps after which it has been multiplied by `decay_rate` once, above 0.
        decay_rate: factor.
        staircase: whether the exponent is rounded down.
        name: its name.

    Example:
        >>> round(float(ExponentialDecay(0.1, 10, 0.5)(20)), 4)
        0.025

    Source: `keras.optimizers.schedules.ExponentialDecay`.
    """

    initial_learning_rate: float = argument(kind=number)
    decay_steps: int = argument(kind=positive)
    decay_rate: float = argument(kind=number)
    staircase: bool = argument(False)
    name: str = argument("ExponentialDecay")

    def __call__(self, step: Any) -> Any:
        exponent = _at(step) / float(self.decay_steps)
        if self.staircase:
            exponent = ops.floor(exponent)
        return self.initial_learning_rate * ops.power(float(self.decay_rate), exponent)


@public("keras.optimizers.schedules")
class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: unit of the steps, above 0.
        decay_rate: how much the divisor grows in `decay_steps` steps.
        staircase: whether ``step / decay_steps`` is rounded down.
        name: its name.

    Example:
        >>> round(float(InverseTimeDecay(0.1, 10, 0.5)(20)), 4)
        0.05

    Source: `keras.optimizers.schedules.InverseTimeDecay`.
    """

    initial_learning_rate: float = argument(kind=number)
    decay_steps: int = argument(kind=positive)
    decay_rate: float = argument(kind=number)
    staircase: bool = argument(False)
    name: str = argument("InverseTimeDecay")

    def __call__(self, step: Any) -> Any:
        periods = _at(step) / float(self.decay_steps)
        if self.staircase:
            periods = ops.floor(periods)
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)


@public("keras.optimizers.schedules")
class PolynomialDecay(LearningRateSchedule):
    """``(initial - end) * (1 - step / decay_steps) ^ power + end``; constant after `decay_steps`, or in cycles.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps until `end_learning_rate` is reached, above 0.
        end_learning_rate: rate at the end.
        power: exponent; 1 is a straight line.
        cycle: whether it begins again, from a lower rate, with a period that is a step's next multiple of
            `decay_steps`.
        name: its name.

    Example:
        >>> round(float(PolynomialDecay(0.1, 10, end_learning_rate=0.0)(5)), 4)
        0.05

    Source: `keras.optimizers.schedules.PolynomialDecay`.
    """

    initial_learning_rate: float = argument(kind=number)
    decay_steps: int = argument(kind=positive)
    end_learning_rate: float = argument(0.0001, number)
    power: float = argument(1.0, number)
    cycle: bool = argument(False)
    name: str = argument("PolynomialDecay")

    def __call__(self, step: Any) -> Any:
        step, period = _at(step), float(self.decay_steps)
        if self.cycle:
            left = 1.0 - step / (period * ops.maximum(ops.ceil(step / period), 1.0))
        else:
            left = 1.0 - ops.minimum(step, period) / period
        span = self.initial_learning_rate - self.end_learning_rate
        return span * ops.power(left, float(self.power)) + self.end_learning_rate


def _sequence(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError("expected a list of numbers")
    return tuple(map(number, value)) if isinstance(value, tuple) else list(map(number, value))


@public("keras.optimizers.schedules")
class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and with step ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on.

    Args:
        boundaries: steps in rising order; cut to integers where steps are integers.
        values: rates, one more than there are boundaries.
        name: its name.

    Raises:
        ValueError: lengths that do not fit, or boundaries that do not rise.

    Example:
        >>> schedule = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
        >>> [float(schedule(step)) for step in (10, 11, 21)]
        [1.0, 0.5, 0.25]

    Source: `keras.optimizers.schedules.PiecewiseConstantDecay`.
    """

    boundaries: Sequence[float] = argument(kind=_sequence)
    values: Sequence[float] = argument(kind=_sequence)
    name: str = argument("PiecewiseConstant")

    def __post_init__(self) -> None:
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: expected one value more than boundaries, got {len(self.boundaries)} "
                f"boundaries {self.boundaries} and {len(self.values)} values {self.values}"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"PiecewiseConstantDecay: expected boundaries in rising order, got {self.boundaries}")

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        whole = "int" in step.dtype
        rate = ops.convert_to_tensor(self.values[0], dtype=config.floatx())
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = ops.where(step > (int(boundary) if whole else boundary), float(value), rate)
        return rate


@public("keras.optimizers.schedules")
class CosineDecay(LearningRateSchedule):
    """A half cosine from the first rate down to `alpha` times it, after a linear warm-up if wanted.

    With a `warmup_target`: ``initial + (warmup_target - initial) * step / warmup_steps`` during `warmup_steps`, and
    the decay begins after that, at `warmup_target`. The decay is
    ``start * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)``, constant after `decay_steps`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps of the decay, above 0.
        alpha: lowest rate, as a share of the one the decay begins at.
        name: its name.
        warmup_target: rate after the warm-up; None is no warm-up.
        warmup_steps: steps of the warm-up.

    Example:
        >>> schedule = CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=4)
        >>> [round(float(schedule(step)), 3) for step in (2, 4, 9, 14)]
        [0.05, 0.1, 0.05, 0.0]

    Source: `keras.optimizers.schedules.CosineDecay`; Loshchilov and Hutter, arXiv:1608.03983.
    """

    initial_learning_rate: float = argument(kind=number)
    decay_steps: int = argument(kind=positive)
    alpha: float = argument(0.0, number)
    name: str = argument("CosineDecay")
    warmup_target: float | None = argument(None, optional(number))
    warmup_steps: int = argument(0, not_negative)

    def __call__(self, step: Any) -> Any:
        step = _at(step)
        if self.warmup_target is None:
            return self._decay(step, self.initial_learning_rate)
        decayed = self._decay(ops.maximum(step - float(self.warmup_steps), 0.0), self.warmup_target)
        if not self.warmup_steps:
            return decayed
        rise = self.warmup_target - self.initial_learning_rate
        warming = rise * (step / float(self.warmup_steps)) + self.initial_learning_rate
        return ops.where(step < float(self.warmup_steps), warming, decayed)

    def _decay(self, step: Any, start: float) -> Any:
        angle = math.pi * (ops.minimum(step, float(self.decay_steps)) / float(self.decay_steps))
        return start * ((1 - self.alpha) * 0.5 * (1.0 + ops.cos(angle)) + self.alpha)


@public("keras.optimizers.schedules")
class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other, each `t_mul` times as long and `m_mul` times as high as the one before.

    Args:
        initial_learning_rate: rate at step 0.
        first_decay_steps: steps of the first period, above 0.
        t_mul: growth of the periods, at least 1.
        m_mul: growth of the rates they begin at.
        alpha: lowest rate, as a share of `initial_learning_rate`.
        name: its name.

    Example:
        >>> schedule = CosineDecayRestarts(1.0, 10, m_mul=0.5)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20, 30)]
        [1.0, 0.5, 0.5, 0.25, 0.25]

    Source: `keras.optimizers.schedules.CosineDecayRestarts`; Loshchilov and Hutter, arXiv:1608.03983.
    """

    initial_learning_rate: float = argument(kind=number)
    first_decay_steps: int = argument(kind=positive)
    t_mul: float = argument(2.0, positive)
    m_mul: float = argument(1.0, number)
    alpha: float = argument(0.0, number)
    name: str = argument("SGDRDecay")

    def __call__(self, step: Any) -> Any:
        periods = _at(step) / float(self.first_decay_steps)
        if self.t_mul == 1:
            restart = ops.floor(periods)
            within = periods - restart
        else:
            growth = float(self.t_mul)
            restart = ops.floor(ops.log(1.0 - periods * (1.0 - growth)) / math.log(growth))
            # a logarithm that is off by a rounding must not end a period a step early or late
            restart = restart + ops.where(periods >= self._begin(restart + 1.0), 1.0, 0.0)
            restart = restart - ops.where(periods < self._begin(restart), 1.0, 0.0)
            within = (periods - self._begin(restart)) / ops.power(growth, restart)
        height = ops.power(float(self.m_mul), restart)
        cosine = 0.5 * height * (1.0 + ops.cos(math.pi * within))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)

    def _begin(self, restart: Any) -> Any:
        """Where a period begins, in first periods: 1 + t + t^2 + ..."""
        return (1.0 - ops.power(float(self.t_mul), restart)) / (1.0 - float(self.t_mul))


def serialize(schedule: Any) -> Any:
    """The configuration of a schedule."""
    return _names.serialize(schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule a configuration describes."""
    return _names.deserialize(config, custom_objects)
