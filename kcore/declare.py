"""Arguments by declaration: one line per argument gives ``__init__``, attribute, check, config and repr."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from kcore.naming import did_you_mean

#: The default of an argument that must be given.
REQUIRED: Any = inspect.Parameter.empty


@dataclass(eq=False)
class Argument:
    """One declared constructor argument.

    Attributes:
        default: value when it is not given; `REQUIRED` if it must be.
        kind: what turns the given value into the kept one: a module with ``get`` and ``serialize``
            (`kcore.initializers`, `kcore.activations`, ...), or a function that checks and converts.
        config: whether ``get_config()`` shows it.
        attr: attribute that keeps it; the argument's own name if None.
        after: inherited argument it follows in the order of positions.
        keyword: whether it is given by name only.
        name: the argument's name, filled in by the class that declares it.
    """

    default: Any
    kind: Any
    config: bool
    attr: str | None
    after: str | None = None
    keyword: bool = False
    name: str = ""

    def keep(self, owner: str, value: Any) -> Any:
        """The value to keep for a given one; errors name the class and the argument."""
        if self.kind is None:
            return value
        try:
            return self.kind.get(value) if hasattr(self.kind, "serialize") else self.kind(value)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{owner}: argument {self.name}={value!r}: {error}") from None

    def show(self, value: Any) -> Any:
        """The value as ``get_config()`` shows it."""
        if hasattr(self.kind, "serialize"):
            return self.kind.serialize(value)
        from kcore.registry import serialize

        return serialize(value)


def argument(
    default: Any = REQUIRED,
    kind: Any = None,
    *,
    config: bool = True,
    attr: str | None = None,
    after: str | None = None,
    keyword: bool = False,
) -> Any:
    """Declare a constructor argument as a class attribute: ``units: int = argument(kind=positive_int)``.

    Args:
        default: value when it is not given; without one the argument is required.
        kind: module with ``get`` and ``serialize``, or a function that checks and converts; None keeps the value.
        config: whether ``get_config()`` shows it.
        attr: attribute that keeps it, where it differs from the argument's name.
        after: inherited argument it follows in the order of positions; by default a class's own come first.
        keyword: whether it is given by name only.

    Returns:
        The declaration; `Configurable` reads it and takes it out of the class.
    """
    return Argument(default, kind, config, attr, after, keyword)


class Configurable:
    """Base of everything that is made from arguments: layers, losses, metrics, initializers, and so on.

    A subclass declares its arguments with `argument` and needs no ``__init__``: the generated one takes its own
    arguments first (but for those with ``after=`` or ``keyword=``), then those of its bases, then what the nearest
    hand-written ``__init__`` above takes. It calls that one, keeps the values as attributes, and calls
    ``__post_init__``. ``get_config()`` shows what is declared. A plain class attribute of an inherited argument's
    name fixes it: it is an argument no longer. A subclass with an ``__init__`` of its own works as in plain Python.

    Example:
        >>> class Scale(Configurable):
        ...     factor: float = argument(2.0)
        ...     axis: int = argument(-1)
        >>> Scale(3.0).get_config()
        {'factor': 3.0, 'axis': -1}
        >>> Scale.from_config({"axis": 1})
        <Scale factor=2.0, axis=1>
    """

    #: Declared arguments by name, own ones first.
    arguments: ClassVar[dict[str, Argument]] = {}

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Argument)}
        for name, declared in own.items():
            declared.name = name
            delattr(cls, name)
        arguments = dict(own)
        for base in cls.__bases__:  # what a base has fixed stays fixed
            for name, declared in getattr(base, "arguments", {}).items():
                arguments.setdefault(name, declared)
        for name, declared in list(arguments.items()):
            if declared.after in arguments:
                arguments = _moved(arguments, name, declared.after)
        fixed = {n for n in vars(cls).keys() & arguments.keys() - own.keys() if not hasattr(vars(cls)[n], "__get__")}
        if own or fixed or len(cls.__bases__) > 1:
            cls.arguments = {name: declared for name, declared in arguments.items() if name not in fixed}
            if cls.arguments and "__init__" not in vars(cls):
                _generate_init(cls)

    def __post_init__(self) -> None:
        """Called when all declared arguments are kept: for checks and attributes that depend on several of them."""

    def get_config(self) -> dict[str, Any]:
        """The declared arguments, serialized: ``from_config`` makes an equal object of them."""
        return {a.name: a.show(getattr(self, a.attr or a.name)) for a in self.arguments.values() if a.config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an object from what ``get_config()`` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        shown = (f"{a.name}={getattr(self, a.attr or a.name, None)!r}" for a in self.arguments.values() if a.config)
        return f"<{' '.join([type(self).__name__, ', '.join(shown)]).strip()}>"


def _moved(arguments: dict[str, Argument], name: str, after: str) -> dict[str, Argument]:
    """The same arguments with `name` right behind `after`."""
    order = [n for n in arguments if n != name]
    order.insert(order.index(after) + 1, name)
    return {n: arguments[n] for n in order}


def _generate_init(cls: type[Configurable]) -> None:
    """Give the class an ``__init__`` made from its declarations."""
    root = next(c for c in cls.__mro__[1:] if "__init__" in vars(c) and not hasattr(vars(c)["__init__"], "generated"))
    initialize: Callable[..., None] = vars(root)["__init__"]
    above = root.arguments if issubclass(root, Configurable) else {}
    declared = [a for n, a in cls.arguments.items() if above.get(n) is not a]
    names = {a.name for a in declared}
    rest = {} if root is object else dict(list(inspect.signature(initialize).parameters.items())[1:])
    parameter, kinds = inspect.Parameter, inspect.Parameter
    parameters = [
        parameter(a.name, kinds.KEYWORD_ONLY if a.keyword else kinds.POSITIONAL_OR_KEYWORD, default=a.default)
        for a in declared
    ]
    parameters += [p for p in rest.values() if p.name not in names and p.kind is not kinds.VAR_POSITIONAL]
    # An argument without a default may follow one that has one: it is then asked for by keyword.
    seen_default = False
    for i, p in enumerate(parameters):
        if seen_default and p.default is REQUIRED and p.kind is kinds.POSITIONAL_OR_KEYWORD:
            parameters[i] = p.replace(kind=kinds.KEYWORD_ONLY)
        seen_default = seen_default or (p.default is not REQUIRED and p.kind is kinds.POSITIONAL_OR_KEYWORD)
    parameters.sort(key=lambda p: p.kind)
    signature = inspect.Signature(parameters)
    catch_all = next((p.name for p in parameters if p.kind is kinds.VAR_KEYWORD), None)
    post_init = cls.__post_init__ if cls.__post_init__ is not getattr(root, "__post_init__", None) else None

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            known = [p.name for p in parameters if p.kind is not kinds.VAR_KEYWORD]
            unknown = [k for k in kwargs if k not in known]
            hint = did_you_mean(unknown[0], known) if unknown and catch_all is None else ""
            raise TypeError(f"{type(self).__name__}: {error}{hint} (arguments: {', '.join(known)})") from None
        values = {a: a.keep(type(self).__name__, bound.pop(a.name, a.default)) for a in declared}
        passed = {**bound.pop(catch_all, {}), **bound} if catch_all else bound
        if root is not object:
            initialize(self, **{a.name: v for a, v in values.items() if a.name in rest}, **passed)
        for a, value in values.items():
            if a.name not in rest:
                setattr(self, a.attr or a.name, value)
        if post_init is not None:
            post_init(self)

    __init__.generated = True  # type: ignore[attr-defined]
    __init__.__signature__ = inspect.Signature([parameter("self", kinds.POSITIONAL_OR_KEYWORD), *parameters])  # type: ignore[attr-defined]
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = __init__  # type: ignore[method-assign]


# -- kinds: checks that read like sentences -----------------------------------------------------------------------


def positive_int(value: Any) -> int:
    """An integer of at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) <= 0:
        raise ValueError("expected a positive integer")
    return operator.index(value)


def optional(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same kind, or None."""
    return lambda value: None if value is None else kind(value)


def one_of(*choices: Any) -> Callable[[Any], Any]:
    """One of the given values."""

    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(map(repr, choices))}{did_you_mean(value, map(str, choices))}")
        return value

    return check


def within(low: float, high: float) -> Callable[[Any], float]:
    """A number from `low` to `high`, both included."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"expected a number between {low:g} and {high:g}")
        return value

    return check


def at_least(low: float) -> Callable[[Any], float]:
    """A number not below `low`."""
    return within(low, float("inf"))


def only(expected: Any, because: str) -> Callable[[Any], Any]:
    """An argument that Keras's files carry and kcore accepts with one value alone."""

    def check(value: Any) -> Any:
        if value != expected:
            raise ValueError(f"only {expected!r} is supported: {because}")
        return value

    return check


def int_tuple(value: Any, rank: int, *, zero: bool = False) -> tuple[int, ...]:
    """`rank` positive integers, from one integer or a sequence of them."""
    values = (value,) * rank if hasattr(value, "__index__") else tuple(value)
    lowest = 0 if zero else 1
    if len(values) != rank or any(isinstance(v, bool) or not hasattr(v, "__index__") or v < lowest for v in values):
        raise ValueError(
            f"expected {'a' if zero else 'a positive'} integer or a tuple of {rank} of them, got {value!r}"
        )
    return tuple(operator.index(v) for v in values)
