"""Epochs over a source of batches: how many steps, where the next one starts, and what happens when data runs out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

from kcore.training.data import ArrayBatches, StreamBatches


class Epochs:
    """Deals out the batches of a source, epoch by epoch.

    Without `steps_per_epoch` an epoch is one pass over the source. With it an epoch is that many batches, and the
    next one goes on where it stopped.

    Args:
        source: where batches come from.
        steps_per_epoch: batches per epoch, or None.
        steps_per_execution: batches handed out together.

    Example:
        >>> import numpy as np
        >>> epochs = Epochs(ArrayBatches(np.zeros((5, 1)), batch_size=2))
        >>> [(begin, end) for begin, end, batches in epochs]
        [(0, 0), (1, 1), (2, 2)]
    """

    def __init__(
        self, source: ArrayBatches | StreamBatches, steps_per_epoch: int | None = None, steps_per_execution: int = 1
    ):
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"the number of steps must be a positive integer or None, received {steps_per_epoch!r}")
        self.source = source
        self.steps_per_epoch = steps_per_epoch
        self._together = steps_per_execution
        self._pass: Iterator[Any] | None = None
        self._dealt = 0
        self._known = source.num_batches

    @property
    def steps(self) -> int | None:
        """Steps in an epoch, None as long as that is not known."""
        return self.steps_per_epoch or self._known

    def __iter__(self) -> Iterator[tuple[int, int, list[Any]]]:
        """One epoch: (first step, last step, their batches)."""
        wanted, size = self.steps_per_epoch, self._together
        if self._pass is None or wanted is None:
            self._pass, self._dealt = self.source.batches(), 0
        step = 0
        while wanted is None or step < wanted:
            count = size if wanted is None else min(size, wanted - step)
            batches = list(islice(self._pass, count)) if count > 1 else self._one()
            if not batches:
                break
            self._dealt += len(batches)
            yield step, step + len(batches) - 1, batches
            step += len(batches)
        if wanted is None:
            self._known, self._pass = step, None
        elif step < wanted:
            warnings.warn(
                f"the data ran out after {step} of {wanted} steps; the epoch ends here. "
                "A generator must yield at least steps_per_epoch * epochs batches",
                stacklevel=3,
            )
            self._pass = None
        elif self._dealt == self.source.num_batches:
            self._pass = None

    def _one(self) -> list[Any]:
        assert self._pass is not None
        for batch in self._pass:
            return [batch]
        return []
