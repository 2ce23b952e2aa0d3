"""Arrays of samples cut into two parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import tree
from kcore.runtime.seeds import host_permutation


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: Any = None,
) -> tuple[Any, Any]:
    """Cut arrays of samples into a left and a right part.

    Keras gives data sets of TensorFlow or torch here; kcore gives arrays in the structure of `dataset`, which `fit` and
    `evaluate` take as they are.

    Args:
        dataset: an array, or a structure of arrays of one length, such as ``(x, y)``.
        left_size, right_size: number of samples, or a fraction of them as a float in [0, 1]; one of them may be None
            for what the other leaves.
        shuffle: whether to shuffle before cutting.
        seed: of the shuffle; None draws from the stream that `set_random_seed` starts.
        preferred_backend: accepted for Keras's sake.

    Returns:
        Two structures like `dataset`.

    Raises:
        ValueError: a scalar; no size; a fraction outside [0, 1]; more samples than there are; arrays of different
            lengths.

    Example:
        >>> left, right = split_dataset((np.arange(5), np.arange(5) * 10), left_size=0.6)
        >>> left[1].tolist(), right[1].tolist()
        ([0, 10, 20], [30, 40])

    Source: `keras.utils.split_dataset`.
    """
    arrays = tree.map_structure(np.asarray, dataset)
    if not all(a.ndim for a in tree.flatten(arrays)):
        raise ValueError(f"split_dataset: expected arrays with an axis of samples, received {dataset!r}")
    lengths = {len(a) for a in tree.flatten(arrays)}
    if len(lengths) != 1:
        raise ValueError(f"split_dataset: all arrays must be of one length, received lengths {sorted(lengths)}")
    total = lengths.pop()
    if left_size is None and right_size is None:
        raise ValueError("split_dataset: give left_size, right_size or both")
    left, right = (_count(name, size, total) for name, size in (("left_size", left_size), ("right_size", right_size)))
    left = total - right if left is None else left  # type: ignore[operator]
    right = total - left if right is None else right
    if left + right > total:
        raise ValueError(f"split_dataset: {left} and {right} samples are more than the {total} there are")
    order = np.arange(total)
    if shuffle:
        order = host_permutation(total, seed)
    first, second = order[:left], order[total - right :]
    return tree.map_structure(lambda a: a[first], arrays), tree.map_structure(lambda a: a[second], arrays)


def _count(name: str, size: Any, total: int) -> int | None:
    if size is None:
        return None
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if not whole and not isinstance(size, float):
        raise TypeError(f"split_dataset: {name} must be an integer or a float, received {size!r}")
    if not 0 <= size <= (total if whole else 1):
        raise ValueError(
            f"split_dataset: {name} must lie in [0, {total}] as a number of samples or in [0, 1] as a fraction, "
            f"received {size!r}"
        )
    return int(size) if whole else round(size * total)
