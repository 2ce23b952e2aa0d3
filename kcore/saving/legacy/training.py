"""How an old file's model was compiled, and the state of its optimizer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kcore import losses, optimizers
from kcore.runtime import Variable
from kcore.saving.datasets import Array

Config = dict[str, Any]

#: Keys of optimizers that today's do not have, and that change nothing at the value they have in files.
_DROPPED = frozenset(("is_legacy_optimizer", "use_locking", "sparse", "jit_compile", "clip_norm", "schedule_decay"))

#: Loss reductions of tf.keras.
_REDUCTIONS = {"auto": "sum_over_batch_size", "none": None}


def compile_arguments(training: Mapping[str, Any], era: int, outputs: int = 1) -> Config:
    """The arguments of `compile` that a file's ``training_config`` describes, in serialized form.

    Args:
        training: ``{"optimizer_config", "loss", "metrics", ...}``.
        era: the major version of the Keras that wrote it.
        outputs: how many outputs the model has.

    Returns:
        Arguments for ``model.compile_from_config``.
    """
    found: Config = {"optimizer": optimizer_config(training["optimizer_config"]), "loss": _loss(training.get("loss"))}
    for key, convert in (("metrics", _metric), ("weighted_metrics", _metric), ("loss_weights", lambda v: v)):
        if training.get(key):
            found[key] = _mapped(convert, training[key])
    return _for_each_output(found, outputs) if era < 3 else found


def _without_none(metrics: Any) -> list[Any]:
    """The metrics of one output, of which tf.keras wrote null where there are none."""
    listed = metrics if isinstance(metrics, list) else [metrics]
    return [metric for metric in listed if metric is not None]


def _for_each_output(arguments: Config, outputs: int) -> Config:
    """The same, with metrics that Keras 2 meant for every output written for each."""
    for key in ("metrics", "weighted_metrics"):
        given = arguments.get(key)
        if isinstance(given, list) and any(isinstance(entry, list) for entry in given):
            arguments[key] = given = [_without_none(entry) for entry in given]
        elif isinstance(given, list):
            arguments[key] = given = _without_none(given)
        if outputs > 1 and isinstance(given, list) and not any(isinstance(entry, list) for entry in given):
            arguments[key] = [given] * outputs
    return arguments


def compile_config(written: Mapping[str, Any], outputs: int) -> Config:
    """The ``compile_config`` of an archive of Keras 2.12 to 2.15, as Keras 3 would have written it."""
    found = {key: value for key, value in written.items() if value is not None}
    if isinstance(found.get("optimizer"), Mapping):
        found["optimizer"] = optimizer_config(found["optimizer"])
    for key, convert in (("loss", _loss), ("metrics", _metric), ("weighted_metrics", _metric)):
        if key in found:
            found[key] = _mapped(convert, found[key])
    return _for_each_output(found, outputs)


def training_config(model: Any) -> Config:
    """How a model is compiled, in the form of `compile_arguments`; functions by their names."""
    given = model.get_compile_config()
    config: Config = {"optimizer_config": _in_shared_words(given["optimizer"])}
    config["loss"] = renamed(full_loss_name, given.get("loss"))
    for key in ("metrics", "weighted_metrics", "loss_weights"):
        config[key] = renamed(lambda value: value, given.get(key))
    config["sample_weight_mode"] = None
    return config


#: Optimizers whose defaults are the same in Keras 2.2 and 3, and their names where none is given.
_SAME_DEFAULTS = {"Adam": "adam", "SGD": "sgd", "RMSprop": "rm_sprop"}


def _in_shared_words(optimizer: Mapping[str, Any]) -> Config:
    """An optimizer without what it is anyhow, so that Keras 2.2 need not know today's names of arguments."""
    name, config = optimizer["class_name"], optimizer["config"]
    if name in _SAME_DEFAULTS and optimizer.get("registered_name") in (None, name):
        usual = getattr(optimizers, name)().get_config()
        if re.fullmatch(rf"{_SAME_DEFAULTS[name]}(_\d+)?", config["name"]):  # as it is named if nobody does
            usual["name"] = config["name"]
        config = {key: value for key, value in config.items() if value != usual.get(key)}
    return {"class_name": name, "config": config}


def renamed(convert: Any, value: Any) -> Any:
    """The same structure: objects without Keras 3's keys, functions by name, and names as `convert` gives them."""
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        return value["config"]
    if isinstance(value, Mapping) and "class_name" in value:
        return {"class_name": value["class_name"], "config": value["config"]}
    if isinstance(value, Mapping):
        return {key: renamed(convert, v) for key, v in value.items()}
    return [renamed(convert, v) for v in value] if isinstance(value, list | tuple) else convert(value)


def full_loss_name(name: Any) -> Any:
    """A loss by its full name: Keras 3 does not read the short ones from HDF5 files."""
    if not isinstance(name, str) or name in ("ce", "crossentropy"):
        return name
    found = losses.get(name)
    return getattr(found, "__name__", None) or found.name


def _mapped(convert: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_mapped(convert, v) for v in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _mapped(convert, v) for key, v in value.items()}
    return convert(value)


def optimizer_config(written: Mapping[str, Any]) -> Config:
    """An optimizer's ``{"class_name", "config"}`` as Keras 3 has it."""
    name = written["class_name"]
    name = {"adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}.get(name, name).removeprefix("Custom>")
    config = {key: value for key, value in (written.get("config") or {}).items() if key not in _DROPPED}
    if name.startswith("LossScaleOptimizer"):
        return _scaled(config)
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    decay = config.pop("decay", None)
    if decay:  # learning_rate / (1 + decay * iterations)
        schedule = {"initial_learning_rate": config["learning_rate"], "decay_steps": 1, "decay_rate": decay}
        config["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": schedule,
        }
    elif isinstance(config.get("learning_rate"), Mapping):
        config["learning_rate"] = {"module": "keras.optimizers.schedules", **config["learning_rate"]}
    if config.get("epsilon", 0) is None:
        del config["epsilon"]
    if not config.get("weight_decay"):
        config.pop("weight_decay", None)
    return {"module": "keras.optimizers", "class_name": name, "config": config}


def _scaled(config: Mapping[str, Any]) -> Config:
    """A `LossScaleOptimizer`, in the words of each tf.keras; with a scale that is fixed, the optimizer itself."""
    inner = optimizer_config(config.get("inner_optimizer") or config["optimizer"])
    scale = config.get("loss_scale")
    said = scale.get("config", {}) if isinstance(scale, Mapping) else {}
    start = said.get("initial_loss_scale", said.get("loss_scale_value", config.get("initial_scale", 2.0**15)))
    if "loss_scale_value" in said or not config.get("dynamic", True):
        return {**inner, "config": {**inner["config"], "loss_scale_factor": float(start)}}
    steps = said.get("increment_period", config.get("dynamic_growth_steps", 2000))
    return {
        "module": "keras.optimizers",
        "class_name": "LossScaleOptimizer",
        "config": {"inner_optimizer": inner, "initial_scale": float(start), "dynamic_growth_steps": int(steps)},
    }


def _loss(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        return value
    if isinstance(value, Mapping) and "class_name" in value:
        config = {key: v for key, v in value["config"].items() if key != "fn"}
        if "reduction" in config:
            config["reduction"] = _REDUCTIONS.get(config["reduction"], config["reduction"])
        return {"module": "keras.losses", **value, "config": config}
    return _mapped(_loss, value) if isinstance(value, list | Mapping) else value


def _metric(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        return value
    if isinstance(value, Mapping) and value.get("class_name") == "MeanMetricWrapper":
        return value["config"]["fn"] if isinstance(value["config"].get("fn"), str) else value["config"].get("name")
    if isinstance(value, Mapping) and "class_name" in value:
        return {"module": "keras.metrics", **value}
    return value


# -- the optimizer's state ---------------------------------------------------------------------------------------------

#: What files call a kind of state -> what kcore's optimizers call it.
_KINDS = {
    "m": "momentum",
    "momentum": "momentum",
    "moments": "momentum",
    "v": "velocity",
    "velocity": "velocity",
    "vhat": "velocity_hat",
    "velocity_hat": "velocity_hat",
    "rms": "velocity",
    "mg": "average_gradient",
    "average_gradient": "average_gradient",
    "average": "ema",
    "accumulator": "accumulator",
    "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
    "accumulated_grad": "accumulated_grad",
    "accumulated_delta_var": "accumulated_delta_var",
    "linear": "linear",
    "u": "norm",
    "norm": "norm",
}

#: Names of what is no state of a weight: hyperparameters, and what follows from the number of steps.
_NOT_STATE = re.compile(
    r"(^|/)(current_)?_?learning_rate(_\d+)?$|^variable$|(^|/)(decay|beta_1|beta_2|rho|lr|cur_mu|cond|momentum_cache|m_schedule)(_\d+)?$"
)

#: Kinds of state in the order in which files without names keep them.
_ORDER = {
    "Adam": ("momentum", "velocity"),
    "Nadam": ("momentum", "velocity"),
    "SGD": ("momentum",),
    "RMSprop": ("velocity",),
    "Adagrad": ("accumulator",),
    "Adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "Adamax": ("momentum", "norm"),
}


def derived_state(optimizer: Any, iterations: int) -> dict[int, np.ndarray]:
    """Variables of an optimizer that old files do not hold, and that follow from the number of steps: id -> value."""
    product = getattr(optimizer, "_product", None)
    if product is None:
        return {}
    steps = np.arange(1, iterations + 1)
    return {id(product): np.prod(optimizer.beta_1 * (1 - 0.5 * 0.96**steps)).astype("float32")}  # Nadam


class OptimizerState(NamedTuple):
    """An old file's optimizer state, understood.

    Attributes:
        iterations: how many steps were done; None if the file does not say.
        variables: the trained variables in the file's order.
        slots: kind -> one array per variable.
    """

    iterations: Array | None
    variables: Sequence[Variable]
    slots: dict[str, list[Array]]

    def pairs(self, optimizer: Any) -> list[tuple[Variable, Array]]:
        """The optimizer's variables with the arrays that they become."""
        found = [] if self.iterations is None else [(optimizer._iterations, self.iterations)]
        for kind, arrays in self.slots.items():
            mine = kept(optimizer)[kind]
            found += [
                (mine[optimizer._get_variable_index(v)], array) for v, array in zip(self.variables, arrays, strict=True)
            ]
        return found


def kept(optimizer: Any) -> dict[str, list[Variable]]:
    """What an optimizer keeps for each trained variable, by kind; the variables' moving averages first."""
    return {**({"ema": optimizer._averages} if optimizer.use_ema else {}), **optimizer._slots}


def understood(
    names: Sequence[str], arrays: Sequence[Array], orders: Sequence[Sequence[Variable]], optimizer: Any
) -> list[tuple[Variable, Array]]:
    """An optimizer's variables with the arrays that they become; see `understand`.

    A `LossScaleOptimizer` finds its own by their names in files of Keras 3; in older ones it begins anew.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None:
        return understand(names, arrays, orders, optimizer).pairs(optimizer)
    own = {"step_counter": optimizer.step_counter, "dynamic_scale": optimizer.dynamic_scale}
    last = [re.sub(r":\d+$", "", name).rpartition("/")[2] for name in names]
    rest = [i for i, name in enumerate(last) if name not in own]
    found = understand([names[i] for i in rest], [arrays[i] for i in rest], orders, inner).pairs(inner)
    return [*((own[name], array) for name, array in zip(last, arrays, strict=True) if name in own), *found]


def understand(
    names: Sequence[str], arrays: Sequence[Array], orders: Sequence[Sequence[Variable]], optimizer: Any
) -> OptimizerState:
    """Sort an optimizer's arrays by kind.

    Args:
        names: as the file has them: ``Variable_3:0``, ``training/Adam/m_0:0``, ``Adam/dense/kernel/m:0``,
            ``Adam/m/dense/kernel:0``, ``adam/dense_kernel_momentum``, ...
        arrays: the arrays of these names.
        orders: the trained variables in the orders in which the file may have them, the likeliest first.
        optimizer: today's optimizer, built for them.

    Raises:
        ValueError: the meaning is not certain; the message says why.
    """
    count, kept_as = len(orders[0]), type(optimizer).__name__
    names = [re.sub(r"^cond(_\d+)?/", "", name) for name in names]  # where the scale of the loss decides on the step
    iterations, kinds, rest = _by_names(names, arrays, kept_as)
    if rest and iterations is None and rest[0].shape == () and len(rest) % max(count, 1) == 1:
        iterations = rest.pop(0)  # Keras 2.0's first variable without a name of its own
    if rest:
        if kinds:
            raise ValueError("some of its arrays have names that say what they are, others have not")
        kinds = _by_order(rest, count, kept_as)
    if iterations is not None and iterations.shape != ():
        raise ValueError(f"the number of its steps has shape {iterations.shape}")
    wanted = set(kept(optimizer))
    for kind in sorted(set(kinds) - wanted):  # kept by old optimizers whether they used it or not
        if kind != "velocity_hat" and kept_as != "SGD" and any(np.any(array.read()) for array in kinds[kind]):
            raise ValueError(f"it has {kind!r}, which {kept_as} as it is configured has not")
    if missing := sorted(wanted - set(kinds)):
        raise ValueError(f"it has no {', '.join(missing)}")
    slots = {kind: kinds[kind] for kind in kinds if kind in wanted}
    for variables in orders:
        if all([array.shape for array in found] == [tuple(v.shape) for v in variables] for found in slots.values()):
            return OptimizerState(iterations, variables, slots)
    raise ValueError("its arrays do not have the shapes of the trained weights")


def _by_names(
    names: Sequence[str], arrays: Sequence[Array], optimizer: str
) -> tuple[Array | None, dict[str, list[Array]], list[Array]]:
    """The number of steps, the arrays by the kinds their names tell, and those whose names tell nothing."""
    iterations: Array | None = None
    kinds: dict[str, list[Array]] = {}
    rest: list[Array] = []
    for name, array in zip(names, arrays, strict=True):
        plain = re.sub(r":\d+$", "", name)
        if re.search(r"(^|/)(iter|iteration|iterations)(_\d+)?$", plain):
            iterations = array
        elif not _NOT_STATE.search(plain):
            kind = _kind(plain)
            if kind is None:
                rest.append(array)
            else:  # tf.keras called Adamax's norm v, too
                kinds.setdefault("norm" if (kind, optimizer) == ("velocity", "Adamax") else kind, []).append(array)
    return iterations, kinds, rest


def in_order(optimizer: Any, arrays: Sequence[Array]) -> list[tuple[Variable, Array]]:
    """An optimizer's variables with the arrays that kcore wrote of them, one after the other.

    Raises:
        ValueError: they are not of this optimizer.
    """
    mine = optimizer.variables
    if [tuple(v.shape) for v in mine] != [array.shape for array in arrays]:
        raise ValueError(f"it has {len(arrays)} arrays, which do not fit the {len(mine)} of {type(optimizer).__name__}")
    return list(zip(mine, arrays, strict=True))


def _kind(name: str) -> str | None:
    """The kind of state a name tells, None for a name that tells nothing."""
    parts = name.split("/")
    for candidate in (parts[-1], *parts[1:2], *(parts[:1] if len(parts) > 1 else ())):
        stem = re.sub(r"(_\d+)+$", "", candidate)
        if stem in _KINDS:
            return _KINDS[stem]
    for word in sorted(_KINDS, key=len, reverse=True):  # adam/dense_kernel_momentum
        if len(word) > 3 and parts[-1].endswith(f"_{word}"):
            return _KINDS[word]
    return None


def _by_order(arrays: list[Array], count: int, optimizer: str) -> dict[str, list[Array]]:
    order = _ORDER.get(optimizer)
    if order is None:
        raise ValueError(f"its arrays have no names, and how {optimizer} ordered them is not known")
    blocks = [arrays[i : i + count] for i in range(0, len(arrays), max(count, 1))]
    if len(blocks) == len(order) + 1 and all(a.shape in ((), (1,)) for a in blocks[-1]):
        blocks.pop()  # Adam's places for amsgrad, which was not used
    elif len(blocks) == len(order) + 1 and optimizer == "Adam":
        order = (*order, "velocity_hat")
    if len(blocks) != len(order) or len(blocks[-1]) != count:
        raise ValueError(f"it has {len(arrays)} arrays, {len(order)} for each of {count} trained weights are expected")
    return dict(zip(order, blocks, strict=True))
