"""Recurrence over time with any cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from kcore import ops
from kcore.declare import argument
from kcore.dtypes import numpy_dtype
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.recurrent.cells import call_cell, first_states, output_size, state_sizes
from kcore.layers.recurrent.dropout_cell import DropoutRNNCell
from kcore.layers.recurrent.recurrent_cell import RecurrentCell
from kcore.layers.recurrent.stacked_cells import StackedRNNCells
from kcore.registry import deserialize, public
from kcore.runtime import Variable, convert_to_tensor, name_scope
from kcore.tree import flatten, is_nested, map_structure, pack


def _cell(cell: Any) -> Any:
    if isinstance(cell, list | tuple):
        cell = StackedRNNCells(cell)
    if not hasattr(cell, "call"):
        raise ValueError("a recurrent cell needs a method call(inputs, states)")
    size = getattr(cell, "state_size", None)
    if size is None:
        raise ValueError("a recurrent cell needs a 'state_size': an integer, or a list of them with one per state")
    if not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in flatten(size)):
        raise ValueError(f"state_size of a recurrent cell is an integer or a list of integers, got {size!r}")
    return cell


@public("keras.layers")
class RNN(Layer):
    """Walks a sequence with a cell: ``output, states = cell(inputs[:, t], states)``.

    A masked step keeps its states and repeats the previous output (zeros at first, or always with
    `zero_output_for_mask`). Where initial states are given, a mask counts only if it is given, too (`mask=`), as in
    Keras.

    Args:
        cell: layer with ``call(inputs, states) -> (output, states)`` and ``state_size``, an integer or a list with one
            per state (and ``output_size`` where the output is not of the size of the first state; and
            ``get_initial_state(batch_size)`` where the first states are not zeros), or a list of such cells.
        return_sequences: whether to return the outputs of all steps, not only the last.
        return_state: whether to return the last states as well.
        go_backwards: walk from the last step to the first; the outputs are in the order of the walk.
        stateful: start each batch where the last one ended, until `reset_state`. All batches are of one size, which
            `Input(batch_shape=...)` says.
        unroll: accepted for Keras's sake; the result is the same. The number of steps must be known.
        zero_output_for_mask: whether masked steps give zeros.

    Shapes:
        sequences ``(batch, time, ...)``, mask ``(batch, time)``, initial states and states ``(batch, state_size)``;
        output ``(batch, output_size)``, or ``(batch, time, output_size)`` with `return_sequences`.

    Raises:
        ValueError: a cell without `state_size`; a mask or initial states of the wrong shape or number; a stateful
            layer without a batch size, or called with another one.

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
    #: Whether any layer of this process keeps states: until one does, no model need be searched for them.
    any_states: ClassVar[bool] = False
    #: Whether outputs keep the places of their inputs for now; see `outputs_in_place`.
    _in_place: bool = False

    @property
    def state_size(self) -> list[Any]:
        """Sizes of the states, one entry per state."""
        return state_sizes(self.cell)

    @property
    def output_size(self) -> int:
        """Size of the output of a step."""
        return output_size(self.cell)

    @property
    def last(self) -> int:
        """Place of the step that is walked last."""
        return 0 if self.go_backwards else -1

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if len(sequences_shape) < 3:
            raise ValueError(
                f"{describe_layer(self)}: expected sequences (batch, time, ...) of rank 3 or more, got shape "
                f"{tuple(sequences_shape)}"
            )
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"{describe_layer(self)} is stateful, so the batch size must be known, got an input of shape "
                    f"{sequences_shape}: give the model an Input(batch_shape=(batch, time, ...))"
                )
            self._make_states(sequences_shape[0])

    def _make_states(self, batch_size: int) -> None:
        with name_scope(self.name):
            self.states = map_structure(
                lambda start: Variable(np.asarray(start), None, self.variable_dtype, False, "rnn_state"),
                self.get_initial_state(batch_size),
            )
        RNN.any_states = True

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zeros."""
        for state in flatten(self.states or []):
            state.assign(np.zeros(tuple(state.shape), numpy_dtype(state.dtype)))

    reset_states = reset_state

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step: the cell's, or zeros."""
        return first_states(self.cell, batch_size)

    # -- calling -----------------------------------------------------------------------------------------------------

    @contextmanager
    def outputs_in_place(self) -> Iterator[None]:
        """Within this context the outputs of a layer that goes backwards keep the places of their inputs."""
        before, self._in_place = self._in_place, True
        try:
            yield
        finally:
            self._in_place = before

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if sequences.shape[1] == 0:
            raise ValueError(f"{describe_layer(self)}: no time steps in sequences of shape {tuple(sequences.shape)}")
        self._check_batch(sequences.shape[0])
        states = self._start(initial_state, tuple(sequences.shape))
        mask = next((m for m in flatten(mask) if m is not None), None)
        if mask is not None:
            self._check_mask(tuple(mask.shape), tuple(sequences.shape))
            mask = ops.cast(mask, "bool")
        last_output, outputs, states = self.walk(sequences, states, mask, training)
        if self.stateful:
            for kept, state in zip(flatten(self.states), flatten(states), strict=True):
                kept.assign(state)
        if self.return_sequences and self.go_backwards and not self._in_place:
            outputs = ops.flip(outputs, axis=1)
        output = ops.cast(outputs if self.return_sequences else last_output, self.compute_dtype)
        return (output, *states) if self.return_state else output

    def _start(self, given: Any, sequences_shape: tuple) -> Any:
        """The states before the first step; None for those that `get_initial_state` of this class gives."""
        if given is None and self.stateful:
            given = self.states
        elif given is None:
            if type(self).get_initial_state is RNN.get_initial_state:
                return None
            given = self.get_initial_state(sequences_shape[0])
        given = list(given) if is_nested(given) else [given]
        self._check_states([tuple(state.shape) for state in flatten(given)], sequences_shape)
        return map_structure(lambda s: convert_to_tensor(s, dtype=self.compute_dtype), given)

    def _check_batch(self, batch_size: int | None) -> None:
        if self.stateful and self.states is not None and batch_size is not None:
            expected = flatten(self.states)[0].shape[0]
            if batch_size != expected:
                raise ValueError(
                    f"{describe_layer(self)} is stateful with batches of {expected}, got a batch of {batch_size}"
                )

    def _check_mask(self, mask: tuple, sequences: tuple) -> None:
        if mask not in (sequences[:2], (*sequences[:2], 1)):
            raise ValueError(
                f"{describe_layer(self)}: the mask of sequences of shape {sequences} has the shape {sequences[:2]} "
                f"(batch, time), got {mask}"
            )

    def _check_states(self, given: Sequence[tuple], sequences_shape: tuple) -> None:
        sizes = flatten(self.state_size)
        if len(given) != len(sizes):
            raise ValueError(
                f"{describe_layer(self)} has {len(sizes)} state(s) of sizes {sizes}, got {len(given)} initial "
                f"state(s) of shapes {list(given)}"
            )
        if hasattr(self.cell, "get_initial_state") and not isinstance(self.cell, DropoutRNNCell | StackedRNNCells):
            return  # the shapes of its states are its own affair
        expected: list[tuple] = []
        _collect(self.state_shapes(sequences_shape), expected)
        for i, (shape, known) in enumerate(zip(given, expected, strict=True)):
            if len(shape) != len(known) or any(
                None not in (a, b) and a != b for a, b in zip(shape, known, strict=True)
            ):
                raise ValueError(f"{describe_layer(self)}: initial state {i} has shape {shape}, expected {known}")

    def walk(self, sequences: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """The output of the step walked last, outputs ``(batch, time, ...)``, and the last states.

        Args:
            sequences: ``(batch, time, ...)``.
            states: those before the first step; None for the cell's own.
            mask: bool ``(batch, time)`` or None.
            training: whether the cell trains.

        Outputs keep the places of their inputs, whichever way the walk goes.
        """
        if self._is_ops(training):
            return self._walk_by_ops(sequences, states, mask, training)
        states = self.get_initial_state(sequences.shape[0]) if states is None else states
        cell, form = self.cell, states
        if training:
            _draw_masks(cell, sequences[:, 0], states)

        def run(inputs: Any, states: Any) -> tuple[Any, Any]:
            output, new = call_cell(cell, inputs, states, training)
            return output, pack(form, flatten(new))

        def step(carry: Any, now: Any) -> Any:
            output, states = run(now, carry)
            return states, output

        def masked_step(carry: Any, now: Any) -> Any:
            states, previous = carry
            inputs, kept = now
            output, new = run(inputs, states)
            states = map_structure(lambda new, old: ops.where(_like(kept, new), new, old), new, states)
            output = ops.where(_like(kept, output), output, previous)
            return (states, previous if self.zero_output_for_mask else output), output

        try:
            steps = _time_first(sequences)
            if mask is None:
                states, outputs = ops.scan(step, states, steps, reverse=self.go_backwards)
            else:
                first = ops.zeros(self.step_shape(tuple(sequences.shape)), dtype=self.compute_dtype)
                steps = (steps, ops.reshape(_time_first(mask), (*steps.shape[:2], 1)))
                (states, _), outputs = ops.scan(masked_step, (states, first), steps, reverse=self.go_backwards)
        finally:
            _forget_masks(cell)
        outputs = _time_first(outputs)
        return outputs[:, self.last], outputs, states

    def _is_ops(self, training: bool) -> bool:
        """Whether the cell, or each of stacked ones, is one op over a whole sequence, in the dtype of this layer."""
        return all(
            isinstance(cell, RecurrentCell) and cell.is_one_op(training) and cell.compute_dtype == self.compute_dtype
            for cell in _stack(self.cell)
        )

    def _walk_by_ops(self, sequences: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """`walk`, each of stacked cells over the whole sequence before the one above it."""
        cells, outputs, last = _stack(self.cell), sequences, []
        starts = states if cells[0] is not self.cell and states is not None else [states] * len(cells)
        for cell, start in zip(cells, starts, strict=True):
            outputs, new = cell.walk(outputs, start, mask, self.go_backwards, training)
            last.append(new)
        form = last[0] if cells[0] is self.cell else last
        final = form if states is None else pack(states, flatten(form))
        if mask is None:
            return last[-1][0], outputs, final
        if self.zero_output_for_mask:
            outputs = ops.where(ops.expand_dims(mask, -1), outputs, 0.0)
        return outputs[:, self.last], outputs, final

    # -- shapes ------------------------------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in flatten(self.state_size))] if self.return_state else mask

    def step_shape(self, sequences_shape: tuple) -> tuple:
        """Shape of the output of one step."""
        return (sequences_shape[0], self.output_size)

    def state_shapes(self, sequences_shape: tuple) -> list[Any]:
        """Shapes of the states, in their structure."""
        return map_structure(lambda size: (sequences_shape[0], size), self.state_size)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        sequences_shape = tuple(sequences_shape)
        if self.unroll and sequences_shape[1] is None:
            raise ValueError(
                f"{describe_layer(self)}: unroll=True needs a known number of steps, got sequences of shape "
                f"{sequences_shape}"
            )
        self._check_batch(sequences_shape[0])
        if initial_state_shape is not None:
            shapes: list[tuple] = []
            _collect(initial_state_shape, shapes)
            self._check_states(shapes, sequences_shape)
        output = self.step_shape(sequences_shape)
        if self.return_sequences:
            output = (output[0], sequences_shape[1], *output[1:])
        return (output, *self.state_shapes(sequences_shape)) if self.return_state else output

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if "cell" in config:
            config = {**config, "cell": deserialize(config["cell"], module="keras.layers")}
        return super().from_config(config)


def _collect(shapes: Any, found: list[tuple]) -> None:
    """The shapes in a structure of shapes, in order."""
    if all(d is None or isinstance(d, int | np.integer) for d in shapes):
        found.append(tuple(shapes))
    else:
        for shape in shapes:
            _collect(shape, found)


def _time_first(x: Any) -> Any:
    """The first two axes exchanged."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))


def _like(mask: Any, x: Any) -> Any:
    """A mask ``(batch, 1)`` with as many axes as `x`."""
    return ops.reshape(mask, (mask.shape[0],) + (1,) * (len(x.shape) - 1))


def _stack(cell: Any) -> list[Any]:
    """The cells that a sequence goes through one after the other."""
    return cell.cells if type(cell) is StackedRNNCells else [cell]


def _draw_masks(cell: Any, inputs: Any, states: Any) -> None:
    """Draw the dropout masks of the cell before the walk: within it no state may be advanced."""
    if isinstance(cell, DropoutRNNCell):
        cell.get_dropout_mask(inputs)
        cell.get_recurrent_dropout_mask(flatten(states)[0])
    elif isinstance(cell, StackedRNNCells):
        for inner, state in zip(cell.cells, states, strict=True):
            _draw_masks(inner, inputs, state)
            inputs = ops.zeros((inputs.shape[0], output_size(inner)), dtype=inputs.dtype)


def _forget_masks(cell: Any) -> None:
    for inner in (cell, *getattr(cell, "cells", ())):
        if isinstance(inner, DropoutRNNCell):
            inner.reset_dropout_masks()
