"""Files from the network, kept in Keras's cache folder: checked, whole, and fetched once."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kcore import __version__
from kcore.config import keras_home
from kcore.naming import did_you_mean
from kcore.utils.archives import UNPACK, extract
from kcore.utils.atomic import replacing

#: Bytes read at a time.
CHUNK = 1 << 18
#: Seconds without an answer after which a server is given up.
TIMEOUT = 30
ALGORITHMS = ("auto", "sha256", "md5")


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | list[str] | tuple[str, ...] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Fetch a file once; afterwards it comes from the cache folder, which is Keras's own.

    A file appears in the cache whole and checked, or not at all: a broken download leaves nothing behind, and leaves an
    older file as it was. Archives are unpacked only if nothing in them points outside their folder.

    Args:
        fname: its name in the cache; the last part of `origin` if None. For an archive without an ending, the name of
            the folder it is unpacked into.
        origin: address, ``https://...`` (also ``http``, ``ftp``, ``file``).
        untar: Keras's older spelling of ``extract=True, archive_format="tar"``.
        md5_hash: Keras's older spelling of `file_hash` by md5.
        file_hash: hexadecimal digest the file must have. Give one wherever you can.
        cache_subdir: folder below the cache folder; an absolute path is taken as it is.
        hash_algorithm: ``"sha256"``, ``"md5"``, or ``"auto"`` to tell by the length of the digest.
        extract: whether the file is an archive to unpack.
        archive_format: ``"tar"`` (also compressed), ``"zip"``, ``"auto"`` for either; None unpacks nothing.
        cache_dir: the cache folder; ``$KERAS_HOME``, ``~/.keras``, or the one in the temporary folder if None.
        force_download: fetch it even if it is in the cache.

    Returns:
        Path of the file, or of the folder it was unpacked into.

    Raises:
        ValueError: no origin; a name with a folder in it; a digest of unknown kind, or one that does not match; an
            archive of another kind, or one that would write outside its folder.
        OSError: it cannot be fetched; the message says where to put the file if you have it.

    Example:
        >>> get_file("digits.npz", origin="https://example.org/digits.npz")  # doctest: +SKIP
        '/home/me/.keras/datasets/digits.npz'

    Source: `keras.utils.get_file`.
    """
    if not origin:
        raise ValueError("get_file: origin, the address of the file, is missing")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    algorithm = _algorithm(hash_algorithm, file_hash)
    formats = _formats("tar" if untar else archive_format) if extract or untar else None
    name = _file_name(fname, origin)
    folder = Path(cache_dir or keras_home()).expanduser() / cache_subdir
    target, unpacked = _places(folder, name, bool(fname), formats is not None)

    folder.mkdir(parents=True, exist_ok=True)
    if force_download or not _is_cached(target, file_hash, algorithm):
        _download(origin, target, file_hash, algorithm)
    if formats is None:
        return str(target)
    if not _extract(target, unpacked, formats):
        raise ValueError(f"get_file: {target} is not an archive of the kind {' or '.join(formats) or 'None'}")
    return str(unpacked)


_extract = extract


def _algorithm(algorithm: str, digest: str | None) -> str:
    if algorithm not in ALGORITHMS:
        raise ValueError(
            f"get_file: hash_algorithm must be one of {', '.join(map(repr, ALGORITHMS))}, received {algorithm!r}"
            + did_you_mean(str(algorithm), ALGORITHMS)
        )
    lengths = {32: "md5", 64: "sha256"}
    if digest is not None and lengths.get(len(digest)) not in (
        (algorithm,) if algorithm != "auto" else ("md5", "sha256")
    ):
        raise ValueError(
            "get_file: file_hash must be a hexadecimal digest, 64 characters of sha256 or 32 of md5, "
            f"received {digest!r} for hash_algorithm={algorithm!r}"
        )
    return lengths[len(digest)] if digest is not None else "sha256"


def _formats(archive_format: Any) -> tuple[str, ...]:
    if archive_format is None:
        return ()
    formats = tuple(UNPACK) if archive_format == "auto" else archive_format
    formats = (formats,) if isinstance(formats, str) else tuple(formats)
    for kind in formats:
        if kind not in UNPACK:
            raise ValueError(
                f"get_file: archive_format must be 'auto', 'tar', 'zip' or None, received {archive_format!r}"
            )
    return formats


def _file_name(fname: Any, origin: str) -> str:
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name:
        raise ValueError(f"get_file: {origin} does not end in a file name; give one with fname=")
    if name in (".", "..") or "/" in name or os.sep in name:
        raise ValueError(f"get_file: fname must be a plain name, received {name!r}; the folder goes into cache_dir=")
    return name


def _places(folder: Path, name: str, named: bool, archive: bool) -> tuple[Path, Path]:
    """Where the file and its content go, as in Keras, so that both use one cache."""
    if not archive:
        return folder / name, folder / name
    if named and "." in name:
        return folder / name, folder / f"{name[: name.find('.')]}_extracted"
    return folder / f"{name}_archive", folder / name


def _is_cached(target: Path, digest: str | None, algorithm: str) -> bool:
    if not target.is_file():
        return False
    if digest is None or _digest_of(target, algorithm) == digest.lower():
        return True
    print(f"{target} is there, but its {algorithm} is not {digest}: fetching it again", flush=True)
    return False


def _digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _download(origin: str, target: Path, digest: str | None, algorithm: str) -> None:
    hasher = hashlib.new(algorithm)
    request = urllib.request.Request(origin, headers={"User-Agent": f"kcore/{__version__}"})
    with replacing(target) as temporary:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as source, temporary.open("wb") as sink:  # noqa: S310
                size = int(source.headers.get("Content-Length") or 0)
                with _progress(origin, size) as advance:
                    received = 0
                    while block := source.read(CHUNK):
                        hasher.update(block)
                        sink.write(block)
                        received += len(block)
                        advance(len(block))
                if received < size:
                    raise http.client.IncompleteRead(b"", size - received)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise OSError(
                f"get_file: {origin} cannot be fetched: {reason}. If you have the file, put it at {target}"
            ) from error
        if digest is not None and hasher.hexdigest() != digest.lower():
            raise ValueError(
                f"get_file: {origin} is damaged or not the file meant: its {algorithm} is {hasher.hexdigest()}, "
                f"expected {digest}. It was not kept."
            )


@contextmanager
def _progress(origin: str, size: int) -> Iterator[Any]:
    """A function of the bytes received; a bar in a terminal, one line elsewhere."""
    print(f"Downloading data from {origin}", flush=True)
    if not sys.stdout.isatty():
        yield lambda count: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    with Progress(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=size or None)
        yield lambda count: bar.advance(task, count)
