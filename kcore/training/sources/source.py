"""The protocol of a source of batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any


class Source(ABC):
    """Where `fit`, `evaluate` and `predict` get their batches.

    Attributes:
        kind: what the user passed, in words.
        num_batches: batches in one pass, None if that is not known.
        samples: samples in one pass, None if that is not known.
        once: whether there is only one pass, which every epoch goes on with.
        endless: whether a pass is known to have no end.
        repeats: whether an epoch that wants more than a pass goes on with the next one.
    """

    kind: str = "data set"
    num_batches: int | None = None
    samples: int | None = None
    once: bool = False
    endless: bool = False
    repeats: bool = False

    @abstractmethod
    def first(self) -> Any:
        """One batch for building a model, of which only shapes and dtypes count; training does not miss it."""

    @abstractmethod
    def batches(self) -> Iterator[Any]:
        """Begin a pass: an iterator of structures of `Rows`."""

    def allow(self, count: int | None) -> None:  # noqa: B027 - nothing to do is a good answer
        """Say how many more batches will be wanted, so that no more are made ahead; None is all there are."""

    def more(self) -> bool:
        """Whether the pass that has begun goes on; waits for its next batch where that is not known."""
        return True

    def on_epoch_begin(self) -> None:  # noqa: B027
        """Called before every epoch."""

    def on_epoch_end(self) -> None:  # noqa: B027
        """Called after every epoch that ran to its end."""

    def close(self) -> None:  # noqa: B027
        """Nothing more is wanted: stop what is being made."""
