"""What the steps of several optimizers are made of: numbers computed once, and steps that may not happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from kcore import ops
from kcore.runtime import Variable

F = TypeVar("F", bound=Callable[..., Any])


def per_step(method: F) -> F:
    """Decorator: a method whose value is the same for all variables is computed once in a step."""

    @wraps(method)
    def once(self: Any, *args: Any) -> Any:
        if self._step_values is None:
            return method(self, *args)
        key = (method.__name__, *map(id, args))
        if key not in self._step_values:
            self._step_values[key] = method(self, *args)
        return self._step_values[key]

    return once  # type: ignore[return-value]


def keep_unless(condition: Any, variables: Sequence[Variable], run: Callable[[], Any]) -> None:
    """Call `run`; where the condition, a boolean scalar, does not hold, the variables keep what they held before.

    Both cases are one graph, in which each variable is selected, so that it is fused with the variable's update.
    """
    before = [v.value for v in variables]
    run()
    for variable, old in zip(variables, before, strict=True):
        variable.assign(ops.where(condition, variable.value, old))
