"""The OpenCL devices as the core knows them: numbered, described, found by maker, split into pieces."""

from __future__ import annotations

from typing import Any

from kcore.backend.base import Device, Problem
from kcore_opencl import selftest, sub_devices
from kcore_opencl.place import register
from kcore_opencl.platforms import Candidate, listing

#: What a wish may name besides numbers and parts of names: who made a device or its driver.
MAKERS = {
    "intel": ("intel-cpu", "intel"),
    "intel-cpu": ("intel-cpu",),
    "pocl": ("pocl",),
    "amd": ("amd",),
    "nvidia": ("nvidia",),
    "oclgrind": ("oclgrind",),
}


class DeviceList:
    """Every device of this machine.

    Attributes:
        devices: those that can be used, best first.
        unused: those that cannot, each with the reason.
        problems: what to do about these.
    """

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.unused: list[tuple[Device, str]] = []
        self.problems: list[Problem] = []
        self._opencl: dict[Device, Any] = {}
        for index, found in enumerate(listing()):
            device = described(found, index)
            if found.problem is None:
                self.devices.append(self._add(device, found.device))
            else:
                self.unused.append((device, found.problem.why))
                self.problems.append(found.problem)

    def _add(self, device: Device, opencl_device: Any) -> Device:
        self._opencl[device] = opencl_device
        register(device, opencl_device)
        return device

    def of_maker(self, maker: str) -> Device | None:
        """The first device of a maker, one of `MAKERS`."""
        return next((d for d in self.devices if d.details["maker"] in MAKERS[maker]), None)

    def piece(self, whole: Device, index: int, count: int) -> Device:
        """Piece `index` of a CPU device that is split into `count`.

        Raises:
            BackendNotFoundError: it cannot be split so.
        """
        return self._add(*sub_devices.piece(whole, self._opencl[whole], index, count))


def described(found: Candidate, index: int) -> Device:
    """A device as the core and `kcore devices` know it."""
    device, traits = found.device, found.traits
    details: dict[str, Any] = {
        "platform": device.platform.name,
        "vendor": device.vendor.strip(),
        "driver": device.driver_version,
    }
    default = False
    if traits is not None:
        result = selftest.remembered(device)
        default = found.kind == "gpu" or (result is not None and result.speedup > 1)
        details |= {
            "maker": traits.maker,
            "units": traits.units,
            "subgroup": traits.subgroup,
            "fp16": traits.fp16,
            "fp64": traits.fp64,
            "largest allocation": f"{traits.largest / 2**30:.1f} GiB",
            "rate": _rate(found, result),
        }
    return Device("opencl", index, device.name.strip(), found.kind, device.global_mem_size, details, default)


def _rate(found: Candidate, result: selftest.Result | None) -> str:
    if result is None:
        return f"about {found.rate:.0f} GFLOP/s (estimated; tested at first use)"
    return f"{result.gflops:.0f} GFLOP/s, {result.speedup:.1f} x NumPy (measured)"
