"""What is installed for CUDA and what is missing: CuPy's wheel, NVRTC, the driver, optional libraries; what to type."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kcore.backend.base import Problem
from kcore.backend.hardware import installed_gpus
from kcore_cuda.gpus import Gpu, Listing, version_text

#: CuPy's wheels, and the major version of CUDA each is for.
WHEELS = {"cupy-cuda11x": 11, "cupy-cuda12x": 12, "cupy-cuda13x": 13}
#: Drivers of each major version of CUDA.
DRIVERS = {12: "525", 13: "580"}
#: The oldest GPUs that NVIDIA's current compilers make code for, and what they are called.
OLDEST = (7, 5)
OLDEST_NAME = "Turing: RTX 20, GTX 16, T4"

_DRIVER = (
    "install NVIDIA's driver (Debian, Ubuntu: sudo apt install nvidia-driver; otherwise nvidia.com/drivers); for a "
    "container: docker run --gpus all ..."
)


def wheels() -> dict[str, str]:
    """The wheels of CuPy that are installed, with their versions."""
    found = {}
    for name in (*WHEELS, "cupy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def extra_for(driver: int) -> str:
    """What to type for the CuPy that a driver serves."""
    return f'pip install "kcore[cuda{13 if driver >= 13000 or not driver else 12}]"'


def problem_of(found: Listing, root: Path = Path("/")) -> Problem | None:
    """Why no GPU can be used, if that is so.

    Args:
        found: what the driver says.
        root: where the file system begins; another one in tests.
    """
    if found.error:
        return _of_driver(found, root)
    installed = wheels()
    right = extra_for(found.version)
    if not installed:
        return Problem("cuda: CuPy is not installed", "this backend calls CUDA by CuPy", right)
    if len(installed) > 1:
        names = " ".join(installed)
        return Problem(
            f"cuda: {len(installed)} CuPy packages are installed together ({names})",
            "they overwrite each other's files, and which one is imported is chance",
            f"pip uninstall -y {names}, then {right}",
        )
    (name,) = installed
    major = WHEELS.get(name, found.version // 1000)
    if major > found.version // 1000:
        return Problem(
            f"cuda: the driver is older than {name}",
            f"it serves CUDA up to {version_text(found.version)}, {name} needs {major}.0",
            f"pip uninstall -y {name}, then {right}; or update the driver to {DRIVERS[major]} or newer"
            if found.version >= 12000
            else f"update the driver to {DRIVERS[major]} or newer",
        )
    if major < 12:
        return Problem(
            f"cuda: {name} is too old",
            "kcore needs CuPy 14 for CUDA 12 or 13",
            f"pip uninstall -y {name}, then {right}",
        )
    return _of_cupy(name, major, installed[name])


def _of_driver(found: Listing, root: Path) -> Problem:
    """Why the driver offers no GPU."""
    gpus = installed_gpus(root).get("NVIDIA", [])
    if found.error == "library":
        if gpus:
            return Problem(
                "cuda: NVIDIA's driver is missing",
                f"there is an NVIDIA GPU ({gpus[0].name}), but {found.detail}",
                _DRIVER,
            )
        return Problem("cuda: no device", f"this machine shows no NVIDIA GPU, and {found.detail}", _DRIVER)
    if found.error == "CUDA_ERROR_NO_DEVICE":
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if hidden is not None:
            return Problem(
                "cuda: no device",
                f"CUDA_VISIBLE_DEVICES={hidden!r} names none of the GPUs",
                "unset CUDA_VISIBLE_DEVICES",
            )
        return Problem(
            "cuda: no device",
            "NVIDIA's driver is there, but finds no GPU that it drives",
            "nvidia-smi  (if that fails too: reboot, or install the driver anew); for a container: "
            "docker run --gpus all ...",
        )
    hint = "reboot, or install NVIDIA's driver anew: its parts are of different versions"
    if "MISMATCH" not in found.error:
        hint = "nvidia-smi  (if that fails too: reboot, or install the driver anew)"
    return Problem("cuda: NVIDIA's driver does not start", found.detail or found.error, hint)


def _of_cupy(name: str, major: int, number: str) -> Problem | None:
    """Why CuPy, alone and right for the driver, cannot be used."""
    again = f'pip install --force-reinstall "kcore[cuda{major}]"'
    if int(number.partition(".")[0]) < 14:
        return Problem(
            f"cuda: {name} {number} is too old", "kcore needs CuPy 14", f'pip install --upgrade "{name}[ctk]"'
        )
    try:
        importlib.import_module("cupy")
        nvrtc = importlib.import_module("cupy.cuda").nvrtc
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip("= ")]
        return Problem(
            f"cuda: {name} cannot be imported", f"{type(error).__name__}: {lines[-1].strip() if lines else ''}", again
        )
    try:
        nvrtc.getVersion()
    except Exception as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Problem(
            "cuda: NVRTC, CUDA's compiler, is missing",
            f"kernels are compiled when they are first used, and it cannot be loaded: {why}",
            f'pip install "{name}[ctk]"',
        )
    from kcore_cuda.programs import include_folder

    if include_folder() is None:
        return Problem(
            "cuda: CUDA's headers are missing",
            "kernels of float16 include cuda_fp16.h, which is in no place that is known",
            f'pip install "{name}[ctk]"',
        )
    return None


def too_old(gpu: Gpu) -> str:
    """Why a GPU cannot be used, if that is so."""
    if gpu.capability >= OLDEST:
        return ""
    mine, wanted = (".".join(map(str, c)) for c in (gpu.capability, OLDEST))
    return f"its compute capability is {mine}, and {wanted} ({OLDEST_NAME}) is the oldest that kernels are compiled for"


def toolkit(installed: Sequence[str]) -> int:
    """The major version of CUDA that the installed CuPy is for; 13 where it does not say."""
    return next((WHEELS[name] for name in installed if name in WHEELS), 13)
