"""How long a model has been trained, and what compiling it again means then."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger("kcore")

#: Layers that a note names; of more it says how many.
NAMED = 3


@dataclass
class Trained:
    """How long a model has been trained."""

    steps: int = 0
    epochs: int = 0
    #: Which of the two notes have been given: for fine-tuning (True), and else (False).
    noted: frozenset[bool] = frozenset()

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}, " if self.epochs else ""
        return f"{epochs}{self.steps} step{'' if self.steps == 1 else 's'}"

    def note_compiled_again(self, name: str, turned: str) -> None:
        """Say what compiling means for a model that has learned: once for fine-tuning, once where nothing tells of it.

        Args:
            name: the model's.
            turned: what `turned` says.
        """
        if bool(turned) in self.noted:
            return
        self.noted |= {bool(turned)}
        if turned:
            logger.warning("model %r goes on from what it learned in %s, %s.", name, self, turned)
            return
        logger.warning(
            "model %r is compiled again after %s of training: its weights stay as they are. "
            "For fresh weights use kcore.models.clone_model(model), or build the model anew.",
            name,
            self,
        )


def turned(before: Mapping[Any, bool], now: Mapping[Any, bool]) -> str:
    """Which layers were frozen and unfrozen between two calls of compile, "" for none; not the layers within these.

    Args:
        before, now: layer -> whether it was trainable.
    """
    parts = []
    for state, flag in (("trainable", True), ("frozen", False)):
        layers = [layer for layer, value in now.items() if value is flag and before.get(layer, flag) is not flag]
        inner = {id(part) for layer in layers for part in layer._flatten_layers() if part is not layer}
        names = [repr(layer.name) for layer in layers if id(layer) not in inner]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            parts.append(f"now with {', '.join(names[:NAMED])}{more} {state}")
    return " and ".join(parts)
