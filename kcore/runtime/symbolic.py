"""Symbolic calls: the shapes a call would give, and the calls of op functions that a functional model runs again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, MutableMapping
from typing import Any

from kcore.errors import UnknownLengthError
from kcore.graph.op import Op
from kcore.runtime.scope import in_shaping, shaping
from kcore.runtime.tensor import _METHODS, CallRecord, KerasTensor, Tensor
from kcore.tree import flatten, leaves, map_structure


def is_keras_tensor(x: Any) -> bool:
    """Whether it is a symbolic tensor, as `Input` and layers called on one give.

    Example:
        >>> import kcore
        >>> is_keras_tensor(kcore.Input((3,))), is_keras_tensor(kcore.ops.ones(3))
        (True, False)

    Source: `keras.utils.is_keras_tensor`.
    """
    return isinstance(x, KerasTensor)


def fresh(x: Any) -> KerasTensor:
    """A symbolic tensor like `x` with no history."""
    if not isinstance(x, Tensor):
        raise TypeError(f"a layer must return tensors, got {x!r} of type {type(x).__name__}")
    tensor = KerasTensor(tuple(x.shape), dtype=x.dtype)
    tensor._keras_mask = x._keras_mask
    return tensor


def infer_outputs(call: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """What `call` would return, as symbolic tensors.

    It is run on the symbolic arguments. Where it cannot work with unknown sizes (None), it is run twice with two
    different sizes instead, and what differs between the outputs is unknown.
    """
    try:
        with shaping():
            return map_structure(fresh, call(*args, **kwargs))
    except UnknownLengthError:
        raise  # with a size made up for it, the loop would be unrolled that many times
    except Exception:
        if not any(isinstance(x, KerasTensor) and None in x.shape for x in leaves([list(args), list(kwargs.values())])):
            raise
        try:
            first, second = (_with_sizes(call, args, kwargs, size) for size in (83, 89))
        except Exception:  # noqa: BLE001 - the first error, with the sizes the user knows, is the one to show
            first = second = None
        if first is None:
            raise

    def merge(a: KerasTensor, b: KerasTensor) -> KerasTensor:
        return KerasTensor(tuple(i if i == j else None for i, j in zip(a.shape, b.shape, strict=True)), dtype=a.dtype)

    return map_structure(merge, first, second)


def _with_sizes(call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], size: int) -> Any:
    def fill(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return x
        filled = KerasTensor(tuple(size if d is None else d for d in x.shape), dtype=x.dtype)
        filled._keras_mask = None if x._keras_mask is None else fill(x._keras_mask)
        return filled

    with shaping():
        return map_structure(fresh, call(*map_structure(fill, args), **map_structure(fill, kwargs)))


# -- functions as steps of a model -----------------------------------------------------------------------------------


class Step:
    """A public op function as a step of a functional model: it is called again, with sizes that are known.

    Attributes:
        name: its name in `kcore.ops`.
        fn: the function.
    """

    def __init__(self, name: str, fn: Callable[..., Any]):
        self.name = name
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any(map(_is_symbolic, (*args, *kwargs.values()))):
            return _record(self, args, kwargs)  # a step of another model, made from this one
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


def _is_symbolic(x: Any) -> bool:
    kind = type(x)
    return kind is KerasTensor or ((kind is list or kind is tuple) and any(type(e) is KerasTensor for e in x))


def recorded(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which notes its call where it is applied to symbolic tensors outside of a layer."""
    step = Step(name, fn)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        for x in (*args, *kwargs.values()) if kwargs else args:  # written out: it runs before every op
            kind = type(x)
            if kind is KerasTensor:
                return _record(step, args, kwargs)
            if kind is list or kind is tuple:
                for e in x:
                    if type(e) is KerasTensor:
                        return _record(step, args, kwargs)
        return fn(*args, **kwargs)

    call._step = step  # type: ignore[attr-defined]
    return call


def _record(step: Step, args: tuple, kwargs: dict[str, Any]) -> Any:
    if in_shaping() or any(callable(x) for x in leaves([list(args), list(kwargs.values())])):
        return step.fn(*args, **kwargs)  # inside a layer, or control flow, whose branches may use tensors from outside
    try:
        with shaping():
            result = step.fn(*args, **kwargs)
    except Exception:  # noqa: BLE001 - `infer_outputs` tries again with sizes made up, and raises this if it must
        result = None
    if result is not None and not (flatten(result) and all(isinstance(x, KerasTensor) for x in flatten(result))):
        return result  # a shape, a dtype
    outputs = infer_outputs(step.fn, args, kwargs)
    record = CallRecord(step, args, kwargs, outputs)
    for x in flatten(outputs):
        x.record, x.name = record, step.name
    return outputs


def record_functions(namespace: MutableMapping[str, Any]) -> None:
    """Let the functions of a namespace of ops be steps of functional models; ops are that by themselves.

    A function that is in two namespaces is the same step in both.
    """
    for name, value in list(namespace.items()):
        if name.startswith("_") or isinstance(value, Op) or hasattr(value, "_step"):
            continue
        if inspect.isfunction(value):
            namespace[name] = recorded(name, value)
    for operator, name in (("__getitem__", "get_item"), ("__matmul__", "matmul")):
        if not hasattr(_METHODS[operator], "_step"):
            _METHODS[operator] = recorded(name, _METHODS[operator])
