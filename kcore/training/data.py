"""Training data as the user passes it: made arrays, checked, split."""

from __future__ import annotations

import math
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np

from kcore import tree
from kcore.backend.batch import Rows
from kcore.backend.resident import Resident
from kcore.config import floatx
from kcore.dtypes import FLOATS
from kcore.runtime import EagerTensor
from kcore.runtime.interchange import on_device, resident
from kcore.training.columns import Stored, array_of

Data = tuple[Any, ...]


# -- checks and conversion -------------------------------------------------------------------------------------------


def to_arrays(structure: Any, argument: str, stored: bool = False) -> Any:
    """Arrays in place of whatever array-likes a structure holds (tensors, data frames, lists of numbers).

    Args:
        structure: an array-like, or a list, tuple or dict of them; None stays None.
        argument: what the user calls it, for errors.
        stored: leave what is better read batch by batch where it is, as `Stored`, or on the device as `Resident`.

    Raises:
        ValueError: text or objects where numbers belong, scalars, or ragged lists.

    Example:
        >>> to_arrays([[1, 2], [3, 4]], "x").shape
        (2, 2)
    """
    if structure is None:
        return None
    if not tree.is_nested(structure):
        return _array(structure, argument, stored)
    if not isinstance(structure, dict) and _holds_numbers(structure):
        return array_of(structure, argument)
    return tree.pack(
        structure, [_array(leaf, leaf_name(argument, path), stored) for path, leaf in list(tree.walk(structure))]
    )


def _array(leaf: Any, name: str, stored: bool) -> Any:
    if leaf is None:
        return None
    if stored:
        lying = leaf if type(leaf) is Resident else resident(leaf, batch_dtype)
        if lying is not None:
            return lying
    else:
        tensor = on_device(leaf)
        if tensor is not None and tensor.shape and tensor.dtype == batch_dtype(tensor):
            return tensor
    array = array_of(leaf, name)
    return array.read(slice(None)) if isinstance(array, Stored) and not stored else array


def leaf_name(argument: str, path: tree.Path) -> str:
    """How the user would write one leaf of an argument: ``x``, ``x[0]``, ``y['a']``."""
    return argument + "".join(f"[{key!r}]" for key in path)


def _holds_numbers(structure: Any) -> bool:
    leaf = structure
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    return isinstance(leaf, (int, float, str, bytes, np.generic))


def batch_dtype(array: np.ndarray | EagerTensor) -> str:
    """The dtype a batch of an array has: floats become floatx, others stay."""
    if isinstance(array, EagerTensor):
        return floatx() if array.dtype in FLOATS else array.dtype
    name, is_float = _name_of(array.dtype)
    return floatx() if is_float else name


@lru_cache(256)
def _name_of(dtype: np.dtype) -> tuple[str, bool]:
    """The name of a dtype, which NumPy makes anew each time, and whether it is one of floats."""
    return dtype.name, dtype.kind == "f" or "float" in dtype.name


def check_lengths(x: Any, y: Any, sample_weight: Any) -> int:
    """The number of samples, the same in all arrays and not zero.

    Raises:
        ValueError: the lengths differ, or there is nothing.
    """
    found: list[tuple[str, tuple[int, ...]]] = []
    for argument, structure in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        found += [(leaf_name(argument, path), leaf.shape) for path, leaf in tree.walk(structure) if leaf is not None]
    if not found:
        raise ValueError("there is no data: x is None")
    if len({shape[0] for _, shape in found}) > 1:
        listed = ", ".join(f"{name} has {shape[0]} (shape {shape})" for name, shape in found)
        raise ValueError(f"all arrays must have the same number of samples: {listed}")
    name, shape = found[0]
    if shape[0] == 0:
        raise ValueError(f"{name} has no samples (shape {shape}); at least one is needed")
    return shape[0]


def check_batch_size(batch_size: Any, argument: str = "batch_size") -> None:
    """Raise ValueError unless it is None or a positive integer."""
    if batch_size is None:
        return
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"{argument} must be a positive integer or None, received {batch_size!r}")


def split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Data, Data]:
    """Cut off the last samples for validation: training data is the first ``floor(n * (1 - fraction))``.

    Args:
        x, y, sample_weight: arrays or structures of them.
        fraction: in (0, 1).

    Returns:
        The training triple and the validation triple.

    Raises:
        ValueError: `fraction` is not in (0, 1), or one of the parts would be empty.

    Example:
        >>> train, tail = split(np.arange(10), np.arange(10), None, 0.25)
        >>> train[0].tolist(), tail[0].tolist()
        ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9])
    """
    if not isinstance(fraction, Real) or not 0 < fraction < 1:
        raise ValueError(f"validation_split must lie between 0 and 1 (both excluded), received {fraction!r}")
    if is_stream(x):
        raise ValueError(
            f"validation_split needs arrays to cut, received x of type {type(x).__name__}; pass validation_data"
        )
    triple = (("x", x), ("y", y), ("sample_weight", sample_weight))
    arrays = tuple(to_arrays(part, name, stored=True) for name, part in triple)
    count = check_lengths(*arrays)
    at = math.floor(count * (1.0 - fraction))
    if at in (0, count):
        raise ValueError(
            f"validation_split={fraction} leaves nothing to {'train' if at == 0 else 'validate'} on: "
            f"x has {count} samples"
        )

    def cut(part: slice) -> Data:
        return tuple(tree.map_structure(lambda a: None if a is None else a[part], s) for s in arrays)

    return cut(slice(0, at)), cut(slice(at, count))


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a step gets: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``."""
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack(data: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` of what a step got; missing ones are None.

    Example:
        >>> unpack((1, 2))
        (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if len(data) not in (1, 2, 3):
        raise ValueError(
            f"data must be x, (x,), (x, y) or (x, y, sample_weight); received a tuple of {len(data)}. "
            "Several inputs go in one list: ([a, b], y)"
        )
    return (*data, None, None)[:3]


def whole(array: np.ndarray | EagerTensor | None) -> Rows | EagerTensor | None:
    """An array that is one batch by itself, to be made floatx on its way into the step; on the device it is one."""
    if isinstance(array, EagerTensor):
        return array
    return None if array is None else Rows(array, slice(0, len(array)), batch_dtype(array))


def is_stream(x: Any) -> bool:
    """Whether x makes batches itself (generator, iterable object, `PyDataset`) rather than being arrays."""
    if x is None or tree.is_nested(x) or isinstance(x, (str, bytes)):
        return False
    if type(x).__module__.startswith("h5py"):  # also a file or group, which gives names, and a closed data set
        return False
    if hasattr(x, "shape") or hasattr(x, "__array__") or hasattr(x, "to_numpy"):
        return False
    return hasattr(x, "__iter__") or is_by_number(x)


def is_by_number(x: Any) -> bool:
    """Whether x gives batches by number: a `PyDataset`, kcore's or another library's."""
    return all(hasattr(x, name) for name in ("__getitem__", "workers", "use_multiprocessing", "max_queue_size"))
