"""A run of submissions as one CUDA graph: recorded at its second time, one launch from then on."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeGuard

from kcore.backend.control import Nested
from kcore.errors import warn_user
from kcore_cuda import cuda, settings
from kcore_cuda.launch import Submission

if TYPE_CHECKING:
    from kcore.graph.core import Node
    from kcore_cuda.place import Place

#: Submissions from which on a graph is worth recording.
LEAST = 3
#: Times that recording is tried: what another thread does on CUDA's default stream meanwhile breaks it.
ATTEMPTS = 3


class Way:
    """How a run is submitted, in words for the printed plan.

    Attributes:
        count: how many submissions it has.
        reason: why they are submitted one by one; empty if they are not.
        recorded: whether the graph is there.
    """

    __slots__ = ("count", "reason", "recorded")

    def __init__(self, count: int, reason: str):
        self.count = count
        self.reason = reason
        self.recorded = False

    def __str__(self) -> str:
        if self.reason:
            return f"{self.count} submitted one by one: {self.reason}"
        return f"{self.count} as one CUDA graph" + ("" if self.recorded else ", recorded at the second run")


class Run:
    """Neighbouring submissions of a step.

    The first time they are submitted one by one: libraries choose and allocate then. The second time they are recorded
    as a graph, unless they are few or graphs are switched off; what fails is tried again at the next times. Whoever
    binds a step to other memory makes other runs, which are recorded anew; the arrays of this one live as long as it
    does.

    Args:
        submissions: what to submit, in order, all to one place.
        numbers: the number of each in the step.
    """

    def __init__(self, submissions: Sequence[Submission], numbers: Sequence[int]):
        self.place: Place = submissions[0].place
        self.submissions = list(submissions)
        self.numbers = list(numbers)
        self.runs = 0
        loops = any(isinstance(s, Loop) for s in submissions)
        few = f"fewer than {LEAST}" if len(submissions) < LEAST and not loops else ""
        self.title = Way(len(submissions), few or ("" if settings.graphs() else f"{settings.GRAPHS}=0"))
        self._executable = 0
        self._attempts = 0

    def __call__(self) -> None:
        place = self.place
        with place.working():
            if place.recording:  # it is a step of a loop that is being recorded as a whole
                for submission in self.submissions:
                    submission.submit()
                return
            if self._executable:
                cuda.runtime.graphLaunch(self._executable, place.stream)
            elif self.runs and not self.title.reason and not place.profile:
                self._record()
            else:
                self._submit()
            self.runs += 1
            place.stepped()

    def _submit(self) -> None:
        for number, submission in zip(self.numbers, self.submissions, strict=True):
            try:
                submission.prepare()
                if self.place.profile and not isinstance(submission, Loop):
                    self.place.profile.submission(submission)
                else:
                    submission.submit()
            except Exception as error:
                error.launch = number  # type: ignore[attr-defined]
                raise

    def _record(self) -> None:
        """Record the graph and launch it; where that cannot be, submit and go on so."""
        runtime, stream = cuda.runtime, self.place.stream
        for submission in self.submissions:
            submission.prepare()
        graph = 0
        try:
            with self.place.capturing(), _no_collection():
                try:
                    runtime.streamBeginCapture(stream, runtime.streamCaptureModeThreadLocal)
                    for submission in self.submissions:
                        submission.submit()
                except BaseException:  # Ctrl-C may come anywhere
                    _abandon(stream)
                    raise
                graph = runtime.streamEndCapture(stream)
            self._executable = runtime.graphInstantiate(graph)
        except Exception as error:
            self._refused(submission, error)
            self._submit()
            return
        finally:
            if graph:
                runtime.graphDestroy(graph)
        weakref.finalize(self, _destroy, self._executable).atexit = False
        self.title.recorded = True
        runtime.graphUpload(self._executable, stream)
        runtime.graphLaunch(self._executable, stream)

    def _refused(self, last: Submission, error: Exception) -> None:
        self._attempts += 1
        if self._attempts < ATTEMPTS:
            return
        where = f"{last.node.op.name!r} ({last.node.location()})" if last.node is not None else "a call"
        self.title.reason = f"a graph could not be recorded, at {where}: {error}"
        warn_user(f"{self.place.name}: {self.title}", RuntimeWarning)


class Loop(Submission):
    """The steps of a loop whose length is known, each made of runs: it can be recorded with what is around it."""

    __slots__ = ("_thunk",)

    def __init__(self, thunk: Nested, place: Place, node: Node):
        super().__init__(place, node)
        self._thunk = thunk

    def submit(self) -> None:
        """Run the steps."""
        self._thunk()


def is_recordable(thunk: object) -> TypeGuard[Nested]:
    """Whether a loop consists of runs only, in every step."""
    return isinstance(thunk, Nested) and all(
        isinstance(inner, Run) for bound in thunk.inner for inner, _ in bound.launches
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, whose finalizers free memory, which breaks a recording."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _abandon(stream: int) -> None:
    """End a recording that failed, if it had begun: until then the stream takes nothing else."""
    try:
        cuda.runtime.graphDestroy(cuda.runtime.streamEndCapture(stream))
    except cuda.runtime.CUDARuntimeError:
        return


def _destroy(executable: int) -> None:
    """Free a graph; a broken context has taken it already."""
    try:
        cuda.runtime.graphExecDestroy(executable)
    except cuda.runtime.CUDARuntimeError:
        return


def sources_of(submissions: Sequence[Submission]) -> list:
    """The sources of all generated kernels among submissions."""
    return [source for s in submissions for source in s.sources]
