"""Models made from symbolic tensors: a directed graph of layer calls that is run again, in order, for real inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import ops, tree
from kcore.errors import warn_user
from kcore.layers import InputSpec, Layer
from kcore.layers.calling import call_context
from kcore.models.calls import Call, CallGraph, OpCall
from kcore.models.model import Model
from kcore.registry import public
from kcore.runtime import KerasTensor, convert_to_tensor
from kcore.training.trainer import Trainer


@public("keras.models", "Functional")
@public("keras.src.models.functional", "Functional")
class Functional(Model):
    """A model given by its symbolic inputs and outputs.

    Args:
        inputs: symbolic tensors: one, or a list, tuple or dict of them. A tensor inside another model will do, too:
            the new model then starts there and shares the layers behind it.
        outputs: symbolic tensors computed from the inputs by layers and by functions of `kcore.ops`.
        name: name of the model.
        trainable: whether its variables may be trained.

    Attributes:
        inputs, outputs: flat lists of symbolic tensors.
        layers: in the order of Keras: inputs first, then by the longest way to an output.
        output_names: names of the layers that made the outputs.

    Raises:
        ValueError: something else than symbolic tensors; a cycle; an output that the inputs do not reach; two layers
            of one name.

    Example:
        >>> import kcore
        >>> a, b = kcore.Input((2,), name="a"), kcore.Input((2,), name="b")
        >>> shared = kcore.layers.Dense(3)
        >>> model = kcore.Model({"a": a, "b": b}, kcore.layers.Add()([shared(a), shared(b)]))
        >>> [layer.name for layer in model.layers][:2], model.count_params()
        (['a', 'b'], 9)

    Source: `keras.Model`.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool | None = None, **kwargs: Any
    ):
        for argument, structure in (("inputs", inputs), ("outputs", outputs)):
            for leaf in tree.flatten(structure) or [None]:
                if not isinstance(leaf, KerasTensor):
                    raise ValueError(
                        f"{argument} of a functional model must be symbolic tensors (from Input() and layers called on "
                        f"them), received {leaf!r} of type {type(leaf).__name__}"
                    )
        Layer.__init__(self, name=name, **kwargs)
        Trainer.__init__(self)
        self._inputs_struct = inputs
        self._outputs_struct = outputs
        self._graph = CallGraph(tree.flatten(inputs), tree.flatten(outputs), self.name)
        self._added_losses: tuple[KerasTensor, ...] = ()
        self._loss_calls: tuple[Call, ...] = ()
        self._held_layers = [o for o in self._graph.operations if isinstance(o, Layer)]
        self.output_names = [self._graph.producer(t)[0].operation.name for t in self.outputs]
        self.input_names = [self._graph.input_layer(t).name for t in self.inputs]
        if isinstance(inputs, dict):
            self._check_keys(inputs)
        if trainable is not None:
            self._trainable = bool(trainable)  # as in Keras the layers keep their own flags
        self.built = True

    def _check_keys(self, inputs: dict[str, Any]) -> None:
        for key, tensor in inputs.items():
            if isinstance(tensor, KerasTensor) and key != self._graph.input_layer(tensor).name:
                warn_user(
                    f"the keys of a dict of inputs should be the inputs' names: {key!r} holds the input "
                    f"{self._graph.input_layer(tensor).name!r}; name it with Input(..., name={key!r})"
                )

    @property
    def layers(self) -> list[Any]:
        return list(self._held_layers)

    @property
    def operations(self) -> list[Any]:
        """Layers and ops, in order."""
        return list(self._graph.operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        return tree.flatten(self._inputs_struct)

    @property
    def outputs(self) -> list[KerasTensor]:
        return tree.flatten(self._outputs_struct)

    @property
    def input(self) -> Any:
        """The symbolic inputs, as they were given."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic outputs, as they were given."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        return _shapes(self.inputs)

    @property
    def output_shape(self) -> Any:
        return _shapes(self.outputs)

    @property
    def input_spec(self) -> Any:
        if getattr(self, "_inputs_struct", None) is None:
            return None
        if isinstance(self._inputs_struct, dict):
            if any(tree.is_nested(value) for value in self._inputs_struct.values()):
                return None
            return [self._spec(tensor, str(key)) for key, tensor in tree.entries(self._inputs_struct)]
        return [self._spec(tensor, name) for tensor, name in zip(self.inputs, self.input_names, strict=True)]

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        raise AttributeError(f"the input_spec of model {self.name!r} follows from its inputs")

    def _spec(self, tensor: KerasTensor, name: str) -> InputSpec:
        shape = (None, *tensor.shape[1:]) if tensor.shape else ()
        optional = self._graph.input_layer(tensor).optional
        return InputSpec(shape=shape, allow_last_axis_squeeze=True, name=name, optional=optional)

    def build(self, input_shape: Any = None) -> None:
        """Nothing to do: the layers were built when they were called."""
        self.built = True

    # -- running -----------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run every layer call again, with these inputs.

        Args:
            inputs: in the structure of the model's inputs; a dict by names, or a list, will do.
            training: handed to every layer that takes it.
            mask: masks of the inputs, in their structure.

        Returns:
            Outputs in the structure of the model's outputs; the only one of a list by itself.
        """
        tensors = self._flat_inputs(inputs)
        if mask is not None:
            for tensor, its_mask in zip(tensors, tree.flatten(mask), strict=False):
                if its_mask is not None:
                    tensor._keras_mask = its_mask
        values = {id(symbol): tensor for symbol, tensor in zip(self.inputs, tensors, strict=True)}
        for call in self._graph.calls:
            if not call.is_input:
                call.run(values, **_training(call, training))
        for call in self._loss_calls:
            if id(call.outputs[0]) not in values:
                call.run(values, **_training(call, training))
        self._losses += [values[id(symbol)] for symbol in self._added_losses]
        return _alone(tree.pack(self._outputs_struct, [values[id(symbol)] for symbol in self.outputs]))

    def add_loss(self, loss: Any) -> None:
        """Add to the loss: scalars from within `call`, or symbolic scalars computed from tensors of this model.

        The latter is how scripts for Keras 2 write losses that need more than one output (Keras 3 refuses it). Call it
        before `compile`. Files of the model do not hold such a loss: it is added again after loading.

        Raises:
            ValueError: a symbolic loss that the inputs do not reach, or that needs weights the outputs do not.

        Example:
            >>> import kcore
            >>> x = kcore.Input((2,))
            >>> model = kcore.Model(x, kcore.layers.Dense(2)(x))
            >>> model.add_loss(kcore.ops.mean(kcore.ops.square(model.output - x)))
            >>> model.compile("sgd")
            >>> len(model(kcore.ops.ones((1, 2))).shape), len(model.losses)
            (2, 1)

        Source: `keras.Model.add_loss` (Keras 2).
        """
        symbols = [x for x in tree.flatten(loss) if isinstance(x, KerasTensor)]
        context = call_context()
        if not symbols or (context is not None and context.layer is self):  # what `call` adds counts when it runs
            super().add_loss(loss)
            return
        graph = CallGraph(self.inputs, symbols, self.name)
        for layer in graph.operations:
            if isinstance(layer, Layer) and layer.weights and layer not in self._held_layers:
                raise ValueError(
                    f"model {self.name!r}: add_loss() with layer {layer.name!r}, whose weights no output of the model "
                    "needs, so that they were neither trained nor saved; make it an output, or add the loss in a layer"
                )
        self._added_losses += tuple(symbols)
        self._loss_calls += tuple(call for call in graph.calls if not call.is_input)
        self._functions = {}
        if self._compiled is not None:
            self._compiled.functions.clear()

    def _flat_inputs(self, inputs: Any) -> list[Any]:
        """The inputs as a flat list in the model's order, with its dtypes and ranks."""
        struct, names = self._inputs_struct, self.input_names
        if isinstance(inputs, dict) and not isinstance(struct, dict):
            missing = [name for name in names if name not in inputs]
            if missing:
                raise ValueError(
                    f"model {self.name!r} needs the inputs {names}, but the dict has {sorted(map(str, inputs))}"
                )
            flat = [inputs[name] for name in names]
        elif isinstance(struct, dict) and isinstance(inputs, dict) and not tree.same_structure(inputs, struct):
            missing = sorted(set(struct) - set(inputs))
            if missing:
                raise ValueError(f"model {self.name!r} needs the inputs {sorted(struct)}, but {missing} is missing")
            flat = tree.flatten({key: inputs[key] for key in struct})
        else:
            flat = tree.flatten(inputs)
        if len(flat) != len(self.inputs):
            raise ValueError(
                f"model {self.name!r} has {len(self.inputs)} inputs {names}, but was called with {len(flat)}: "
                f"{tree.describe(inputs, lambda leaf: str(tuple(getattr(leaf, 'shape', ()))))}"
            )
        return [self._fit(tensor, symbol) for tensor, symbol in zip(flat, self.inputs, strict=True)]

    def _fit(self, tensor: Any, symbol: KerasTensor) -> Any:
        """One input with the dtype and, up to a trailing 1, the rank of its symbol."""
        if tensor is None:
            if self._graph.input_layer(symbol).optional:
                return None
            raise ValueError(f"input {self._graph.input_layer(symbol).name!r} of model {self.name!r} is missing (None)")
        mask = getattr(tensor, "_keras_mask", None)
        if getattr(tensor, "dtype", None) != symbol.dtype:
            tensor = (
                ops.cast(tensor, symbol.dtype) if hasattr(tensor, "dtype") else convert_to_tensor(tensor, symbol.dtype)
            )
        rank, wanted = len(tensor.shape), len(symbol.shape)
        if rank == wanted + 1 and tensor.shape[-1] == 1:
            tensor = ops.squeeze(tensor, axis=-1)
        elif rank == wanted - 1 and symbol.shape[-1] == 1:
            tensor = ops.expand_dims(tensor, axis=-1)
        elif rank != wanted:
            raise ValueError(
                f"input {self._graph.input_layer(symbol).name!r} of model {self.name!r} must have shape "
                f"{symbol.shape}, received {tuple(tensor.shape)}"
            )
        if mask is not None and tensor._keras_mask is None:
            tensor._keras_mask = mask
        return tensor

    def _symbolic_outputs(self, x: Any) -> Any:
        return _alone(self._outputs_struct)  # they are known; a step checks its inputs when it is traced

    # -- configuration -----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        from kcore.models.functional_config import functional_config

        if self._added_losses:
            warn_user(
                f"model {self.name!r} has losses from add_loss() with symbolic tensors, which its configuration, and "
                "so its file, does not hold: add them again to what is made from it, or call add_loss() in a layer"
            )
        return functional_config(self)


def _alone(outputs: Any) -> Any:
    """The only one of a list of outputs, as Keras gives it; anything else as it is."""
    return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs


def _training(call: Call, training: bool | None) -> dict[str, Any]:
    """The model's training flag, which goes before one given when the layer was called, as in Keras."""
    if training is None or isinstance(call.operation, OpCall) or not type(call.operation)._signature.has_training:
        return {}
    return {"training": training}


def _shapes(tensors: Sequence[KerasTensor]) -> Any:
    return tensors[0].shape if len(tensors) == 1 else [tensor.shape for tensor in tensors]
