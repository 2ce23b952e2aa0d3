"""The GPUs as the core knows them: numbered, described, those that cannot be used with the reason."""

from __future__ import annotations

from kcore.backend.base import Device, Problem
from kcore.errors import ConfigError
from kcore_cuda import gpus, installation, libraries, settings
from kcore_cuda.gpus import Gpu
from kcore_cuda.place import register


class DeviceList:
    """Every NVIDIA GPU of this machine, numbered as CUDA numbers them.

    Attributes:
        devices: those that can be used.
        unused: those that cannot, each with the reason.
        problems: what to do about these, and what optional libraries would gain.
    """

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.unused: list[tuple[Device, str]] = []
        self.problems: list[Problem] = []
        found = gpus.listing()
        problem = installation.problem_of(found)
        if problem is not None:
            self.problems.append(problem)
        for gpu in found.gpus:
            device = described(gpu, found.version)
            old = installation.too_old(gpu)
            if problem is not None or old:
                self.unused.append((device, old or f"{problem.why if problem else ''}"))
            else:
                self.devices.append(device)
                register(device, gpu)
            if old:
                self.problems.append(
                    Problem(
                        f"{device} ({gpu.name}) is not used", old, 'pip install "kcore[opencl]" drives it by OpenCL'
                    )
                )
        self.problems += [
            Problem("cuda: an environment variable without effect", said, "correct or unset it")
            for said in settings.misspelt()
        ]
        if self.devices:
            self.problems += libraries.missing(installation.toolkit(list(installation.wheels())))


def described(gpu: Gpu, driver: int) -> Device:
    """A GPU as the core and `kcore devices` know it."""
    details = {
        "maker": "nvidia",
        "vendor": "NVIDIA",
        "capability": "{}.{}".format(*gpu.capability),
        "multiprocessors": gpu.units,
        "bus": gpu.bus,
        "driver": f"CUDA {gpus.version_text(driver)}",
    }
    try:
        memory = settings.memory_limit(gpu.memory)
    except ConfigError:
        memory = gpu.memory  # said when the device is first used
    if memory < gpu.memory:
        details["limit"] = f"{memory / 2**30:.1f} of {gpu.memory / 2**30:.1f} GiB ({settings.MEMORY})"
    return Device("cuda", gpu.ordinal, gpu.name, "gpu", memory, details)
