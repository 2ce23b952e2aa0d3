"""Files that layers keep beside their weights, such as vocabularies: members of an archive, under the layer's place."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from kcore.saving.legacy.archives import todays_places
from kcore.saving.walk import saveables

#: The folder of the archive they lie in.
ASSETS = "assets"

#: No such file is larger than that, in bytes, or packed to less than this part of its size.
LARGEST, EXPANSION = 1 << 30, 1100


def write_assets(model: Any, archive: zipfile.ZipFile) -> None:
    """Let every layer that has a ``save_assets(folder)`` write its files, and take them into the archive."""
    for place, part in saveables(model):
        if not callable(getattr(part, "save_assets", None)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            part.save_assets(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    name = PurePosixPath(ASSETS, place, *file.relative_to(folder).parts)
                    archive.write(file, str(name), zipfile.ZIP_DEFLATED)


def read_assets(model: Any, archive: zipfile.ZipFile, path: Path) -> None:
    """Give every layer that has a ``load_assets(folder)`` the files that the archive holds for it.

    They are unpacked into a folder for the time of the call; members whose names lead elsewhere are left alone.

    Raises:
        ValueError: one of them is damaged or too large, or its layer refuses it.
    """
    folders: dict[str, list[str]] = {}
    for name in archive.namelist():
        plain = not {"", ".", ".."} & set(name.split("/")) and "\\" not in name and ":" not in name
        if not plain or not name.startswith(f"{ASSETS}/"):  # no layer writes such, and nothing is unpacked of it
            continue
        folders.setdefault(name[len(ASSETS) + 1 :].rpartition("/")[0], []).append(name)
    if not folders:
        return
    parts = list(saveables(model))
    folders = todays_places(folders, {place for place, _ in parts})
    for place, part in parts:
        within = f"{place}/" if place else ""
        mine = {folder: names for folder, names in folders.items() if f"{folder}/".startswith(within)}
        if not mine or not callable(getattr(part, "load_assets", None)):
            continue
        with tempfile.TemporaryDirectory() as target:
            for folder, names in mine.items():
                inside = Path(target, *folder[len(place) :].split("/"))
                inside.mkdir(parents=True, exist_ok=True)
                for name in names:
                    (inside / name.rpartition("/")[2]).write_bytes(_content(archive, name, path))
            try:
                part.load_assets(target)
            except (ValueError, OSError) as error:
                raise ValueError(f"{path}: {ASSETS}/{place} cannot be loaded: {error}") from error


def _content(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > LARGEST or info.file_size > EXPANSION * max(info.compress_size, 1):
        raise ValueError(f"{path}: {name} declares {info.file_size} bytes, but only {info.compress_size} are stored")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path}: {name} is damaged: {error}") from None
