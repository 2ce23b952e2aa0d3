"""The GPUs that are in this machine, as its kernel knows them, whether a driver offers them or not."""

from __future__ import annotations

from pathlib import Path

#: PCI vendor numbers of makers of GPUs.
GPU_MAKERS = {0x1002: "AMD", 0x8086: "Intel", 0x10DE: "NVIDIA"}


def installed_gpus(root: Path = Path("/")) -> dict[str, list[Path]]:
    """The GPUs the kernel knows of, by maker: their device folders."""
    found: dict[str, list[Path]] = {}
    folders = [*glob(root / "sys/bus/pci/devices", "*"), *glob(root / "sys/class/drm", "card*/device")]
    seen = set()
    for folder in folders:
        place = folder.resolve()
        maker = GPU_MAKERS.get(_number(folder / "vendor"))
        # classes 0x03.. are display controllers; a card among the DRM devices is one in any case
        shows = folder.name == "device" or _number(folder / "class") >> 16 == 0x03
        if maker and shows and place not in seen:
            seen.add(place)
            found.setdefault(maker, []).append(folder)
    return found


def glob(folder: Path, pattern: str) -> list[Path]:
    """The paths in a folder that fit a pattern, sorted; none where there is no such folder."""
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def _number(file: Path) -> int:
    try:
        return int(file.read_text(), 16)
    except (OSError, ValueError):
        return 0
