"""Tables of features of several kinds as one vector a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kcore import ops
from kcore.layers.core.identity import Identity
from kcore.layers.core.input_layer import Input
from kcore.layers.core.rescaling import Rescaling
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.preprocessing.category_encoding import CategoryEncoding, Discretization
from kcore.layers.preprocessing.hashing import HashedCrossing, Hashing
from kcore.layers.preprocessing.host_layer import HostLayer, host_array
from kcore.layers.preprocessing.lookup import IndexLookup, IntegerLookup, StringLookup
from kcore.layers.preprocessing.normalization import Normalization
from kcore.naming import auto_name, did_you_mean
from kcore.registry import deserialize, serialize
from kcore.runtime import convert_to_tensor

_MODULE = "keras.src.layers.preprocessing.feature_space"


def _described(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A configuration in Keras's form."""
    return {"module": _MODULE, "class_name": name, "config": config, "registered_name": name}


class Feature:
    """How one feature is preprocessed.

    Args:
        dtype: of its values: ``"float32"``, ``"int32"`` or ``"string"``.
        preprocessor: a layer.
        output_mode: ``"float"``; ``"int"``; or ``"one_hot"``, for a layer that gives integers below a known number.

    Raises:
        ValueError: another output mode.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        if output_mode not in ("float", "int", "one_hot"):
            raise ValueError(f"Feature: output_mode={output_mode!r}: expected 'float', 'int' or 'one_hot'")
        if isinstance(preprocessor, Mapping):
            plain = preprocessor.get("class_name") == "TFDIdentity"
            preprocessor = Identity(name=preprocessor["config"]["name"]) if plain else deserialize(preprocessor)
        self.dtype, self.preprocessor, self.output_mode = dtype, preprocessor, output_mode

    def get_config(self) -> dict[str, Any]:
        """The arguments, serialized."""
        return {"dtype": self.dtype, "preprocessor": serialize(self.preprocessor), "output_mode": self.output_mode}

    @property
    def depth(self) -> int | None:
        """How many integers its layer can give; None if that is not known."""
        layer = self.preprocessor
        if isinstance(layer, IndexLookup):
            return layer.vocabulary_size()
        if isinstance(layer, Discretization) and layer.bin_boundaries is not None:
            return len(layer.bin_boundaries) + 1
        return getattr(layer, "num_bins", None) or getattr(layer, "num_tokens", None)


class Cross:
    """Which features are crossed, and in how many buckets their combinations go.

    Args:
        feature_names: two names or more.
        crossing_dim: number of buckets.
        output_mode: ``"one_hot"`` or ``"int"``.

    Raises:
        ValueError: another output mode.
    """

    def __init__(self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"):
        if output_mode not in ("int", "one_hot"):
            raise ValueError(f"Cross: output_mode={output_mode!r}: expected 'int' or 'one_hot'")
        self.feature_names, self.crossing_dim, self.output_mode = tuple(feature_names), crossing_dim, output_mode

    @property
    def name(self) -> str:
        """The name of the crossed feature."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {k: getattr(self, k) for k in ("feature_names", "crossing_dim", "output_mode")}


class FeatureSpace(Layer):
    """Makes one vector, or a dict of encoded features, of every row of a table.

    The host computes it, before the model, unless all features are numbers without crosses: then `get_inputs` and
    `get_encoded_features` are the beginning of a model.

    Args:
        features: name -> kind: ``"float"``, ``"float_rescaled"``, ``"float_normalized"``, ``"float_discretized"``,
            ``"integer_categorical"``, ``"string_categorical"``, ``"integer_hashed"``, ``"string_hashed"``; or what the
            functions of these names return.
        output_mode: ``"concat"`` for one vector, ``"dict"`` for a dict.
        crosses: tuples of names that are crossed, or what `cross` returns.
        crossing_dim: buckets of a cross.
        hashing_dim: buckets of hashed features.
        num_discretization_bins: intervals of discretized features.

    Raises:
        ValueError: an unknown kind or name; a call before `adapt`, where there is something to learn.

    Example:
        >>> space = FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
        >>> table = {"age": [20.0, 40.0], "city": ["Bonn", "Rome"]}
        >>> space.adapt(table)
        >>> space(table).numpy().tolist()
        [[-1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]]

    Source: `keras.utils.FeatureSpace`.
    """

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Iterable[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not features:
            raise ValueError(f"{describe_layer(self)}: features are a dict of names and kinds, got {features!r}")
        if output_mode not in ("concat", "dict"):
            raise ValueError(f"{describe_layer(self)}: output_mode={output_mode!r}: expected 'concat' or 'dict'")
        self.output_mode, self.crossing_dim = output_mode, crossing_dim
        self.hashing_dim, self.num_discretization_bins = hashing_dim, num_discretization_bins
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.preprocessors = {key: feature.preprocessor for key, feature in self.features.items()}
        self.crosses = [self._cross(value) for value in crosses or ()]
        self.crossers = {cross.name: HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses}
        self._adapted = not self._learners()
        self._inputs: dict[str, Any] | None = None
        for layer in self.preprocessors.values():
            if isinstance(layer, Normalization) and not layer.built:
                layer.build((None, 1))  # so that a file finds its variables
        self.built = True

    # -- kinds of features -------------------------------------------------------------------------------------

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A feature with a layer of one's own; see `Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def cross(cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """A cross; see `Cross`."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", Identity(name=_named(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """Numbers times `scale` plus `offset`."""
        return Feature("float32", Rescaling(scale, offset, name=_named(name, "float_rescaled")), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers brought to mean 0 and variance 1."""
        return Feature("float32", Normalization(name=_named(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int | None, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Numbers as intervals; see `Discretization`."""
        layer = Discretization(bin_boundaries, num_bins, name=_named(name, "float_discretized"))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers by a vocabulary; see `IntegerLookup`."""
        layer = IntegerLookup(max_tokens, num_oov_indices, name=_named(name, "integer_categorical"))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Strings by a vocabulary; see `StringLookup`."""
        layer = StringLookup(max_tokens, num_oov_indices, name=_named(name, "string_categorical"))
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Integers in buckets; see `Hashing`."""
        return Feature("int32", Hashing(num_bins, name=_named(name, "integer_hashed")), output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Strings in buckets; see `Hashing`."""
        return Feature("string", Hashing(num_bins, name=_named(name, "string_hashed")), output_mode)

    def _feature(self, name: str, value: Any) -> Feature:
        if isinstance(value, Mapping):
            return Feature(**value["config"])
        if isinstance(value, Feature):
            return value
        made: dict[str, Any] = {
            "float": self.float,
            "float_rescaled": self.float_rescaled,
            "float_normalized": self.float_normalized,
            "float_discretized": lambda name: self.float_discretized(self.num_discretization_bins, name=name),
            "integer_categorical": self.integer_categorical,
            "string_categorical": self.string_categorical,
            "integer_hashed": lambda name: self.integer_hashed(self.hashing_dim, name=name),
            "string_hashed": lambda name: self.string_hashed(self.hashing_dim, name=name),
        }
        if not isinstance(value, str) or value not in made:
            hint = did_you_mean(value, made) if isinstance(value, str) else ""
            raise ValueError(
                f"{describe_layer(self)}: feature {name!r} is {value!r}: expected one of {', '.join(made)}{hint}"
            )
        return made[value](name=name)

    def _cross(self, value: Any) -> Cross:
        value = Cross(**value["config"]) if isinstance(value, Mapping) else value
        cross = value if isinstance(value, Cross) else Cross(value, self.crossing_dim)
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown:
            raise ValueError(
                f"{describe_layer(self)}: there is no feature {unknown[0]!r} to cross"
                f"{did_you_mean(unknown[0], self.features)}"
            )
        return cross

    # -- learning and computing --------------------------------------------------------------------------------

    def _learners(self) -> list[str]:
        """The features whose layers have something to learn."""
        given = ("input_mean", "input_vocabulary")
        return [
            name
            for name, layer in self.preprocessors.items()
            if hasattr(layer, "adapt")
            and all(getattr(layer, key, None) is None for key in given)
            and not (isinstance(layer, Discretization) and layer.num_bins is None)
        ]

    def adapt(self, dataset: Any) -> None:
        """Let every feature learn what it has to from a table.

        Args:
            dataset: name -> array or list; or batches of such dicts.

        Raises:
            ValueError: something else, or a feature that it does not have.
        """
        if not isinstance(dataset, Mapping):
            batches = [*dataset] if hasattr(dataset, "__iter__") else []
            if not batches or not all(isinstance(batch, Mapping) for batch in batches):
                raise ValueError(
                    f"{describe_layer(self)}: adapt() takes a dict of columns, or batches of them, got {dataset!r:.80}"
                )
            dataset = {k: np.concatenate([np.atleast_1d(host_array(b[k])) for b in batches]) for k in batches[0]}
        columns, _ = self._columns(dataset)
        for name in self._learners():
            self.preprocessors[name].adapt(columns[name])
        self._adapted = True

    def _columns(self, data: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], bool]:
        """Every feature as ``(rows, 1)``, and whether it was a single row."""
        if not isinstance(data, Mapping):
            raise ValueError(f"{describe_layer(self)}: expected a dict of columns, got {data!r:.80}")
        missing = [name for name in self.features if name not in data]
        if missing:
            raise ValueError(
                f"{describe_layer(self)}: the data has no {missing[0]!r}, only {', '.join(map(repr, data))}"
            )
        arrays = {name: host_array(data[name]) for name in self.features}
        single = all(x.ndim == 0 for x in arrays.values())
        arrays = {n: x.reshape(1, 1) if x.ndim == 0 else x[:, None] if x.ndim == 1 else x for n, x in arrays.items()}
        for name, feature in self.features.items():
            if feature.dtype.startswith("float"):
                arrays[name] = arrays[name].astype("float32")
        return arrays, single

    def __call__(self, data: Mapping[str, Any]) -> Any:
        """The encoded rows of a table: name -> array ``(rows,)`` or ``(rows, 1)``, or of one row: name -> value."""
        self._check_adapted()
        columns, single = self._columns(data)
        merged = self._merged({name: self.preprocessors[name](x) for name, x in columns.items()})
        first = (lambda x: x[0]) if single else (lambda x: x)
        return {k: first(x) for k, x in merged.items()} if isinstance(merged, dict) else first(merged)

    def call(self, data: Any) -> Any:
        return self(data)

    def _check_adapted(self) -> None:
        if not self._adapted:
            raise ValueError(f"{describe_layer(self)} has not learned its features yet: call adapt() first")

    def _merged(self, found: dict[str, Any]) -> Any:
        """Preprocessed features, crossed, encoded and put together."""
        crossed = {c.name: self.crossers[c.name]([found[n] for n in c.feature_names]) for c in self.crosses}
        specs: dict[str, Any] = {**self.features, **{c.name: c for c in self.crosses}}
        encoded = {}
        for name in [*sorted(found), *sorted(crossed)]:
            x, spec = {**found, **crossed}[name], specs[name]
            x = convert_to_tensor(x) if isinstance(x, np.ndarray) else x
            if spec.output_mode == "one_hot":
                depth = spec.crossing_dim if isinstance(spec, Cross) else spec.depth
                if depth is None or "int" not in x.dtype:
                    raise ValueError(
                        f"{describe_layer(self)}: feature {name!r} cannot be one-hot: its layer must give integers "
                        "below "
                        "a known number; use output_mode='int' or 'float'"
                    )
                x = CategoryEncoding(depth, "multi_hot")(x)
            elif self.output_mode == "concat" and "float" not in x.dtype:
                raise ValueError(
                    f"{describe_layer(self)}: feature {name!r} is {x.dtype} and cannot be put into one vector: encode "
                    "it, "
                    "or use output_mode='dict'"
                )
            encoded[name] = x
        return encoded if self.output_mode == "dict" else ops.concatenate(list(encoded.values()), axis=-1)

    # -- as a part of a model ----------------------------------------------------------------------------------

    def get_inputs(self) -> dict[str, Any]:
        """Symbolic inputs, one for each feature.

        Raises:
            ValueError: a feature of strings, a hash or a cross, which the host computes.
        """
        self._check_adapted()
        hosts = [n for n, layer in self.preprocessors.items() if isinstance(layer, HostLayer)]
        hosts += [cross.name for cross in self.crosses]
        if hosts:
            raise ValueError(
                f"{describe_layer(self)}: {', '.join(map(repr, hosts))} cannot be part of a model: strings, hashes and "
                "crosses are computed by the host; call the feature space on the data before it"
            )
        if self._inputs is None:
            self._inputs = {n: Input((1,), dtype=feature.dtype, name=n) for n, feature in self.features.items()}
        return self._inputs

    def get_encoded_features(self) -> Any:
        """What becomes of `get_inputs`, symbolically: a tensor, or a dict of them."""
        return self._merged({name: self.preprocessors[name](x) for name, x in self.get_inputs().items()})

    # -- configuration -----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            "features": {name: _described("Feature", f.get_config()) for name, f in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [_described("Cross", cross.get_config()) for cross in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    def load_own_variables(self, store: Any) -> None:
        """Its layers load themselves; it counts as adapted when they have."""
        self._adapted = True


def _named(name: str | None, kind: str) -> str:
    return f"{name or auto_name(kind)}_preprocessor"
