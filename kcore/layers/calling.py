"""How a layer is called: the parameters of its `call`, and what nested calls inherit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from kcore.runtime import Tensor, Variable, name_scope
from kcore.runtime.symbolic import infer_outputs
from kcore.tree import is_nested, leaves, map_structure


class CallContext(NamedTuple):
    """What a layer's call hands down to the layers it calls.

    Attributes:
        layer: the calling layer.
        training: its training flag, or None.
        symbolic: whether only shapes are being found.
    """

    layer: Any
    training: Any
    symbolic: bool


_context: ContextVar[CallContext | None] = ContextVar("kcore_layer_call", default=None)

__all__ = [
    "CallContext",
    "CallSignature",
    "call_context",
    "calling",
    "fit_shapes",
    "infer_outputs",
    "is_tensor_like",
    "layer_scope",
    "mask_of",
    "shapes_of",
    "tensor_arguments",
]

#: The layer whose name scope is the innermost one, so that it is not entered twice.
_scope_owner: ContextVar[Any] = ContextVar("kcore_layer_scope", default=None)


@contextmanager
def layer_scope(layer: Any) -> Iterator[None]:
    """The layer's name scope; entered once however its build, call and add_weight nest."""
    if _scope_owner.get() is layer:
        yield
        return
    token = _scope_owner.set(layer)
    try:
        with name_scope(layer.name):
            yield
    finally:
        _scope_owner.reset(token)


@contextmanager
def calling(layer: Any, training: Any, symbolic: bool) -> Iterator[None]:
    """The context in which a layer's call runs."""
    token = _context.set(CallContext(layer, training, symbolic))
    try:
        yield
    finally:
        _context.reset(token)


def call_context() -> CallContext | None:
    """The innermost layer call in progress, or None."""
    return _context.get()


class CallSignature:
    """The parameters of a `call` method."""

    def __init__(self, call: Callable[..., Any]):
        self.signature = inspect.signature(call)
        parameters = list(self.signature.parameters.values())
        self.names = tuple(p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.var_args = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self.var_kwargs = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
        self.has_training = "training" in self.names
        self.has_mask = "mask" in self.names
        self.first = next((p.name for p in parameters), None)

    def bind(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Argument name -> value, without defaults; raises TypeError as a call would."""
        if len(args) <= len(self.names) and kwargs.keys() <= set(self.names) - set(self.names[: len(args)]):
            bound = dict(zip(self.names, args, strict=False))
            bound.update(kwargs)
            if all(n in bound or n in self.defaults for n in self.names):
                return bound
        return dict(self.signature.bind(*args, **kwargs).arguments)

    def unbind(self, bound: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments and keywords of a call from its bound arguments."""
        rest = dict(bound)
        args: tuple = ()
        if self.var_args in rest:
            args = (*(rest.pop(n) for n in self.names if n in rest), *rest.pop(self.var_args))
        return args, {**rest, **rest.pop(self.var_kwargs, {})} if self.var_kwargs else rest


def is_tensor_like(x: Any) -> bool:
    """Whether it is a tensor of any kind, or a variable."""
    return isinstance(x, Tensor | Variable)


def tensor_arguments(bound: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are tensors or structures of nothing else (None allowed)."""
    found = {}
    for name, value in bound.items():
        if is_tensor_like(value):
            found[name] = value
        elif is_nested(value) and len(value) > 0:
            flat = list(leaves(value))
            if any(is_tensor_like(x) for x in flat) and all(x is None or is_tensor_like(x) for x in flat):
                found[name] = value
    return found


def shapes_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """``name_shape`` -> shape (or structure of shapes) of every tensor argument but masks."""
    return {
        f"{name}_shape": map_structure(lambda x: None if x is None else tuple(x.shape), value)
        for name, value in arguments.items()
        if name not in ("mask", "args", "kwargs")
    }


def fit_shapes(function: Callable[..., Any], shapes: dict[str, Any], owner: str) -> dict[str, Any]:
    """The shapes a ``build`` or ``compute_output_shape`` asks for.

    With one parameter it gets the first shape, whatever its name; with several, each ``x_shape`` is that of the call
    argument ``x``.
    """
    names = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(names) == 1:
        return {names[0]: next(iter(shapes.values()), None)}
    for name in names:
        if not name.endswith("_shape"):
            raise ValueError(
                f"{owner}: {function.__name__}() has several arguments, so each must be called like the argument of "
                f"call() whose shape it takes, followed by _shape; got {name!r}"
            )
    return {name: shapes[name] for name in names if name in shapes}


def mask_of(x: Any) -> Any:
    """The mask a tensor carries, or None."""
    return getattr(x, "_keras_mask", None)
