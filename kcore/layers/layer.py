"""What a layer is: arguments by declaration, weights made by `build`, and `call` written in ops."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from kcore import dtype_policies, ops, regularizers
from kcore.dtype_policies import DTypePolicyMap
from kcore.dtypes import FLOATS
from kcore.errors import warn_user
from kcore.layers.calling import (
    CallSignature,
    call_context,
    calling,
    fit_shapes,
    infer_outputs,
    is_tensor_like,
    layer_scope,
    mask_of,
    shapes_of,
    tensor_arguments,
)
from kcore.layers.input_spec import check_inputs, describe_layer
from kcore.layers.state import Holder
from kcore.naming import auto_name, did_you_mean
from kcore.registry import public, serialize
from kcore.runtime import CallRecord, KerasTensor, Tensor, Variable, convert_to_tensor, current_path
from kcore.runtime.scope import autocast_dtype, autocasting
from kcore.tree import flatten, leaves, map_shapes, map_structure

#: Arguments every layer takes by name.
LAYER_ARGUMENTS = ("activity_regularizer", "trainable", "dtype", "autocast", "name")


def _wrap_build(build: Callable[..., None]) -> Callable[..., None]:
    """Let a `build` method run in the layer's name scope, once, and remember the shapes it was given."""
    parameters = list(inspect.signature(build).parameters)[1:]

    @wraps(build)
    def wrapped(self: Layer, *args: Any, **kwargs: Any) -> None:
        if self._building:  # the call of super().build()
            build(self, *args, **kwargs)
            return
        self._check_super_called()
        self._building = True
        try:
            with layer_scope(self):
                self._path = current_path()
                build(self, *args, **kwargs)
        finally:
            self._building = False
        self._build_shapes = dict(zip(parameters, args, strict=False), **kwargs)
        self.built = True
        self._locked = True

    return wrapped


@public("keras.layers", "Layer")
class Layer(Holder):
    """Base of the layers.

    A layer declares its arguments with `kcore.declare.argument`, makes its weights in `build` with `add_weight`, and
    computes in `call` with `kcore.ops`. That is all: configuration, output shapes, masks, names, casts and the three
    ways of running (eager, traced, symbolic) come from here. A subclass with ``__init__`` and ``get_config`` of its
    own works as in Keras.

    Args:
        activity_regularizer: penalty on the output, added to the loss per sample.
        trainable: whether training changes its weights.
        dtype: dtype or `DTypePolicy`; the global policy if None.
        autocast: whether floating inputs are cast to the compute dtype.
        name: its name; made from the class name if None.

    Example:
        >>> from kcore.declare import argument, positive_int
        >>> class Linear(Layer):
        ...     units: int = argument(32, positive_int)
        ...     def build(self, input_shape):
        ...         self.w = self.add_weight((input_shape[-1], self.units), name="w")
        ...     def call(self, inputs):
        ...         return ops.matmul(inputs, self.w)
        >>> Linear(4)(np.ones((2, 3), "float32")).shape
        (2, 4)

    Source: `keras.layers.Layer`.
    """

    #: What the first argument of `call` must look like; may be replaced in `build`.
    input_spec: Any = None
    #: Whether masks pass through; true for classes that have a `compute_mask`.
    supports_masking: bool = False
    _building: bool = False
    _path: str | None = None

    # -- making a layer ----------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _wrap_build(cls.build)  # type: ignore[method-assign]
        if "compute_mask" in vars(cls) and "supports_masking" not in vars(cls):
            cls.supports_masking = True
        cls._signature = None

    _signature: ClassVar[CallSignature | None] = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        object.__setattr__(self, "_given", (args, kwargs))
        return self

    def __init__(
        self,
        *args: Any,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        if args:
            raise TypeError(f"{owner}: arguments of Layer are given by name, got {args}")
        if "input_dim" in kwargs or "input_shape" in kwargs or "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape", None)
            shape = kwargs.pop("input_shape", None)
            size = kwargs.pop("input_dim", None)
            self._batch_shape_arg = tuple(batch_shape) if batch_shape else (None, *(shape or (size,)))
        if kwargs:
            known = list(dict.fromkeys([*self.arguments, *LAYER_ARGUMENTS]))
            unknown = next(iter(kwargs))
            raise ValueError(
                f"{owner} has no argument {unknown!r}{did_you_mean(unknown, known)} (arguments: {', '.join(known)})"
            )
        if not isinstance(trainable, bool):
            raise ValueError(f"{owner}: trainable={trainable!r}: expected True or False")
        name = auto_name(owner) if name is None else name
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"{owner}: name={name!r}: expected a string without '/'")
        self.name = name
        self.autocast = autocast
        self.built = False
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._dtype_policy = dtype_policies.get(dtype)
        self._trainable = trainable
        self._losses: list[Any] = []
        self._own: tuple[list[Variable], list[Variable]] = ([], [])  # made trainable, made not
        self._build_shapes: dict[str, Any] | None = None
        #: Symbolic calls, in order: the nodes of functional models.
        self._records: list[CallRecord] = []

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Make the weights for inputs of the given shape; by default let the inner layers do so in a symbolic call."""
        self._check_super_called()
        if not self._building and any(not layer.built for layer in self._layers):
            tensors = [map_shapes(lambda s: KerasTensor(s, dtype=self.compute_dtype), shape) for shape in args]
            with calling(self, False, True), layer_scope(self):
                infer_outputs(self.call, tuple(tensors), {})
        self.built = True

    # -- dtypes ------------------------------------------------------------------------------------------------

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """In which dtype it computes and keeps its weights."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy, mine = dtype_policies.get(value), self._dtype_policy
        if isinstance(mine, DTypePolicyMap) and self._path:
            mine.pop(self._path, None)
            mine[self._path] = policy
        else:
            self._dtype_policy = policy

    def _own_policy(self) -> dtype_policies.DTypePolicy:
        """Its policy, looked up by its path where it was given a map."""
        policy = self._dtype_policy
        return policy[self._path] if isinstance(policy, DTypePolicyMap) and self._path else policy

    @property
    def compute_dtype(self) -> str:
        """The dtype it computes in."""
        return self._own_policy().compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of its weights."""
        return self._own_policy().variable_dtype

    @property
    def dtype(self) -> str:
        """The dtype of its weights."""
        return self.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype floating inputs are cast to."""
        return self.compute_dtype

    @property
    def path(self) -> str | None:
        """Its place in the model, e.g. ``"sequential/dense"``; None before it is built."""
        return self._path

    # -- calling -----------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation, in `kcore.ops`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement call()")

    def _autocast_dtype(self) -> str | None:
        """The dtype its `call` reads variables in; None is their own."""
        dtype = self.compute_dtype
        if not self.autocast or dtype not in FLOATS or (autocast_dtype() is None and dtype == self.variable_dtype):
            return None
        return dtype

    def _convert(self, x: Any) -> Any:
        """An input as a tensor, floats in the compute dtype, with its mask."""
        if isinstance(x, np.ndarray | np.generic):
            x = convert_to_tensor(x)
        if isinstance(x, Tensor) and self.autocast and x.dtype in FLOATS and x.dtype != self.compute_dtype:
            mask = x._keras_mask
            x = ops.cast(x, self.compute_dtype)
            x._keras_mask = mask
        return x

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_super_called()
        cls = type(self)
        if cls._signature is None:
            cls._signature = CallSignature(self.call)
        signature = cls._signature
        given = args, kwargs
        args, kwargs = map_structure(self._convert, args), map_structure(self._convert, kwargs)
        for x in leaves(list(args)):
            if x is not None and not is_tensor_like(x):
                raise ValueError(
                    f"{describe_layer(self)}: only tensors may be given by position, got {x!r} of type "
                    f"{type(x).__name__}; give other arguments by name"
                )
        outer = call_context()
        training = kwargs.get("training")
        if not signature.has_training and not signature.var_kwargs:
            kwargs.pop("training", None)
        bound = signature.bind(args, kwargs)
        if training is None:
            training = bound.get("training")
        if training is None and outer is not None:
            training = outer.training
        if training is None:
            training = signature.defaults.get("training")
        if signature.has_training and training is not None:
            bound["training"] = training
        first = bound.get(signature.first) if signature.first in bound else (args[0] if args else None)
        symbolic = any(isinstance(x, KerasTensor) for x in leaves([list(args), list(kwargs.values())]))
        check_inputs(self.input_spec, first, self)
        tensors = tensor_arguments(bound)
        masks = self._fill_masks(signature, bound, tensors)
        previous_mask = bound.get("mask")
        if previous_mask is None:
            previous_mask = map_structure(mask_of, first)
        if outer is None:
            self._clear_losses()
        with layer_scope(self), calling(self, training, symbolic), autocasting(self._autocast_dtype()):
            if self._path is None:
                self._path = current_path()
            if not self.built:
                self._build_for(tensors)
                check_inputs(self.input_spec, first, self)
            outputs = self._run(signature, bound, symbolic)
            if not self.built:
                self.built = True
            if self.activity_regularizer is not None and not symbolic:
                self._regularize_activity(outputs)
            self._pass_masks(first, outputs, previous_mask)
        if symbolic and (outer is None or not outer.symbolic):
            record = CallRecord(self, given[0], given[1], outputs, tuple(masks))
            self._records.append(record)
            for x in flatten(outputs):
                x.record = record
        return outputs

    def _run(self, signature: CallSignature, bound: dict[str, Any], symbolic: bool) -> Any:
        """Run `call`, or find its shapes; an error learns which layer it happened in and what came."""
        args, kwargs = signature.unbind(bound)
        try:
            if symbolic:
                return self.compute_output_spec(*args, **kwargs)
            return self.call(*args, **kwargs)
        except Exception as error:
            if not any("in layer " in text for text in (str(error), *getattr(error, "__notes__", ()))):
                shown = ", ".join(f"{k}={_describe(v)}" for k, v in bound.items())
                where = f"in layer {current_path()!r} ({type(self).__name__}), called with {shown}"
                if isinstance(error, ValueError | TypeError) and error.args == (str(error),):
                    error.args = (f"{error}\n{where}",)  # part of the message, as in Keras
                else:
                    error.add_note(where)
            raise

    def _build_for(self, tensors: dict[str, Any]) -> None:
        shapes = shapes_of(tensors)
        if type(self).build is not Layer.build:
            self.build(**fit_shapes(self.build, shapes, describe_layer(self)))
        elif shapes:
            self._build_shapes = {"input_shape": next(iter(shapes.values()))}

    def _fill_masks(self, signature: CallSignature, bound: dict[str, Any], tensors: dict[str, Any]) -> list[Any]:
        """Give `call` the masks its tensor arguments carry, where it asks for them; returns them."""
        filled: list[Any] = []
        if len(tensors) == 1:
            if signature.has_mask and bound.get("mask") is None:
                filled.append(map_structure(mask_of, next(iter(tensors.values()))))
                bound["mask"] = filled[0]
        else:
            for name, value in tensors.items():
                if f"{name}_mask" in signature.names and bound.get(f"{name}_mask") is None:
                    filled.append(map_structure(mask_of, value))
                    bound[f"{name}_mask"] = filled[-1]
        return filled

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs; by default that of the inputs."""
        return previous_mask

    def _pass_masks(self, inputs: Any, outputs: Any, previous_mask: Any) -> None:
        if not self.supports_masking:
            if any(m is not None for m in leaves(previous_mask)):
                warn_user(
                    f"{describe_layer(self)} got an input with a mask and does not support masking: layers after it "
                    "will not see the mask"
                )
            return
        flat = flatten(outputs)
        if all(mask_of(x) is not None for x in flat):
            return
        masks = self.compute_mask(inputs, previous_mask)
        if masks is not None:
            for x, mask in zip(flat, flatten(masks), strict=False):
                if mask is not None and mask_of(x) is None:
                    x._keras_mask = mask

    # -- shapes ------------------------------------------------------------------------------------------------

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for symbolic inputs: by `compute_output_shape` if the class has one, else by running `call`."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return infer_outputs(self.call, args, kwargs)
        signature = type(self)._signature or CallSignature(self.call)
        bound = signature.bind(args, kwargs)
        shapes = fit_shapes(self.compute_output_shape, shapes_of(tensor_arguments(bound)), describe_layer(self))
        return map_shapes(lambda s: KerasTensor(s, dtype=self.compute_dtype), self.compute_output_shape(**shapes))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output shape for given input shapes, found by a symbolic call.

        Example:
            >>> from kcore import layers
            >>> layers.Dense(4).compute_output_shape((None, 3))
            (None, 4)
        """
        dtype = self.compute_dtype
        tensors = [map_shapes(lambda s: KerasTensor(s, dtype=dtype), shape) for shape in args]
        named = {
            k.removesuffix("_shape"): map_shapes(lambda s: KerasTensor(s, dtype=dtype), v) for k, v in kwargs.items()
        }
        if list(named) == ["input"]:
            tensors, named = list(named.values()), {}
        with calling(self, None, True):
            return map_structure(lambda x: tuple(x.shape), self(*tensors, **named))

    # -- losses ------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss, from within `call`."""
        for x in flatten(loss):
            if not is_tensor_like(x):
                raise ValueError(f"{describe_layer(self)}: add_loss() takes tensors, got {x!r}")
            if not isinstance(x, KerasTensor):
                self._losses.append(x)
            elif call_context() is None:
                raise ValueError(
                    f"{describe_layer(self)}: add_loss() with the symbolic {x!r} belongs into call(), or to a "
                    "functional model that it is computed in"
                )

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Raise `NotImplementedError`, as in Keras 3: a metric of a layer is an attribute of it."""
        raise NotImplementedError(
            f"{describe_layer(self)}: add_metric() is of Keras 2; make the metric in __init__ "
            "(self.mean = Mean(name=...)) and call self.mean.update_state(...) in call: its result is logged"
        )

    def _regularize_activity(self, outputs: Any) -> None:
        for x in flatten(outputs):
            loss = self.activity_regularizer(x)
            self.add_loss(loss / float(x.shape[0] or 1) if x.shape else loss)

    @property
    def losses(self) -> list[Any]:
        """Scalars of the last call, of this layer and those it holds: `add_loss`, and what regularizers ask for."""
        own = [loss for layer in self._flatten_layers() for loss in layer._losses]
        penalized = [w for w in self.trainable_weights if w.regularizer is not None]
        return own + [w.regularizer(w) for w in penalized]  # type: ignore[misc]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

    # -- symbolic history --------------------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The symbolic input of its first call."""
        return self._first_record().args[0] if self._first_record().args else self._first_record().kwargs

    @property
    def output(self) -> Any:
        """The symbolic output of its first call."""
        return self._first_record().outputs

    def _first_record(self) -> CallRecord:
        if not self._records:
            raise AttributeError(
                f"{describe_layer(self)} has no input and output: it was never called on a symbolic tensor"
            )
        return self._records[0]

    # -- configuration -----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What ``from_config`` needs to make an equal layer.

        Declared arguments are there by themselves. A class with an ``__init__`` and no ``get_config`` of its own gets
        the values its ``__init__`` was called with.
        """
        self._check_super_called()
        config = {"name": self.name, "trainable": self.trainable, "dtype": dtype_policies.serialize(self.dtype_policy)}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        config.update(super().get_config())
        init = type(self).__init__
        if type(self).get_config is Layer.get_config and init is not Layer.__init__ and not hasattr(init, "generated"):
            config = self._given_config(init, config)
        return config

    def _given_config(self, init: Callable[..., None], config: dict[str, Any]) -> dict[str, Any]:
        signature = inspect.signature(init)
        bound = signature.bind(self, *self._given[0], **self._given[1])
        bound.apply_defaults()
        kinds = {p.name: p.kind for p in signature.parameters.values()}
        extra: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            if kinds[name] is inspect.Parameter.VAR_KEYWORD:
                extra.update(value)
            elif kinds[name] in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
                raise NotImplementedError(
                    f"{describe_layer(self)}: its __init__ takes {name!r} by position only, so it needs a get_config() "
                    "of its own"
                )
            else:
                extra[name] = value
        config = {**{k: serialize(v) for k, v in extra.items() if k not in config}, **config}
        if inspect.Parameter.VAR_KEYWORD in kinds.values():
            return config
        return {name: value for name, value in config.items() if name in kinds}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make a layer from what ``get_config()`` gave."""
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            policy = dtype_policies.deserialize(config["dtype"])
            config["dtype"] = policy if isinstance(policy, DTypePolicyMap) else policy.name
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(f"{cls.__name__} cannot be made from the configuration {config}: {error}") from error

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes `build` was called with, or None."""
        if not self._build_shapes:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": dict(self._build_shapes)}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Build for the shapes `get_build_config` gave.

        Raises:
            ValueError: it has no shapes.
        """
        if "input_shape" in config:
            self.build(config["input_shape"])
        elif "shapes_dict" in config:
            self.build(**config["shapes_dict"])
        else:
            raise ValueError(
                f"{describe_layer(self)}: a build configuration has 'input_shape' or 'shapes_dict', got {config!r:.80}"
            )

    # -- copying -----------------------------------------------------------------------------------------------

    def __copy__(self) -> Any:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A layer with weights of its own that hold the same values, and without a history of symbolic calls."""
        new = object.__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            new.__dict__[name] = [] if name in ("_records", "_losses") else copy.deepcopy(value, memo)
        return new

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.__dict__.get('name')}, built={self.__dict__.get('built', False)}>"


def _describe(value: Any) -> str:
    """An argument in an error message: tensors by dtype and shape."""
    if is_tensor_like(value):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_describe, value))}]"
    return repr(value)
