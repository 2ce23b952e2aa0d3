"""Reuters: 11,228 news items as word numbers, with 46 topics."""

from __future__ import annotations

import json

from kcore.datasets.reading import SERVER, Arrays, limit, mark, ragged, read_npz, shorter, shuffled, split
from kcore.utils.files import get_file

#: The labels' meaning.
NAMES = (
    *("cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply", "coffee", "sugar"),
    *("trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi", "money-fx", "interest", "gnp"),
    *("meal-feed", "alum", "oilseed", "gold", "tin", "strategic-metal", "livestock", "retail", "ipi", "iron-steel"),
    *(
        "rubber",
        "heat",
        "jobs",
        "lei",
        "bop",
        "zinc",
        "orange",
        "pet-chem",
        "dlr",
        "gas",
        "silver",
        "wpi",
        "hog",
        "lead",
    ),
)


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """News items of 1987; words are numbered by how often they occur.

    Args:
        path: name of the file in the cache folder.
        num_words: only numbers below it stay; None for all.
        skip_top: only numbers from it on stay.
        maxlen: only items of fewer words than that.
        test_split: share of the test set.
        seed: of the order before splitting; it is Keras's.
        start_char: marks the beginning of an item; None for no mark.
        oov_char: stands for a word that does not stay; None leaves it out.
        index_from: the number of the most frequent word is one more than that.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: arrays of lists of ints, labels int64 (samples,) from 0 to 45, whose
        meaning is `NAMES`.

    Raises:
        ValueError: no item is shorter than `maxlen`.
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.reuters.load_data`.
    """
    digest = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
    content = read_npz(get_file(path, SERVER + "reuters.npz", file_hash=digest))
    x, y = shuffled(seed, content["x"], content["y"])
    sequences, y = shorter(mark(x, start_char, index_from), y, maxlen)
    return split(ragged(limit(sequences, num_words, skip_top, oov_char)), y, test_split)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Word -> number by frequency, from 1 on; `load_data` adds its `index_from`.

    Source: `keras.datasets.reuters.get_word_index`.
    """
    file = get_file(path, SERVER + "reuters_word_index.json", file_hash="4d44cc38712099c9e383dc6e5f11a921")
    with open(file, encoding="utf-8") as text:
        return json.load(text)


def get_label_names() -> tuple[str, ...]:
    """The topics in the order of their labels.

    Source: `keras.datasets.reuters.get_label_names`.
    """
    return NAMES
