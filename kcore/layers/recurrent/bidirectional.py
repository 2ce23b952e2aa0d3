"""A recurrent layer in both directions at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from kcore import ops
from kcore.layers.calling import CallSignature
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.recurrent.rnn import RNN
from kcore.registry import deserialize, public, serialize
from kcore.tree import flatten, is_nested

_MODES = ("sum", "mul", "concat", "ave", None)


@public("keras.layers")
class Bidirectional(Layer):
    """Walks a sequence forwards with one layer and backwards with another, and joins what they say of each step.

    Args:
        layer: recurrent layer, made anew from its configuration; or any layer with `go_backwards`,
            `return_sequences`, `return_state` and `stateful`.
        merge_mode: how both outputs are joined: ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"``, or None for both.
        weights: first weights of both layers, those of the forward one first.
        backward_layer: what goes the other way, its outputs being turned round; by default the same layer with
            `go_backwards`.

    Shapes:
        sequences ``(batch, time, ...)``, mask ``(batch, time)``; output ``(batch, 2 * units)``, or ``(batch, time,
        2 * units)`` with `return_sequences` (``units`` unless joined by ``"concat"``); with `return_state` the states
        of the forward layer follow, then those of the backward one. `initial_state` is a list in that order.

    Raises:
        ValueError: something that is no recurrent layer, an unknown `merge_mode`, or two layers of the same direction
            or with different `stateful`, `return_sequences` or `return_state`.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> Bidirectional(layers.GRU(4, return_sequences=True))(np.ones((2, 3, 5), "float32")).shape
        (2, 3, 8)

    Source: Schuster and Paliwal 1997; `keras.layers.Bidirectional`.
    """

    supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for argument, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and not (argument == "backward_layer" and value is None):
                raise ValueError(f"Bidirectional: {argument} must be a layer, got {value!r}")
        if merge_mode not in _MODES:
            raise ValueError(
                f"Bidirectional: merge_mode={merge_mode!r}: expected one of {', '.join(map(repr, _MODES))}"
            )
        super().__init__(**kwargs)
        for part in ("go_backwards", "return_sequences", "return_state", "stateful"):
            for value in (layer, backward_layer):
                if value is not None and not hasattr(value, part):
                    raise ValueError(
                        f"{describe_layer(self)}: expected a recurrent layer, but {describe_layer(value)} has no "
                        f"{part!r}"
                    )
        self.merge_mode = merge_mode
        self.forward_layer = _remade(layer, "forward", {})
        self.backward_layer = (
            _remade(layer, "backward", {"go_backwards": True}) if backward_layer is None else backward_layer
        )
        self._check_pair()
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.input_spec = layer.input_spec
        self._first_weights = None if weights is None else list(weights)
        for direction in (self.forward_layer, self.backward_layer):
            if isinstance(direction, RNN):
                # A masked step repeats the previous output, which is another one in each direction.
                direction.zero_output_for_mask = direction.return_sequences

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"{describe_layer(self)}: the layers must go in different directions, but both "
                f"{describe_layer(forward)} and {describe_layer(backward)} have go_backwards={forward.go_backwards}"
            )
        for part in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, part), getattr(backward, part)
            if values[0] != values[1]:
                raise ValueError(
                    f"{describe_layer(self)}: both layers must have the same {part}, got {values[0]} for "
                    f"{describe_layer(forward)} and {values[1]} for {describe_layer(backward)}"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._first_weights is not None:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])

    # -- states ------------------------------------------------------------------------------------------------------

    @property
    def states(self) -> tuple[Any, ...] | None:
        """The states of both layers, if they are stateful and built."""
        both: list[Any] = [getattr(layer, "states", None) for layer in (self.forward_layer, self.backward_layer)]
        return None if None in both else (*both[0], *both[1])

    def reset_state(self) -> None:
        """Set the states of both layers to zeros.

        Raises:
            AttributeError: it is not stateful.
        """
        if not self.stateful:
            raise AttributeError(f"{describe_layer(self)} is not stateful, so it has no states to reset")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    # -- calling -----------------------------------------------------------------------------------------------------

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        starts: list[Any] = [None, None]
        if initial_state is not None:
            given = list(initial_state) if is_nested(initial_state) else [initial_state]
            if len(given) % 2:
                raise ValueError(
                    f"{describe_layer(self)}: initial_state holds the states of the forward layer, then those of the "
                    f"backward one, got {len(given)} of shapes {[tuple(s.shape) for s in flatten(given)]}"
                )
            starts = [given[: len(given) // 2], given[len(given) // 2 :]]
        outputs, states = [], []
        for layer, start in zip((self.forward_layer, self.backward_layer), starts, strict=True):
            signature = CallSignature(layer.call)
            kwargs = {"training": training} if signature.has_training else {}
            if signature.has_mask:
                kwargs["mask"] = mask
            turned = layer is self.backward_layer and self.return_sequences
            in_place = turned and isinstance(layer, RNN) and layer.go_backwards
            with layer.outputs_in_place() if in_place else nullcontext():
                result = layer(sequences, initial_state=start, **kwargs)
            if self.return_state:
                result, *last = result
                states += last
            if turned and not in_place:
                result = ops.flip(result, axis=1)
            outputs.append(ops.cast(result, self.compute_dtype))
        joined = self._merge(*outputs)
        if not self.return_state:
            return joined
        return (*joined, *states) if self.merge_mode is None else (joined, *states)

    def _merge(self, forward: Any, backward: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "sum":
            return forward + backward
        if self.merge_mode == "ave":
            return (forward + backward) / 2
        if self.merge_mode == "mul":
            return forward * backward
        return forward, backward

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask] if self.merge_mode is not None else [mask, mask]

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        states: list[Any] = []
        if self.return_state:
            states = [state for shape in shapes for state in shape[1:]]
            shapes = [shape[0] for shape in shapes]
        forward, backward = map(tuple, shapes)
        if self.merge_mode is None:
            return (forward, backward, *states)
        output = (*forward[:-1], forward[-1] + backward[-1]) if self.merge_mode == "concat" else forward
        return (output, *states) if self.return_state else output

    # -- configuration -----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        own = {"merge_mode": self.merge_mode}
        layers = {"layer": serialize(self.forward_layer), "backward_layer": serialize(self.backward_layer)}
        return {**super().get_config(), **own, **layers}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        layers = {
            part: deserialize(config[part], module="keras.layers")
            for part in ("layer", "backward_layer")
            if config.get(part)
        }
        return super().from_config({**config, **layers})


def _remade(layer: Layer, direction: str, changes: Mapping[str, Any]) -> Any:
    """A fresh layer of the same configuration, called after its direction."""
    described = serialize(layer)
    name = f"{direction}_{layer.name.removeprefix('forward_').removeprefix('backward_')}"
    made = deserialize({**described, "config": {**described["config"], **changes, "name": name}})
    if hasattr(layer, "use_cudnn"):
        made.use_cudnn = layer.use_cudnn
    return made
