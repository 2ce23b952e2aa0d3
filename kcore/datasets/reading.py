"""What the data sets share: their server, arrays of sequences read without running anything, splits, word limits."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: Where Keras keeps most of its data sets.
SERVER = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

Arrays = tuple[np.ndarray, np.ndarray]

#: All that the pickled arrays of these data sets are made of.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickled NumPy arrays and plain containers of them; whatever else a file names is refused, not imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise ValueError(f"the data set's file asks for {module}.{name}, which no data set needs: it is not read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_npz(path: str) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by name, arrays of Python lists included.

    Raises:
        ValueError: it is not such a file, or holds something else than arrays and lists of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return {name.removesuffix(".npy"): _read_npy(content) for name, content in members.items()}
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a data set: {error}; delete it to have it fetched again") from error


def _read_npy(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    dtype = read(file)[2]
    if dtype.hasobject:
        return ArrayUnpickler(file).load()
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_cifar(path: str | Path, labels: str) -> Arrays:
    """Images uint8 (samples, 3, 32, 32) and labels int64 (samples, 1) of one of the CIFAR archives' files."""
    with open(path, "rb") as file:
        try:
            content = ArrayUnpickler(file, encoding="bytes").load()
            images = np.asarray(content[b"data"], "uint8").reshape(-1, 3, 32, 32)
            return images, np.asarray(content[labels.encode()], "int64").reshape(-1, 1)
        except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a file of the CIFAR data sets: {error}") from error


def in_order(images: np.ndarray) -> np.ndarray:
    """Images with their channels where `kcore.config.image_data_format` wants them."""
    from kcore.config import image_data_format

    return images.transpose(0, 2, 3, 1) if image_data_format() == "channels_last" else images


def check_share(test_split: float) -> None:
    """Raise ValueError unless it is a share that leaves something to train on."""
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split must lie in [0, 1), received {test_split!r}")


def shuffled(seed: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """Arrays in Keras's order for a seed, so that its splits are ours."""
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return [array[order] for array in arrays]


def split(x: np.ndarray, y: np.ndarray, test_split: float) -> tuple[Arrays, Arrays]:
    """The first part to train on, the rest to test on."""
    at = int(len(x) * (1 - test_split))
    return (x[:at], y[:at]), (x[at:], y[at:])


def load_regression(path: str, test_split: float, seed: int, rows: int | None = None) -> tuple[Arrays, Arrays]:
    """Features and targets of an ``.npz`` file, shuffled and split."""
    content = read_npz(path)
    x, y = shuffled(seed, content["x"][:rows], content["y"][:rows])
    return split(x, y, test_split)


def mark(sequences: Iterable[Sequence[int]], start_char: int | None, index_from: int) -> list[list[int]]:
    """Word numbers moved up by `index_from`, behind a mark for the start."""
    head = [] if start_char is None else [start_char]
    return [head + [word + index_from for word in words] for words in sequences]


def shorter(sequences: list[list[int]], labels: np.ndarray, maxlen: int | None) -> tuple[list[list[int]], np.ndarray]:
    """The sequences of less than `maxlen` words, with their labels.

    Raises:
        ValueError: none is left.
    """
    if not maxlen:
        return sequences, labels
    kept = [i for i, words in enumerate(sequences) if len(words) < maxlen]
    if not kept:
        raise ValueError(f"no sequence is shorter than maxlen={maxlen}; increase maxlen")
    return [sequences[i] for i in kept], np.asarray(labels)[kept]


def limit(sequences: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """Words outside ``[skip_top, num_words)`` replaced by `oov_char`, or left out if that is None."""
    top = num_words or max(map(max, sequences))
    if oov_char is None:
        return [[w for w in words if skip_top <= w < top] for words in sequences]
    return [[w if skip_top <= w < top else oov_char for w in words] for words in sequences]


def ragged(sequences: list[list[int]]) -> np.ndarray:
    """An array of lists."""
    array = np.empty(len(sequences), object)
    array[:] = sequences
    return array
