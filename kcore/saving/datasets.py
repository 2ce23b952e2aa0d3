"""Datasets and groups of HDF5 files, which may be strangers': checked before they are read, links not followed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.runtime import Variable
from kcore.runtime.loading import Loading, loading
from kcore.saving import heaps, window
from kcore.saving.window import Window, closing

#: Group for state that Keras's files have no place for; Keras, of any version, does not look there.
OWN = "kcore"

#: Place in the model -> its datasets by key.
Parts = dict[str, dict[str, Any]]


def write_array(group: Any, key: str, value: Variable | np.ndarray) -> None:
    """Write one dataset; bfloat16, which HDF5 does not have, as Keras does."""
    value = value.held() if isinstance(value, Variable) else np.asarray(value)
    dataset = group.create_dataset(key, data=value)
    if value.dtype.name == "bfloat16":
        dataset.attrs["dtype"] = "bfloat16"


class Datasets(Mapping[str, np.ndarray]):
    """Datasets by key, checked when this is made, each read when it is asked for, so that never two are in memory.

    Args:
        datasets: the datasets.
        path: their file, for messages.
    """

    def __init__(self, datasets: Mapping[str, Any], path: Path):
        for dataset in datasets.values():
            check_array(dataset, path)
        self._datasets, self._path = datasets, path

    def __getitem__(self, key: str) -> np.ndarray:
        return read_array(self._datasets[key], self._path, checked=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def shape(self, key: str) -> tuple[int, ...] | None:
        """The shape of a dataset, None if there is none of that key."""
        return tuple(self._datasets[key].shape) if key in self._datasets else None

    def read_into(self, key: str, out: np.ndarray) -> None:
        """Read a dataset into memory of its shape; see `read_into`."""
        read_into(self._datasets[key], out, self._path)


class Array:
    """An array that lies in a file, or is made of some there, and is read when it is asked for.

    Args:
        shape: its shape.
        read: what reads it.
        read_into: what reads it into an array of its shape, of any dtype; a copy of what `read` gives if left out.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        read: Callable[[], np.ndarray],
        read_into: Callable[[np.ndarray], None] | None = None,
    ):
        self.shape, self.read = shape, read
        self.read_into = read_into or (lambda out: np.copyto(out, read(), casting="unsafe"))

    @classmethod
    def stored(cls, dataset: Any, path: Path) -> Array:
        """A dataset, checked now.

        Raises:
            ValueError: it cannot be read; see `check_array`.
        """
        check_array(dataset, path)
        return cls(
            tuple(dataset.shape),
            lambda: read_array(dataset, path, checked=True),
            lambda out: read_into(dataset, out, path),
        )

    @classmethod
    def made_of(cls, arrays: Sequence[Array], change: Callable[..., np.ndarray]) -> Array:
        """What a function makes of others; their shapes tell the shape.

        Raises:
            ValueError, IndexError: the function cannot take arrays of these shapes.
        """
        alike = [np.broadcast_to(np.float32(0), array.shape) for array in arrays]
        return cls(change(*alike).shape, lambda: change(*(array.read() for array in arrays)))


def check_array(dataset: Any, path: Path) -> None:
    """Raise if a dataset cannot be read, or would read another file or declares more than is stored.

    Raises:
        ValueError: what is wrong with it.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise ValueError(f"{path}: {getattr(dataset, 'name', 'an array it lists')} is not a dataset with an array")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: dataset {dataset.name} refers to another file, which is not followed")
    if dataset.dtype.kind not in "biufc" and dataset.attrs.get("dtype") != "bfloat16":
        raise ValueError(f"{path}: dataset {dataset.name} holds no numbers but {dataset.dtype}")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > max(MOST_EXPANSION * stored, 1 << 16):
        raise ValueError(
            f"{path}: dataset {dataset.name} declares {dataset.nbytes} bytes (shape {dataset.shape}, {dataset.dtype}), "
            f"but only {stored} are stored"
        )
    piece = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if piece > max(dataset.nbytes, MOST_EXPANSION * stored, 1 << 20):
        raise ValueError(f"{path}: dataset {dataset.name} of {dataset.nbytes} bytes is in pieces of {piece} bytes")
    offset = dataset.id.get_offset()
    if offset is None:  # in pieces, which may be packed: reading is the only way to know that it can be read
        read_array(dataset, path, checked=True)
    elif offset + dataset.nbytes > dataset.file.id.get_filesize():
        raise ValueError(f"{path}: dataset {dataset.name} is damaged: it would lie behind the end of the file")


def read_array(dataset: Any, path: Path, checked: bool = False) -> np.ndarray:
    """The array of a dataset that is stored in the file itself.

    Raises:
        ValueError: the dataset is kept in another file, or declares more than the file can hold.
    """
    if not checked:
        check_array(dataset, path)
    value = np.empty(dataset.shape, dataset.dtype)
    read_into(dataset, value, path)
    if dataset.attrs.get("dtype") == "bfloat16":
        # Keras writes the two bytes as they are, without a type
        return value.view(numpy_dtype("bfloat16")) if value.dtype.kind == "V" else value.astype(numpy_dtype("bfloat16"))
    return value


def read_into(dataset: Any, out: np.ndarray, path: Path) -> None:
    """Read a checked dataset into a contiguous array of its shape, straight into its memory if the dtype agrees.

    Raises:
        ValueError: the dataset cannot be read; what the array holds is undefined then.
    """
    same = out.view(dataset.dtype) if out.dtype.name == "bfloat16" and dataset.dtype.kind == "V" else out
    if same.dtype != dataset.dtype:
        np.copyto(out, read_array(dataset, path, checked=True), casting="unsafe")
        return
    try:
        dataset.read_direct(same)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: dataset {dataset.name} is damaged: {error}") from None


#: How many bytes one stored byte can stand for: deflate reaches 1032.
MOST_EXPANSION = 1100


@contextmanager
def opened(source: Any, path: Path) -> Iterator[Any]:
    """An HDF5 file opened for reading.

    Args:
        source: path or file object.
        path: the path, for messages.

    Raises:
        ValueError: it is not an HDF5 file, or is cut off.
    """
    import h5py

    with ExitStack() as stack:
        try:
            if isinstance(source, Path):  # HDF5 itself would read zeros where a file was cut off in the meantime
                content = stack.enter_context(source.open("rb", buffering=0))
                source = Window(content, 0, os.fstat(content.fileno()).st_size)
            file = stack.enter_context(closing(h5py.File(source, "r")))
        except OSError as error:
            raise ValueError(f"{path} is not a complete HDF5 file: {error}") from None
        try:
            heaps.check_heaps(source, file, path)
            yield file
        except Exception as error:
            if _from_hdf5(error):
                raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from None
            raise


def _from_hdf5(error: Exception) -> bool:
    """Whether an error, of whatever kind, was raised by HDF5's own code or the file it reads, and not by a model's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else trace.tb_frame.f_code.co_filename
    return "h5py" in Path(where).parts or (isinstance(error, OSError) and where in (window.__file__, heaps.__file__))


def child(group: Any, name: str, path: Path) -> Any:
    """A group or dataset by name, None if there is none.

    Raises:
        ValueError: the name is a link to somewhere else.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{path}: {group.name.rstrip('/')}/{name} is a link, which is not followed")
    return group[name]


def parts_of(group: Any, path: Path) -> Parts:
    """The datasets of every part that a group has state for; links are not followed."""
    return dict(_groups(group, path))


def _groups(
    group: Any, path: Path, place: str = "", seen: set[Any] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path with its datasets ``vars/0``, ``vars/1``, ..., links not followed."""
    import h5py

    seen = {group.id} if seen is None else seen
    if place.count("/") > DEEPEST:
        raise ValueError(f"{path}: its groups are nested too deeply to be those of a model")
    for name in group:
        inner = child(group, name, path)
        if not isinstance(inner, h5py.Group) or (not place and name == OWN):
            continue
        if inner.id in seen:
            raise ValueError(f"{path}: the group {group.name}/{name} is in the file a second time, or holds itself")
        seen.add(inner.id)
        if name == "vars":
            yield place, {key: child(inner, key, path) for key in inner}
        else:
            yield from _groups(inner, path, f"{place}/{name}" if place else name, seen)


#: No model has layers within layers to a greater depth.
DEEPEST = 100


def capacity(group: Any, path: Path) -> int:
    """How many elements a model may have whose weights a group holds, with what an optimizer and layers add to them.

    Args:
        group: an open HDF5 group.
        path: the file it is in.

    Raises:
        ValueError: the group cannot be read.
    """
    import h5py

    stored = 0

    def count(_: str, item: Any) -> None:
        nonlocal stored
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            stored += min(item.size, max(MOST_EXPANSION * item.id.get_storage_size(), 1 << 16))

    try:
        group.visititems(count)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return 8 * min(stored, MOST_EXPANSION * path.stat().st_size) + (1 << 24)


def making(group: Any, path: Path) -> AbstractContextManager[Loading]:
    """Context in which a model is made for the weights of a group: it may be no larger than these can fill."""
    return loading(capacity(group, path), f"more than {path} can fill with the weights it holds")
