"""Text as the indices of its words."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from kcore.declare import argument, one_of
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.data_layer import batches_of
from kcore.layers.preprocessing.encoding import dense_only
from kcore.layers.preprocessing.host_layer import HostLayer, host_array
from kcore.layers.preprocessing.lookup import StringLookup, modes, tokens_of
from kcore.registry import deserialize, public
from kcore.runtime import EagerTensor

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

STANDARDIZE: dict[str, Callable[[str], str]] = {
    "lower": lambda s: s.translate(_LOWER),
    "strip_punctuation": lambda s: s.translate(_NO_PUNCTUATION),
    "lower_and_strip_punctuation": lambda s: s.translate(_LOWER).translate(_NO_PUNCTUATION),
}
SPLIT: dict[str, Callable[[str], list[str]]] = {
    "whitespace": re.compile(r"[^ \t\n\r\x0b\x0c]+").findall,
    "character": list,
}


class _OneOf:
    """Kind of the argument: a name, a function, or None."""

    def __init__(self, names: Any):
        self._check = one_of(None, *names)

    def __call__(self, value: Any) -> Any:
        value = deserialize(value) if isinstance(value, Mapping) else value
        return value if callable(value) else self._check(value)


def _ngrams(value: Any) -> Any:
    """Kind of the argument: a positive integer, or several."""
    if value is None or (hasattr(value, "__index__") and not isinstance(value, bool) and value > 0):
        return value
    if not isinstance(value, (tuple, list)) or not all(hasattr(n, "__index__") and n > 0 for n in value):
        raise ValueError("expected None, a positive integer or a tuple of them")
    return tuple(value)


@public("keras.layers")
class TextVectorization(HostLayer):
    """Makes indices, or vectors of counts, of texts: standardized, split into tokens, and looked up in a vocabulary.

    Computed by the host, before the model: no device computes with strings.

    Args:
        max_tokens: the most entries of the vocabulary, with padding and unknown tokens; None is no limit.
        standardize: ``"lower_and_strip_punctuation"``, ``"lower"``, ``"strip_punctuation"`` (ASCII alone), a function
            of an array of strings, or None.
        split: ``"whitespace"``, ``"character"``, a function from an array of texts to lists of tokens, or None.
        ngrams: how many tokens are joined to one entry: 2 for pairs and single ones, ``(2,)`` for pairs alone.
        output_mode: ``"int"``: an index for every token, 0 for padding and 1 for unknown ones; or vectors, see
            `IndexLookup`, in which 0 is for unknown ones.
        output_sequence_length: with ``"int"``: length to which rows are cut and padded; None is that of the longest.
        pad_to_max_tokens: whether vectors have `max_tokens` entries even if the vocabulary has fewer.
        vocabulary: tokens, most frequent first, or the path of a text file with one in a line; instead of `adapt`.
        idf_weights: with ``"tf_idf"`` and a vocabulary: the weight of each token.
        sparse, ragged: False.
        encoding: of bytes.

    Shapes:
        input strings ``(batch,)`` or ``(batch, 1)``, or one string; output int64 ``(batch, tokens)``, or float vectors
        ``(batch, entries)``.

    Raises:
        ValueError: no vocabulary yet; texts of another shape; a call within a model.

    Example:
        >>> layer = TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["The cat sat.", "The dog!"])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'the', 'sat', 'dog', 'cat']
        >>> layer(["the dog sat", "A cat"]).numpy().tolist()
        [[2, 4, 3, 0], [1, 5, 0, 0]]

    Source: `keras.layers.TextVectorization`.
    """

    max_tokens: int | None = argument(None)
    standardize: Any = argument("lower_and_strip_punctuation", _OneOf(STANDARDIZE))
    split: Any = argument("whitespace", _OneOf(SPLIT))
    ngrams: Any = argument(None, _ngrams)
    output_mode: str = argument("int", modes)
    output_sequence_length: int | None = argument(None)
    pad_to_max_tokens: bool = argument(False)
    vocabulary: Any = argument(None, tokens_of, attr="input_vocabulary")
    idf_weights: Any = argument(None, tokens_of, attr="input_idf_weights")
    sparse: bool = argument(False, dense_only)
    ragged: bool = argument(False, dense_only)
    encoding: str = argument("utf-8")
    name: str = argument(None, config=False)

    untracked = frozenset(("input_vocabulary", "input_idf_weights"))

    def __post_init__(self) -> None:
        length = self.output_sequence_length
        if length is not None and (self.output_mode != "int" or not hasattr(length, "__index__") or length < 1):
            raise ValueError(
                f"{describe_layer(self)}: output_sequence_length={length!r}: expected a positive integer, with "
                f"output_mode='int' (it is {self.output_mode!r})"
            )
        self._lookup_layer = StringLookup(
            max_tokens=self.max_tokens,
            vocabulary=self.input_vocabulary,
            idf_weights=self.input_idf_weights,
            pad_to_max_tokens=self.pad_to_max_tokens,
            mask_token="",
            output_mode=self.output_mode,
            encoding=self.encoding,
            name=f"{self.name}_lookup",
        )

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens by index, with or without ``""`` for padding and ``"[UNK]"`` for unknown ones."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Number of indices, with those for padding and unknown tokens."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Give the vocabulary, instead of learning it; see `IndexLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary from texts, in place of what was known before: the most frequent tokens first.

        Args:
            data: a list or array of texts; or batches of them: a `PyDataset`, a ``tf.data.Dataset`` or a generator.
            batch_size: has no effect, as in Keras.
            steps: batches to look at; all if None.
        """
        self.reset_state()
        whole = isinstance(data, (list, tuple, np.ndarray, EagerTensor))
        for batch in islice(batches_of(self, data, chunked=False), steps):
            self.update_state(batch[:, None] if whole and batch.ndim == 1 else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch of texts."""
        self._lookup_layer.update_state(self._tokens_of(data))

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._lookup_layer.reset_state()

    def _tokens_of(self, inputs: Any) -> np.ndarray:
        """Texts as rows of tokens, filled up with empty strings."""
        texts = host_array(inputs, self.encoding)
        if texts.dtype != object:
            raise ValueError(f"{describe_layer(self)}: expected strings, got {texts.dtype}")
        if callable(self.standardize):
            texts = host_array(self.standardize(texts.astype(str)), self.encoding)
        elif self.standardize is not None:
            texts = np.asarray(np.frompyfunc(STANDARDIZE[self.standardize], 1, 1)(texts), dtype=object)
        if self.split is None:
            shape = texts.shape
            rows: Any = texts
        else:
            if texts.ndim > 1:
                if texts.ndim > 2 or texts.shape[-1] != 1:
                    raise ValueError(
                        f"{describe_layer(self)}: expected texts (batch,) or (batch, 1) to split, got {texts.shape}"
                    )
                texts = texts[:, 0]
            shape = texts.shape
            flat = texts.reshape(-1)
            rows = self.split(flat.astype(str)) if callable(self.split) else map(SPLIT[self.split], flat)
        if self.split is None and self.ngrams is None:
            return texts
        lists = [[*map(str, row)] for row in (np.atleast_2d(rows) if self.split is None else rows)]
        if self.ngrams is not None:
            widths = self.ngrams if isinstance(self.ngrams, tuple) else range(1, self.ngrams + 1)
            lists = [[" ".join(row[i : i + n]) for n in widths for i in range(len(row) - n + 1)] for row in lists]
        filled = np.full((len(lists), max(map(len, lists), default=0)), "", object)
        for row, tokens in zip(filled, lists, strict=True):
            row[: len(tokens)] = tokens
        return filled if shape else filled[0]

    def call(self, inputs: Any) -> Any:
        found = self._lookup_layer.call(self._tokens_of(inputs))
        length = self.output_sequence_length
        if length is None:
            return found
        found = found[..., :length]
        return np.pad(found, [(0, 0)] * (found.ndim - 1) + [(0, length - found.shape[-1])])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_size": self._lookup_layer._told_size}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        config = dict(config)
        size = config.pop("vocabulary_size", None)
        config.pop("has_input_vocabulary", None)
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(
                f"{cls.__name__}: the configuration asks for the file {config['vocabulary']!r}; a saved model may not "
                "name "
                "files. Load the vocabulary yourself: set_vocabulary(path)"
            )
        layer = super().from_config(config)
        layer._lookup_layer._stored_size = size
        return layer

    def save_own_variables(self, store: Any) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary that was learned to a folder."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary that `save_assets` wrote."""
        self._lookup_layer.load_assets(dir_path)
