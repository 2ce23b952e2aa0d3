"""One array of a data set, whatever package it comes from: as a NumPy array, or read batch by batch where it is stored.

A package is known by the name of an object's module; none is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.runtime.promote import on_host

Read = Callable[[Any, str], "np.ndarray | Stored"]


class Stored:
    """Rows of something that is not an array in memory, read when they are wanted.

    Args:
        shape: sizes, the first that of the samples.
        dtype: NumPy dtype of a row.
        read: from a slice, or from row numbers, to an array.
        name: what the user calls it, for errors.

    Example:
        >>> numbers = Stored((5,), np.dtype("int64"), lambda rows: np.arange(5)[rows] * 10, "x")
        >>> numbers[1:4].read(np.array([2, 0])).tolist(), len(numbers[1:4])
        ([30, 10], 3)
    """

    __slots__ = ("_offset", "_read", "dtype", "name", "shape")

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype, read: Callable[[Any], np.ndarray], name: str, offset: int = 0
    ):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name
        self._read = read
        self._offset = offset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Stored:
        start, stop, _ = part.indices(len(self))
        return Stored((stop - start, *self.shape[1:]), self.dtype, self._read, self.name, self._offset + start)

    def read(self, rows: slice | np.ndarray) -> np.ndarray:
        """Some rows as an array in memory."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return self._read(slice(start + self._offset, stop + self._offset))
        return self._read(rows + self._offset)

    def like(self, count: int) -> np.ndarray:
        """Zeros in the shape of some rows, without memory of their own."""
        return np.broadcast_to(np.zeros((), self.dtype), (count, *self.shape[1:]))


def array_of(leaf: Any, name: str) -> np.ndarray | Stored:
    """An array-like as a NumPy array, or as `Stored` if it is better read batch by batch.

    Args:
        leaf: NumPy array, tensor of any package, data frame or series, h5py data set, SciPy sparse matrix, list.
        name: what the user calls it, for errors.

    Raises:
        ValueError: text, objects, ragged lists, scalars.
        TypeError: it is no array of any kind.

    Example:
        >>> array_of([[1, 2], [3, 4]], "x").shape
        (2, 2)
    """
    array = leaf if type(leaf) in (np.ndarray, Stored) else _known(leaf, name)
    if array.dtype.kind in "OUSVMmc" and not _is_small_float(array.dtype):
        raise ValueError(_not_numbers(array, name))
    if not array.shape:
        raise ValueError(f"{name} must have a first axis of samples, but it is a scalar ({array!r})")
    return array


def _known(leaf: Any, name: str) -> np.ndarray | Stored:
    for parent in type(leaf).__mro__:
        read = READERS.get(parent.__module__.partition(".")[0])
        if read is not None:
            return read(leaf, name)
    return _array_like(leaf, name)


def _array_like(leaf: Any, name: str) -> np.ndarray:
    if isinstance(leaf, np.ndarray):
        return np.asarray(leaf)  # of a subclass, such as np.memmap: the same memory as a plain array
    if hasattr(leaf, "__dlpack__") and not hasattr(leaf, "__array__"):
        return np.from_dlpack(leaf)
    if not hasattr(leaf, "__array__") and not isinstance(leaf, (list, tuple, int, float, complex, str, bytes)):
        raise TypeError(
            f"{name} is of type {type(leaf).__name__}, which is neither an array nor gives batches: pass arrays (or "
            "lists or dicts of them), a generator or another iterable of batches, or a PyDataset" + _hint(leaf)
        )
    try:
        return on_host(leaf)
    except ValueError as error:
        raise ValueError(f"{name} cannot be made an array: {error}") from None


def _hint(leaf: Any) -> str:
    if hasattr(leaf, "__getitem__") and hasattr(leaf, "__len__"):
        return "; a data set that gives samples one by one goes into a loader, such as torch.utils.data.DataLoader"
    return ""


def _is_small_float(dtype: np.dtype) -> bool:
    return dtype.name == "bfloat16" or "float8" in dtype.name


def _not_numbers(array: np.ndarray | Stored, name: str) -> str:
    if array.dtype.kind == "c":
        return (
            f"{name} holds complex numbers ({array.dtype}, shape {array.shape}), and kcore computes with real ones: "
            "give the real and imaginary parts as two features"
        )
    kind = {"O": "Python objects", "M": "dates", "m": "time spans"}.get(array.dtype.kind, "text")
    example = f", for example {array.flat[0]!r}" if isinstance(array, np.ndarray) and array.size else ""
    return (
        f"{name} must hold numbers, but its dtype is {array.dtype} ({kind}{example}; shape {array.shape}). "
        "Encode it as numbers first, or convert it with `.astype('float32')` if numbers are what it holds."
    )


# -- packages --------------------------------------------------------------------------------------------------------


def _from_torch(tensor: Any, name: str) -> np.ndarray:
    if not hasattr(tensor, "detach"):
        return _array_like(tensor, name)
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _from_pandas(frame: Any, name: str) -> np.ndarray:
    """A data frame as (samples, columns), a series as (samples, 1), as Keras reads them."""
    is_frame = hasattr(frame, "columns")
    if is_frame and len({*frame.dtypes}) == 1 and isinstance(frame.dtypes.iloc[0], np.dtype):
        if frame.dtypes.iloc[0].kind in "biufc":
            return frame.to_numpy()
    arrays = []
    for label, column in frame.items() if is_frame else [(None, frame)]:
        which = f"{name}[{label!r}]" if is_frame else name
        kind = getattr(column.dtype, "kind", "O")
        if kind not in "biufc" or str(column.dtype) == "category":
            example = f", for example {column.iloc[0]!r}" if len(column) else ""
            raise ValueError(
                f"{which} must hold numbers, but that column's dtype is {column.dtype}{example}. Encode it as numbers "
                "first (a StringLookup or CategoryEncoding layer, pandas.get_dummies), or drop the column."
            )
        # the dtypes of pandas that know missing values have nan for them
        missing = not isinstance(column.dtype, np.dtype) and bool(column.isna().any())
        arrays.append(column.to_numpy(dtype="float64", na_value=np.nan) if missing else column.to_numpy(_plain(column)))
    if not arrays:
        raise ValueError(f"{name} has no columns (shape {frame.shape})")
    return np.stack(arrays, axis=1)


def _plain(column: Any) -> np.dtype:
    return np.dtype(getattr(column.dtype, "numpy_dtype", column.dtype))


def _from_hdf5(dataset: Any, name: str) -> np.ndarray | Stored:
    """An h5py data set, read batch by batch."""
    if not dataset:
        raise ValueError(f"{name} cannot be read: its HDF5 file is closed")
    if not hasattr(dataset, "chunks"):
        raise TypeError(
            f"{name} is an h5py {type(dataset).__name__}, expected one of its data sets"
            + (f": {', '.join(map(repr, list(dataset)[:5]))}" if hasattr(dataset, "keys") else "")
        )
    where = f"{dataset.name!r} of {dataset.file.filename!r}"
    shape, dtype = dataset.shape or (), dataset.dtype

    def read(rows: slice | np.ndarray) -> np.ndarray:
        if not dataset:
            raise ValueError(f"{name} cannot be read: the HDF5 file of data set {where} was closed in the meantime")
        if isinstance(rows, slice):
            return dataset[rows]
        low, high = int(rows.min()), int(rows.max()) + 1
        if high - low <= 2 * len(rows):
            return dataset[low:high][rows - low]
        wanted, places = np.unique(rows, return_inverse=True)  # h5py takes rising row numbers only
        return dataset[wanted][places]

    return Stored(shape, dtype, read, name)


def _from_scipy(matrix: Any, name: str) -> np.ndarray | Stored:
    """A sparse matrix, made dense batch by batch."""
    if not hasattr(matrix, "tocsr"):
        return _array_like(matrix, name)
    rows_first = matrix.tocsr()
    return Stored(rows_first.shape, rows_first.dtype, lambda rows: rows_first[rows].toarray(), name)


#: How the objects of a package become arrays.
READERS: dict[str, Read] = {
    "h5py": _from_hdf5,
    "pandas": _from_pandas,
    "scipy": _from_scipy,
    "torch": _from_torch,
}
