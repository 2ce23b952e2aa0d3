"""Epochs over a source of batches: how many steps, where the next one starts, and what happens when data runs out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from kcore import config
from kcore.errors import warn_user
from kcore.runtime.random_state import random_state, set_random_state
from kcore.training.sources.source import Source


class Words(NamedTuple):
    """What the user calls things, for messages."""

    data: str = "x"
    steps: str = "steps"
    end: str = "it ends here"


WORDS = Words()


class Epochs:
    """Deals out the batches of a source, epoch by epoch.

    Without `steps` an epoch is one pass over the source. With it an epoch is that many batches, and the next one goes
    on where it stopped.

    Args:
        source: where batches come from.
        steps: batches per epoch, or None.
        steps_per_execution: batches handed out together.
        epochs: how many epochs are wanted, for the warning when there is not enough data.
        words: what the user calls things.
        anew: begin every epoch with the first batch, whatever `steps` is, if the source can start again.
        resumable: keep what `position` needs of the random sources; it costs as much as a small step.

    Attributes:
        ended: whether the source has nothing more to give, ever.

    Raises:
        ValueError: `steps` is no positive integer, or missing for a source without end.

    Example:
        >>> import numpy as np
        >>> from kcore.training.sources.arrays import ArrayBatches
        >>> epochs = Epochs(ArrayBatches(np.zeros((5, 1)), batch_size=2))
        >>> [(begin, end) for begin, end, batches in epochs]
        [(0, 0), (1, 1), (2, 2)]
    """

    def __init__(
        self,
        source: Source,
        steps: int | None = None,
        steps_per_execution: int = 1,
        epochs: int = 1,
        words: Words = WORDS,
        anew: bool = False,
        resumable: bool = False,
    ):
        if steps is not None and (isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 1):
            raise ValueError(f"{words.steps} must be a positive integer or None, received {steps!r}")
        if steps is None and source.endless:
            raise ValueError(f"{words.steps} is needed: {words.data} is a {source.kind}, which has no end")
        limit, known = config.max_steps_per_epoch(), steps or source.num_batches
        if limit is not None and (known is None or limit < known):
            warn_user(f"kcore.config.max_steps_per_epoch() limits the {known or 'unknown number of'} steps to {limit}")
            steps, anew = limit, anew or steps is None
        self.source = source
        self.ended = False
        self._wanted = steps
        self._words = words
        self._anew = anew
        self._resumable = resumable
        self._epochs = epochs
        self._together = steps_per_execution
        self._pass: Iterator[Any] | None = None
        self._dealt = 0
        self._total = 0
        self._start = self._step = 0
        self._random: dict[str, Any] | None = None
        self._known = source.num_batches
        self._warned = False

    @property
    def steps(self) -> int | None:
        """Steps in an epoch, None as long as that is not known."""
        return self._wanted or self._known

    def more(self) -> bool:
        """Whether there is data for another epoch; a source that has one pass only is asked for its next batch.

        Raises:
            ValueError: there was none for the first epoch.
        """
        if self.source.once and not self.ended:
            self._begin(self._start)
            self.ended = not self.source.more()
        if self.ended and not self._total:
            raise ValueError(f"{self._words.data} gives no data: the {self.source.kind} yields nothing")
        if self.ended:
            self._warn(0)
        return not self.ended

    def __iter__(self) -> Iterator[tuple[int, int, list[Any]]]:
        """One epoch: (first step, last step, their batches)."""
        source = self.source
        source.on_epoch_begin()
        wanted, size = self._begin(self._start), self._together
        step, self._start = self._start, 0
        while wanted is None or step < wanted:
            batches = self._take(size if wanted is None else min(size, wanted - step), step)
            if not batches:
                break
            self._step = step + len(batches)
            yield step, self._step - 1, batches
            step = self._step
        self._total += step
        short = wanted is not None and step < wanted
        if wanted is None:
            self._known = step
        if source.once:
            self.ended = short or wanted is None
        elif self._anew or self._wanted is None or short or self._dealt == source.num_batches:
            self._pass = None
        if short:
            self._warn(step)
        source.on_epoch_end()

    def _begin(self, done: int) -> int | None:
        """Start a pass where one is due; returns how many batches this epoch has, None if all there are.

        Args:
            done: how many of them it had already.
        """
        if self._pass is None:
            if self._resumable:  # the order of the pass follows from it
                self._random = random_state()
            self._pass, self._dealt = self.source.batches(), 0
        wanted = self._wanted or self.source.num_batches
        self.source.allow(None if wanted is None else wanted - done)
        return wanted

    # -- where it stands ---------------------------------------------------------------------------------------------

    @property
    def started(self) -> int:
        """Steps of the coming epoch that are done already, by a run that was interrupted."""
        return self._start

    def position(self, within: bool) -> dict[str, Any]:
        """Where the data stands, in plain values.

        Args:
            within: whether it is asked for in the middle of an epoch, after a step.
        """
        step = self._step if within else 0
        whole = not within and (self._anew or self._wanted is None)
        dealt = 0 if self._pass is None or whole else self._dealt
        return {"step": step, "total": self._total + step, "dealt": dealt, "random": self._random if dealt else None}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Go to where another run stood: batches that it had are drawn again, and dropped.

        A source of one pass only is taken for the same from its beginning.

        Args:
            position: what `position` gave.
        """
        count = int(position["total"] if self.source.once else position["dealt"])
        if count:
            if position["random"] is not None:
                set_random_state(position["random"])
            self._begin(0)
            self.source.allow(count)
            assert self._pass is not None
            for _ in islice(self._pass, count):
                self._dealt += 1
        self._start = self._step = int(position["step"])
        self._total = int(position["total"]) - self._start

    def _take(self, count: int, done: int) -> list[Any]:
        """The next batches, fewer where the data ends; a source that repeats begins again then.

        Args:
            count: how many.
            done: how many this epoch had already.
        """
        batches: list[Any] = []
        while True:
            assert self._pass is not None
            taken = list(islice(self._pass, count - len(batches)))
            batches += taken
            self._dealt += len(taken)
            if len(batches) == count or not self.source.repeats or not self._dealt:
                return batches
            self.source.on_epoch_end()
            self._pass = None
            self._begin(done + len(batches))

    def _warn(self, step: int) -> None:
        """Say, once, that there is less data than was asked for."""
        if self._warned:
            return
        self._warned = self.source.once
        each, total = self.steps or 0, self._total
        if not self.source.once:
            told = f"{self._words.steps}={each}" if self._wanted else f"its length is {each}"
            text = f"it gave {step} of {each} batches ({told}); the epoch ends here"
        elif self._wanted or self.source.num_batches:
            text = f"it gave {total} of the {each * self._epochs} batches that were expected"
            text += f" ({self._words.steps}={each}, {self._epochs} epochs); " if self._epochs > 1 else "; "
            text += self._words.end
        else:
            text = f"it ended after {total} batches, one epoch of the {self._epochs} asked for; {self._words.end}"
        warn_user(f"{self._words.data} is a {self.source.kind}: {text}")
