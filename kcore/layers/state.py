"""What a layer holds: weights, inner layers, metrics and seed generators, and the order in which they count."""

from __future__ import annotations

import dis
import inspect
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from kcore import constraints, initializers, regularizers
from kcore.declare import Configurable
from kcore.dtypes import FLOATS, numpy_dtype, standardize_dtype
from kcore.layers.calling import layer_scope
from kcore.layers.input_spec import describe_layer
from kcore.metrics.metric import Metric
from kcore.naming import did_you_mean
from kcore.runtime import Variable
from kcore.runtime.loading import current_loading
from kcore.runtime.seeds import SeedGenerator

#: Attributes of the base class, which hold nothing to keep track of.
_INTERNAL = frozenset(("_records", "_losses", "_own", "_given", "_build_shapes", "_dtype_policy", "input_spec"))


def _kind_of(cls: type) -> str:
    """What instances of a class are to a holder: ``"state"``; ``"items"`` or ``"dict"`` that may hold it; or ``""``."""
    if issubclass(cls, Variable | Metric | SeedGenerator | Holder):
        return "state"
    return "dict" if issubclass(cls, dict) else "items" if issubclass(cls, list | tuple | set) else ""


_kind: Callable[[type], str] = lru_cache(4096)(_kind_of)


def _collect(value: Any, kind: str, seen: set[int], found: list[Any]) -> None:
    """Add a value that is state, or the state inside of it."""
    if not kind or id(value) in seen:
        return
    seen.add(id(value))
    if kind == "state":
        found.append(value)
        return
    for item in value.values() if kind == "dict" else value:
        _collect(item, _kind(type(item)), seen, found)


def _is_made_later(cls: type, name: str) -> bool:
    """Whether a method of a layer's class sets the attribute: `build` does, or what it calls."""
    functions = [inspect.unwrap(f) for c in cls.__mro__ if c is not Holder for f in vars(c).values() if callable(f)]
    return any(
        step.opname == "STORE_ATTR" and step.argval == name
        for function in functions
        if inspect.isfunction(function)
        for step in dis.get_instructions(function)
    )


def _distinct(items: list[Any]) -> list[Any]:
    return list({id(item): item for item in items}.values())


class Holder(Configurable):
    """The half of `Layer` that keeps state.

    Variables, layers, metrics and seed generators count when they are attributes, also inside lists, tuples and
    dicts, in the order in which the attributes were last set; weights made by `add_weight` count anyhow.
    """

    #: Attributes whose variables and layers are not the layer's own.
    untracked: ClassVar[frozenset[str]] = frozenset()
    _locked: bool = False
    name: str
    built: bool
    _own: tuple[list[Variable], list[Variable]]
    _trainable: bool

    def _check_super_called(self) -> None:
        if "_records" not in self.__dict__:
            raise RuntimeError(f"layer {type(self).__name__}: call super().__init__() first in __init__()")

    @property
    def variable_dtype(self) -> str:
        """The dtype of its weights."""
        raise NotImplementedError

    def add_weight(
        self,
        shape: Sequence[int | None] | int | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Make a weight.

        Args:
            shape: its shape; ``()`` if None.
            initializer: name, `Initializer` or callable; by default Glorot uniform for floats, else zeros.
            dtype: its dtype; the layer's variable dtype if None.
            trainable: whether training changes it.
            autocast: whether it is cast to the compute dtype in `call`.
            regularizer: penalty on it.
            constraint: what it is mapped to after an update.
            aggregation: how replicas' values join.
            overwrite_with_gradient: replace it by its gradient instead of updating it.
            name: its name within the layer.

        Returns:
            The `Variable`.

        Raises:
            ValueError: a dimension is not known yet.
        """
        self._check_super_called()
        if isinstance(shape, str):
            raise ValueError(f"{describe_layer(self)}: give the weight's name as add_weight(shape=..., name={shape!r})")
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(d is None for d in shape):
            raise ValueError(
                f"{describe_layer(self)}: weight {name!r} would have the shape {shape}, which is not known yet: give "
                "the layer an input whose sizes are known along these axes"
            )
        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        initializer = initializers.get(initializer or ("glorot_uniform" if dtype in FLOATS else "zeros"))
        self._check_unlocked(f"weight {name!r}")

        loading = current_loading()

        def values(shape: Sequence[int], dtype: str) -> np.ndarray:
            if loading is not None:
                return np.broadcast_to(np.zeros((), numpy_dtype(dtype)), shape)  # the file has the values
            return drawn(shape, dtype)

        def drawn(shape: Sequence[int], dtype: str) -> np.ndarray:
            try:
                return initializers.draw(initializer, shape, dtype)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{describe_layer(self)}: weight {name!r}: {error}") from error
            except MemoryError as error:
                text = f"{describe_layer(self)}: no room for weight {name!r} of shape {tuple(shape)} and dtype {dtype}"
                raise MemoryError(f"{text}: {error}") from error

        with layer_scope(self):
            variable = Variable(
                values,
                shape=shape,  # type: ignore[arg-type] # known by now
                dtype=dtype,
                trainable=trainable,
                name=name,
                aggregation=aggregation,
                autocast=autocast,
            )
        if loading is not None:
            loading.postpone(variable, lambda: drawn(variable.shape, variable.dtype))
        variable.initializer = initializer
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._own_variable(variable)
        return variable

    add_variable = add_weight

    def _own_variable(self, variable: Variable) -> None:
        made_trainable, made_fixed = self._own
        if all(v is not variable for v in (*made_trainable, *made_fixed)):
            (made_trainable if variable.trainable else made_fixed).append(variable)
            if not self._trainable:
                variable.trainable = False

    def _check_unlocked(self, what: str) -> None:
        if self._locked:
            raise ValueError(
                f"{describe_layer(self)} is built, so {what} cannot be added any more: make all weights and layers in "
                "__init__() or build()"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if _kind(type(value)) == "state" and name not in self.untracked:
            attributes = self.__dict__
            if attributes.get(name) is not value:
                if isinstance(value, Variable | Holder) and all(value is not held for held in self._held()):
                    self._check_unlocked(f"{type(value).__name__.lower()} {value.name!r}")
                # Attributes count in the order in which they were last set.
                attributes.pop(name, None)
            if isinstance(value, Variable) and "_own" in attributes:
                self._own_variable(value)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") and hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property that raised AttributeError: once more, for its text
        if "_records" in self.__dict__ and not self.built and _is_made_later(type(self), name):
            raise AttributeError(
                f"{describe_layer(self)} has no attribute {name!r}; it is not built yet, and weights are made when it "
                "is first called, or by build(input_shape)"
            )
        owner = describe_layer(self) if "name" in self.__dict__ else f"{type(self).__name__!r} object"
        raise AttributeError(f"{owner} has no attribute {name!r}{did_you_mean(name, self.__dict__)}")

    def _held(self) -> list[Any]:
        seen: set[int] = set()
        found: list[Any] = []
        untracked = self.untracked
        for name, value in list(self.__dict__.items()):
            kind = _kind(type(value))
            if kind and name not in _INTERNAL and name not in untracked:
                _collect(value, kind, seen, found)
        return found

    @property
    def _layers(self) -> list[Holder]:
        return [x for x in self._held() if isinstance(x, Holder)]

    def _flatten_layers(self) -> list[Any]:
        """This layer and all it holds, at any depth, each once; it may hold itself, or what holds it.

        A layer around this one, which it refers to as its parent, is no part of it, as far as their paths tell.
        """
        path = getattr(self, "_path", None)
        found: dict[int, Any] = {}
        waiting: list[Any] = [self]
        while waiting:
            layer = waiting.pop(0)
            if id(layer) not in found and not (path and self._is_inside(layer, path)):
                found[id(layer)] = layer
                waiting = [*layer._layers, *waiting]
        return list(found.values())

    def _is_inside(self, layer: Any, path: str) -> bool:
        """Whether `layer` holds this one, which is built within it, at any depth."""
        outer = getattr(layer, "_path", None)
        if not outer or not path.startswith(f"{outer}/"):
            return False
        seen: set[int] = set()
        waiting = [layer]
        while waiting:
            held = waiting.pop()
            if held is self:
                return True
            if id(held) not in seen:
                seen.add(id(held))
                waiting += held._layers
        return False

    @property
    def _metrics(self) -> list[Metric]:
        return [x for x in self._held() if isinstance(x, Metric)]

    @property
    def _seed_generators(self) -> list[SeedGenerator]:
        return [x for x in self._held() if isinstance(x, SeedGenerator)]

    def _own_variables(self) -> list[Variable]:
        for x in self._held():
            if isinstance(x, Variable):
                self._own_variable(x)
        return [*self._own[0], *self._own[1]]

    @property
    def weights(self) -> list[Variable]:
        """All weights, its own first, then those of the layers it holds."""
        return _distinct([w for layer in self._flatten_layers() for w in layer._own_variables()])

    @property
    def variables(self) -> list[Variable]:
        """All state: weights, and the states of seed generators."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            found += [*layer._own_variables(), *(generator.state for generator in layer._seed_generators)]
        return _distinct(found)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [w for w in self.weights if w.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [w for w in self.weights if not w.trainable] if self.trainable else self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """All state that training leaves alone, with the states of seed generators."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def metrics(self) -> list[Metric]:
        """Its metrics, and those of the layers it holds."""
        return [m for layer in self._flatten_layers() for m in layer._metrics]

    @property
    def metrics_variables(self) -> list[Variable]:
        """The state of all its metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether training changes its weights; setting it also sets the layers it holds."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._own_variables()
            layer._trainable = bool(value)
            for variable in layer._own[0]:
                variable.trainable = layer._trainable

    def get_weights(self) -> list[np.ndarray]:
        """The weights as NumPy arrays."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from arrays in the order of `weights`."""
        mine = self.weights
        if len(mine) != len(weights):
            raise ValueError(f"{describe_layer(self)} has {len(mine)} weights, got {len(weights)}")
        for variable, value in zip(mine, weights, strict=True):
            if tuple(variable.shape) != np.shape(value):
                raise ValueError(
                    f"{describe_layer(self)}: weight {variable.path!r} has shape {variable.shape}, got "
                    f"{np.shape(value)}"
                )
            variable.assign(value)

    def count_params(self) -> int:
        """Number of scalars in its weights."""
        if not self.built:
            raise ValueError(
                f"{describe_layer(self)} is not built, so its parameters cannot be counted: call it, or "
                "build(input_shape)"
            )
        return sum(math.prod(w.shape) for w in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Write its own variables, without those of the layers it holds, to a mapping as ``"0"``, ``"1"``, ..."""
        for i, variable in enumerate(self._own_variables()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read its own variables from a mapping that `save_own_variables` wrote."""
        mine = self._own_variables()
        if len(store.keys()) != len(mine):
            hint = "" if self.built else "; it is not built: call it on data, or build(input_shape), before loading"
            raise ValueError(
                f"{describe_layer(self)} has {len(mine)} variables ({', '.join(v.name for v in mine)}), the file has "
                f"{len(store.keys())} for it{hint}"
            )
        for i, variable in enumerate(mine):
            variable.assign(np.asarray(store[str(i)]))
