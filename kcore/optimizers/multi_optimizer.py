"""Several optimizers for one model: which variable is moved by which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from kcore.declare import optional
from kcore.optimizers.checks import positive
from kcore.optimizers.loss_scale_optimizer import LossScaleOptimizer
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import deserialize, public, serialize
from kcore.runtime import Variable


def _check_inner(where: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"{where}: expected an Optimizer, got {optimizer!r}")
    if isinstance(optimizer, LossScaleOptimizer | MultiOptimizer):
        raise ValueError(
            f"{where}: a {type(optimizer).__name__} cannot be one of several optimizers; put it around the "
            "MultiOptimizer"
            if isinstance(optimizer, LossScaleOptimizer)
            else f"{where}: a MultiOptimizer cannot be inside another one"
        )


@public("keras.optimizers", "OptimizerMap", "optimizermap")
class OptimizerMap(MutableMapping):
    """From the paths of variables to optimizers.

    A key is a path, or a regular expression that matches a whole path: ``"encoder/.*"`` stands for everything inside
    ``encoder``. Paths that no key matches have the default optimizer.

    Args:
        default_optimizer: `Optimizer` of all other variables.
        optimizer_map: dict from keys to optimizers.

    Raises:
        TypeError: the default is no optimizer, or the map is no dict.
        ValueError: at look-up, a path that several keys match.

    Example:
        >>> from kcore.optimizers import SGD, Adam
        >>> choice = OptimizerMap(SGD(name="rest"))
        >>> choice["encoder/.*"] = Adam(name="inside")
        >>> choice["encoder/dense/kernel"].name, choice["decoder/kernel"].name
        ('inside', 'rest')

    Source: `keras.optimizers.OptimizerMap`.
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: Mapping[str, Optimizer] | None = None):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: default_optimizer: expected an Optimizer, got {default_optimizer!r}")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: optimizer_map: expected a dict, got {optimizer_map!r}")
        self.default_optimizer = default_optimizer
        self._map: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._map:
            return self._map[key]
        matching = [pattern for pattern in self._map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"OptimizerMap: the path {key!r} is matched by {' and '.join(map(repr, matching))}")
        return self._map[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: a key is a path or regular expression, got {key!r}")
        if key in self._map:
            raise ValueError(f"OptimizerMap: {key!r} has an optimizer already: {self._map[key]!r}")
        _check_inner(f"OptimizerMap: {key!r}", optimizer)
        self._map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._map[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._map)

    def __len__(self) -> int:
        return len(self._map)

    def __call__(self, variable: Variable) -> Optimizer:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        return {"default_optimizer": serialize(self.default_optimizer), "optimizer_map": serialize(self._map)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        parts = (deserialize(config[name], custom_objects) for name in ("default_optimizer", "optimizer_map"))
        return cls(*parts)


@public("keras.optimizers", "MultiOptimizer", "multioptimizer")
class MultiOptimizer(Optimizer):
    """Hands each variable to one of several optimizers.

    It has no learning rate of its own: that of one of its `optimizers` is read and set there.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a variable to its optimizer.
        loss_scale_factor: factor of the loss, for all of them.
        name: its name.

    Example:
        >>> from kcore import ops
        >>> from kcore.optimizers import SGD
        >>> a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
        >>> several = MultiOptimizer(OptimizerMap(SGD(0.5), {"b": SGD(0.1)}))
        >>> several.apply([ops.ones((1,))] * 2, [a, b])
        >>> [round(float(v.numpy()[0]), 4) for v in (a, b)]
        [0.5, 0.9]

    Source: `keras.optimizers.MultiOptimizer`.
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ):
        if not callable(optimizer_map):
            raise ValueError(
                f"MultiOptimizer: optimizer_map: expected an OptimizerMap or a function, got {optimizer_map!r}"
            )
        self._inner: list[Optimizer] = []
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._map = optimizer_map
        self._place: dict[int, int] = {}
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._include(optimizer)

    def _include(self, optimizer: Optimizer) -> int:
        """The place of an optimizer among the inner ones; it is added if it is new."""
        for i, known in enumerate(self._inner):
            if known is optimizer:
                return i
        _check_inner(f"optimizer {self.name!r}", optimizer)
        optimizer.loss_scale_factor = self.loss_scale_factor
        self._inner.append(optimizer)
        return len(self._inner) - 1

    def build(self, variables: Sequence[Variable]) -> None:
        """Ask for the optimizer of each variable, and make their states."""
        if self.built:
            return
        for variable in variables:
            self._place[id(variable)] = self._include(self._map(variable))
        for i, optimizer in enumerate(self._inner):
            own = [v for v in variables if self._place[id(v)] == i]
            if own:
                optimizer.lists_auxiliary = self.lists_auxiliary
                optimizer.build(own)
        super().build(variables)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers it hands variables to."""
        return self._inner

    @property
    def variables(self) -> list[Variable]:
        """Its own state, then that of each of its optimizers."""
        return [*self._variables, *(v for optimizer in self._inner for v in optimizer.variables)]

    def changing(self) -> list[Variable]:
        """The state that a step may change, that of its optimizers included."""
        return [self._iterations, *(v for optimizer in self._inner for v in optimizer.changing())]

    @property
    def learning_rate(self) -> Any:
        raise AttributeError("a MultiOptimizer has no learning rate: read that of one of its `optimizers`")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("a MultiOptimizer has no learning rate: set that of one of its `optimizers`")

    @property
    def iterations(self) -> Any:
        """Number of calls of `apply`."""
        return self._iterations

    @property
    def loss_scale_factor(self) -> float | None:
        """Factor of the loss, the same for all of them."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = optional(positive)(value)
        for optimizer in self._inner:
            optimizer.loss_scale_factor = value

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update each variable with its optimizer.

        Args:
            grads: one gradient per variable, None where there is none.
            trainable_variables: the variables; those of `build` if None.

        Raises:
            ValueError: not one gradient per variable, or a variable the optimizer was not built for.
        """
        if not self.built:
            if trainable_variables is None:
                raise ValueError(
                    f"optimizer {self.name!r} is not built: give the variables, or call build(variables) first"
                )
            self.build(list(trainable_variables))
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"optimizer {self.name!r} got {len(grads)} gradients for {len(variables)} variables")
        for variable in variables:
            self._get_variable_index(variable)
        for i, optimizer in enumerate(self._inner):
            pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if self._place[id(v)] == i]
            if pairs:
                optimizer.apply([g for g, _ in pairs], [v for _, v in pairs])
        self._iterations.assign_add(1)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Leave variables out of the weight decay of all of them."""
        for optimizer in self._inner:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training: the moving averages that are kept become the values of their variables."""
        for i, optimizer in enumerate(self._inner):
            own = [v for v in var_list if self._place[id(v)] == i]
            if own:
                optimizer.finalize_variable_values(own)

    def get_config(self) -> dict[str, Any]:
        return {
            "optimizer_map": serialize(self._map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        if "optimizer_map" not in config:
            raise ValueError("MultiOptimizer needs an optimizer_map, so it cannot be made from its name alone")
        return cls(**{**config, "optimizer_map": deserialize(config["optimizer_map"], custom_objects)})
