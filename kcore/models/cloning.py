"""A second model of the same layers: cloned with fresh weights, copied with everything, or pickled."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from kcore import tree
from kcore.layers import InputLayer, Layer
from kcore.models.calls import CallGraph, _fill, outside_calls
from kcore.models.functional import Functional
from kcore.models.model import Model
from kcore.models.sequential import Sequential
from kcore.registry import REGISTRY, custom_object_scope, deserialize, public, serialize
from kcore.runtime import KerasTensor

#: ``layer -> layer`` and ``(layer, *args, **kwargs) -> outputs``.
CloneFunction = Callable[[Any], Any]
CallFunction = Callable[..., Any]


@public("keras.models")
def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: CloneFunction | None = None,
    call_function: CallFunction | None = None,
    recursive: bool = False,
) -> Any:
    """Make a model of the same configuration, with weights of its own that are drawn anew.

    The new model is not compiled. To copy the weights, too: ``copy.set_weights(model.get_weights())``; to copy
    everything, ``copy.deepcopy(model)``.

    Args:
        model: any model that `get_config` describes.
        input_tensors: symbolic tensors to build the new model on, in the structure of the model's inputs; new ones if
            None. For functional and sequential models.
        clone_function: ``layer -> layer``: what stands in place of each layer but the inputs. It may return the layer
            itself, which both models then share. For functional and sequential models.
        call_function: ``(layer, *args, **kwargs) -> outputs``: how each new layer is called; it may add calls of its
            own around it. For functional models.
        recursive: whether both functions are also applied to the layers of inner models, rather than to inner models
            as a whole.

    Returns:
        A model of the same name; of the same class, but where the functions make it another one's.

    Raises:
        ValueError: not a model; an argument that this kind of model does not take; no symbolic tensors, or of another
            structure; a clone function that returns something else than a layer.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
        >>> copy = clone_model(model)
        >>> copy.count_params(), bool((copy.get_weights()[0] == model.get_weights()[0]).all())
        (8, False)
        >>> def with_tanh(layer):
        ...     return type(layer).from_config({**layer.get_config(), "activation": "tanh"})
        >>> clone_model(model, clone_function=with_tanh).layers[0].get_config()["activation"]
        'tanh'

    Source: `keras.models.clone_model`.
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model() takes a model, received {model!r} of type {type(model).__name__}")
    given = input_tensors is not None or clone_function is not None or call_function is not None

    def clone(layer: Any) -> Any:
        if recursive and isinstance(layer, Functional | Sequential):
            calls = None if isinstance(layer, Sequential) else call_function
            return clone_model(layer, None, clone_function, calls, True)
        made = _clone(layer) if clone_function is None else clone_function(layer)
        if not isinstance(made, Layer):
            raise ValueError(f"the clone_function must return a layer, for {layer.name!r} it returned {made!r}")
        return made

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(f"model {model.name!r} is Sequential: call_function is for functional models only")
        return _clone_sequential(model, input_tensors, clone) if given or recursive else _clone(model)
    if isinstance(model, Functional) and (given or recursive or type(model) is Functional):
        inputs, outputs, losses = rerun(model, clone, call_function, input_tensors)
        made = Functional(inputs, outputs, name=model.name, trainable=model._trainable)
        made.add_loss(losses)
        return made
    if given:
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) is neither Sequential nor functional: it can be cloned "
            "only as a whole, without input_tensors, clone_function and call_function"
        )
    made = _clone(model)
    build_config = model.get_build_config() if model.built and not made.built else None
    if build_config:
        made.build_from_config(build_config)
    return made


def _clone(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _clone_sequential(model: Sequential, input_tensors: Any, clone: CloneFunction) -> Sequential:
    layers = [layer if isinstance(layer, InputLayer) else clone(layer) for layer in model._stack]
    if input_tensors is not None:
        found = tree.flatten(input_tensors)
        if len(found) != 1 or not isinstance(found[0], KerasTensor):
            raise ValueError(f"model {model.name!r} is Sequential: input_tensors must be one symbolic tensor")
        layers = [found[0], *(layer for layer in layers if not isinstance(layer, InputLayer))]
    elif layers and isinstance(layers[0], InputLayer):
        layers[0] = _clone(layers[0])
    return Sequential(layers, trainable=model._trainable, name=model.name)


def rerun(
    model: Functional, clone: CloneFunction, call_function: CallFunction | None = None, input_tensors: Any = None
) -> tuple[Any, Any, list[KerasTensor]]:
    """The inputs, outputs and added losses of a functional model made once more, with other layers.

    Args:
        model: the model.
        clone: ``layer -> layer`` for every layer but the inputs.
        call_function: how each is called; plainly if None.
        input_tensors: symbolic tensors to use; new ones if None.
    """
    graph: CallGraph = model._graph
    if input_tensors is None:
        inputs = tree.map_structure(lambda t: _clone(graph.input_layer(t)).output, model._inputs_struct)
    else:
        inputs = input_tensors
        wrong = [x for x in tree.flatten(inputs) if not isinstance(x, KerasTensor)]
        if wrong or not tree.same_structure(inputs, model._inputs_struct):
            raise ValueError(
                f"input_tensors must be symbolic tensors in the structure of the inputs of model {model.name!r}, "
                f"{tree.describe(model._inputs_struct)}; received "
                + (f"{wrong[0]!r}" if wrong else tree.describe(inputs))
            )
    values = {id(old): new for old, new in zip(model.inputs, tree.flatten(inputs), strict=True)}
    made: dict[int, Any] = {}
    with outside_calls():
        for call in (*graph.calls, *model._loss_calls):
            if call.is_input or id(call.outputs[0]) in values:
                continue
            args, kwargs = _fill(call.args, values), _fill(call.kwargs, values)
            operation = call.operation
            if isinstance(operation, Layer):
                if id(operation) not in made:
                    made[id(operation)] = clone(operation)
                layer = made[id(operation)]
                result = layer(*args, **kwargs) if call_function is None else call_function(layer, *args, **kwargs)
            else:
                result = operation(*args, **kwargs)
            values.update((id(old), new) for old, new in zip(call.outputs, tree.flatten(result), strict=True))
    outputs = tree.pack(model._outputs_struct, [values[id(symbol)] for symbol in model.outputs])
    return inputs, outputs, [values[id(symbol)] for symbol in model._added_losses]


# -- copying and pickling --------------------------------------------------------------------------------------------

#: What a model keeps that is made anew: compiled steps, and the graph with the tensors in it.
_MADE_ANEW = frozenset(
    (
        "_functions",
        "_compiled",
        "_graph",
        "_inputs_struct",
        "_outputs_struct",
        "_held_layers",
        "_added_losses",
        "_loss_calls",
    )
)


def deep_copy(model: Any, memo: dict[int, Any]) -> Any:
    """A model with copies of everything: layers, weights, optimizer and its state, metrics, attributes."""
    new = object.__new__(type(model))
    memo[id(model)] = new
    attributes = new.__dict__
    if isinstance(model, Functional):
        inputs = {id(t): model._graph.input_layer(t) for t in model.inputs}
        tensors = tree.map_structure(lambda t: copy.deepcopy(inputs[id(t)], memo).output, model._inputs_struct)
        made = rerun(model, lambda layer: copy.deepcopy(layer, memo), None, tensors)
        attributes["_inputs_struct"], attributes["_outputs_struct"], losses = made
        attributes["_graph"] = CallGraph(tree.flatten(made[0]), tree.flatten(made[1]), model.name)
        attributes["_held_layers"] = [o for o in attributes["_graph"].operations if isinstance(o, Layer)]
    for name, value in model.__dict__.items():
        if name in ("_records", "_losses"):
            attributes[name] = []
        elif name not in _MADE_ANEW:
            attributes[name] = copy.deepcopy(value, memo)
    attributes["_functions"] = {}
    attributes["_compiled"] = None
    if isinstance(model, Functional):
        attributes["_added_losses"] = attributes["_loss_calls"] = ()
        new.add_loss(losses)
    attributes["_compiled"] = None if model._compiled is None else _copy_compiled(model._compiled, memo)
    return new


def _copy_compiled(compiled: Any, memo: dict[int, Any]) -> Any:
    new = copy.copy(compiled)
    optimizer = compiled.optimizer
    if optimizer is not None:
        new.optimizer = memo[id(optimizer)] = copy_optimizer(optimizer, memo)
    for field in fields(compiled):
        if field.name == "functions":
            new.functions = {}
        elif field.name != "optimizer":
            setattr(new, field.name, copy.deepcopy(getattr(compiled, field.name), memo))
    return new


def copy_optimizer(optimizer: Any, memo: dict[int, Any]) -> Any:
    """An optimizer of the same configuration and state for the copies of the variables."""
    new = type(optimizer).from_config(optimizer.get_config())
    if optimizer.built:
        new.build([copy.deepcopy(v, memo) for v in optimizer._trainable_variables])
    for old, fresh in zip(optimizer.variables, new.variables, strict=True):
        fresh.assign(old.numpy())
    return new


def reduce(model: Any) -> tuple:
    """What `pickle` keeps of a model: configuration, weights, compiled arguments and the optimizer's state."""
    own = {}
    for part in model._flatten_layers():
        if REGISTRY.address(type(part)) is None:
            own[type(part).__name__] = own[REGISTRY.name_of(type(part))] = type(part)
    optimizer = model.optimizer
    state = None if optimizer is None or not optimizer.built else [v.numpy() for v in optimizer.variables]
    weights = [v.numpy() for v in model.variables] if model.built else []
    return _unpickle, (serialize(model), own, weights, state)


def _unpickle(config: dict[str, Any], own: dict[str, type], weights: list[np.ndarray], state: Any) -> Any:
    with custom_object_scope(own):
        model = deserialize(config)
    for variable, value in zip(model.variables, weights, strict=True):
        variable.assign(value)
    if state is not None:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        for variable, value in zip(model.optimizer.variables, state, strict=True):
            variable.assign(value)
    return model
