"""What goes wrong with a GPU, in words: which device, what CUDA said, what to try."""

from __future__ import annotations

from typing import Any

from kcore.backend import build_error
from kcore.errors import KcoreError

#: What CUDA answers from the first such error on, to whatever is asked: the process cannot use the device any more.
STICKY = {
    214: "its memory lost bits that it could not restore (cudaErrorECCUncorrectable)",
    700: "a kernel read or wrote outside of its arrays (cudaErrorIllegalAddress)",
    702: "a kernel took longer than the system allows (cudaErrorLaunchTimeout)",
    709: "its context is gone (cudaErrorContextIsDestroyed)",
    710: "an assertion in a kernel failed (cudaErrorAssert)",
    714: "a kernel's stack is damaged (cudaErrorHardwareStackError)",
    715: "a kernel holds an instruction that it does not know (cudaErrorIllegalInstruction)",
    716: "a kernel read or wrote at an address that is not aligned (cudaErrorMisalignedAddress)",
    717: "a kernel used an address of another memory (cudaErrorInvalidAddressSpace)",
    718: "a kernel jumped to nowhere (cudaErrorInvalidPc)",
    719: "a kernel failed (cudaErrorLaunchFailure)",
}
#: ... and when there is no memory left.
FULL = 2
#: What calls that only ask whether something is over answer while it is not.
NOT_READY = 600


class CUDAError(KcoreError):
    """A CUDA call failed."""


class BuildError(build_error.BuildError, CUDAError):
    """A generated kernel does not compile for a GPU."""


class DeviceLostError(CUDAError):
    """A kernel broke the device's context, or the device vanished: this process cannot use it any more."""


class ForkedError(CUDAError):
    """This process was forked from one that had initialised CUDA, which no fork can use."""


class CaptureError(CUDAError):
    """Something was asked for that cannot be recorded in a CUDA graph."""


def status_of(error: BaseException) -> int:
    """The number of a CuPy error; 0 if it is not one of CUDA's."""
    status = getattr(error, "status", 0)
    return int(status) if isinstance(status, int) else 0


def lost(error: BaseException, device: str) -> DeviceLostError:
    """The error for a device that cannot be used any more."""
    return DeviceLostError(
        f"{device} stopped computing: {STICKY[status_of(error)]}\n"
        "  CUDA gives this process nothing more from it, and what it held is lost: start Python again and load the "
        "last checkpoint\n"
        "  to find the kernel: run again with CUDA_LAUNCH_BLOCKING=1 and KCORE_CUDA_GRAPHS=0, or in compute-sanitizer; "
        "without a plugin's own kernels this is an error of kcore: please report it with this message"
    )


def explained(error: Any, device: str) -> Exception:
    """An error of CuPy's in words.

    Args:
        error: a `CUDARuntimeError` or `CUDADriverError` of CuPy, or a library's error.
        device: the device it happened on, as text.

    Returns:
        The error to raise from it: `DeviceLostError`, `MemoryError` or `CUDAError`.
    """
    status = status_of(error)
    if status in STICKY:
        return lost(error, device)
    if status == FULL:
        return MemoryError(f"{device} has no memory left ({error}); a smaller batch or model needs less")
    return CUDAError(f"{device}: {error}")
