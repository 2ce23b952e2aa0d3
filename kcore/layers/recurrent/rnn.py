"""Recurrence over time with any cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.recurrent.dropout_cell import DropoutRNNCell
from kcore.registry import deserialize, public
from kcore.runtime import Variable, convert_to_tensor, name_scope
from kcore.tree import flatten, is_nested, map_structure


def _cell(cell: Any) -> Any:
    if isinstance(cell, list | tuple):
        from kcore.layers.recurrent.stacked_cells import StackedRNNCells

        cell = StackedRNNCells(cell)
    for part in ("call", "state_size"):
        if not hasattr(cell, part):
            raise ValueError(f"a recurrent cell needs {part!r}")
    return cell


@public("keras.layers")
class RNN(Layer):
    """Walks a sequence with a cell: ``output, states = cell(inputs[:, t], states)``.

    A masked step keeps its states and repeats the previous output (zeros at first, or always with
    `zero_output_for_mask`).

    Args:
        cell: layer with ``call(inputs, states) -> (output, states)`` and ``state_size`` (and ``output_size`` where the
            output is not of the size of the first state), or a list of such.
        return_sequences: whether to return the outputs of all steps, not only the last.
        return_state: whether to return the last states as well.
        go_backwards: walk from the last step to the first; the outputs are in the order of the walk.
        stateful: start each batch where the last one ended.
        unroll: accepted for Keras's sake; the result is the same.
        zero_output_for_mask: whether masked steps give zeros.

    Shapes:
        sequences ``(batch, time, ...)``, mask ``(batch, time)``, initial states and states ``(batch, state_size)``;
        output ``(batch, output_size)``, or ``(batch, time, output_size)`` with `return_sequences`.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> RNN(layers.LSTMCell(4), return_sequences=True)(np.ones((2, 3, 5), "float32")).shape
        (2, 3, 4)

    Source: `keras.layers.RNN`.
    """

    cell: Any = argument(kind=_cell)
    return_sequences: bool = argument(False)
    return_state: bool = argument(False)
    go_backwards: bool = argument(False)
    stateful: bool = argument(False)
    unroll: bool = argument(False)
    zero_output_for_mask: bool = argument(False)

    supports_masking = True
    #: The states of a stateful layer are not weights.
    untracked = frozenset(("states",))
    states: Any = None

    @property
    def state_size(self) -> list[Any]:
        """Sizes of the states, one per state."""
        size = self.cell.state_size
        return list(size) if isinstance(size, list | tuple) else [size]

    @property
    def output_size(self) -> int:
        """Size of the output of a step."""
        return getattr(self.cell, "output_size", None) or self.state_size[0]

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        step_shape = (sequences_shape[0], *sequences_shape[2:])
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(step_shape)
        if self.stateful:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"{describe_layer(self)} is stateful, so the batch size must be known, got an input of shape "
                    f"{sequences_shape}"
                )
            self._make_states(sequences_shape[0])

    def _make_states(self, batch_size: int) -> None:
        with name_scope(self.name):
            self.states = map_structure(
                lambda size: Variable(
                    lambda shape, dtype: _zeros(shape, dtype),
                    (batch_size, size),
                    self.variable_dtype,
                    False,
                    "rnn_state",
                ),
                self.state_size,
            )

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zeros."""
        for state in flatten(self.states or []):
            state.assign(_zeros(state.shape, state.dtype))

    reset_states = reset_state

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step: the cell's, or zeros."""
        return initial_state(self.cell, batch_size)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if sequences.shape[1] == 0:
            raise ValueError(f"{describe_layer(self)}: no time steps in sequences of shape {tuple(sequences.shape)}")
        if self.stateful and sequences.shape[0] != (size := flatten(self.states)[0].shape[0]):
            raise ValueError(
                f"{describe_layer(self)} is stateful with batches of {size}, got a batch of {sequences.shape[0]}"
            )
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(sequences.shape[0])
        initial_state = list(initial_state) if is_nested(initial_state) else [initial_state]
        initial_state = map_structure(lambda s: convert_to_tensor(s, dtype=self.compute_dtype), initial_state)
        mask = next((m for m in flatten(mask) if m is not None), None)
        last_output, outputs, states = self.walk(sequences, initial_state, mask, training)
        if self.stateful:
            for kept, state in zip(flatten(self.states), flatten(states), strict=True):
                kept.assign(state)
        output = ops.cast(outputs if self.return_sequences else last_output, self.compute_dtype)
        return (output, *states) if self.return_state else output

    def walk(self, sequences: Any, states: list[Any], mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """Last output, outputs ``(batch, time, ...)`` and last states of a sequence."""
        cell_kwargs = {"training": training} if _takes_training(self.cell) else {}
        self._draw_masks(self.cell, sequences[:, 0], states)

        def step(carry: Any, now: Any) -> Any:
            states, previous = carry
            inputs, kept = now
            output, new_states = self.cell(inputs, states, **cell_kwargs)
            new_states = list(new_states) if is_nested(new_states) else [new_states]
            if kept is not None:
                instead = ops.zeros_like(output) if self.zero_output_for_mask else previous
                new_states = map_structure(lambda new, old: ops.where(kept, new, old), new_states, states)
                shown = ops.where(kept, output, instead)
                return (new_states, shown if not self.zero_output_for_mask else previous), shown
            return (new_states, previous), output

        try:
            steps = ops.transpose(sequences, (1, 0, *range(2, len(sequences.shape))))
            if mask is not None:
                mask = ops.expand_dims(ops.transpose(ops.cast(mask, "bool"), (1, 0)), -1)
            first = ops.zeros((sequences.shape[0], self.output_size), dtype=self.compute_dtype)
            outputs, (states, _) = _scan(step, (states, first), steps, mask, self.go_backwards)
        finally:
            self._forget_masks(self.cell)
        outputs = ops.transpose(outputs, (1, 0, *range(2, len(outputs.shape))))
        return outputs[:, -1], outputs, states

    def _draw_masks(self, cell: Any, inputs: Any, states: Any) -> None:
        """Draw the dropout masks of the cell before the walk: within it no state may be advanced."""
        for inner in getattr(cell, "cells", ()):
            inner._dropout_mask = None
        if isinstance(cell, DropoutRNNCell):
            cell.get_dropout_mask(inputs)
            cell.get_recurrent_dropout_mask(flatten(states)[0])

    def _forget_masks(self, cell: Any) -> None:
        if isinstance(cell, DropoutRNNCell):
            cell.reset_dropout_masks()

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in self.state_size)] if self.return_state else mask

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, time = sequences_shape[:2]
        output = (batch, time, self.output_size) if self.return_sequences else (batch, self.output_size)
        states = map_structure(lambda size: (batch, size), self.state_size)
        return (output, *states) if self.return_state else output

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if "cell" in config:
            config = {**config, "cell": deserialize(config["cell"])}
        return super().from_config(config)


def initial_state(cell: Any, batch_size: Any) -> list[Any]:
    """The states of a cell before the first step: what it says, or zeros."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
        return list(states) if is_nested(states) else [states]
    sizes = cell.state_size if is_nested(cell.state_size) else [cell.state_size]
    return [ops.zeros((batch_size, size), dtype=cell.compute_dtype) for size in sizes]


def _zeros(shape: Sequence[int], dtype: str) -> Any:
    import numpy as np

    from kcore.dtypes import numpy_dtype

    return np.zeros(tuple(shape), numpy_dtype(dtype))


def _takes_training(cell: Any) -> bool:
    import inspect

    return "training" in inspect.signature(cell.call).parameters


def _scan(step: Any, carry: Any, steps: Any, mask: Any, reverse: bool) -> tuple[Any, Any]:
    """`ops.scan` whose outputs are in the order of the walk."""
    if reverse:
        steps = ops.flip(steps, axis=0)
        mask = None if mask is None else ops.flip(mask, axis=0)
    if mask is None:
        carry, outputs = ops.scan(lambda c, x: step(c, (x, None)), carry, steps)
    else:
        carry, outputs = ops.scan(step, carry, (steps, mask))
    return outputs, carry
