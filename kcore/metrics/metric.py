"""What a metric is: state that is updated batch by batch, and a result of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config, initializers
from kcore.declare import Configurable
from kcore.dtype_policies import get as get_policy
from kcore.dtypes import numpy_dtype
from kcore.naming import auto_name
from kcore.registry import public
from kcore.runtime import Variable, name_scope


@public("keras.metrics", "Metric")
class Metric(Configurable):
    """Base of the metrics.

    A subclass makes its state with `add_variable` and implements `update_state` and `result`.

    Args:
        dtype: dtype or policy it is computed in; `kcore.config.floatx()` if None.
        name: its name; made from the class name if None.

    Example:
        >>> from kcore import ops
        >>> class Largest(Metric):
        ...     def __init__(self, name="largest", **kwargs):
        ...         super().__init__(name=name, **kwargs)
        ...         self.value = self.add_variable((), "zeros", name="value")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.value.assign(ops.maximum(self.value, ops.max(y_pred)))
        ...     def result(self):
        ...         return self.value
        >>> metric = Largest()
        >>> float(metric([0.0], [3.0]))
        3.0

    Source: `keras.metrics.Metric`.
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or self.default_name()
        self._dtype_policy = get_policy(dtype or config.floatx())
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []

    @classmethod
    def default_name(cls) -> str:
        """The name it gets when it is given none."""
        return auto_name(cls.__name__)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable | Metric):
            self._check_super_called()
            kept: list[Any] = self._variables if isinstance(value, Variable) else self._metrics
            if all(value is not v for v in kept):
                kept.append(value)
        super().__setattr__(name, value)

    def _check_super_called(self) -> None:
        if "_metrics" not in self.__dict__:
            raise RuntimeError(f"metric {type(self).__name__}: call super().__init__() first in __init__()")

    @property
    def dtype(self) -> str:
        """The dtype it is computed in."""
        return self._dtype_policy.compute_dtype

    @property
    def variables(self) -> list[Variable]:
        """Its state, and that of metrics it holds."""
        return [*self._variables, *(v for metric in self._metrics for v in metric.variables)]

    def add_variable(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a state variable.

        Args:
            shape: its shape.
            initializer: its first value; `reset_state` sets zeros, whatever it was.
            dtype: its dtype; `kcore.config.floatx()` if None.
            aggregation: how replicas' values join; kept for several devices.
            name: its name.
        """
        self._check_super_called()
        dtype = dtype or config.floatx()
        with name_scope(self.name):
            values = initializers.draw(initializers.get(initializer) or initializers.Zeros(), shape, dtype)
            variable = Variable(values, dtype=dtype, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    add_weight = add_variable

    def reset_state(self) -> None:
        """Set the state to zeros; override it where a metric begins otherwise."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape, numpy_dtype(variable.dtype)))  # far cheaper than an op on a device

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch into the state."""
        raise NotImplementedError(f"{type(self).__name__} does not implement update_state()")

    def result(self) -> Any:
        """The value of the metric: a scalar, or a dict of scalars."""
        raise NotImplementedError(f"{type(self).__name__} does not implement result()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return snapshot(self.result())

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, **super().get_config()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def snapshot(result: Any) -> Any:
    """A result that does not change when the metric goes on: variables are read now."""
    if isinstance(result, dict):
        return {name: snapshot(value) for name, value in result.items()}
    return result.value if isinstance(result, Variable) else result
