"""``KCORE_PROFILE`` on a GPU: what is submitted, timed by a pair of events; no graph is recorded meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from kcore.kernels import profile
from kcore.kernels.profile import session, wanted
from kcore.kernels.work import flops, label, traffic
from kcore_cuda import cuda
from kcore_cuda.launch import Launch, Submission
from kcore_cuda.staging import Event

if TYPE_CHECKING:
    from kcore_cuda.place import Place

__all__ = ["Profile", "session", "start"]


class Profile(profile.Profile):
    """The record of one GPU.

    Args:
        place: the GPU.
    """

    def __init__(self, place: Place):
        super().__init__(f"CUDA: {place.gpu.name}")
        self._place = place
        self._base = Event(timed=True)
        self._base.record(place.stream)
        self._base.wait()
        # the clocks meet here: the device's begins with this event
        self._earliest = self._latest = perf_counter_ns()

    def over(self, event: tuple[Event, Event]) -> bool:
        """Whether a command is done."""
        return event[1].over

    def times(self, event: tuple[Event, Event]) -> tuple[int, int, int]:
        """When a command began and ended; CUDA does not say when it was enqueued."""
        begin, end = (int(e.since(self._base) * 1e6) for e in event)
        return 0, begin, end

    def wait(self) -> None:
        """Wait until every command is done."""
        self._place.synchronize()

    def submission(self, submission: Submission) -> None:
        """Submit work, each kernel noted by itself."""
        node = submission.node
        title = label(node) if node is not None else "a library's call"
        if not isinstance(submission, Launch):
            row = self.row(title, ["library"])
            row.arithmetic += flops(node) if node is not None else 0
            self.enqueue(title, row, 0, self._timed, submission.submit)
            return
        sources = submission.sources
        row = self.row(title, [s.name for s in sources])
        row.arithmetic += flops(node) if node is not None else 0
        row.moved += traffic((*submission.inputs, *submission.outputs))
        launch = cuda.driver.launchKernel
        for i, (source, call) in enumerate(zip(sources, submission.calls(), strict=True)):
            self.enqueue(source.name, row, i, self._timed, launch, *call)

    def copy(self, name: str, nbytes: int, call: Callable[..., Any], *arguments: Any) -> None:
        """Submit a transfer to the place's stream."""
        self.transfer(name, nbytes, self._timed, call, *arguments)

    def _timed(self, call: Callable[..., Any], *arguments: Any) -> tuple[Event, Event]:
        begin, end = Event(timed=True), Event(timed=True)
        begin.record(self._place.stream)
        call(*arguments)
        end.record(self._place.stream)
        return begin, end


def start(place: Place) -> Profile | None:
    """A profile of a GPU, if KCORE_PROFILE is set; it is written at exit."""
    if wanted() is None:
        return None
    record = Profile(place)
    profile.register(record)
    return record
