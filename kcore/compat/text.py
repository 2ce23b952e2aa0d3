"""Texts to numbers, as ``keras.preprocessing.text`` of Keras 1 and 2 did; new code takes `layers.TextVectorization`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

#: Punctuation, tabs and line ends; the apostrophe stays.
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

_MODES = ("binary", "count", "freq", "tfidf")


def text_to_word_sequence(text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text.

    Args:
        text: the text.
        filters: characters that are taken out.
        lower: whether to make all letters small.
        split: what stands between words.

    Example:
        >>> text_to_word_sequence("The cat, the mat.")
        ['the', 'cat', 'the', 'mat']

    Source: `keras.preprocessing.text.text_to_word_sequence` (Keras 2).
    """
    text = text.lower() if lower else text
    return [word for word in text.translate(dict.fromkeys(map(ord, filters), split)).split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """The words of a text as numbers from 1 to ``n - 1``, several words sharing one.

    Args:
        n: size of the hashing space, at least 2.
        hash_function: None for Python's `hash`, which differs between processes; "md5"; or a function of a word.
        text, filters, lower, split: as for `text_to_word_sequence`.

    Example:
        >>> hashing_trick("the cat the mat", 50, "md5")[0] == hashing_trick("The!", 50, "md5")[0]
        True

    Source: `keras.preprocessing.text.hashing_trick` (Keras 2).
    """
    if n < 2:
        raise ValueError(f"hashing_trick() needs n of at least 2, received {n}")
    function = hash if hash_function is None else _md5 if hash_function == "md5" else hash_function
    if not callable(function):
        raise ValueError(f"hash_function is None, 'md5' or a function, received {hash_function!r}")
    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def one_hot(text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """`hashing_trick` with Python's `hash`; in spite of its name it gives numbers.

    Source: `keras.preprocessing.text.one_hot` (Keras 2).
    """
    return hashing_trick(text, n, None, filters, lower, split)


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers words by how often they occur in the texts it was fitted on, the most frequent first, from 1.

    Args:
        num_words: only the ``num_words - 1`` most frequent are kept; None for all.
        filters, lower, split: as for `text_to_word_sequence`.
        char_level: take characters for words.
        oov_token: what stands for words that are not known, with the number 1; None leaves them out.
        analyzer: a function from a text to its words, in place of the above.

    Attributes:
        word_index, index_word: the number of a word, the word of a number.
        word_counts, word_docs: how often each word occurred, in how many texts.
        document_count: how many texts it was fitted on.

    Example:
        >>> tokenizer = Tokenizer(num_words=3)
        >>> tokenizer.fit_on_texts(["the cat", "the dog and the cat"])
        >>> tokenizer.texts_to_sequences(["the cat and the dog"])
        [[1, 2, 1]]

    Source: `keras.preprocessing.text.Tokenizer` (Keras 2).
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        analyzer: Callable[[str], list[str]] | None = None,
    ):
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.document_count = char_level, oov_token, document_count
        self.analyzer = analyzer
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = defaultdict(int)
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> list[str]:
        if not isinstance(text, str):  # words already, or characters
            return [part.lower() if self.lower else part for part in text]
        if self.char_level:
            return list(text.lower() if self.lower else text)
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count the words of texts, or of lists of words, and number them; may be called again with more."""
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        ranked = sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        named = ranked if self.oov_token is None else [self.oov_token, *ranked]
        self.word_index = {word: i for i, word in enumerate(named, 1)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Count numbered words; needed before `sequences_to_matrix` where `fit_on_texts` was not called."""
        for sequence in sequences:
            self.document_count += 1
            for i in set(sequence):
                self.index_docs[i] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Each text as the numbers of its words."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one at a time."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for text in texts:
            numbers = (self._kept(self.word_index.get(word), unknown) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def _kept(self, number: int | None, unknown: int | None) -> int | None:
        known = number is not None and (not self.num_words or number < self.num_words)
        return number if known else unknown

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of each sequence, with spaces between."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one at a time."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for sequence in sequences:
            numbers = (self._kept(i if i in self.index_word else None, unknown) for i in sequence)
            yield " ".join(self.index_word[i] for i in numbers if i is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """`sequences_to_matrix` of texts."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Iterable[Iterable[int]], mode: str = "binary") -> np.ndarray:
        """A row per sequence, a column per number: float64 (sequences, numbers).

        Args:
            mode: "binary" (there or not), "count", "freq" (share of the sequence) or "tfidf".

        Raises:
            ValueError: an unknown mode; without `num_words` nothing was fitted; "tfidf" without fitting.
        """
        if mode not in _MODES:
            raise ValueError(f"mode is one of {', '.join(_MODES)}, received {mode!r}")
        columns = self.num_words or (len(self.word_index) + 1 if self.word_index else 0)
        if not columns:
            raise ValueError("give num_words, or call fit_on_texts() before: the number of columns is not known")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("call fit_on_texts() or fit_on_sequences() before mode='tfidf'")
        rows = [list(sequence) for sequence in sequences]
        matrix = np.zeros((len(rows), columns))
        for row, sequence in zip(matrix, rows, strict=True):
            for i, count in Counter(i for i in sequence if i < columns).items():
                if mode == "tfidf":
                    rarity = np.log(1 + self.document_count / (1 + self.index_docs.get(i, 0)))
                    row[i] = (1 + np.log(count)) * rarity
                else:
                    row[i] = {"binary": 1, "count": count, "freq": count / len(sequence)}[mode]
        return matrix

    def get_config(self) -> dict[str, Any]:
        """What makes the same tokenizer again; counts and numbers as JSON, as Keras stores them."""
        plain = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        counted = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {name: getattr(self, name) for name in plain} | {
            name: json.dumps(getattr(self, name)) for name in counted
        }

    def to_json(self, **options: Any) -> str:
        """As JSON text, for `tokenizer_from_json`; `options` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)


def tokenizer_from_json(text: str) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` of kcore or Keras wrote.

    Source: `keras.preprocessing.text.tokenizer_from_json` (Keras 2).
    """
    config = dict(json.loads(text)["config"])
    found = {name: json.loads(config.pop(name)) for name in ("word_counts", "word_docs", "word_index")}
    by_number = {name: json.loads(config.pop(name)) for name in ("index_docs", "index_word")}
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts, tokenizer.word_index = found["word_counts"], found["word_index"]
    tokenizer.word_docs.update(found["word_docs"])
    tokenizer.index_docs.update({int(i): n for i, n in by_number["index_docs"].items()})
    tokenizer.index_word = {int(i): word for i, word in by_number["index_word"].items()}
    return tokenizer
