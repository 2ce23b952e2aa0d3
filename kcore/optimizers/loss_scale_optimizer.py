"""An optimizer around another one, which scales the loss so that float16 gradients do not vanish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore import initializers, ops
from kcore.declare import positive_int
from kcore.optimizers.checks import positive
from kcore.optimizers.optimizer import COMMON, Optimizer
from kcore.optimizers.step import keep_unless
from kcore.registry import deserialize, public, serialize
from kcore.runtime import Variable


@public("keras.mixed_precision", "LossScaleOptimizer")
@public("keras.optimizers", "LossScaleOptimizer", "lossscaleoptimizer")
class LossScaleOptimizer(Optimizer):
    """Multiplies the loss by a scale, divides the gradients by it, and finds the scale while it trains.

    A step with a gradient that is not finite changes nothing but the scale, which is halved. After
    `dynamic_growth_steps` finite steps in a row the scale is doubled. ``compile`` puts it around the optimizer of a
    model whose dtype policy is ``"mixed_float16"``. For a scale that stays as it is give `loss_scale_factor` to the
    optimizer itself.

    Args:
        inner_optimizer: the `Optimizer` that makes the steps; its `loss_scale_factor` is set to None.
        initial_scale: the first scale.
        dynamic_growth_steps: finite steps after which the scale is doubled.
        name: its name.

    Raises:
        ValueError: another argument; those of all optimizers belong to the inner one.

    Example:
        >>> from kcore.optimizers import SGD
        >>> v, optimizer = Variable([1.0]), LossScaleOptimizer(SGD(0.5), initial_scale=4.0)
        >>> optimizer.build([v])
        >>> float(optimizer.scale_loss(ops.ones(())))
        4.0
        >>> optimizer.apply([ops.ones((1,)) * 4]); v.numpy().tolist()
        [0.5]
        >>> optimizer.apply([ops.ones((1,)) * float("inf")]); v.numpy().tolist(), float(optimizer.dynamic_scale)
        ([0.5], 2.0)

    Source: `keras.optimizers.LossScaleOptimizer`; Micikevicius et al., arXiv:1710.03740.
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer: dynamic=False is not supported: give loss_scale_factor to the optimizer itself"
            )
        for argument in COMMON:  # older files carry them, with the values that do nothing
            value = kwargs.pop(argument, None)
            if value not in (None, False) and (argument, value) != ("ema_momentum", 0.99):
                raise ValueError(f"LossScaleOptimizer takes no {argument}: give it to the inner optimizer")
        if kwargs:
            raise ValueError(f"LossScaleOptimizer has no argument {next(iter(kwargs))!r}")
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(f"LossScaleOptimizer: inner_optimizer={inner_optimizer!r}: expected an Optimizer")
        for argument, value, kind in (
            ("initial_scale", initial_scale, positive),
            ("dynamic_growth_steps", dynamic_growth_steps, positive_int),
        ):
            try:
                kind(value)
            except ValueError as error:
                raise ValueError(f"LossScaleOptimizer: {argument}={value!r}: {error}") from None
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the scale, the counter of finite steps, and the inner optimizer's state."""
        if self.built:
            return
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        scale = initializers.Constant(self.initial_scale)
        self.dynamic_scale = self.add_variable((), scale, dtype="float32", name="dynamic_scale")
        self.inner_optimizer.lists_auxiliary = False
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """Its own state, then that of the inner optimizer."""
        return [*self._variables, *self.inner_optimizer.variables]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Let the inner optimizer make a step if all gradients are finite, and find the next scale.

        Args:
            grads: gradients of the scaled loss, one per variable, None where there is none.
            trainable_variables: the variables; those of `build` if None.

        Raises:
            ValueError: no gradient at all, or variables the optimizer was not built for.
        """
        if not self.built and trainable_variables is not None:
            self.build(list(trainable_variables))
        if not self.built:
            raise ValueError(
                f"optimizer {self.name!r} is not built: give the variables, or call build(variables) first"
            )
        finite = self.check_finite(grads)
        scale = self.dynamic_scale.value
        unscaled = [None if g is None else ops.divide(g, scale) for g in grads]
        changed = [*self._trainable_variables, *self.inner_optimizer.changing()]
        keep_unless(finite, changed, lambda: self.inner_optimizer.apply(unscaled, trainable_variables))
        grown = ops.equal(self.step_counter, self.dynamic_growth_steps - 1)
        self.dynamic_scale.assign(ops.where(finite, ops.where(grown, scale * 2.0, scale), scale * 0.5))
        counted = ops.logical_and(finite, ops.logical_not(grown))
        self.step_counter.assign(ops.where(counted, self.step_counter + 1, 0))

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Whether all elements of all gradients are finite: a boolean scalar."""
        parts = [ops.all(ops.isfinite(g)) for g in grads if g is not None]
        return ops.all(ops.stack(parts)) if len(parts) > 1 else parts[0] if parts else ops.ones((), "bool")

    @property
    def learning_rate(self) -> Any:
        """That of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """Steps made; skipped ones do not count."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the scale."""
        return loss * (self.dynamic_scale if self.built else self.initial_scale)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Leave variables out of the inner optimizer's weight decay."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training: the inner optimizer's moving averages, if kept, become the variables' values."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        if "inner_optimizer" not in config:
            raise ValueError("LossScaleOptimizer needs an inner_optimizer, so it cannot be made from its name alone")
        config = dict(config)
        return cls(deserialize(config.pop("inner_optimizer"), custom_objects), **config)
