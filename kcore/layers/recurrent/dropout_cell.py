"""Dropout in recurrent cells: one mask for all steps of a sequence."""

from __future__ import annotations

from typing import Any

from kcore import ops, random
from kcore.runtime.seeds import SeedGenerator


class DropoutRNNCell:
    """Mixin of the cells that drop inputs or states.

    The masks are drawn before the sequence is walked, kept on the cell for all its steps, and forgotten after.
    """

    dropout: float
    recurrent_dropout: float
    seed_generator: SeedGenerator
    #: How many masks a step uses, each for its own copy of the inputs; None is one for all.
    dropout_mask_count: int | None = None
    _dropout_mask: Any = None
    _recurrent_dropout_mask: Any = None

    def _draw(self, like: Any, rate: float) -> Any:
        masks = [
            random.dropout(ops.ones_like(like), rate, seed=self.seed_generator)
            for _ in range(self.dropout_mask_count or 1)
        ]
        return masks if self.dropout_mask_count else masks[0]

    def get_dropout_mask(self, step_input: Any) -> Any:
        """The mask of the inputs, drawn if there is none yet; None where nothing is dropped."""
        if self._dropout_mask is None and self.dropout > 0:
            self._dropout_mask = self._draw(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, state: Any) -> Any:
        """The mask of the state, drawn if there is none yet; None where nothing is dropped."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._recurrent_dropout_mask = self._draw(state, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def drop_inputs(self, inputs: Any, training: bool) -> Any:
        """The inputs with their mask applied; a list with one copy per mask where there are several."""
        return _dropped(inputs, self.get_dropout_mask(inputs) if training else None)

    def drop_state(self, state: Any, training: bool) -> Any:
        """The state with its mask applied, likewise."""
        return _dropped(state, self.get_recurrent_dropout_mask(state) if training else None)

    def reset_dropout_masks(self) -> None:
        """Forget the masks, at the end of a sequence."""
        self._dropout_mask = self._recurrent_dropout_mask = None


def _dropped(x: Any, masks: Any) -> Any:
    if isinstance(masks, list):
        return [x * mask for mask in masks]
    return x if masks is None else x * masks
