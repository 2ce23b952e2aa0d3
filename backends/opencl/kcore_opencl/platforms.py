"""The OpenCL devices of this machine: each once, best first, and why some cannot be used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from kcore.backend.base import Problem
from kcore.kernels.traits import Traits
from kcore_opencl import drivers
from kcore_opencl.traits import traits_of

#: float32 lanes of a compute unit, for the estimate of a GPU's rate.
_LANES = {"nvidia": 128, "amd": 64, "intel": 8}
#: Share of a CPU's multiply-adds that a driver's compiler reaches in matrix products.
_SHARE = {"intel-cpu": 0.9, "pocl": 0.35, "oclgrind": 0.0}
#: MHz of devices that do not tell.
_CLOCK = 2000


@dataclass(frozen=True)
class Candidate:
    """A device that was found.

    Attributes:
        device: PyOpenCL's device.
        kind: ``"cpu"`` or ``"gpu"``.
        traits: what generators want to know; None if it cannot be used.
        rate: estimated GFLOP/s of float32 matrix products.
        problem: why it cannot be used and what to type next; None if it can.
    """

    device: Any
    kind: str
    traits: Traits | None = None
    rate: float = 0.0
    problem: Problem | None = None


@cache
def listing() -> tuple[Candidate, ...]:
    """Every device of every platform once: those that can be used first, and of these GPUs first, then by rate."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for platform in drivers.load().platforms:
        listed = platform.get_devices()
        key = (platform.name, platform.version, *(d.name for d in listed))
        found.setdefault(key, listed)
    everything = [candidate(device) for listed in found.values() for device in listed]
    return tuple(sorted(everything, key=_order))


def devices() -> list[Any]:
    """PyOpenCL's devices that can be used, best first."""
    return [c.device for c in listing() if c.problem is None]


def candidate(device: Any) -> Candidate:
    """A device with what kcore makes of it."""
    import pyopencl as cl

    kind = "cpu" if device.type & cl.device_type.CPU else "gpu"
    problem = obstacle(device)
    if problem is not None:
        return Candidate(device, kind, problem=problem)
    traits = traits_of(device)
    return Candidate(device, kind, traits, estimated_rate(traits, device.max_clock_frequency))


def estimated_rate(traits: Traits, clock: int) -> float:
    """GFLOP/s that matrix products may reach: units x clock (MHz) x lanes, two operations each."""
    if traits.cpu:
        lanes = 2 * traits.vector * _SHARE.get(traits.maker, 0.3)
    else:
        lanes = _LANES.get(traits.maker, 32)
    return traits.units * (clock or _CLOCK) * 1e-3 * lanes * 2


def _order(found: Candidate) -> tuple[bool, bool, bool, float]:
    simulator = found.traits is not None and found.traits.maker == "oclgrind"
    return (found.problem is not None, simulator, found.kind != "gpu", -found.rate)


def obstacle(device: Any) -> Problem | None:
    """Why a device cannot be used, and what to type next; None if it can."""
    import pyopencl as cl

    name = f"{device.name.strip()} ({device.platform.name}, driver {device.driver_version}) is not used"
    if device.type & cl.device_type.CUSTOM:
        return Problem(name, "it runs only its maker's built-in kernels", "nothing can be done; choose another device")
    if not device.available:
        return Problem(
            name,
            "its driver says that it is not available: another program may hold it for itself",
            "end that program, or for NVIDIA: sudo nvidia-smi -c DEFAULT",
        )
    if opencl_version(device.version) < (1, 2):
        hint = "install a newer driver"
        if "clover" in device.platform.name.lower():
            hint = "install Mesa's rusticl in its place: sudo apt install mesa-opencl-icd, then RUSTICL_ENABLE=radeonsi"
        return Problem(name, f"it offers {device.version.strip()}, and kcore needs OpenCL 1.2 or later", hint)
    if not (device.compiler_available and device.linker_available):
        return Problem(
            name,
            "its driver has no compiler, and kcore compiles its kernels when they are needed",
            "install the full driver of its maker instead of a run-time part",
        )
    return None


def opencl_version(text: str) -> tuple[int, int]:
    """The numbers in a version text.

    Example:
        >>> opencl_version("OpenCL 1.2 CUDA")
        (1, 2)
    """
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
