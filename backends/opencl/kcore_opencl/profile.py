"""``KCORE_PROFILE`` on an OpenCL device: its commands, timed by the queue's own events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pyopencl as cl

from kcore.kernels import profile
from kcore.kernels.profile import session, wanted
from kcore.kernels.work import flops, label, traffic
from kcore_opencl.errors import explained

if TYPE_CHECKING:
    from kcore_opencl.launch import Launch

__all__ = ["Profile", "queue_properties", "session", "start"]


class Profile(profile.Profile):
    """The record of one device.

    Args:
        name: what the device is called in trace and table.
        queue: its queue, made with `PROFILING_ENABLE`.
    """

    def __init__(self, name: str, queue: Any):
        super().__init__(name)
        self.queue = queue

    def over(self, event: Any) -> bool:
        """Whether a command is done."""
        return event.command_execution_status == cl.command_execution_status.COMPLETE

    def times(self, event: Any) -> tuple[int, int, int]:
        """When a command was enqueued, began and ended."""
        times = event.profile
        return times.queued, times.start, times.end

    def wait(self) -> None:
        """Wait until every command is done."""
        self.queue.finish()

    def copy(self, queue: Any, dst: Any, src: Any, **kw: Any) -> Any:
        """`pyopencl.enqueue_copy`, noted."""
        if isinstance(dst, cl.Buffer):
            name, nbytes = ("copy", kw.get("byte_count", 0)) if isinstance(src, cl.Buffer) else ("upload", src.nbytes)
        else:
            name, nbytes = "download", dst.nbytes
        nbytes *= 2 if name == "copy" else 1
        return self.transfer(name, nbytes, cl.enqueue_copy, queue, dst, src, **kw)

    def launches(self, run: Sequence[Launch], numbers: Sequence[int] = ()) -> Callable[[], Any]:
        """A function that enqueues the kernels of several launches and notes each; it returns the last event.

        An error in it is explained, and carries the number of its launch as `launch` where there are numbers.
        """
        calls, device = [], run[0].place.name
        for number, launch in zip_longest(numbers, run):
            sources = [s for s in launch.code.launches if s.groups]
            title = label(launch.node) if launch.node is not None else " ".join(s.name for s in sources)
            row = self.row(title, [s.name for s in sources])
            arithmetic = flops(launch.node) if launch.node is not None else 0
            moved = traffic((*launch.inputs, *launch.outputs))
            for i, (source, (kernel, size, local)) in enumerate(zip(sources, launch.ready(), strict=True)):
                calls.append((source.name, row, i, arithmetic, moved, (kernel, size, local), number))
                arithmetic = moved = 0  # counted with the first kernel of the node
        queue = self.queue

        def enqueue() -> Any:
            event = number = None
            try:
                for name, row, i, arithmetic, moved, call, number in calls:  # noqa: B007 (the handler names the launch)
                    row.arithmetic += arithmetic
                    row.moved += moved
                    event = self.enqueue(name, row, i, cl.enqueue_nd_range_kernel, queue, *call)
            except cl.Error as error:
                failed = explained(error, device)
                failed.launch = number  # type: ignore[attr-defined]
                raise failed from error
            return event

        return enqueue


def queue_properties() -> Any:
    """Properties of a command queue: profiled if KCORE_PROFILE is set."""
    return cl.command_queue_properties.PROFILING_ENABLE if wanted() else 0


def start(device: Any, queue: Any) -> Profile | None:
    """A profile of a device, if KCORE_PROFILE is set; it is written at exit."""
    if wanted() is None:
        return None
    record = Profile(f"{device.platform.name.strip()}: {device.name.strip()}", queue)
    profile.register(record)
    return record
