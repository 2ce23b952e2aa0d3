"""Layers as Keras 1 and 2 described them, rewritten as Keras 3 describes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from kcore.registry import REGISTRY
from kcore.saving.legacy.meanings import STEPS_FIRST, OldBatchNormalization

Config = dict[str, Any]

#: Keys that say how something is computed or built, not what: they are left out wherever they stand.
OBSOLETE = frozenset(
    (
        *("implementation", "time_major", "input_length", "ragged", "sparse", "input_dtype", "consume_less"),
        *("query_shape", "key_shape", "value_shape", "build_input_shape", "create_weights", "renorm", "fused"),
        *("renorm_clipping", "renorm_momentum", "virtual_batch_size", "adjustment", "batch_input_shape", "input_dim"),
        *("experimental_autocast", "experimental_run_tf_function", "_name", "input_spec"),
    )
)

#: Those of them that any layer may have, one of somebody's own, too.
OF_EVERY_LAYER = frozenset(("batch_input_shape", "input_dtype", "build_input_shape", "experimental_autocast"))

#: Keras 1 -> today.
CLASSES = {
    "Model": "Functional",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}

INITIALIZERS = {
    "zero": "zeros",
    "one": "ones",
    "uniform": "random_uniform",
    "normal": "random_normal",
    "GlorotUniformV2": "GlorotUniform",
    "GlorotNormalV2": "GlorotNormal",
}

#: What Keras 1 called the arguments that most layers share.
_WEIGHTS_1 = {
    "init": "kernel_initializer",
    "bias": "use_bias",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "border_mode": "padding",
}
_RECURRENT_1 = {
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}
RENAMED: dict[str, dict[str, str]] = {
    "Dense": {"output_dim": "units"},
    "Conv1D": {
        "nb_filter": "filters",
        "filter_length": "kernel_size",
        "subsample_length": "strides",
        "atrous_rate": "dilation_rate",
    },
    "Conv2D": {"nb_filter": "filters", "subsample": "strides", "atrous_rate": "dilation_rate"},
    "Conv3D": {"nb_filter": "filters", "subsample": "strides"},
    "Conv2DTranspose": {"nb_filter": "filters", "subsample": "strides"},
    "SeparableConv2D": {
        "nb_filter": "filters",
        "subsample": "strides",
        "depthwise_init": "depthwise_initializer",
        "pointwise_init": "pointwise_initializer",
    },
    "MaxPooling1D": {"pool_length": "pool_size", "stride": "strides"},
    "AveragePooling1D": {"pool_length": "pool_size", "stride": "strides"},
    "UpSampling1D": {"length": "size"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate"},
    "SpatialDropout3D": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "LSTM": {**_RECURRENT_1, "forget_bias_init": "unit_forget_bias"},
    "GRU": _RECURRENT_1,
    "SimpleRNN": _RECURRENT_1,
    "LeakyReLU": {"alpha": "negative_slope"},
    "PReLU": {"init": "alpha_initializer"},
    "ReLU": {"theta": "threshold"},
}


#: Sizes of adapters of low rank, which Keras 3 adds into the kernel that it saves.
ADAPTERS = ("lora_rank", "lora_alpha")


class LegacyError(ValueError):
    """Something in an old file has no meaning today."""


def translate_layer(config: Mapping[str, Any], era: int) -> Config:
    """One layer's ``{"class_name", "config"}`` as Keras 3 would have written it.

    Args:
        config: the layer's entry; layers within it are rewritten too.
        era: 1, 2 or 3: the major version of the Keras that wrote it.

    Returns:
        A configuration for `kcore.registry.deserialize`.

    Raises:
        LegacyError: what it asks for has no equal today; the message names the layer.
    """
    written = config["class_name"]
    inner = dict(config["config"]) if isinstance(config["config"], Mapping) else {"layers": config["config"]}
    if config.get("registered_name") not in (None, written) or ">" in written:
        return {**config, "config": inner}
    name, steps_first = CLASSES.get(written, written), era < 3 and bool(inner.get("time_major"))
    if era < 3:
        inner = _rename(name, inner, era)
        for special in SPECIAL.get(written, ()) or SPECIAL.get(name, ()):
            inner = special(inner, era)
        known = REGISTRY.public(f"keras.layers.{name}") is not None
        dropped = OBSOLETE - set(KEPT.get(name, ())) if known else OF_EVERY_LAYER
        inner = {key: value for key, value in inner.items() if key not in dropped}
    else:
        if inner.get("lora_alpha") not in (None, inner.get("lora_rank")):
            raise LegacyError(f"layer {inner.get('name')!r}: an adapter with lora_alpha, which HDF5 files keep apart")
        inner = without_adapters(inner)
    described = {"class_name": name, "config": {key: _value(key, value, era) for key, value in inner.items()}}
    if steps_first:
        if name not in STEPS_FIRST:
            raise LegacyError(f"layer {inner.get('name')!r}: time_major=True in a layer {written}")
        known_as = STEPS_FIRST[name].__name__
        described |= {"class_name": known_as, "registered_name": f"kcore>{known_as}"}
    elif name == "BatchNormalization" and "mode" in inner:
        described |= {"class_name": OldBatchNormalization.__name__, "registered_name": "kcore>OldBatchNormalization"}
    elif config.get("module") and era >= 3:
        described["module"] = config["module"]
    elif name not in ("Functional", "Sequential", "Model"):
        described["module"] = "keras.layers"
    else:
        described["module"] = "keras"
    if name == "Functional":
        described["module"] = "keras.src.models.functional"
    return described


#: Keys of `OBSOLETE` that are arguments of a class.
KEPT = {"Embedding": ("input_dim",)}


def with_time_major(config: Config) -> Config:
    """The arguments of a Bidirectional layer, of which `time_major` is one if it is one of the layers in it."""
    parts = {key: config[key] for key in ("layer", "backward_layer") if isinstance(config.get(key), Mapping)}
    inner = {key: {**part, "config": {**part["config"], "time_major": False}} for key, part in parts.items()}
    return {**config, **inner, "time_major": any(part["config"].get("time_major") for part in parts.values())}


def without_adapters(config: Mapping[str, Any]) -> Config:
    """A layer's arguments without those of adapters; the file has their product in the kernel itself."""
    if any(config.get(key) for key in ADAPTERS):
        warnings.warn(
            f"layer {config.get('name')!r} was trained with an adapter of rank {config.get('lora_rank')} (LoRA), which "
            "the kernel in the file contains. It predicts the same; training goes on with the whole kernel",
            stacklevel=2,
        )
    return {key: value for key, value in config.items() if key not in ADAPTERS}


def _rename(name: str, config: Config, era: int) -> Config:
    renamed = {**_WEIGHTS_1, **RENAMED.get(name, {})} if era == 1 else RENAMED.get(name, {})
    result: Config = {}
    for key, value in config.items():
        result[renamed.get(key, key)] = value
    if era == 1 and "dim_ordering" in result:
        order = result.pop("dim_ordering")
        result["data_format"] = {"th": "channels_first", "tf": "channels_last"}.get(order)
    return result


def _value(key: str, value: Any, era: int) -> Any:
    """One argument: initializers, regularizers, activations and inner layers in today's words."""
    if isinstance(value, Mapping) and value.get("class_name") == "__numpy__":  # in archives of Keras 2.12
        value = value["config"]["value"]
    if key.endswith("_initializer"):
        return initializer(value)
    if key.endswith("_regularizer"):
        return regularizer(value)
    if key.endswith("_constraint"):
        return constraint(value)
    if key in ("activation", "recurrent_activation") and era < 3:
        return activation(value)
    if key == "dtype":
        return dtype(value)
    if key in ("layer", "backward_layer", "cell") and isinstance(value, Mapping):
        return translate_layer(value, era)
    if key == "cells":
        return [translate_layer(cell, era) for cell in value]
    return value


def dtype(value: Any) -> Any:
    """A dtype or the name of a policy, of whatever a file has for it."""
    if isinstance(value, Mapping) and "class_name" in value:
        return value.get("config", {}).get("name", "float32")
    return value


def activation(value: Any) -> Any:
    """An activation; hard_sigmoid had another slope before Keras 3."""
    if value == "hard_sigmoid":
        return "kcore>legacy_hard_sigmoid"
    if isinstance(value, Mapping):
        return {"module": "keras.layers", **value} if value.get("class_name") else value
    return value


def initializer(value: Any) -> Any:
    """An initializer by name or configuration."""
    if isinstance(value, str):
        return INITIALIZERS.get(value, value)
    if not isinstance(value, Mapping):
        return value
    config = {key: v for key, v in (value.get("config") or {}).items() if key not in ("dtype", "partition")}
    if config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    name = value["class_name"]
    return {**value, "class_name": INITIALIZERS.get(name, name), "config": config}


def regularizer(value: Any) -> Any:
    """A regularizer by name or configuration, Keras 1's ``{"name": "WeightRegularizer", ...}`` included."""
    if isinstance(value, Mapping) and "class_name" not in value:
        return _norms({key: v for key, v in value.items() if key != "name"})
    if isinstance(value, Mapping) and value.get("config") and value["class_name"] in ("L1L2", "L1", "L2"):
        return _norms(value["config"])
    return value


def _norms(config: Mapping[str, Any]) -> Config | None:
    norms = {key: float(config.get(key) or 0.0) for key in ("l1", "l2")}
    return {"module": "keras.regularizers", "class_name": "L1L2", "config": norms} if any(norms.values()) else None


def constraint(value: Any) -> Any:
    """A constraint by name or configuration; Keras 1 wrote its arguments beside its name, and called two otherwise."""
    if not isinstance(value, Mapping) or "class_name" in value:
        if isinstance(value, Mapping):
            return {**value, "config": _constraint_arguments(value.get("config") or {})}
        return value
    config = _constraint_arguments({key: v for key, v in value.items() if key != "name"})
    return {"module": "keras.constraints", "class_name": value["name"], "config": config}


def _constraint_arguments(config: Mapping[str, Any]) -> Config:
    return {{"m": "max_value"}.get(key, key): value for key, value in config.items()}


# -- layers that need more than other names ----------------------------------------------------------------------------

Special = Callable[[Config, int], Config]


def _input_layer(config: Config, era: int) -> Config:
    shape = config.pop("batch_input_shape", None) or config.pop("batch_shape", None)
    for kind, advice in (("sparse", ""), ("ragged", ", sequences of one length: pad shorter ones and mask them")):
        if config.get(kind):
            warnings.warn(
                f"layer {config.get('name')!r} took {kind} tensors and takes dense ones now{advice}", stacklevel=2
            )
    return {**config, "batch_shape": shape, "dtype": config.get("dtype") or config.get("input_dtype") or "float32"}


def _kernel_sizes(config: Config, era: int) -> Config:
    if era == 1 and "nb_row" in config:
        sizes = [config.pop(key) for key in ("kernel_dim1", "nb_row", "nb_col") if key in config]
        config = {**config, "kernel_size": sizes}
    elif era == 1 and "kernel_dim1" in config:
        config["kernel_size"] = [config.pop(f"kernel_dim{i}") for i in (1, 2, 3)]
    config.pop("output_shape", None)
    return config


def _only_groups_of_one(config: Config, era: int) -> Config:
    if config.pop("groups", 1) != 1:
        raise LegacyError(f"layer {config.get('name')!r}: groups other than 1 in a depthwise convolution")
    return {key: value for key, value in config.items() if not key.startswith(("kernel_in", "kernel_re", "kernel_co"))}


def _depthwise(config: Config, era: int) -> Config:
    config = _only_groups_of_one(config, era)
    config.pop("filters", None)
    return config


def _batch_normalization(config: Config, era: int) -> Config:
    config = {key: value for key, value in config.items() if key != "mode" or value != 0}
    axis = config.get("axis", -1)
    return {**config, "axis": axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis}


def _gru(config: Config, era: int) -> Config:
    return {"reset_after": False, **config}  # Keras up to 2.1 knew only that


def _forget_bias(config: Config, era: int) -> Config:
    first = config.get("unit_forget_bias", True)
    return {**config, "unit_forget_bias": first in (True, "one", "ones")}


def _recurrent_1(config: Config, era: int) -> Config:
    for key in ("input_length",) if era == 1 else ():
        config.pop(key, None)
    config.pop("num_constants", None)
    return config


def _cudnn(reset_after: bool) -> Special:
    def translate(config: Config, era: int) -> Config:
        fixed = {"activation": "tanh", "recurrent_activation": "sigmoid"}
        return {**config, **fixed, **({"reset_after": True} if reset_after else {})}

    return translate


def _embedding(config: Config, era: int) -> Config:
    if era == 1 and config.pop("dropout", 0):
        raise LegacyError(
            f"layer {config.get('name')!r}: Keras 1's Embedding(dropout=...); use SpatialDropout1D after it"
        )
    config.pop("activity_regularizer", None)
    return config


def _without(*keys: str) -> Special:
    """For a layer that Keras 2 gave arguments which it did not use."""

    def translate(config: Config, era: int) -> Config:
        return {key: value for key, value in config.items() if key not in keys}

    return translate


def _lambda(config: Config, era: int) -> Config:
    raise LegacyError(
        f"layer {config.get('name')!r} is a Lambda whose function the file holds as code, which is never run. Load the "
        "weights into a model that you build in Python, with a function of your own in the layer's place"
    )


def _thresholded(config: Config, era: int) -> Config:
    return {**config, "threshold": float(config.get("threshold", 1.0))}


def _softmax(config: Config, era: int) -> Config:
    axis = config.get("axis", -1)
    return {**config, "axis": axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis}


SPECIAL: dict[str, tuple[Special, ...]] = {
    "InputLayer": (_input_layer,),
    "Conv1D": (_kernel_sizes,),
    "Conv2D": (_kernel_sizes,),
    "Conv3D": (_kernel_sizes,),
    "Conv1DTranspose": (_without("groups"),),
    "Conv2DTranspose": (_kernel_sizes, _without("groups")),
    "Conv3DTranspose": (_without("groups"),),
    **{f"SpatialDropout{n}D": (_without("noise_shape", "seed"),) for n in (1, 2, 3)},
    "SeparableConv1D": (_only_groups_of_one,),
    "SeparableConv2D": (_kernel_sizes, _only_groups_of_one),
    "DepthwiseConv1D": (_depthwise,),
    "DepthwiseConv2D": (_depthwise,),
    "BatchNormalization": (_batch_normalization,),
    "LSTM": (_recurrent_1, _forget_bias),
    "GRU": (_recurrent_1, _gru),
    "GRUCell": (_gru,),
    "SimpleRNN": (_recurrent_1,),
    "RNN": (_recurrent_1,),
    "CuDNNLSTM": (_recurrent_1, _forget_bias, _cudnn(False)),
    "CuDNNGRU": (_recurrent_1, _cudnn(True)),
    "Attention": (_without("causal"),),
    "AdditiveAttention": (_without("causal"),),
    "Embedding": (_embedding,),
    "Lambda": (_lambda,),
    "ThresholdedReLU": (_thresholded,),
    "Softmax": (_softmax,),
}
