"""Words and integers as their places in a vocabulary, which is given or learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kcore import config, ops
from kcore.declare import argument, at_least, one_of, only, optional
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.preprocessing.data_layer import DataLayer, batches_of
from kcore.layers.preprocessing.encoding import dense_only, encode, encode_on_host, encoded_shape, mode_of
from kcore.layers.preprocessing.hashes import buckets
from kcore.layers.preprocessing.hashing import hash_key
from kcore.layers.preprocessing.host_layer import HostLayer, host_array
from kcore.registry import public
from kcore.runtime import EagerTensor, KerasTensor

#: The file in which the vocabulary lies, one entry a line.
VOCABULARY = "vocabulary.txt"

modes = mode_of("int", "one_hot", "multi_hot", "count", "tf_idf")


def tokens_of(value: Any) -> Any:
    """Kind of the argument: a list or array of tokens, or the path of a text file with one in a line."""
    if isinstance(value, (str, Path)):
        return Path(value).read_text(encoding="utf-8").splitlines()
    return None if value is None else np.asarray(value).tolist()


class IndexLookup(Layer):
    """Base of the layers with a vocabulary.

    Tokens are numbered in the order of the vocabulary; before them come the mask token (``output_mode="int"`` alone)
    and the indices of what is not in the vocabulary.

    Args:
        max_tokens: the most entries, with those for what is unknown and for the mask; None is no limit.
        num_oov_indices: indices for tokens that are not in the vocabulary; by a hash of them if more than 1; 0 makes
            them an error.
        mask_token: what counts as nothing: index 0; left out in other modes than ``"int"``.
        oov_token: what stands for unknown tokens in `get_vocabulary` and with `invert`.
        vocabulary: tokens, most frequent first, or the path of a text file with one in a line.
        idf_weights: with ``"tf_idf"`` and a vocabulary: the weight of each token.
        invert: whether indices are turned into tokens.
        output_mode: ``"int"``; ``"one_hot"``, ``"multi_hot"`` and ``"count"`` as in `CategoryEncoding`; ``"tf_idf"``:
            counts times `idf_weights`.
        pad_to_max_tokens: whether vectors have `max_tokens` entries even if the vocabulary has fewer.
        sparse: False.
        salt: two integers: unknown tokens are hashed with SipHash under this key.
    """

    max_tokens: int | None
    num_oov_indices: int
    mask_token: Any
    oov_token: Any
    input_vocabulary: list[Any] | None
    input_idf_weights: list[float] | None
    invert: bool
    output_mode: str
    pad_to_max_tokens: bool
    oov_method: str
    salt: list[int] | None

    untracked = frozenset(("_tokens", "_numbers", "_counts", "_documents", "input_vocabulary", "input_idf_weights"))

    def __post_init__(self) -> None:
        self._tokens: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._idf: np.ndarray | None = None
        self._counts: Counter[Any] = Counter()
        self._documents: Counter[Any] = Counter()
        self._document_count = 0
        self.autocast = False
        who = describe_layer(self)
        if self.max_tokens is not None and self.max_tokens < 2:
            raise ValueError(f"{who}: max_tokens={self.max_tokens}: expected an integer above 1, or None")
        if self.pad_to_max_tokens and self.max_tokens is None:
            raise ValueError(f"{who}: pad_to_max_tokens=True needs max_tokens")
        if self.invert and self.output_mode != "int":
            raise ValueError(f"{who}: invert=True goes with output_mode='int', not {self.output_mode!r}")
        if self.input_idf_weights is not None and self.output_mode != "tf_idf":
            raise ValueError(f"{who}: idf_weights go with output_mode='tf_idf', not {self.output_mode!r}")
        if self.input_vocabulary is not None:
            if self.output_mode == "tf_idf" and self.input_idf_weights is None:
                raise ValueError(f"{who}: a vocabulary with output_mode='tf_idf' needs idf_weights, too")
            self.set_vocabulary(self.input_vocabulary, self.input_idf_weights)

    # -- the vocabulary ----------------------------------------------------------------------------------------

    @property
    def _first_unknown(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _first_token(self) -> int:
        return self._first_unknown + self.num_oov_indices

    def vocabulary_size(self) -> int:
        """Number of indices, with those for the mask and for what is unknown."""
        return self._first_token + len(self._tokens)

    @property
    def _depth(self) -> int | None:
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self._told_size

    #: The size a configuration tells, until the vocabulary comes.
    _stored_size: int | None = None

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens by index.

        Args:
            include_special_tokens: whether the mask token and the one for unknown tokens are there, too.
        """
        special = [self.mask_token] * self._first_unknown + [self.oov_token] * self.num_oov_indices
        return [*(special if include_special_tokens else ()), *self._tokens]

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Give the vocabulary, instead of learning it.

        Args:
            vocabulary: tokens, or the path of a text file with one in a line. Special tokens may stand at its
                beginning, as `get_vocabulary` gives them.
            idf_weights: with ``output_mode="tf_idf"``: one for each entry.

        Raises:
            ValueError: no token, a token twice or out of place, too many; weights that are missing or not as many.
        """
        who = describe_layer(self)
        from_file = isinstance(vocabulary, (str, Path))
        given = [self._token(x) for x in tokens_of(vocabulary)]
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(f"{who}: idf_weights go with output_mode='tf_idf', and only with it")
        if not given:
            raise ValueError(f"{who}: the vocabulary is empty")
        special = self.get_vocabulary()[: self._first_token]
        whole = not from_file and given[: len(special)] == special
        tokens = given[len(special) :] if whole else given
        twice = [token for token, count in Counter(tokens).items() if count > 1]
        if twice:
            raise ValueError(f"{who}: the vocabulary has tokens twice: {', '.join(map(repr, twice[:5]))}")
        for name, token in (("mask", self.mask_token), ("OOV", self.oov_token if self.invert else None)):
            if token is not None and token in tokens:
                raise ValueError(
                    f"{who}: the vocabulary has the {name} token {token!r} at {given.index(token)}; special tokens are "
                    f"left out, or all stand at the beginning: {special}"
                )
        size = self._first_token + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(f"{who}: the vocabulary has {size} entries, but max_tokens={self.max_tokens}")
        weights = None
        if idf_weights is not None:
            weights = np.asarray(idf_weights, "float32")
            if weights.shape != (len(given),):
                raise ValueError(f"{who}: {len(given)} tokens need as many idf_weights, got {weights.shape}")
            if not whole:
                weights = np.pad(weights, (self._first_token, 0), constant_values=np.average(weights))
        self._learn(tokens, weights)

    def _token(self, value: Any) -> Any:
        """A token as the vocabulary holds it."""
        raise NotImplementedError

    def _learn(self, tokens: list[Any], weights: np.ndarray | None) -> None:
        size = self._first_token + len(tokens)
        depth = self._depth
        if self.built and self.output_mode != "int" and not self.pad_to_max_tokens and depth not in (None, size):
            raise ValueError(
                f"{describe_layer(self)} was used with {depth} entries, so its vectors cannot have {size} now; "
                "pad_to_max_tokens=True keeps their length"
            )
        self._tokens = tokens
        self._numbers = {token: self._first_token + i for i, token in enumerate(tokens)}
        if weights is not None and self.pad_to_max_tokens and self.max_tokens is not None:
            weights = np.pad(weights, (0, self.max_tokens - len(weights)))
        self._idf = weights

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary from data, in place of what was known before: the most frequent tokens first.

        Args:
            data: a list or array of tokens; or batches of them: a `PyDataset`, a ``tf.data.Dataset`` or a generator.
            steps: batches to look at; all if None.

        Raises:
            ValueError: the vocabulary was given.
        """
        self.reset_state()
        whole = isinstance(data, (list, tuple, np.ndarray, EagerTensor))
        for batch in islice(batches_of(self, data, chunked=False), steps):
            self.update_state(batch[:, None] if whole and batch.ndim == 1 else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch; every row is a document."""
        if self.input_vocabulary is not None:
            raise ValueError(f"{describe_layer(self)}: adapt() has nothing to learn: the vocabulary was given")
        array = host_array(data)
        rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), -1)
        for row in rows.tolist():
            tokens = [self._token(x) for x in row]
            self._counts.update(tokens)
            if self.output_mode == "tf_idf":
                self._documents.update(set(tokens))
        self._document_count += len(rows)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted; without anything counted it stays."""
        for token in (self.mask_token, self.oov_token):
            self._counts.pop(token, None)
        if not self._counts:
            return
        tokens = sorted(self._counts, key=lambda token: (self._counts[token], token), reverse=True)
        if self.max_tokens is not None:
            tokens = tokens[: max(self.max_tokens - self._first_token, 0)]
        weights = None
        if self.output_mode == "tf_idf":
            within = np.array([self._documents[token] for token in tokens])
            weights = np.log(1 + self._document_count / (1 + within)).astype("float32")
            weights = np.pad(weights, (self._first_token, 0), constant_values=np.mean(weights))
        self._learn(tokens, weights)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was counted; the vocabulary stays until the next `finalize_state`."""
        self._counts, self._documents, self._document_count = Counter(), Counter(), 0

    def _check_known(self) -> None:
        if not self._tokens:
            raise ValueError(f"{describe_layer(self)} has no vocabulary yet: call adapt() or set_vocabulary() first")

    # -- looking up --------------------------------------------------------------------------------------------

    def _refuse_unknown(self, values: np.ndarray, unknown: np.ndarray) -> None:
        if unknown.any():
            raise ValueError(
                f"{describe_layer(self)}: {values[unknown].tolist()[0]!r} is not in the vocabulary, and "
                "num_oov_indices=0 leaves "
                "no index for it"
            )

    def _unknown_indices(self, values: np.ndarray) -> np.ndarray:
        """The indices of values that are not in the vocabulary."""
        if self.num_oov_indices == 1:
            return np.full(values.shape, self._first_unknown)
        key = None if self.salt is None else (self.salt[0], self.salt[1])
        return buckets(values, self.num_oov_indices, key) + self._first_unknown

    # -- files -------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_size": self._told_size}

    @property
    def _told_size(self) -> int | None:
        """The size that the configuration tells."""
        return self.vocabulary_size() if self._tokens else self._stored_size

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
        layer._stored_size = size
        return layer

    def get_build_config(self) -> dict[str, Any] | None:
        return {}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """There is nothing to build."""

    def save_own_variables(self, store: Any) -> None:
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Any) -> None:
        if self.output_mode == "tf_idf" and "idf_weights" in store:
            self._idf = np.asarray(store["idf_weights"])

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary that was learned to a folder."""
        if self.input_vocabulary is None and self._tokens:
            lines = [str(token) for token in self.get_vocabulary()]
            (Path(dir_path) / VOCABULARY).write_text("\n".join(lines), encoding="utf-8")

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary that `save_assets` wrote."""
        path = Path(dir_path) / VOCABULARY
        if self.input_vocabulary is not None or not path.exists():
            return
        lines = path.read_text(encoding="utf-8").split("\n")
        while lines and not lines[-1]:
            lines.pop()
        if len(lines) > self._first_token:
            idf = self._idf
            self.set_vocabulary([self._token(line) for line in lines], None if idf is None else idf[: len(lines)])


@public("keras.layers")
class StringLookup(IndexLookup, HostLayer):
    """Strings as their places in a vocabulary, or, inverted, places as strings.

    Computed by the host, before the model: no device computes with strings.

    Args:
        max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, salt: see `IndexLookup`.
        encoding: of bytes.
        oov_method: ``"floormod"``; strings are always hashed.

    Shapes:
        input strings of any shape; output int64 of the same shape, or float vectors as in `CategoryEncoding`. Inverted:
        integers in, a NumPy array of strings out.

    Raises:
        ValueError: no vocabulary yet; an unknown string with ``num_oov_indices=0``; a call within a model.

    Example:
        >>> layer = StringLookup()
        >>> layer.adapt(["cat", "dog", "cat", "bird"])
        >>> layer.get_vocabulary()
        ['[UNK]', 'cat', 'dog', 'bird']
        >>> layer(["dog", "cow"]).numpy().tolist()
        [2, 0]

    Source: `keras.layers.StringLookup`.
    """

    max_tokens: int | None = argument(None)
    num_oov_indices: int = argument(1, at_least(0))
    mask_token: str | None = argument(None)
    oov_token: str | None = argument("[UNK]")
    vocabulary: Any = argument(None, tokens_of, attr="input_vocabulary")
    idf_weights: Any = argument(None, tokens_of, attr="input_idf_weights")
    invert: bool = argument(False)
    output_mode: str = argument("int", modes)
    pad_to_max_tokens: bool = argument(False)
    sparse: bool = argument(False, dense_only)
    encoding: str = argument("utf-8")
    name: str = argument(None, config=False)
    salt: Any = argument(None, hash_key)
    oov_method: str = argument("floormod", one_of("floormod", "farmhash"), keyword=True)

    def _token(self, value: Any) -> str:
        return value.decode(self.encoding) if isinstance(value, bytes) else str(value)

    def call(self, inputs: Any) -> Any:
        values = host_array(inputs, self.encoding)
        self._check_known()
        if self.invert:
            known = dict(enumerate(self.get_vocabulary()))
            return np.asarray(np.frompyfunc(lambda i: known.get(i, self.oov_token), 1, 1)(values), object).astype(str)
        if values.dtype != object:
            values = host_array(values.astype(str))
        found = np.asarray(np.frompyfunc(lambda s: self._numbers.get(s, -1), 1, 1)(values)).astype("int64")
        masked = np.asarray(values == self.mask_token) if self.mask_token is not None else np.zeros(values.shape, bool)
        unknown = (found < 0) & ~masked
        if self.num_oov_indices == 0:
            self._refuse_unknown(values, unknown)
        elif unknown.any():
            found = np.where(unknown, self._unknown_indices(values), found)
        found = np.where(masked, 0 if self.output_mode == "int" else -1, found)
        return self._encoded(found)

    def _encoded(self, found: np.ndarray) -> np.ndarray:
        if self.output_mode == "int":
            return found
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        vectors = encode_on_host(found, mode, self._depth, config.floatx())  # type: ignore[arg-type] # known
        return vectors if self.output_mode != "tf_idf" else vectors * self._idf


@public("keras.layers")
class IntegerLookup(IndexLookup, DataLayer):
    """Integers as their places in a vocabulary, or, inverted, places as integers.

    Written in ops, so that it may be the first layer of a model; with ``num_oov_indices=0`` or
    ``oov_method="farmhash"`` the host has to look at the values, and it stands before one.

    Args:
        max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, salt: see `IndexLookup`.
        vocabulary_dtype: ``"int64"``.
        oov_method: ``"floormod"``: an unknown integer goes to its remainder by `num_oov_indices`; ``"farmhash"``: to
            the bucket of a hash of its digits.

    Shapes:
        input integers of any shape; output int64 of the same shape, or float vectors as in `CategoryEncoding`.

    Raises:
        ValueError: no vocabulary yet; an unknown integer with ``num_oov_indices=0``.

    Example:
        >>> layer = IntegerLookup(vocabulary=[12, 36, 1138])
        >>> layer(np.array([[36, 12, 42]])).numpy().tolist()
        [[2, 1, 0]]

    Source: `keras.layers.IntegerLookup`.
    """

    max_tokens: int | None = argument(None)
    num_oov_indices: int = argument(1, at_least(0))
    mask_token: int | None = argument(None, optional(int))
    oov_token: int | None = argument(-1, optional(int))
    vocabulary: Any = argument(None, tokens_of, attr="input_vocabulary")
    vocabulary_dtype: str = argument("int64", only("int64", "integers are compared as int64"))
    idf_weights: Any = argument(None, tokens_of, attr="input_idf_weights")
    invert: bool = argument(False)
    output_mode: str = argument("int", modes)
    sparse: bool = argument(False, dense_only)
    pad_to_max_tokens: bool = argument(False)
    oov_method: str = argument("floormod", one_of("floormod", "farmhash"))
    salt: Any = argument(None, hash_key)
    name: str = argument(None, config=False)

    def __post_init__(self) -> None:
        if self.salt is not None and self.oov_method != "farmhash":
            raise ValueError(f"{describe_layer(self)}: salt goes with oov_method='farmhash', not 'floormod'")
        super().__post_init__()

    def _token(self, value: Any) -> int:
        return int(value)

    def call(self, inputs: Any) -> Any:
        self._check_known()
        if self.invert:
            table = np.array([*self.get_vocabulary(), self.oov_token], "int64")
            inputs = ops.cast(inputs, "int64")
            inside = ops.logical_and(inputs >= 0, inputs < len(table) - 1)
            return ops.take(table, ops.where(inside, inputs, len(table) - 1))
        values = ops.cast(inputs, "int64")
        order = np.argsort(self._tokens)
        keys = np.array(self._tokens, "int64")[order]
        at = ops.minimum(ops.searchsorted(keys, values), len(keys) - 1)
        known = ops.equal(ops.take(keys, at), values)
        found = ops.where(
            known, ops.take((order + self._first_token).astype("int64"), at), self._unknown(values, known)
        )
        if self.mask_token is not None:
            nothing = np.int64(0 if self.output_mode == "int" else -1)
            found = ops.where(ops.equal(values, self.mask_token), nothing, found)
        if self.output_mode == "int":
            return found
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        vectors = encode(found, mode, self._depth, config.floatx())  # type: ignore[arg-type] # known
        return vectors if self._idf is None else vectors * self._idf

    def _unknown(self, values: Any, known: Any) -> Any:
        """The indices of unknown integers."""
        if self.num_oov_indices == 1:
            return np.int64(self._first_unknown)
        if self.num_oov_indices > 1 and self.oov_method == "floormod":
            return ops.mod(values, self.num_oov_indices) + self._first_unknown
        if not isinstance(values, EagerTensor):
            raise ValueError(
                f"{describe_layer(self)}: with num_oov_indices=0 or oov_method='farmhash' the host looks at the "
                "values: "
                "call the layer on arrays, before the model"
            )
        if self.num_oov_indices:
            return self._unknown_indices(values.numpy())
        unknown = ~known.numpy()
        if self.mask_token is not None:
            unknown &= values.numpy() != self.mask_token
        self._refuse_unknown(values.numpy(), unknown)
        return np.int64(0)

    def compute_output_spec(self, inputs: Any) -> Any:
        dtype = "int64" if self.output_mode == "int" else config.floatx()
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        if mode != "int" and self._depth is None:
            self._check_known()
        return KerasTensor(encoded_shape(inputs.shape, mode, self._depth), dtype=dtype)
