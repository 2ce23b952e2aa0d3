"""The tokenizer beside that of Keras."""

from __future__ import annotations

import numpy as np
import pytest
from keras.src.legacy.preprocessing import text as theirs

from kcore.compat import text as ours

TEXTS = ["The cat, the dog and the mat!", "A dog's life: the dog -- the bone.", "and\tso on\nand on", ""]
SETTINGS = [
    {},
    {"num_words": 4},
    {"num_words": 4, "oov_token": "?"},
    {"char_level": True, "num_words": 6},
    {"lower": False, "filters": "!,"},
    {"analyzer": lambda text: text.split("d")},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s) or "plain")
def test_as_keras_does(settings):
    one, other = ours.Tokenizer(**settings), theirs.Tokenizer(**settings)
    for tokenizer in (one, other):
        tokenizer.fit_on_texts(TEXTS)
        tokenizer.fit_on_texts(["the end"])
    assert one.word_index == other.word_index and one.index_word == other.index_word
    assert dict(one.word_docs) == dict(other.word_docs) and dict(one.index_docs) == dict(other.index_docs)
    more = [*TEXTS, "unknown dog"]
    sequences = one.texts_to_sequences(more)
    assert sequences == other.texts_to_sequences(more)
    assert one.sequences_to_texts(sequences) == other.sequences_to_texts(sequences)
    for mode in ("binary", "count", "freq", "tfidf"):
        np.testing.assert_allclose(one.texts_to_matrix(more, mode), other.texts_to_matrix(more, mode))
    if "analyzer" not in settings:
        assert ours.tokenizer_from_json(other.to_json()).texts_to_sequences(more) == sequences
        assert theirs.tokenizer_from_json(one.to_json()).texts_to_sequences(more) == sequences


def test_words_that_are_words_already_and_sequences():
    one, other = ours.Tokenizer(num_words=9), theirs.Tokenizer(num_words=9)
    for tokenizer in (one, other):
        tokenizer.fit_on_texts([["A", "b"], ["b"]])
        tokenizer.fit_on_sequences([[1, 2, 2], [2]])
    assert one.word_index == other.word_index
    np.testing.assert_allclose(one.sequences_to_matrix([[1, 2]], "tfidf"), other.sequences_to_matrix([[1, 2]], "tfidf"))


def test_words_by_hash():
    for function in ("md5", None, len):
        assert ours.hashing_trick(TEXTS[0], 20, function) == theirs.hashing_trick(TEXTS[0], 20, function)
    assert ours.one_hot(TEXTS[0], 9) == theirs.one_hot(TEXTS[0], 9)
    assert ours.text_to_word_sequence("a--b", "-", split="-") == theirs.text_to_word_sequence("a--b", "-", split="-")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ours.Tokenizer().sequences_to_matrix([[1]]), "number of columns is not known"),
        (lambda: ours.Tokenizer(3).sequences_to_matrix([[1]], "tfidf"), "before mode='tfidf'"),
        (
            lambda: ours.Tokenizer(3).sequences_to_matrix([[1]], "all"),
            "one of binary, count, freq, tfidf, received 'all'",
        ),
        (lambda: ours.hashing_trick("a", 1), "n of at least 2, received 1"),
        (lambda: ours.hashing_trick("a", 5, "sha"), "received 'sha'"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
