"""The one registry of classes and functions by name, and their way to a configuration dictionary and back."""

from __future__ import annotations

import importlib
import inspect
import reprlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from kcore.dtypes import numpy_dtype, standardize_dtype
from kcore.errors import KcoreError, warn_user
from kcore.naming import did_you_mean

T = TypeVar("T")

#: Keras modules whose functions are saved by bare name.
FUNCTION_MODULES = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops")

_FUNCTIONS = tuple(f"keras.{name}" for name in FUNCTION_MODULES)
_MODELS = ("keras", "keras.models", "keras.src.models.functional")
#: Where Keras keeps the layers of its applications' own.
_APPLICATIONS = ("keras.src.applications.convnext", "keras.src.applications.inception_resnet_v2")
#: Modules whose classes are published when a file first names one of them -> the room that has them.
_LATER = dict.fromkeys(_APPLICATIONS, "kcore.applications")

#: What is asked for -> the modules from which a configuration may take it. Nothing else has a place in a file: not what
#: reads or writes files (utils, saving, callbacks, datasets), whatever is published there.
SOURCES: dict[str, tuple[str, ...]] = {
    "keras.layers": ("keras.layers", *_MODELS, *_APPLICATIONS),
    "keras.activations": ("keras.activations", "keras.layers"),
    "keras.initializers": ("keras.initializers",),
    "keras.regularizers": ("keras.regularizers",),
    "keras.constraints": ("keras.constraints",),
    "keras.losses": ("keras.losses", "keras.metrics"),
    "keras.metrics": ("keras.metrics", "keras.losses"),
    "keras.optimizers": ("keras.optimizers", "keras.optimizers.schedules"),
    "keras.callbacks": ("keras.callbacks",),
}
#: What a configuration may name where nothing particular is asked for.
ANYWHERE = frozenset(
    (
        *_MODELS,
        *_APPLICATIONS,
        *_FUNCTIONS,
        *("keras.layers", "keras.optimizers", "keras.optimizers.schedules", "keras.dtype_policies"),
        *("keras.mixed_precision", "keras.random", "keras.quantizers"),
    )
)


class UnknownObjectError(KcoreError, TypeError):
    """A class or function was asked for by a name nobody registered."""


class DuplicateObjectError(KcoreError, ValueError):
    """Two packages registered an object under one name."""


class Registry:
    """Classes and functions by name.

    What kcore brings is listed under Keras's public address (``"keras.layers.Dense"``), so that files can be
    exchanged; what users and plugins bring under ``"package>Name"``.
    """

    def __init__(self) -> None:
        self._public: dict[str, Any] = {}
        self._custom: dict[str, Any] = {}
        #: kcore's own that Keras has no address for: old meanings of layers.
        self._own: dict[str, Any] = {}
        self._addresses: dict[Any, str] = {}
        self._custom_names: dict[Any, str] = {}
        #: Called once with a name that was not found, to bring in plugins; returns whether another look is worth it.
        self.finders: list[Callable[[str], bool]] = []

    def publish(self, obj: Any, module: str, *names: str) -> None:
        """List a built-in object under ``module.name`` for each of its names; it is saved under the first."""
        names = names or (obj.__name__,)
        for name in names:
            other = self._public.get(f"{module}.{name}")
            if other is not None and other is not obj and _origin(other) != _origin(obj):
                raise DuplicateObjectError(f"{module}.{name} is both {_origin(other)} and {_origin(obj)}")
            self._public[f"{module}.{name}"] = obj
        self._addresses.setdefault(obj, f"{module}.{names[0]}")

    def register(self, obj: Any, name: str) -> None:
        """List a user's or plugin's object, or one of kcore's own, under ``"package>Name"``."""
        table = self._own if name.startswith("kcore>") and _package(obj) == "kcore" else self._custom
        other = self._own.get(name) or self._custom.get(name)
        if other is not None and other is not obj and _package(other) != _package(obj):
            raise DuplicateObjectError(
                f"two packages register {name!r}: {_package(other)} ({_origin(other)}) and {_package(obj)} "
                f"({_origin(obj)}); one of them must choose another package or name"
            )
        table[name] = obj
        self._custom_names[obj] = name

    def address(self, obj: Any) -> str | None:
        """Keras's public address of a built-in object, or None."""
        return self._addresses.get(obj)

    def name_of(self, obj: Any) -> str:
        """The registered name of an object, or its own."""
        try:
            if obj not in self._custom_names and obj not in self._addresses and _package(obj) != "kcore":
                for find in self.finders:  # a plugin's class that was imported, but never looked up by name
                    find("")
            return self._custom_names.get(obj) or obj.__name__
        except TypeError:  # not hashable
            return obj.__name__

    def custom(self, name: str | None) -> Any:
        """An object by registered name, or None; scopes come first."""
        if name is None:
            return None
        found = _scope.get().get(name) or self._custom.get(name) or self._own.get(name)
        if found is None and ">" in name and any(find(name) for find in self.finders):
            found = self._custom.get(name)
        return found

    def public(self, address: str) -> Any:
        """A built-in object by Keras address, or None."""
        return self._public.get(address)

    def members(self, module: str) -> dict[str, Any]:
        """All names of one Keras module with their objects, and what custom scopes add."""
        prefix = f"{module}."
        return {
            a[len(prefix) :]: o for a, o in self._public.items() if a.startswith(prefix) and "." not in a[len(prefix) :]
        }


#: Every class and function that can be named in a configuration.
REGISTRY = Registry()


def _from_plugins(name: str) -> bool:
    from kcore.plugins import register_named

    return register_named(REGISTRY, name)


REGISTRY.finders.append(_from_plugins)

_scope: ContextVar[Mapping[str, Any]] = ContextVar("custom_objects", default=MappingProxyType({}))


def _origin(obj: Any) -> str:
    return f"{obj.__module__}.{obj.__qualname__}"


def _package(obj: Any) -> str:
    return obj.__module__.split(".")[0]


def public(module: str, *names: str) -> Callable[[T], T]:
    """Decorator: list a built-in class or function under Keras's address.

    Args:
        module: Keras's module, ``"keras.layers"``.
        names: its names there, the one it is saved under first; its own name if none is given.

    Example:
        >>> @public("keras.examples", "Twice", "twice")
        ... def Twice(x): return 2 * x
        >>> REGISTRY.members("keras.examples")["twice"](4)
        8
    """

    def publish(obj: T) -> T:
        REGISTRY.publish(obj, module, *names)
        return obj

    return publish


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Decorator: make a class or function loadable from saved files under ``"package>Name"``.

    Args:
        package: namespace, usually the name of the distribution.
        name: name within it; the object's own by default.

    Raises:
        ValueError: the class has no ``get_config()``.

    Example:
        >>> @register_serializable("docs")
        ... def double(x): return 2 * x
        >>> get_registered_name(double)
        'docs>double'
    """

    def register(obj: T) -> T:
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(f"cannot register {obj.__name__}: it has no get_config() method")
        REGISTRY.register(obj, f"{package}>{name or obj.__name__}")  # type: ignore[attr-defined]
        return obj

    return register


#: Keras's name of `register_serializable`.
register_keras_serializable = register_serializable


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Context in which the given names stand for the given classes and functions.

    Example:
        >>> with custom_object_scope({"twice": lambda x: 2 * x}):
        ...     get_registered_object("twice")(3)
        6
    """
    token = _scope.set({**_scope.get(), **custom_objects})
    try:
        yield
    finally:
        _scope.reset(token)


#: Keras's other name of `custom_object_scope`.
CustomObjectScope = custom_object_scope


def get_registered_name(obj: Any) -> str:
    """The name an object is saved under: ``"package>Name"`` if registered, else its own."""
    return REGISTRY.name_of(obj)


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The class or function of a registered name, or None."""
    return REGISTRY.custom(name) or (custom_objects or {}).get(name) or (module_objects or {}).get(name)


def get_custom_objects() -> dict[str, Any]:
    """The registry of users' and plugins' objects itself, by registered name; what is added to it can be loaded.

    Example:
        >>> get_custom_objects()["half"] = lambda x: x / 2
        >>> get_registered_object("half")(4)
        2.0
        >>> del get_custom_objects()["half"]

    Source: `keras.utils.get_custom_objects`.
    """
    return REGISTRY._custom


# -- object -> configuration --------------------------------------------------------------------------------------


def serialize(obj: Any) -> Any:
    """Describe an object with plain values, in the form Keras 3 saves.

    Args:
        obj: a layer, initializer, function, tensor, array, slice, dtype policy, plain value, or a structure of these.

    Returns:
        Plain values; an object becomes ``{"module", "class_name", "config", "registered_name"}``.

    Example:
        >>> serialize((1, None, "same")), serialize(slice(1, 2))["class_name"]
        ((1, None, 'same'), '__slice__')
    """
    if obj is None or isinstance(obj, str | int | float | bool):
        return obj
    if isinstance(obj, list | tuple):
        return type(obj)(map(serialize, obj)) if type(obj) in (list, tuple) else tuple(map(serialize, obj))
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize(value) for key, value in obj.items()}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, slice):
        parts = {part: serialize(getattr(obj, part)) for part in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": parts}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    tensor = _serialize_tensor(obj)
    if tensor is not None:
        return tensor
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType) or not hasattr(obj, "get_config"):
        return _serialize_function(obj)
    return _serialize_object(obj)


def _serialize_tensor(obj: Any) -> dict[str, Any] | None:
    from kcore.runtime import KerasTensor, is_tensor
    from kcore.tree import flatten

    if isinstance(obj, KerasTensor):
        record, history = obj.record, None
        if record is not None:
            place = next(i for i, x in enumerate(flatten(record.outputs)) if x is obj)
            history = [record.operation.name, record.operation._records.index(record), place]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": obj.shape, "dtype": obj.dtype, "keras_history": history},
        }
    if is_tensor(obj):
        return {"class_name": "__tensor__", "config": {"value": np.asarray(obj).tolist(), "dtype": obj.dtype}}
    return None


def _serialize_function(fn: Any) -> dict[str, Any]:
    name = getattr(fn, "__name__", None)
    if name is None:
        raise TypeError(f"cannot serialize {fn!r} of type {type(fn).__name__}: a class needs a get_config() method")
    if name == "<lambda>":
        raise TypeError(
            "cannot serialize a lambda: give the function a name, and register it with register_serializable() "
            f"if it is to be loaded again ({fn.__code__.co_filename}:{fn.__code__.co_firstlineno})"
        )
    registered = REGISTRY.name_of(fn)
    return {"module": "builtins", "class_name": "function", "config": registered, "registered_name": "function"}


def _serialize_object(obj: Any) -> dict[str, Any]:
    cls, number = type(obj), (_numbered.get() or {}).get(id(obj))
    config = obj.get_config()
    if not isinstance(config, dict):
        raise TypeError(f"{cls.__name__}.get_config() returned {type(config).__name__}, expected a dict")
    address = REGISTRY.address(cls)
    if address is not None:
        module, _, name = address.rpartition(".")
        described = {"module": module, "class_name": name, "config": serialize(config), "registered_name": None}
    else:
        described = {
            "module": None if cls.__module__ == "__main__" else cls.__module__,
            "class_name": cls.__name__,
            "config": serialize(config),
            "registered_name": REGISTRY.name_of(cls),
        }
    for part in ("build_config", "compile_config"):
        get = getattr(obj, f"get_{part}", None)
        value = get() if get is not None else None
        if value is not None:
            described[part] = serialize(value)
    return described if number is None else {**described, "shared_object_id": number}


#: The numbers under which layers are written that stand at several places; id -> number.
_numbered: ContextVar[Mapping[int, int] | None] = ContextVar("numbered", default=None)

#: The layers met so far that a file has at several places; (number, class) -> layer.
_met: ContextVar[dict[Any, Any] | None] = ContextVar("met", default=None)


@contextmanager
def sharing(layers: Sequence[Any] = ()) -> Iterator[None]:
    """Context in which layers that stand in a model at several places are written so, and read as one.

    Args:
        layers: those to be written so.
    """
    tokens = _numbered.set({id(layer): n for n, layer in enumerate(layers, 1)}), _met.set({})
    try:
        yield
    finally:
        _numbered.reset(tokens[0])
        _met.reset(tokens[1])


# -- configuration -> object --------------------------------------------------------------------------------------


def deserialize(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, module: str | None = None
) -> Any:
    """Make the object a configuration describes; the reverse of `serialize`.

    Args:
        config: what `serialize` gave, or Keras saved.
        custom_objects: more names and what they stand for.
        safe_mode: refuse code carried by the configuration (Keras's saved lambdas); kcore refuses it either way.
        module: Keras module in which a bare name is looked up (``"keras.activations"``).

    Raises:
        UnknownObjectError: a class or function nobody registered; near names are shown.

    Example:
        >>> deserialize({"class_name": "__slice__", "config": {"start": 1, "stop": 5, "step": None}})
        slice(1, 5, None)
    """
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize(config, None, safe_mode, module)
    if isinstance(config, str) and module is not None:
        found = _find(config, config, module, config, module)
        return found() if inspect.isclass(found) else found
    if config is None or isinstance(config, str | int | float | bool):
        custom = REGISTRY.custom(config) if isinstance(config, str) else None
        return config if custom is None or not config else custom
    if isinstance(config, list | tuple):
        return [deserialize(item, None, safe_mode) for item in config]
    if not isinstance(config, Mapping):
        raise TypeError(f"cannot make an object of {config!r}: expected a configuration dictionary")
    if "class_name" not in config or "config" not in config:
        return {key: deserialize(value, None, safe_mode) for key, value in config.items()}
    special = _SPECIAL.get(config["class_name"]) if isinstance(config["class_name"], str) else None
    if special is not None:
        return special(config["config"])
    return _deserialize_object(config, module)


def _deserialize_object(config: Mapping[str, Any], module: str | None) -> Any:
    name, inner = config["class_name"], config["config"]
    where = config.get("module") or module
    if name == "function":
        if not isinstance(inner, str):
            raise TypeError(f"a function is described by its name, got {reprlib.repr(inner)}")
        found = _find(inner, inner, where, config, module)
        if inspect.isclass(found):
            raise ValueError(f"the configuration calls {inner!r} a function, which is a class")
        return found
    registered_name = config.get("registered_name") or name
    for value in (name, registered_name, where):
        if not isinstance(value, str | None):
            raise TypeError(f"a class is described by its name, got {reprlib.repr(value)}")
    if inner is not None and not isinstance(inner, Mapping):
        raise TypeError(f"{name} is described by its arguments, got {reprlib.repr(inner)}")
    cls = _find(name, registered_name, where, config, module)
    if not inspect.isclass(cls):
        return cls
    if not hasattr(cls, "from_config"):
        raise TypeError(f"{cls.__name__} cannot be made from a configuration: it has no from_config() method")
    shared = config.get("shared_object_id"), name
    known = _met.get() if isinstance(shared[0], int) else None
    if known is not None and shared in known:
        return known[shared]
    obj = cls.from_config(dict(inner or {}))  # type: ignore[attr-defined]
    if known is not None and hasattr(obj, "_flatten_layers"):
        known[shared] = obj
    build_config = config.get("build_config")
    if build_config and not obj.built:
        obj.build_from_config(deserialize(build_config))
        obj.built = True
    compile_config = config.get("compile_config")
    if compile_config:
        obj.compile_from_config(compile_config)
    return obj


def _find(name: str, registered_name: str, module: str | None, config: Any, asked: str | None) -> Any:
    """The class or function of a name.

    Args:
        name: as it is called where it was defined.
        registered_name: as it was registered.
        module: the Keras module a configuration says it is in.
        config: the whole configuration, for messages.
        asked: the Keras module of what is needed here; None if anything will do that a file may name.
    """
    custom = _custom(name, registered_name)
    if custom is not None:
        return custom
    searched = (module,) if module not in (None, "builtins") else SOURCES.get(asked or "", _FUNCTIONS)
    for place in searched:
        if place in _LATER and module == place:
            importlib.import_module(_LATER[place])
        found = REGISTRY.public(f"{place}.{name}")
        if found is not None:
            _check_source(name, place, found, asked)
            return found
    known = {n for place in searched for n in REGISTRY.members(place)}
    hint = did_you_mean(name, known) or "."
    raise UnknownObjectError(
        f"there is no {name!r} in {' or '.join(searched)}{hint} "
        f"A class or function of your own must be passed in custom_objects, or registered with register_serializable() "
        f"and imported before loading. Configuration: {reprlib.repr(config)}"
    )


def _custom(name: str, registered_name: str) -> Any:
    """A user's or plugin's object; one that others registered must be the one that is meant."""
    scope = _scope.get()
    given = scope.get(registered_name) or scope.get(name)
    if given is not None:
        return given
    found = REGISTRY.custom(registered_name)
    if found is None:
        return REGISTRY.custom(name)
    own = getattr(found, "__name__", name)
    if name not in (own, registered_name, registered_name.rpartition(">")[2]):
        raise ValueError(
            f"the configuration calls {name!r} what is registered as {registered_name!r}, which is {own!r}: the names "
            "do not match"
        )
    return found


def _check_source(name: str, place: str, found: Any, asked: str | None) -> None:
    """Raise ValueError unless a file may name an object of kcore here."""
    if place not in (ANYWHERE if asked not in SOURCES else SOURCES[asked]):
        wanted = (
            f"one of {', '.join(SOURCES[asked])} is needed here" if asked in SOURCES else "it has no place in a file"
        )
        raise ValueError(f"a configuration may not name {place}.{name}: {wanted}")
    if not inspect.isclass(found) and place not in _FUNCTIONS:
        raise ValueError(f"a configuration may not name the function {place}.{name}: only classes of {place}")


def _refuse_lambda(config: Any) -> Any:
    raise ValueError(
        "the configuration carries the code of a Python lambda; kcore never runs code from a file. "
        "Replace it by a named function, registered with register_serializable()"
    )


def _make_array(config: Mapping[str, Any]) -> np.ndarray:
    return np.array(config["value"], dtype=numpy_dtype(standardize_dtype(config["dtype"])))


def _make_tensor(config: Mapping[str, Any]) -> Any:
    from kcore.runtime import convert_to_tensor

    return convert_to_tensor(config["value"], dtype=config["dtype"])


def _make_keras_tensor(config: Mapping[str, Any]) -> Any:
    from kcore.runtime import KerasTensor

    return KerasTensor(tuple(config["shape"]), dtype=config["dtype"])


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "__bytes__": lambda c: c["value"].encode("utf-8"),
    "__slice__": lambda c: slice(c["start"], c["stop"], c["step"]),
    "__ellipsis__": lambda c: Ellipsis,
    "__numpy__": _make_array,
    "__tensor__": _make_tensor,
    "__keras_tensor__": _make_keras_tensor,
    "__lambda__": _refuse_lambda,
}

#: Keras's names of `serialize` and `deserialize`.
serialize_keras_object = serialize
deserialize_keras_object = deserialize


class Namespace:
    """The ``get``/``serialize``/``deserialize`` of one Keras module, as its members are looked up by users.

    Args:
        module: the Keras module, ``"keras.initializers"``.
        what: one of its members in words, for errors.
        default: what ``get(None)`` gives.
        instances: whether a class is called, so that ``get`` gives an object of it.
    """

    def __init__(self, module: str, what: str, default: Any = None, instances: bool = True):
        self.module, self.what, self.default, self.instances = module, what, default, instances

    def get(self, identifier: Any) -> Any:
        """The member an identifier stands for: None, a name, a configuration, a class, or the object itself."""
        if identifier is None:
            return self.default
        if isinstance(identifier, dict):
            found = self.deserialize(identifier)
        elif isinstance(identifier, str):
            found = REGISTRY.custom(identifier) or REGISTRY.public(f"{self.module}.{identifier}")
            if found is None:
                hint = did_you_mean(identifier, REGISTRY.members(self.module))
                raise ValueError(f"there is no {self.what} called {identifier!r}{hint}")
        else:
            found = identifier
        if self.instances and inspect.isclass(found):
            found = found()
        if not callable(found):
            raise ValueError(f"expected the name, configuration or function of a {self.what}, got {identifier!r}")
        return found

    def serialize(self, obj: Any) -> Any:
        """The configuration of a member; None stays None."""
        return serialize(obj)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The member a name or configuration describes."""
        return deserialize(config, custom_objects=custom_objects, module=self.module)


def warn_ignored(owner: str, argument: str) -> None:
    """Say that an argument of an old Keras is no longer used."""
    warn_user(f"{owner}: the argument {argument} is no longer used and was ignored")
