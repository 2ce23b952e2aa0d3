"""What goes wrong with a device or its driver, in words: which device, what the driver said, what to try."""

from __future__ import annotations

from typing import Any

from kcore.backend import build_error
from kcore.errors import KcoreError

#: What drivers answer when the device is gone or was stopped; -9999 is NVIDIA's for a kernel that broke its context.
_LOST = {
    -2: "DEVICE_NOT_AVAILABLE",
    -5: "OUT_OF_RESOURCES",
    -14: "EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
    -34: "INVALID_CONTEXT",
    -36: "INVALID_COMMAND_QUEUE",
    -9999: "a kernel read or wrote outside of its buffers",
}
#: ... and when there is no memory left.
_FULL = {-4: "MEM_OBJECT_ALLOCATION_FAILURE", -6: "OUT_OF_HOST_MEMORY"}


class OpenCLError(KcoreError):
    """An OpenCL call failed."""


class BuildError(build_error.BuildError, OpenCLError):
    """A generated kernel does not compile on a device."""


class DeviceLostError(OpenCLError):
    """A device vanished, was reset, or was stopped because a kernel took too long."""


class DeviceRefusedError(OpenCLError):
    """The self-test found that a driver computes wrong numbers."""


def explained(error: Any, device: str) -> Exception:
    """A PyOpenCL error in words.

    Args:
        error: the `pyopencl.Error`.
        device: the device it happened on, as text.

    Returns:
        The error to raise from it: `DeviceLostError`, `MemoryError` or `OpenCLError`.
    """
    code = int(getattr(error, "code", 0))
    if code in _FULL:
        return MemoryError(f"{device} has no memory left ({error}); a smaller batch or model needs less")
    if code in _LOST:
        return DeviceLostError(
            f"{device} stopped computing: {_LOST[code]} ({error})\n"
            "  it was reset by its driver, lost its power or connection, or had a kernel stopped that ran too long\n"
            "  what it held is lost: start Python again and load the last checkpoint\n"
            "  if it comes again: a smaller batch makes kernels shorter (a GPU that drives a screen stops long ones), "
            "a newer driver may cure it, and `kcore doctor` lists the other devices"
        )
    return OpenCLError(f"{device}: {error}")
