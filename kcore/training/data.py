"""Training data as the user passes it: checked, split, weighted by class, and cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kcore import tree
from kcore.backend.batch import Rows
from kcore.runtime.seeds import host_permutation

Data = tuple[Any, ...]


def floatx() -> str:
    from kcore import config

    return config.floatx()


# -- checks and conversion -------------------------------------------------------------------------------------------


def to_arrays(structure: Any, argument: str) -> Any:
    """Arrays in place of whatever array-likes a structure holds (tensors, data frames, lists of numbers).

    Args:
        structure: an array-like, or a list, tuple or dict of them; None stays None.
        argument: what the user calls it, for errors.

    Raises:
        ValueError: text or objects where numbers belong, scalars, or ragged lists.

    Example:
        >>> to_arrays([[1, 2], [3, 4]], "x").shape
        (2, 2)
    """
    if structure is None:
        return None
    if tree.is_nested(structure) and not isinstance(structure, dict) and _holds_numbers(structure):
        structure = _as_array(structure, argument)
    flat = [(path, leaf) for path, leaf in tree.walk(structure)]
    return tree.pack(
        structure, [None if leaf is None else _array(leaf, leaf_name(argument, path)) for path, leaf in flat]
    )


def leaf_name(argument: str, path: tree.Path) -> str:
    """How the user would write one leaf of an argument: ``x``, ``x[0]``, ``y['a']``."""
    return argument + "".join(f"[{key!r}]" for key in path)


def _holds_numbers(structure: Any) -> bool:
    leaf = structure
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    return isinstance(leaf, (int, float, str, bytes))


def _as_array(leaf: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(leaf)
    except ValueError as error:
        raise ValueError(f"{name} cannot be made an array: {error}") from None


def _array(leaf: Any, name: str) -> np.ndarray:
    if isinstance(leaf, np.ndarray):
        array = leaf
    elif hasattr(leaf, "to_numpy"):
        array = leaf.to_numpy()
    else:
        array = _as_array(leaf, name)
    if array.dtype.kind in "OUSV" and array.dtype.name not in ("bfloat16",) and "float8" not in array.dtype.name:
        example = f", for example {array.flat[0]!r}" if array.size else ""
        kind = "Python objects" if array.dtype.kind == "O" else "text"
        raise ValueError(
            f"{name} must hold numbers, but its dtype is {array.dtype} ({kind}{example}; shape {array.shape}). "
            "Encode it as numbers first, or convert it with `.astype('float32')` if numbers are what it holds."
        )
    if array.ndim == 0:
        raise ValueError(f"{name} must have a first axis of samples, but it is a scalar ({array!r})")
    return array


def batch_dtype(array: np.ndarray) -> str:
    """The dtype a batch of an array has: floats become floatx, others stay."""
    name = array.dtype.name
    return floatx() if array.dtype.kind == "f" or "float" in name else name


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
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split must lie between 0 and 1 (both excluded), received {fraction!r}")
    if is_stream(x):
        raise ValueError(
            f"validation_split needs arrays to cut, received x of type {type(x).__name__}; pass validation_data"
        )
    arrays = (to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(sample_weight, "sample_weight"))
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


def weights_by_class(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """One weight per sample from the class of its label.

    Args:
        y: labels (samples,) or (samples, 1), or one-hot (samples, classes).
        class_weight: class -> weight; classes not in it weigh 1.

    Returns:
        (samples,), floatx.

    Example:
        >>> weights_by_class(np.array([0, 1, 2]), {1: 3.0}).tolist()
        [1.0, 3.0, 1.0]
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight must be a dict of class -> weight, received {class_weight!r}")
    if tree.is_nested(y):
        raise ValueError("class_weight works only for models with a single output; use sample_weight, one per output")
    if y is None:
        raise ValueError("class_weight needs labels, but y is None")
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else np.argmax(labels, axis=-1)
    labels = np.rint(labels).astype(np.int64)
    weights = np.ones(labels.shape, dtype=floatx())
    for label, weight in class_weight.items():
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
            raise ValueError(
                f"class_weight must have integer classes as keys, received {label!r} ({type(label).__name__})"
            )
        weights[labels == label] = weight
    return weights


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


# -- sources of batches ----------------------------------------------------------------------------------------------


class ArrayBatches:
    """Arrays cut into batches that are gathered only when they are written into the step's input buffers.

    Args:
        x, y, sample_weight: arrays or structures of them, of equal length.
        batch_size: samples per batch; None means 32, or what makes `steps` batches.
        steps: number of batches wanted, if it is known and batch_size is not.
        shuffle: True for another order every epoch, ``"batch"`` to shuffle only within batches.
        class_weight: class -> weight.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ):
        check_batch_size(batch_size)
        if class_weight is not None and sample_weight is not None:
            raise ValueError(
                "class_weight and sample_weight cannot be used at the same time; multiply them into sample_weight"
            )
        x, y, sample_weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(sample_weight, "sample_weight")
        self.samples = check_lengths(x, y, sample_weight)
        if class_weight is not None:
            sample_weight = weights_by_class(y, class_weight)
        if batch_size is None:
            batch_size = math.ceil(self.samples / steps) if steps else 32
        self.batch_size = int(batch_size)
        self.num_batches: int | None = math.ceil(self.samples / self.batch_size)
        self._shuffle = shuffle
        self._data = pack(x, y, sample_weight)
        self._leaves = [leaf if leaf is None else (leaf, batch_dtype(leaf)) for leaf in tree.flatten(self._data)]
        self._pack = _packer(self._data)

    def first(self) -> Any:
        """One batch as arrays, for building a model; draws nothing."""
        stop = min(self.batch_size, self.samples)
        return tree.map_structure(lambda a: None if a is None else Rows(a, slice(0, stop), batch_dtype(a)), self._data)

    def batches(self) -> Iterator[Any]:
        """One pass over the samples: structures of `Rows`."""
        order = host_permutation(self.samples) if self._shuffle and self._shuffle != "batch" else None
        leaves, packed, size = self._leaves, self._pack, self.batch_size
        for start in range(0, self.samples, size):
            stop = min(start + size, self.samples)
            if order is not None:
                rows: Any = order[start:stop]
            elif self._shuffle == "batch":
                rows = host_permutation(stop - start) + start
            else:
                rows = slice(start, stop)
            yield packed([None if leaf is None else Rows(leaf[0], rows, leaf[1]) for leaf in leaves])


def _packer(structure: Any) -> Any:
    """A fast `tree.pack` for one structure."""
    if isinstance(structure, tuple) and not any(tree.is_nested(part) for part in structure):
        return tuple
    if not tree.is_nested(structure):
        return lambda leaves: leaves[0]
    return lambda leaves: tree.pack(structure, leaves)


class StreamBatches:
    """Batches that the user's generator, iterator or iterable makes.

    Args:
        stream: yields ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, each one batch of arrays. An iterable that is
            not an iterator is started anew for every epoch.
        class_weight: class -> weight.
    """

    def __init__(self, stream: Iterable[Any], class_weight: Mapping[int, float] | None = None):
        self._stream = stream
        self._class_weight = class_weight
        self._once = iter(stream) if isinstance(stream, Iterator) else None
        self._peeked: list[Any] = []
        self.num_batches: int | None = len(stream) if hasattr(stream, "__len__") else None  # type: ignore[arg-type]

    def first(self) -> Any:
        """The first batch; it is not lost for training."""
        if not self._peeked:
            source = self._once if self._once is not None else iter(self._stream)
            batch = next(source, None)
            if batch is None:
                raise ValueError(f"x gives no data: {type(self._stream).__name__} yields nothing")
            if self._once is None:
                return self._convert(batch)
            self._peeked.append(batch)
        return self._convert(self._peeked[0])

    def batches(self) -> Iterator[Any]:
        if self._once is None:
            yield from map(self._convert, self._stream)
            return
        while self._peeked:
            yield self._convert(self._peeked.pop())
        yield from map(self._convert, self._once)

    def _convert(self, batch: Any) -> Any:
        x, y, weight = unpack(batch)
        x, y, weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(weight, "sample_weight")
        check_lengths(x, y, weight)
        if self._class_weight is not None:
            weight = weights_by_class(y, self._class_weight)
        return tree.map_structure(whole, pack(x, y, weight))


def whole(array: np.ndarray | None) -> Rows | None:
    """An array that is one batch by itself, to be made floatx on its way into the step."""
    return None if array is None else Rows(array, slice(0, len(array)), batch_dtype(array))


def is_stream(x: Any) -> bool:
    """Whether x makes batches itself (generator, iterable object) rather than being arrays."""
    if x is None or tree.is_nested(x) or isinstance(x, (str, bytes)):
        return False
    if hasattr(x, "shape") or hasattr(x, "__array__") or hasattr(x, "to_numpy"):
        return False
    return hasattr(x, "__iter__")


def source_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> ArrayBatches | StreamBatches:
    """Batches from whatever the user passed as x.

    Raises:
        ValueError: as the sources do; or y or sample_weight beside a generator, which yields them itself.
    """
    if isinstance(shuffle, str) and shuffle != "batch":
        raise ValueError(f"shuffle must be True, False or 'batch', received {shuffle!r}")
    if not is_stream(x):
        return ArrayBatches(x, y, sample_weight, batch_size, steps, shuffle, class_weight)
    for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
        if value is not None:
            raise ValueError(
                f"{name} cannot be given when x is a {type(x).__name__}: each item it yields is (x, y, sample_weight)"
            )
    return StreamBatches(x, class_weight)
