"""State that Keras's files have no place for: of random generators, stateful recurrent layers and some optimizers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kcore.layers import RNN
from kcore.layers.state import Holder
from kcore.optimizers import Optimizer
from kcore.runtime import Variable
from kcore.saving.datasets import OWN, child, read_array, write_array
from kcore.saving.walk import saveables
from kcore.tree import flatten


def write_own(model: Any, group: Any, include_optimizer: bool = True, include_states: bool = False) -> None:
    """Write the states of random generators, and those of stateful recurrent layers if wanted.

    Args:
        model: a built model.
        group: the group whose member `OWN` they go into; Keras, of any version, does not look there.
        include_optimizer: whether what Keras leaves out of the state of an optimizer is written.
        include_states: whether the states of stateful recurrent layers are written.
    """
    kinds = {"seed_generators": [generator.state for generator in seed_generators(model)]}
    if include_optimizer:
        kinds["optimizer_auxiliary"] = _auxiliary(model)
    if include_states:
        kinds["rnn_states"] = rnn_states(model)
    for kind, variables in kinds.items():
        if variables:
            states = group.require_group(OWN).create_group(kind)
            for number, variable in enumerate(variables):
                write_array(states, str(number), variable)


def seed_generators(model: Any) -> list[Any]:
    """The random generators of a model and its layers, each once, in the order in which they are saved."""
    found = [
        generator for _, part in saveables(model) if isinstance(part, Holder) for generator in part._seed_generators
    ]
    return list({id(generator): generator for generator in found}.values())


def rnn_states(model: Any) -> list[Variable]:
    """The states that stateful recurrent layers keep from batch to batch."""
    layers = [part for _, part in saveables(model) if isinstance(part, RNN) and part.states is not None]
    return [state for layer in layers for state in flatten(layer.states)]


def _auxiliary(model: Any) -> list[Variable]:
    """State of optimizers that is not among their `variables`: Nadam's product of momenta within a loss scaler."""
    optimizers = [part for _, part in saveables(model) if isinstance(part, Optimizer)]
    inner = [getattr(optimizer, "inner_optimizer", None) for optimizer in optimizers]
    found = {id(part): part for part in (*optimizers, *inner) if part is not None}
    return [variable for part in found.values() for variable in part._hidden]


def own_states(model: Any, own: Any, path: Path) -> list[tuple[Variable, np.ndarray]]:
    """Where random generators and recurrent layers stood, if the file says so and the model has as many."""
    if own is None:
        return []
    found: list[tuple[Variable, np.ndarray]] = []
    for kind, what, variables in (
        ("seed_generators", "random generators", [generator.state for generator in seed_generators(model)]),
        ("rnn_states", "stateful recurrent layers", rnn_states(model)),
        ("optimizer_auxiliary", "the optimizer", _auxiliary(model)),
    ):
        group = child(own, kind, path)
        if group is None:
            continue
        datasets = [child(group, str(i), path) for i in range(len(group))]
        arrays = [read_array(dataset, path) for dataset in datasets if dataset is not None]
        shapes = [(tuple(variable.shape), str(variable.dtype)) for variable in variables]
        if [(array.shape, array.dtype.name) for array in arrays] == shapes:
            found += zip(variables, arrays, strict=True)
        else:
            warnings.warn(
                f"{path} holds {len(arrays)} states of {what}, which are not those that model {model.name!r} has "
                f"({len(variables)}): they were not loaded",
                stacklevel=5,
            )
    return found
