"""Models that are a stack of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore.layers import InputLayer, Layer
from kcore.layers.calling import CallSignature
from kcore.models.calls import outside_calls
from kcore.models.functional import Functional
from kcore.models.model import Model
from kcore.naming import auto_name
from kcore.registry import custom_object_scope, deserialize, public, serialize
from kcore.runtime import KerasTensor
from kcore.training.trainer import Trainer
from kcore.tree import is_shape


@public("keras", "Sequential")
class Sequential(Model):
    """A stack of layers, each with one input and one output.

    With an `Input` as first entry the layers are built as they are added; without one, when the model first sees
    data or `build` is called. The size of the batch then stays open.

    Args:
        layers: the layers, in order.
        trainable: whether its variables may be trained.
        name: name of the model.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.layers.Dense(8, activation="relu"), kcore.layers.Dense(2)])
        >>> model.build((None, 16))
        >>> model.output_shape, model.count_params()
        ((None, 2), 154)

    Source: `keras.Sequential`.
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None):
        Layer.__init__(self, trainable=trainable, name=name)
        Trainer.__init__(self)
        self._functional: Functional | None = None
        self._stack: list[Any] = []
        for layer in layers or ():
            self._append(layer)
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top.

        Args:
            layer: a layer, or a symbolic tensor made by `Input`.
            rebuild: build the model at once if its input shape is known.

        Raises:
            ValueError: not a layer; a name that is taken; a second input; a model that contains this one.
        """
        self._append(layer)
        if rebuild:
            self._rebuild()

    def pop(self, rebuild: bool = True) -> Any:
        """Take the topmost layer off and return it.

        Raises:
            ValueError: the model has no layers.
        """
        if not self.layers:
            raise ValueError(f"model {self.name!r} has no layer to pop")
        layer = self._stack.pop()
        self._unbuild()
        if rebuild:
            self._rebuild()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor):
            if layer.record is None or not isinstance(layer.record.operation, InputLayer):
                raise ValueError(f"a Sequential model takes layers, and Input() as its first entry; received {layer!r}")
            layer = layer.record.operation
        if not isinstance(layer, Layer):
            hint = " (a class: call it to make a layer)" if isinstance(layer, type) else ""
            raise ValueError(
                f"a Sequential model takes layers, received {layer!r} of type {type(layer).__name__}{hint}"
            )
        loop = [self.name, *_way_to(self, layer)]
        if len(loop) > 1:
            raise ValueError(f"model {self.name!r} would contain itself: {' -> '.join(loop)}")
        if any(other.name == layer.name and other is not layer for other in self._stack):
            raise ValueError(
                f"model {self.name!r} already has a layer called {layer.name!r}; names must be unique in a model: "
                "pass name=... to one of them"
            )
        if isinstance(layer, InputLayer) and self._stack:
            first = self._stack[0]
            if isinstance(first, InputLayer):
                raise ValueError(f"model {self.name!r} already has an input, of shape {first.batch_shape}")
            raise ValueError(
                f"Input() must be the first entry of model {self.name!r}, it has {len(self._stack)} layers already"
            )
        shape = getattr(layer, "_batch_shape_arg", None)
        if not self._stack and shape is not None:
            self._stack.append(InputLayer(batch_shape=shape))
        self._stack.append(layer)
        self._unbuild()

    def _unbuild(self) -> None:
        self._functional = None
        self.built = False
        self._functions = {}
        if self._compiled is not None:
            self._compiled.functions.clear()

    def _rebuild(self) -> None:
        if len(self._stack) < 2:
            return
        first = self._stack[0]
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Model) and first.built and is_shape(getattr(first, "input_shape", None)):
            self.build(first.input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Make the variables of all layers.

        Args:
            input_shape: with the batch dimension, ``(None, 784)``; taken from the `Input` if there is one.
        """
        if not self._stack:
            raise ValueError(f"model {self.name!r} cannot be built: it has no layers; add() some")
        first = self._stack[0]
        if isinstance(first, InputLayer):
            if input_shape is not None and tuple(input_shape)[1:] != tuple(first.batch_shape)[1:]:
                raise ValueError(
                    f"model {self.name!r} has an input of shape {first.batch_shape}, "
                    f"it cannot be built for {tuple(input_shape)}"
                )
        elif not is_shape(input_shape) or not input_shape:
            return  # several inputs: the layers are built when they are called
        else:
            shape = (None, *tuple(input_shape)[1:])
            self._stack.insert(
                0, InputLayer(batch_shape=shape, dtype=getattr(first, "input_dtype", None) or first.compute_dtype)
            )
        x = self._stack[0].output
        symbol = x
        with outside_calls():  # the calls are those of a model of its own, wherever this one is built
            for layer in self._stack[1:]:
                x = layer(x)
        auto_name("Functional")  # Keras counts the one inside, and scripts look layers up by automatic names
        self._functional = Functional(symbol, x, name=self.name)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Apply the layers one after the other.

        Args:
            inputs: a tensor of the model's input shape.
            training: handed to every layer that takes it.
            mask: mask of the input.
        """
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        x = inputs
        for layer in self.layers:
            arguments: dict[str, Any] = {}
            signature = CallSignature(layer.call)
            if mask is not None and signature.has_mask:
                arguments["mask"] = mask
            if training is not None and signature.has_training:
                arguments["training"] = training
            x = layer(x, **arguments)
            mask = None  # from here on masks ride on the tensors
        return x

    def _symbolic_outputs(self, x: Any) -> Any:
        return super()._symbolic_outputs(x) if self._functional is None else self._functional._symbolic_outputs(x)

    @property
    def layers(self) -> list[Any]:
        """The layers that were added, without the input."""
        return self._stack[1:] if self._stack and isinstance(self._stack[0], InputLayer) else list(self._stack)

    def _whole(self, what: str) -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"model {self.name!r} has no attribute {what!r}; it is not built yet, which it is when it first sees "
                "data, or by build(input_shape)"
            )
        return self._functional

    @property
    def inputs(self) -> list[KerasTensor]:
        return self._whole("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        return self._whole("outputs").outputs

    @property
    def input(self) -> Any:
        """The symbolic input: that of the stack, whether or not the model was itself called on a tensor."""
        return self._whole("input").input

    @property
    def output(self) -> Any:
        """The symbolic output of the topmost layer."""
        return self._whole("output").output

    @property
    def input_shape(self) -> Any:
        return self._whole("input_shape").input_shape

    @property
    def output_shape(self) -> Any:
        return self._whole("output_shape").output_shape

    @property
    def input_spec(self) -> Any:
        functional = self.__dict__.get("_functional")
        return None if functional is None else functional.input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        raise AttributeError(f"the input_spec of model {self.name!r} follows from its input")

    @property
    def input_names(self) -> list[str]:
        return self._whole("input_names").input_names

    @property
    def output_names(self) -> list[str]:
        return self._whole("output_names").output_names

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "name": self.name, "layers": [serialize(layer) for layer in self._stack]}
        if self._functional is not None:
            config["build_input_shape"] = self._stack[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Sequential:
        with custom_object_scope(custom_objects or {}):
            layers = [deserialize(layer, module="keras.layers") for layer in config["layers"]]
        model = cls(layers, trainable=config.get("trainable", True), name=config.get("name"))
        shape = config.get("build_input_shape")
        if not model.built and shape:
            model.build(tuple(shape))
        return model


def _way_to(model: Any, layer: Any) -> list[str]:
    """Names from a layer down to a model it is made of, or nothing; what it keeps as attributes does not count."""
    if layer is model:
        return [layer.name]
    inner = layer._stack if isinstance(layer, Sequential) else layer.layers if isinstance(layer, Functional) else ()
    ways = (_way_to(model, part) for part in inner)
    return next(([layer.name, *way] for way in ways if way), [])
