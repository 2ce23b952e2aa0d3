"""What an optimizer is: state per variable, and a rule written in ops that moves a variable by its gradient."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kcore import config as settings
from kcore import initializers, ops
from kcore.declare import Configurable
from kcore.errors import warn_user
from kcore.naming import auto_name, did_you_mean
from kcore.optimizers.checks import check_options, check_rate
from kcore.optimizers.schedules import LearningRateSchedule
from kcore.optimizers.step import keep_unless
from kcore.registry import deserialize, public, serialize
from kcore.runtime import Variable, name_scope


@public("keras.optimizers", "Optimizer", "optimizer")
class Optimizer(Configurable):
    """Base of the optimizers.

    A subclass declares its arguments, names its `slots` and implements `update_step` in elementwise ops. Values that
    all variables share go into a method decorated with `per_step`. Keras's way, ``build`` with
    ``add_optimizer_variables``, works too.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a callable without arguments.
        weight_decay: subtract ``variable * weight_decay * learning_rate`` before the update.
        clipnorm: largest norm of each gradient.
        clipvalue: largest absolute value in a gradient.
        global_clipnorm: largest norm of all gradients together; only one of the three may be given.
        use_ema: keep a moving average of the variables, which overwrites them at the end of `fit`.
        ema_momentum: momentum of that average, 0 to 1.
        ema_overwrite_frequency: also overwrite the variables every so many steps.
        loss_scale_factor: the loss is multiplied by it and the gradients divided.
        gradient_accumulation_steps: update only at every n-th step, by the mean of n gradients.
        name: its name; made from the class name if None.

    Example:
        >>> from kcore.declare import argument
        >>> class Sign(Optimizer):
        ...     learning_rate: float = argument(0.1)
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         variable.assign_sub(learning_rate * ops.sign(gradient))
        >>> v = Variable([1.0, 2.0])
        >>> Sign().apply([ops.convert_to_tensor([5.0, -5.0])], [v])
        >>> [round(x, 4) for x in v.numpy().tolist()]
        [0.9, 2.1]

    Source: `keras.optimizers.Optimizer`.
    """

    #: Whether variables that are no slots are among `variables`, and so in files.
    lists_auxiliary = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        if kwargs.pop("decay", None):
            warn_user(f"{owner}: the argument decay is ignored; use a LearningRateSchedule")
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        if kwargs:
            known = list(dict.fromkeys(["learning_rate", *self.arguments, *COMMON]))
            unknown = next(iter(kwargs))
            raise ValueError(f"{owner} has no argument {unknown!r}{did_you_mean(unknown, known)}")
        check_options(
            owner,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
        )
        self.name = name or auto_name(owner)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._hidden: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._index: dict[int, int] = {}
        self._slots: dict[str, list[Variable | None]] = {}
        self._step_values: dict[tuple, Any] | None = None
        self._no_decay: Callable[[Variable], bool] = lambda variable: False
        self._iterations = self.add_variable((), dtype="int32", name="iteration")
        self._learning_rate: Any = self._make_learning_rate(learning_rate)

    def _make_learning_rate(self, value: Any) -> Any:
        if callable(value):
            return value
        check_rate(type(self).__name__, value)
        return self.add_variable((), initializers.Constant(float(value)), name="learning_rate")

    # -- state -------------------------------------------------------------------------------------------------

    @property
    def iterations(self) -> Any:
        """Number of updates made so far; with gradient accumulation, of full ones."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the current step: a `Variable` where it was given as a float.

        A number set, or assigned, counts at the next step. A schedule or callable set in its place counts where a step
        is traced: in a compiled model after the next `compile`.
        """
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations)
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, Variable):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
        elif isinstance(self._learning_rate, Variable):
            if not hasattr(value, "shape") or isinstance(value, np.number):
                check_rate(f"optimizer {self.name!r}", value)
            self._learning_rate.assign(value)
        else:
            raise TypeError(
                f"optimizer {self.name!r} takes its learning rate from {self._learning_rate!r}, so it cannot be set; "
                "make the optimizer with a float to set it later"
            )

    @property
    def lr(self) -> Any:
        """`learning_rate`, as Keras 1 and 2 spelt it."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    @property
    def variables(self) -> list[Variable]:
        """All its state: iteration, learning rate, slots."""
        return list(self._variables)

    def changing(self) -> list[Variable]:
        """The state that a step may change: all but the learning rate."""
        return [v for v in (*self._variables, *self._hidden) if v is not self._learning_rate]

    def add_auxiliary(self, variable: Variable) -> None:
        """Keep a variable that is no slot. It is among `variables`, but, as in Keras, not inside a loss scaler."""
        (self._variables if self.lists_auxiliary else self._hidden).append(variable)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a variable of the optimizer's own."""
        dtype = dtype or settings.floatx()
        with name_scope(self.name):
            values = initializers.draw(initializers.get(initializer), tuple(shape), dtype)
            variable = Variable(values, dtype=dtype, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str = "var", initializer: Any = "zeros"
    ) -> Variable:
        """Make a variable of the shape and dtype of a trained one."""
        name = f"{(reference_variable.path or reference_variable.name).replace('/', '_')}_{name}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=name)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Make one variable per trained one: a list, or a tuple of lists where several names are given."""
        names = [name] if isinstance(name, str) else list(name)
        firsts = list(initializer) if isinstance(initializer, list | tuple) else [initializer] * len(names)
        made: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for column, slot, first in zip(made, names, firsts, strict=True):
                column.append(self.add_variable_from_reference(variable, slot, first))
        return made[0] if isinstance(name, str) else made

    def slots(self) -> Iterator[str | tuple[str, ...]]:
        """Names of the variables kept per trained one; those of one tuple are made together, variable by variable."""
        return iter(())

    def slot_initializer(self, name: str, variable: Variable) -> Any:
        """The initializer, or its name, of the slot called `name` of a trained variable."""
        return "zeros"

    def slot(self, variable: Variable, name: str) -> Any:
        """The variable called `name` that is kept for a trained one."""
        return self._slots[name][self._get_variable_index(variable)]

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for the variables that will be trained."""
        if self.built:
            return
        variables = list(variables)
        self._trainable_variables = variables
        self._index = {id(v): i for i, v in enumerate(variables)}
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = self.add_optimizer_variables(variables, "gradient_accumulator")
        for group in self.slots():
            names = (group,) if isinstance(group, str) else group
            self._slots.update((name, []) for name in names)
            for variable in variables:
                for name in names:
                    first = self.slot_initializer(name, variable)
                    self._slots[name].append(self.add_variable_from_reference(variable, name, first))
        self.built = True

    def _get_variable_index(self, variable: Variable) -> int:
        try:
            return self._index[id(variable)]
        except KeyError:
            raise ValueError(
                f"optimizer {self.name!r} was built for {len(self._index)} variables, and {variable.path!r} is not one "
                "of them; make a new optimizer for other variables"
            ) from None

    # -- the step ----------------------------------------------------------------------------------------------

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move one variable by its gradient: the rule of the optimizer.

        Args:
            gradient: tensor of the variable's shape and dtype.
            variable: assigned to by this method.
            learning_rate: scalar of the variable's dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement update_step()")

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable; Keras's spelling of ``variable.assign(value)``."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Update variables by ``(gradient, variable)`` pairs; gives the iteration count."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(list(grads), list(variables))
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update the variables by their gradients, in Keras's order.

        Unscale; accumulate and average; clip; decay; update; average; constrain; count.

        Args:
            grads: one gradient per variable, None where there is none.
            trainable_variables: the variables; those of `build` if None.

        Raises:
            ValueError: no gradient at all, or a variable the optimizer was not built for.
        """
        if not grads:
            return
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    f"optimizer {self.name!r} is not built: give the variables, or call build(variables) first"
                )
            trainable_variables = self._trainable_variables
        if len(grads) != len(trainable_variables):
            raise ValueError(
                f"optimizer {self.name!r} got {len(grads)} gradients for {len(trainable_variables)} variables"
            )
        if not self.built:
            self.build(trainable_variables)
        for variable in trainable_variables:
            self._get_variable_index(variable)
        pairs = [(g, v) for g, v in zip(grads, trainable_variables, strict=True) if g is not None]
        missing = [v.path for g, v in zip(grads, trainable_variables, strict=True) if g is None]
        if not pairs:
            raise ValueError(f"optimizer {self.name!r}: there is no gradient for any variable: {', '.join(missing)}")
        if missing:
            warn_user(f"there is no gradient for {', '.join(missing)}: the loss does not depend on them")
        with name_scope(self.name):
            self._step_values = {}
            try:
                self._apply([g for g, _ in pairs], [v for _, v in pairs])
            finally:
                self._step_values = None

    def _apply(self, grads: list[Any], variables: list[Variable]) -> None:
        grads = [ops.cast(g, v.dtype) for g, v in zip(grads, variables, strict=True)]
        if self.loss_scale_factor is not None:
            grads = [g / self.loss_scale_factor for g in grads]
        if self.gradient_accumulation_steps:
            self._accumulate(grads, variables)
        else:
            self._update(grads, variables)
        if self.use_ema:
            self._average()
        for variable in variables:
            constraint = getattr(variable, "constraint", None)
            if constraint is not None:
                variable.assign(constraint(variable.value))
        self._iterations.assign_add(1)

    def _update(self, grads: list[Any], variables: list[Variable]) -> None:
        grads = self._clip(grads)
        learning_rate = self.learning_rate
        rates = {dtype: ops.cast(learning_rate, dtype) for dtype in {v.dtype for v in variables}}
        for variable in variables:
            decay = self.decay_of(variable)
            if decay is not None and not self._no_decay(variable):
                variable.assign_sub(variable * decay * rates[variable.dtype])
        for gradient, variable in zip(grads, variables, strict=True):
            self.update_step(gradient, variable, rates[variable.dtype])

    def decay_of(self, variable: Variable) -> float | None:
        """The weight decay of a variable that is not excluded from it."""
        return self.weight_decay

    def _accumulate(self, grads: list[Any], variables: list[Variable]) -> None:
        """Add the gradients up; at every n-th step, and only then, let the update happen."""
        steps = self.gradient_accumulation_steps
        now = ops.equal((self._iterations + 1) % steps, 0)
        sums = [self._accumulators[self._get_variable_index(v)] for v in variables]
        added = [g + total for g, total in zip(grads, sums, strict=True)]
        own = {id(v) for v in (*self._accumulators, *getattr(self, "_averages", ()), self._iterations)}
        touched = [*variables, *(v for v in self.changing() if id(v) not in own)]
        keep_unless(now, touched, lambda: self._update([total / steps for total in added], variables))
        for kept, total in zip(sums, added, strict=True):
            kept.assign(ops.where(now, 0.0, total))

    def _clip(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm:
            return [g * self.clipnorm / ops.maximum(ops.sqrt(ops.sum(ops.square(g))), self.clipnorm) for g in grads]
        if self.clipvalue:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        if self.global_clipnorm:
            squares = [ops.sum(ops.square(g)) for g in grads]
            norm = ops.sqrt(ops.sum(ops.stack(squares)))
            # norm - norm is 0, or NaN where the norm is not finite: the step then shows it, as in Keras.
            scale = self.global_clipnorm * ops.minimum(1.0 / norm, 1.0 / self.global_clipnorm) + (norm - norm)
            return [g * scale for g in grads]
        return grads

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leave variables out of weight decay: given ones, and those whose name contains one of `var_names`."""
        if self.built:
            raise ValueError(
                f"optimizer {self.name!r} is built; call exclude_from_weight_decay() before its first step"
            )
        ids = {id(v) for v in var_list or ()}
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._no_decay = lambda v: id(v) in ids or (pattern is not None and pattern.search(v.name) is not None)

    # -- moving averages ---------------------------------------------------------------------------------------

    def _average(self) -> None:
        momentum = ops.cast(ops.not_equal(self.iterations, 0), settings.floatx()) * self.ema_momentum
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            factor = ops.cast(momentum, variable.dtype)
            average.assign(factor * average + (1 - factor) * variable)
        if self.ema_overwrite_frequency:
            now = ops.equal((self.iterations + 1) % self.ema_overwrite_frequency, 0)
            for variable, average in zip(self._trainable_variables, self._averages, strict=True):
                variable.assign(ops.where(now, average.value, variable.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training: the moving averages, if kept, become the values of the variables."""
        if self.use_ema:
            for variable in var_list:
                variable.assign(self._averages[self._get_variable_index(variable)].value)

    # -- loss scaling, saving ----------------------------------------------------------------------------------

    def scale_loss(self, loss: Any) -> Any:
        """The loss as it is differentiated."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all state from a list of arrays, in the order of `variables`."""
        if not self.built:
            raise ValueError(f"optimizer {self.name!r} is not built: call build(variables) before set_weights()")
        variables = self.variables
        if len(weights) != len(variables):
            raise ValueError(f"optimizer {self.name!r} has {len(variables)} variables, got {len(weights)} weights")
        for variable, weight in zip(variables, weights, strict=True):
            if tuple(variable.shape) != tuple(weight.shape):
                raise ValueError(f"optimizer variable {variable.path!r} has shape {variable.shape}, got {weight.shape}")
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Write its state to a mapping, as ``"0"``, ``"1"``, ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read its state from a mapping that `save_own_variables` wrote."""
        variables = self.variables
        if len(store.keys()) != len(variables):
            warn_user(
                f"optimizer {self.name!r} has {len(variables)} variables, the file {len(store.keys())}: its "
                "state was not loaded"
            )
            return
        for i, variable in enumerate(variables):
            variable.assign(store[str(i)])

    def get_config(self) -> dict[str, Any]:
        rate = self._learning_rate
        base = {
            "name": self.name,
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize(rate),
            **{name: getattr(self, name) for name in COMMON},
        }
        return {
            **base,
            **{a.name: a.show(getattr(self, a.name)) for a in self.arguments.values() if a.name not in base},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        config = {key: value for key, value in config.items() if key not in RETIRED}
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize(config["learning_rate"], custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


#: What configurations of Keras 2 carry and Keras 3 does not know.
RETIRED = ("jit_compile", "is_legacy_optimizer")

#: Arguments of every optimizer, in the order of their configuration.
COMMON = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
