"""What goes wrong with a device or its driver, in words: which device, what the driver said, what to try."""

from __future__ import annotations

import re
from typing import Any

from kcore.errors import KcoreError

#: ``file:line:column: error: what`` of clang, ``error: file:line:column: what`` of PoCL, ``file(line): error: what``.
_PLACE = re.compile(r"^.*?[:(](\d+)(?:[:,](\d+))?\)?:\s*(?:fatal )?(?:error:\s*)?(.+)$")

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


class BuildError(OpenCLError):
    """A generated kernel does not compile on a device.

    Attributes:
        device: the device, as text.
        source: the source text.
        log: what the driver's compiler said.
    """

    def __init__(self, device: str, name: str, source: str, log: str):
        self.device = device
        self.source = source
        self.log = log
        lines = [f"kernel {name!r} does not compile on {device}", *_made_for(source), *_quoted(source, log)]
        lines += ["the compiler said:", *(f"  {line}" for line in log.strip().splitlines() or ["nothing"])]
        lines.append("this is an error of kcore or of the driver: please report it with this message")
        super().__init__("\n  ".join(lines))


class DeviceLostError(OpenCLError):
    """A device vanished, was reset, or was stopped because a kernel took too long."""


class DeviceRefusedError(OpenCLError):
    """The self-test found that a driver computes wrong numbers."""


def _made_for(source: str) -> list[str]:
    """Layers and ops of a kernel, from the comment it begins with."""
    lines = source.splitlines()
    comment = lines[: next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))]
    return [f"made for {line[2:].strip()}" for line in comment]


def _quoted(source: str, log: str) -> list[str]:
    """The first line of the source that the compiler complains of, with a mark under the column."""
    text = source.splitlines()
    for said in log.splitlines():
        found = _PLACE.match(said) if "error" in said.lower() else None
        if found is None or not 0 < int(found[1]) <= len(text):
            continue
        line = int(found[1])
        shown = [f"line {line}: {found[3].strip()}", f"  {text[line - 1]}"]
        if found[2]:
            shown.append(f"  {' ' * (int(found[2]) - 1)}^")
        return shown
    return []


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
