"""Archives unpacked so that nothing lands outside the folder they are unpacked into."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

#: Bytes copied at a time.
CHUNK = 1 << 20


def extract(
    archive: str | os.PathLike[str], folder: str | os.PathLike[str], formats: tuple[str, ...] = ("tar", "zip")
) -> bool:
    """Unpack a tar or zip archive; the folder appears with all of it, or not at all.

    Args:
        archive: the file; tar may be compressed with gzip, bzip2 or xz.
        folder: where its content goes; files of the same names in it are replaced.
        formats: which kinds to try.

    Returns:
        Whether the file is of one of the kinds.

    Raises:
        ValueError: a member that would land outside the folder (an absolute path, ``..``, a link that points out), a
            device or pipe, a damaged archive, or one that needs more room than the disk has. Nothing is unpacked then.
    """
    archive, folder = Path(archive), Path(folder)
    unpack = next((UNPACK[f] for f in formats if CHECKS[f](archive)), None)
    if unpack is None:
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        try:
            unpack(archive, beside)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{archive} cannot be unpacked: {error}") from None
        _move_into(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return True


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":"):
        raise ValueError(f"{archive} is not unpacked: its member {name!r} would land outside the folder")


def _check_room(archive: Path, needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(f"{archive} is not unpacked: it needs {needed} bytes, and {folder} has {free} left")


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        _check_room(archive, sum(m.size for m in members), folder)
        for member in members:
            _check_name(archive, member.name)
            if member.islnk() or member.issym():
                base = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
                target = os.path.normpath(base / member.linkname)
                if PurePosixPath(member.linkname).is_absolute() or target.split("/")[0] == "..":
                    raise ValueError(
                        f"{archive} is not unpacked: its link {member.name!r} points outside, to {member.linkname!r}"
                    )
            elif not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive} is not unpacked: its member {member.name!r} is neither file nor folder")
        tar.extractall(folder, members, filter="data")  # which looks at every member once more as it lands


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        _check_room(archive, sum(m.file_size for m in members), folder)
        for member in members:
            _check_name(archive, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{archive} is not unpacked: its member {member.filename!r} is a link")
        for member in members:
            target = folder / member.filename
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, CHUNK)  # reads no more than the size the member declares


def _move_into(source: Path, folder: Path) -> None:
    """Put everything below one folder into another on the same disk."""
    if not folder.exists():
        source.chmod(0o755)
        source.replace(folder)
        return
    for item in sorted(source.rglob("*")):
        target = folder / item.relative_to(source)
        if item.is_dir() and not item.is_symlink():
            target.mkdir(exist_ok=True)
        else:
            item.replace(target)


CHECKS: dict[str, Callable[[Path], bool]] = {"tar": tarfile.is_tarfile, "zip": zipfile.is_zipfile}
UNPACK: dict[str, Callable[[Path, Path], None]] = {"tar": _unpack_tar, "zip": _unpack_zip}
