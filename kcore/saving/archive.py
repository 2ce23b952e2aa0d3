"""Keras 3's ``.keras``: a zip archive of the configuration, the state, and what layers keep in files of their own."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from kcore import __version__
from kcore.registry import UnknownObjectError, custom_object_scope, deserialize, serialize, sharing
from kcore.runtime.loading import loading
from kcore.saving.assets import read_assets, write_assets
from kcore.saving.datasets import making, opened
from kcore.saving.legacy.archives import translate_archive
from kcore.saving.legacy.models import reading
from kcore.saving.packages import missing, packages_of
from kcore.saving.sharing import layers_of_several
from kcore.saving.state import checked_variables, read_state, write_state
from kcore.saving.texts import parsed
from kcore.saving.window import Window, created
from kcore.utils.atomic import replacing

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

#: The version of Keras whose form the archives have.
KERAS_VERSION = "3.15.1"

#: No description of a model is larger than that, in bytes.
LARGEST_TEXT = 1 << 28

#: Nor is it packed to less than this part of its size.
TEXT_EXPANSION = 100


def matches(path: Path) -> bool:
    """Whether a file is a zip archive, by its first bytes."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def save(model: Any, path: Path, include_optimizer: bool = True, include_states: bool = False) -> None:
    """Write a model whole: configuration, weights, compile arguments, the optimizer's and the generators' state.

    Args:
        model: a built model.
        path: the file; an older one is replaced when the new one is complete.
        include_optimizer: whether compile arguments and the optimizer's state are written.
        include_states: whether the states of stateful recurrent layers are written.
    """
    with sharing(layers_of_several(model)):
        described = serialize(model)
    if not include_optimizer:
        described.pop("compile_config", None)
    metadata: dict[str, Any] = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "kcore_version": __version__,
    }
    if packages := packages_of(described):
        metadata["kcore_packages"] = packages
    texts = {METADATA: json.dumps(metadata), CONFIG: json.dumps(described)}
    with replacing(path) as temporary, temporary.open("w+b") as file, zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        with _written_in_place(archive, file, WEIGHTS) as member:
            with created(member) as weights:
                write_state(model, weights, include_optimizer, include_states)
        write_assets(model, archive)


def load(path: Path, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Make the model that an archive describes, with its state.

    Args:
        path: the archive.
        custom_objects: names -> classes and functions of your own.
        compile: whether to compile it as it was and to load the optimizer's state.
        safe_mode: see `kcore.saving.load_model`.

    Raises:
        ValueError: the archive is damaged, lacks a part, or its parts do not fit each other.
    """
    with _archive(path) as archive:
        described = read_json(archive, CONFIG, path)
        if not isinstance(described, dict) or "class_name" not in described:
            raise ValueError(f"{path}: {CONFIG} does not describe a model")
        if not compile:
            described.pop("compile_config", None)
        metadata = read_json(archive, METADATA, path) if METADATA in archive.namelist() else None
        with reading(path):
            described = translate_archive(described, metadata)
        if WEIGHTS not in archive.namelist():
            raise ValueError(f"{path} is not complete: it has no {WEIGHTS}")
        with _member(archive, WEIGHTS, path) as (member, _), opened(member, path) as weights:
            with making(weights, path) as made:
                packages = metadata.get("kcore_packages") if isinstance(metadata, dict) else None
                model = model_from_config(described, path, custom_objects, safe_mode, packages)
            if not model.built:
                raise ValueError(
                    f"{path}: model {model.name!r} ({type(model).__name__}) cannot be built from the file, so its "
                    "weights have no place: give the class a build(input_shape), or call the model once before "
                    "saving it"
                )
            made.settle(checked_variables(model))
            read_state(model, weights, path, new=True)
        read_assets(model, archive, path)
    return model


def made_from_text(described: Any, reader: str, custom_objects: Any) -> Any:
    """Make the model that a text describes, with fresh weights, unless this machine has no room to train so many.

    Args:
        described: what the text says.
        reader: the function that was given it, for messages.
        custom_objects: names -> classes and functions of your own.

    Raises:
        UnknownObjectError, ValueError: as `model_from_config`.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 40
    with loading(memory // 16, f"and this machine has {memory} bytes of memory, 16 for each are wanted") as made:
        model = model_from_config(described, reader, custom_objects, True)
    made.settle(())
    return model


def model_from_config(
    described: Any, path: Path | str, custom_objects: Any, safe_mode: bool, packages: Any = None
) -> Any:
    """Make the model a file describes, without its state.

    Args:
        described: its description in Keras 3's form.
        path, custom_objects, safe_mode: see `load`.
        packages: where the file says that the plugins it needs come from; see `kcore.saving.packages`.

    Raises:
        UnknownObjectError: a class or function that nobody registered.
        ValueError: the description is of something else, or contradicts itself; the message begins with the path.
    """
    import kcore.models  # noqa: F401 - a file may name any kind of model, or what belongs to one

    try:
        with custom_object_scope(custom_objects or {}), sharing():
            model = deserialize(described, safe_mode=safe_mode)
    except UnknownObjectError as error:
        raise UnknownObjectError(f"{path}: {error}{missing(described, packages)}") from None
    except RecursionError:
        raise ValueError(f"{path}: its description is nested too deeply to be that of a model") from None
    except Exception as error:
        what = f"{type(error).__name__}: " if isinstance(error, LookupError | AttributeError) else ""
        raise ValueError(f"{path}: the model it describes cannot be made: {what}{error}") from error
    if not hasattr(model, "load_weights"):
        raise ValueError(f"{path} describes {model!r}, which is not a model")
    return model


def read_json(archive: zipfile.ZipFile, name: str, path: Path) -> Any:
    """One of the archive's JSON texts.

    Raises:
        ValueError: it is missing, too large, damaged, or not JSON.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"{path} is not a saved model: it has no {name}") from None
    if info.file_size > LARGEST_TEXT or info.file_size > max(TEXT_EXPANSION * info.compress_size, 1 << 22):
        raise ValueError(
            f"{path}: {name} declares {info.file_size} bytes, {info.compress_size} of them stored, which no "
            "description of a model has"
        )
    try:
        return parsed(archive.read(info))
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RecursionError, NotImplementedError) as error:
        raise ValueError(f"{path}: {name} cannot be read: {error}") from None


@contextmanager
def opened_weights(path: Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """The HDF5 file of weights within an archive, open for reading.

    Yields:
        The file, and a function that raises if the checksum does not match; so does the context when it ends.

    Raises:
        ValueError: the archive is damaged, or holds none.
    """
    with _archive(path) as archive:
        if WEIGHTS not in archive.namelist():
            raise ValueError(f"{path} is not complete: it has no {WEIGHTS}")
        with _member(archive, WEIGHTS, path) as (member, check), opened(member, path) as weights:
            yield weights, check


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path} is not a complete .keras file: {error}") from None
    with archive:
        for info in archive.infolist():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                raise ValueError(f"{path}: {info.filename} is packed in a way that no archive of Keras is")
        names = archive.namelist()
        if len(names) != len(set(names)):
            raise ValueError(f"{path}: a member of the archive is there twice")
        yield archive


# -- the state within the archive: written and read in place, so that no second copy of it is made --------------------


@contextmanager
def _written_in_place(archive: zipfile.ZipFile, file: BinaryIO, name: str) -> Iterator[Window]:
    """A member that is written in any order, uncompressed; its header is completed when the context ends."""
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.CRC = info.compress_size = info.file_size = 0
    info.header_offset = file.seek(0, io.SEEK_END)
    file.write(info.FileHeader(zip64=True))
    window = Window(file, file.tell())
    yield window
    info.file_size = info.compress_size = len(window)
    file.flush()
    with ThreadPoolExecutor(1) as thread:
        flushed = thread.submit(os.fsync, file.fileno())  # which the end of the save would wait for, too
        info.CRC = _checksum(window, Event())
        flushed.result()
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=True))
    archive.start_dir = file.seek(0, io.SEEK_END)  # where the next member, or the list, goes
    archive.filelist.append(info)
    archive.NameToInfo[name] = info


def _checksum(window: Window, stop: Event) -> int:
    """The checksum of all of a window, or of what was seen of it until it was stopped."""
    block, value = bytearray(1 << 20), 0
    window.seek(0)
    while not stop.is_set() and (count := window.readinto(block)):
        value = zlib.crc32(memoryview(block)[:count], value)
    return value


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, path: Path) -> Iterator[tuple[BinaryIO, Callable[[], None]]]:
    """A member as a file that can be read anywhere; where it is compressed, unpacked into memory.

    Its checksum is computed beside what is done with it; any error of this is the checksum's if that does not match.

    Yields:
        The file, and a function that waits for the checksum and raises if it does not match. It is called when the
        context ends; who gives up something for what is in the file calls it before.

    Raises:
        ValueError: the member is damaged.
    """
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        if info.file_size > 1100 * info.compress_size:
            raise ValueError(
                f"{path}: {name} declares {info.file_size} bytes, but only {info.compress_size} are stored"
            )
        try:
            unpacked = io.BytesIO(archive.read(info))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise ValueError(f"{path}: {name} is damaged: {error}") from None
        yield unpacked, lambda: None
        return
    with ExitStack() as stack:
        file, again = (stack.enter_context(path.open("rb", buffering=0)) for _ in range(2))
        start = _start(file, info, path)
        stop = Event()
        thread = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(stop.set)
        seen = thread.submit(_checksum, Window(again, start, info.file_size), stop)

        def check() -> None:
            try:
                sound = seen.result() == info.CRC
            except OSError as error:
                raise ValueError(f"{path}: {name} cannot be read: {error}") from None
            if not sound:
                raise ValueError(f"{path}: {name} is damaged: its checksum does not match")

        try:
            yield Window(file, start, info.file_size), check  # type: ignore[misc]
        except Exception:
            check()
            raise
        check()


def _start(file: BinaryIO, info: zipfile.ZipInfo, path: Path) -> int:
    """Where the bytes of a member begin."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"{path}: {info.filename} is damaged: its header is not where it should be")
    name_size, extra_size = struct.unpack("<HH", header[26:])
    start = info.header_offset + 30 + name_size + extra_size
    if info.file_size != info.compress_size or start + info.file_size > path.stat().st_size:
        raise ValueError(f"{path}: {info.filename} declares {info.file_size} bytes, but the file is not that long")
    return start
