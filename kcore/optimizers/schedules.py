"""Learning rate schedules: the learning rate as a function of the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore import ops
from kcore.declare import Configurable, argument
from kcore.registry import Namespace, public

_names = Namespace("keras.optimizers.schedules", "learning rate schedule")


@public("keras.optimizers.schedules")
class LearningRateSchedule(Configurable):
    """Base of the schedules: ``schedule(step)`` gives the learning rate of a step.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     start: float = argument(1.0)
        ...     def __call__(self, step):
        ...         return self.start * 0.5 ** ops.cast(step, "float32")
        >>> float(Halving()(2))
        0.25
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} does not implement __call__()")


@public("keras.optimizers.schedules")
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ^ (step / decay_steps)``.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps after which it has been multiplied by `decay_rate` once.
        decay_rate: factor.
        staircase: whether the exponent is rounded down.
        name: its name.

    Example:
        >>> round(float(ExponentialDecay(0.1, 10, 0.5)(20)), 4)
        0.025
    """

    initial_learning_rate: float = argument()
    decay_steps: int = argument()
    decay_rate: float = argument()
    staircase: bool = argument(False)
    name: str = argument("ExponentialDecay")

    def __call__(self, step: Any) -> Any:
        exponent = ops.cast(step, "float32") / float(self.decay_steps)
        if self.staircase:
            exponent = ops.floor(exponent)
        return self.initial_learning_rate * ops.power(float(self.decay_rate), exponent)


def serialize(schedule: Any) -> Any:
    """The configuration of a schedule."""
    return _names.serialize(schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule a configuration describes."""
    return _names.deserialize(config, custom_objects)
