"""What `kcore doctor` says of OpenCL here: drivers and GPUs that are not used, why, and what to type next."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kcore.backend.base import Device, Problem
from kcore.backend.hardware import glob, installed_gpus
from kcore_opencl import drivers

_DRIVER_OF = {
    "AMD": (
        "install ROCm's OpenCL (sudo apt install rocm-opencl-icd, or rocm-opencl-runtime from AMD's repository), "
        "or Mesa's (sudo apt install mesa-opencl-icd) and set RUSTICL_ENABLE=radeonsi"
    ),
    "Intel": "sudo apt install intel-opencl-icd",
    "NVIDIA": (
        "install NVIDIA's own driver, which brings its OpenCL; for a container: "
        "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility ..."
    ),
}
#: What Mesa's rusticl calls its drivers.
_RUSTICL = {"AMD": "radeonsi", "Intel": "iris", "NVIDIA": "nouveau"}

#: What to type where a driver's library cannot be loaded or offers nothing, by a part of the library's name.
_LIBRARIES = {
    "libintelocl": 'pip install --upgrade "kcore[opencl-intel]"',
    "libpocl": 'pip install --force-reinstall "pocl-binary-distribution"',
    "libnvidia-opencl": "nvidia-smi  (if that fails too: reboot, or install the driver anew)",
    "libamdocl": "install ROCm's OpenCL anew; sudo usermod -aG render,video $USER",
    "libigdrcl": "sudo apt install --reinstall intel-opencl-icd; sudo usermod -aG render $USER",
    "rusticl": "RUSTICL_ENABLE={drivers}",
    "libMesaOpenCL": "sudo apt install mesa-opencl-icd, and set RUSTICL_ENABLE={drivers}",
}


def problems(devices: Sequence[Device], root: Path = Path("/")) -> list[Problem]:
    """What is there but not used.

    Args:
        devices: the devices that are used.
        root: where the file system begins; another one in tests.
    """
    gpus = installed_gpus(root)
    found = [*_of_intel(), *_of_drivers(gpus), *_of_platforms(gpus), *_of_gpus(gpus, devices, root)]
    if not devices and not found:
        found.append(
            Problem(
                "opencl: no device",
                "no OpenCL driver is installed",
                'pip install "kcore[opencl]" brings PoCL for any CPU on Linux, and "kcore[opencl-intel]" a faster one; '
                "for a GPU install the driver of its maker",
            )
        )
    return found


def _of_intel() -> Iterator[Problem]:
    """Intel's CPU runtime from pip, where it is installed and not seen."""
    loaded = drivers.load()
    if any(_is_intel_cpu(p) for p in loaded.platforms):
        return
    if loaded.intel is None:
        if drivers.intel_is_installed():
            why = f"{drivers.INTEL} is not where pip should have put it (`pip install --target` leaves libraries out)"
            hint = 'pip install --force-reinstall "kcore[opencl-intel]", without --target'
            yield Problem("Intel's CPU runtime is not used", why, hint)
        return
    what = f"Intel's CPU runtime ({loaded.intel}) is not used"
    variable = drivers.chosen_by_user()
    if loaded.intel_error:
        yield Problem(what, loaded.intel_error, 'pip install --upgrade --force-reinstall "kcore[opencl-intel]"')
    elif variable:
        yield Problem(what, f"{variable} is set and names other drivers", f"unset {variable}")
    elif loaded.early:
        why = "PyOpenCL was imported and asked for platforms before kcore, which makes this driver visible"
        yield Problem(what, why, "call kcore.use_backend('opencl') before other packages use PyOpenCL")
    else:
        why = "it loads but offers no platform, as has been seen on some CPUs of AMD"
        yield Problem(what, why, 'pip install "kcore[opencl]"  (PoCL runs on every CPU)')


def _is_intel_cpu(platform: object) -> bool:
    return "Intel" in platform.name and "Graphics" not in platform.name  # type: ignore[attr-defined]


def _of_drivers(gpus: dict[str, list[Path]]) -> Iterator[Problem]:
    """Drivers that the loader is told of, and that cannot be loaded or offer nothing."""
    intel = drivers.load().intel
    for driver in drivers.installed():
        if driver.library == str(intel):
            continue  # `_of_intel` knows more of it
        named = f" (named by {driver.icd})" if driver.icd else ""
        offered = drivers.platforms_of(driver)
        if isinstance(offered, str):
            why = f"it cannot be loaded: {offered}"
        elif not offered:
            why = "it loads but offers no platform: it found no device it can use"
        else:
            continue
        hint = _for_library(driver.library, gpus) or "install the package that holds it anew, or remove its .icd file"
        yield Problem(f"OpenCL driver {driver.library}{named} is not used", why, hint)


def _of_platforms(gpus: dict[str, list[Path]]) -> Iterator[Problem]:
    """Platforms that have no device."""
    for platform in drivers.load().platforms:
        if platform.get_devices():
            continue
        what = f"OpenCL platform {platform.name} ({platform.version.strip()}) has no device"
        enabled = os.environ.get("RUSTICL_ENABLE")
        if "rusticl" in platform.name.lower() and not enabled:
            why = "RUSTICL_ENABLE is not set, and rusticl shows only the devices of drivers it names"
            yield Problem(what, why, _rusticl(gpus))
        elif "rusticl" in platform.name.lower():
            why = f"RUSTICL_ENABLE={enabled} names no driver that finds a device"
            yield Problem(what, why, _rusticl(gpus))
        else:
            hint = _for_library(platform.name, gpus) or "update this driver, or remove it if its device is gone"
            yield Problem(what, "its driver finds no device that it can use", hint)


def _of_gpus(gpus: dict[str, list[Path]], devices: Sequence[Device], root: Path) -> Iterator[Problem]:
    """GPUs in the machine that no OpenCL device stands for."""
    used = [d for d in devices if d.kind == "gpu"]
    makers = " ".join(f"{d.details['maker']} {d.details['vendor']} {d.name}" for d in used)
    for maker in gpus:
        if re.search(maker if maker != "AMD" else "AMD|Advanced Micro", makers, re.IGNORECASE):
            continue
        what = f"{maker} GPU: not used"
        denied = _denied(root) if maker != "NVIDIA" else []
        if denied:
            group = _group(denied[0])
            why = f"user {_user()} may not open {', '.join(map(str, denied))}"
            yield Problem(what, why, f"sudo usermod -aG {group} {_user()}, then log out and in again")
        elif maker != "NVIDIA" and not glob(root / "dev/dri", "renderD*"):
            why = "there is no /dev/dri/renderD*: its kernel driver is not loaded, or this is a container without it"
            extra = " --device /dev/kfd" if maker == "AMD" else ""
            yield Problem(what, why, f"for a container: docker run --device /dev/dri{extra} ...")
        else:
            yield Problem(what, "no OpenCL driver offers it", _DRIVER_OF[maker])


def _for_library(name: str, gpus: dict[str, list[Path]]) -> str:
    hint = next((hint for part, hint in _LIBRARIES.items() if part.lower() in name.lower()), "")
    return hint.format(drivers=_rusticl_drivers(gpus))


def _rusticl(gpus: dict[str, list[Path]]) -> str:
    return f"export RUSTICL_ENABLE={_rusticl_drivers(gpus)}"


def _rusticl_drivers(gpus: dict[str, list[Path]]) -> str:
    return ",".join(_RUSTICL[maker] for maker in gpus) or "radeonsi"


def _denied(root: Path) -> list[Path]:
    nodes = [*glob(root / "dev/dri", "renderD*"), *glob(root / "dev", "kfd")]
    return [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]


def _group(node: Path) -> str:
    try:
        return node.group()
    except (OSError, KeyError):
        return "render"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "$USER"
