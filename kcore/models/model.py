"""The base class of models: a layer that can be trained, summarized, and whose weights can be saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from kcore.layers import Layer
from kcore.naming import did_you_mean
from kcore.registry import public, serialize
from kcore.runtime import KerasTensor
from kcore.training.trainer import Trainer
from kcore.tree import flatten, is_nested


@public("keras", "Model")
class Model(Trainer, Layer):
    """A model: layers grouped into one thing that is trained and used as a whole.

    There are three ways to make one. From symbolic inputs and outputs, ``Model(inputs, outputs)``, which gives a
    `Functional`; as a stack of layers, `Sequential`; or as a subclass with layers as attributes and a ``call``.

    Args:
        inputs: for the first way: a symbolic tensor made by `Input`, or a list, tuple or dict of them.
        outputs: the same, computed from the inputs.
        name: name of the model.
        trainable: whether its variables may be trained.

    Example:
        >>> import kcore
        >>> inputs = kcore.Input((3,))
        >>> model = kcore.Model(inputs, kcore.layers.Dense(2)(inputs))
        >>> model.output_shape
        (None, 2)
        >>> class Twice(kcore.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.dense = kcore.layers.Dense(4)
        ...     def call(self, x):
        ...         return self.dense(x) * 2.0
        >>> Twice()(kcore.ops.ones((1, 3))).shape
        (1, 4)

    Source: `keras.Model`.
    """

    untracked = frozenset(("_compiled", "_functional", "_functions", "_graph", "_trained", "history"))

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (len(args) >= 2 or "outputs" in kwargs):
            from kcore.models.functional import Functional

            cls = Functional
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        if _made_from_tensors(args, kwargs):
            from kcore.models.functional import Functional

            _become_functional(type(self))
            Functional.__init__(self, *args, **kwargs)  # type: ignore[arg-type]
        else:
            Layer.__init__(self, *args, **kwargs)
            Trainer.__init__(self)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"model {self.name!r} ({type(self).__name__}) has no call() method")

    @property
    def layers(self) -> list[Any]:
        """The layers of the model, without those inside them."""
        return list(self._layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by name or index.

        Args:
            name: its name.
            index: its place in `layers`.

        Raises:
            ValueError: there is no such layer; near names are shown.

        Example:
            >>> import kcore
            >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2, name="logits")])
            >>> model.get_layer("logits") is model.get_layer(index=0)
            True
        """
        if (name is None) == (index is None):
            raise ValueError(f"get_layer() takes either a name or an index, received name={name!r}, index={index!r}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"model {self.name!r} has no layer {index}: it has {len(layers)} layers")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        near = did_you_mean(name, names) or "."
        raise ValueError(f"model {self.name!r} has no layer {name!r}{near} Its layers are {names}")

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: tuple[str, str] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and parameters.

        Args:
            line_length: width of the table.
            positions: where columns end, as shares of the width.
            print_fn: gets the text instead of standard output.
            expand_nested: show the layers of inner models too.
            show_trainable: show which layers are trainable.
            layer_range: names (or regular expressions) of the first and last layer shown.

        Source: `keras.Model.summary`.
        """
        from kcore.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **options: Any) -> None:
        """Save the model whole; see `kcore.saving.save_model`.

        Args:
            filepath: the file; its ending chooses the form.
            overwrite: whether a file that is there may be replaced.
            zipped: accepted for Keras's sake.
            **options: ``include_optimizer``, ``save_format``.
        """
        from kcore.saving import save_model

        save_model(self, filepath, overwrite, zipped, **options)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None, **options: Any
    ) -> None:
        """Save all weights, in the form that the name's ending chooses; see `kcore.saving.save_weights`.

        The file is complete or not there: it is written beside its place and renamed.

        Args:
            filepath: ends in ``.weights.h5`` (with the optimizer's state), ``.weights.json``, ``.h5`` or
                ``.safetensors``.
            overwrite: whether a file that is there may be replaced.
            max_shard_size: in GiB, of each file of a ``.weights.json``.
            **options: ``include_states``.

        Raises:
            ValueError: another ending, or a model that is not built.
            FileExistsError: the file is there and `overwrite` is False.
        """
        from kcore.saving import save_weights

        save_weights(self, filepath, overwrite, max_shard_size, **options)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **options: Any) -> None:
        """Load weights saved by `save_weights`, or by Keras of any version; see `kcore.saving.load_weights`.

        Everything is checked before anything is changed.

        Args:
            filepath: a file of weights, or of a whole model.
            skip_mismatch: leave layers alone whose weights do not fit, with a warning, instead of raising.
            **options: ``by_name``, ``objects_to_skip``.

        Raises:
            ValueError: the file does not fit the model; the message names layer, variable, shapes and file.
        """
        from kcore.saving import load_weights

        load_weights(self, filepath, skip_mismatch, **options)

    # -- copies ------------------------------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A model of its own in every part: weights, optimizer with its state, metrics, attributes.

        ``copy.copy`` does the same: two models that share some of their parts are made with `clone_model`.
        """
        from kcore.models.cloning import deep_copy

        return deep_copy(self, memo)

    def __reduce__(self) -> Any:
        from kcore.models.cloning import reduce

        return reduce(self)

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON text, which `kcore.models.model_from_json`, here or in Keras, reads again.

        Weights are not in it; the arguments of `compile` are.

        Args:
            **kwargs: what `json.dumps` takes.

        Example:
            >>> import kcore
            >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
            >>> kcore.models.model_from_json(model.to_json()).count_params()
            8

        Source: `keras.Model.to_json`.
        """
        return json.dumps(serialize(self), **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The configuration as YAML text, which `kcore.models.model_from_yaml` reads again.

        Args:
            **kwargs: what ``yaml.safe_dump`` takes.

        Raises:
            MissingExtraError: PyYAML is not installed.

        Source: `Model.to_yaml` of Keras 2.
        """
        from kcore.saving.architecture import to_yaml

        return to_yaml(self, **kwargs)

    def reset_states(self) -> None:
        """Set the states of all stateful recurrent layers to zeros, as between independent sequences.

        Example:
            >>> import kcore
            >>> rnn = kcore.layers.GRU(2, stateful=True)
            >>> model = kcore.Sequential([kcore.Input(batch_shape=(1, 3, 4)), rnn])
            >>> _ = model.predict(kcore.ops.ones((1, 3, 4)), verbose=0)
            >>> model.reset_states()
            >>> float(abs(rnn.states[0].numpy()).sum())
            0.0

        Source: `Model.reset_states` of Keras 2; in Keras 3 only layers have it.
        """
        for layer in self._flatten_layers():
            if not isinstance(layer, Model) and getattr(layer, "stateful", False):
                layer.reset_state()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        from kcore.models.functional import Functional
        from kcore.models.functional_config import functional_from_config

        if {"layers", "input_layers", "output_layers"} <= set(config):
            target = Functional if cls is Model else cls
            return functional_from_config(target, config, custom_objects)
        return super().from_config(config)


def _made_from_tensors(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether a model's arguments are symbolic inputs and outputs."""
    if len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs):
        values = [*args[:2], *(kwargs[k] for k in ("inputs", "outputs") if k in kwargs)]
        return all(
            isinstance(v, KerasTensor) or is_nested(v) and any(isinstance(x, KerasTensor) for x in flatten(v))
            for v in values
        )
    return False


def _become_functional(cls: type) -> None:
    """Put `Functional` where a subclass of Model says Model, as its instances are made from tensors."""
    from kcore.models.functional import Functional

    if issubclass(cls, Functional):
        return
    if Model in cls.__bases__:
        cls.__bases__ = tuple(Functional if base is Model else base for base in cls.__bases__)
    else:
        for base in cls.__bases__:
            if issubclass(base, Model):
                _become_functional(base)
