"""IMDB: 50,000 film reviews as word numbers, praising or not."""

from __future__ import annotations

import json

import numpy as np

from kcore.datasets.reading import SERVER, Arrays, limit, mark, ragged, read_npz, shorter
from kcore.utils.files import get_file


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """Film reviews by Maas and others; words are numbered by how often they occur.

    Args:
        path: name of the file in the cache folder.
        num_words: only numbers below it stay; None for all.
        skip_top: only numbers from it on stay.
        maxlen: only reviews of fewer words than that.
        seed: of the order; it is Keras's.
        start_char: marks the beginning of a review; None for no mark.
        oov_char: stands for a word that does not stay; None leaves it out.
        index_from: the number of the most frequent word is one more than that.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: arrays of lists of ints, labels int64 (samples,), 1 for praise.
        `kcore.utils.pad_sequences` makes the lists one array.

    Raises:
        ValueError: no review is shorter than `maxlen`.
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.imdb.load_data`.
    """
    digest = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
    content = read_npz(get_file(path, SERVER + "imdb.npz", file_hash=digest))
    order = np.random.RandomState(seed)
    parts = []
    for part in ("train", "test"):
        index = np.arange(len(content[f"x_{part}"]))
        order.shuffle(index)
        sequences = mark(content[f"x_{part}"][index], start_char, index_from)
        parts.append(shorter(sequences, content[f"y_{part}"][index], maxlen))
    (train, y_train), (test, y_test) = parts
    words = ragged(limit(train + test, num_words, skip_top, oov_char))
    return (words[: len(train)], y_train), (words[len(train) :], y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Word -> number by frequency, from 1 on; `load_data` adds its `index_from`.

    Source: `keras.datasets.imdb.get_word_index`.
    """
    file = get_file(path, SERVER + "imdb_word_index.json", file_hash="bfafd718b763782e994055a2d397834f")
    with open(file, encoding="utf-8") as text:
        return json.load(text)
