"""The losses and metrics given to `compile`: which belong to which output, what they are called, and their sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from kcore import losses as losses_room
from kcore import metrics as metrics_room
from kcore import ops, tree
from kcore.naming import did_you_mean
from kcore.runtime.bounds import calling
from kcore.training.data import floatx


class Output(NamedTuple):
    """One output of a model: its name, if it has one, and its tensor (or only its shape)."""

    name: str | None
    tensor: Any


def outputs_of(y_pred: Any, names: Sequence[str] | None) -> list[Output]:
    """The outputs of a model in order, named by the keys of a dict or by the layers that made them."""
    flat = list(tree.walk(y_pred))
    named = list(names) if names and len(names) == len(flat) else [None] * len(flat)
    if len(flat) == 1 and not flat[0][0]:
        return [Output(named[0], y_pred)]
    return [
        Output(name if all(isinstance(key, int) for key in path) else "/".join(map(str, path)), leaf)
        for (path, leaf), name in zip(flat, named, strict=True)
    ]


def per_output(values: Any, outputs: Sequence[Output], argument: str) -> list[Any]:
    """One entry per output of something that `compile` takes as one value, a list or a dict by output name.

    Raises:
        ValueError: a list of another length, or a name that no output has.
    """
    if not tree.is_nested(values):
        return [values] * len(outputs)
    names = [output.name for output in outputs]
    if isinstance(values, dict):
        unknown = [key for key in values if key not in names]
        if unknown:
            raise ValueError(
                f"{argument} names an output {unknown[0]!r} that the model does not have; its outputs are {names}"
                + did_you_mean(unknown[0], map(str, names))
            )
        return [values.get(name) for name in names]
    flat = tree.flatten(values) if len(values) != len(outputs) else list(values)
    if len(flat) != len(outputs):
        raise ValueError(f"{argument} has {len(values)} entries, but the model has {len(outputs)} outputs: {names}")
    return flat


def targets_for(
    y: Any, y_pred: Any, outputs: Sequence[Output], wanted: Sequence[bool], argument: str = "y"
) -> list[Any]:
    """One target per output; None where there is none.

    Args:
        y: a tensor, or a structure like the outputs; a list may leave out outputs that nobody wants a target for.
        y_pred: the model's output structure.
        outputs: the same, flat and named.
        wanted: which outputs have a loss or metric.
        argument: ``"y"`` or ``"sample_weight"``, for errors.
    """
    names = [output.name for output in outputs]
    if y is None:
        return [None] * len(outputs)
    if not tree.is_nested(y):
        if len(outputs) == 1:
            return [y]
        if sum(wanted) == 1:
            return [y if want else None for want in wanted]
        raise ValueError(
            f"{argument} is one array, but the model has {len(outputs)} outputs: {names}; pass a list or a dict"
        )
    if tree.same_structure(y, y_pred):
        return tree.flatten(y)
    if isinstance(y, dict) and all(not tree.is_nested(leaf) for leaf in y.values()):
        unknown = [key for key in y if key not in names]
        missing = [name for name, want in zip(names, wanted, strict=True) if want and name not in y]
        if not unknown and not missing:
            return [y.get(name) for name in names]
        raise ValueError(f"{argument} has the keys {sorted(map(str, y))}, but the model's outputs are {names}")
    flat = tree.flatten(y)
    if len(flat) == len(outputs):
        return flat
    if all(leaf is None for leaf in flat):
        raise ValueError(f"{argument} is a {type(y).__name__} of {len(flat)} times None; expected arrays for {names}")
    if len(flat) == sum(wanted):
        rest = iter(flat)
        return [next(rest) if want else None for want in wanted]
    raise ValueError(
        f"{argument} and the model's outputs have different structures: {argument} is {tree.describe(y)}, "
        f"the outputs are {tree.describe(y_pred)} ({names})"
    )


@contextmanager
def _about(output: Output) -> Iterator[None]:
    """Within this context an error about shapes or values says which output it is about."""
    try:
        yield
    except ValueError as error:
        if output.name is None:
            raise
        raise ValueError(f"output {output.name!r}: {error}") from error


def _label_name(y_true: Any, index: int, outputs: Sequence[Output]) -> str:
    """What the user calls the labels of an output."""
    if isinstance(y_true, dict):
        return f"y[{outputs[index].name!r}]"
    return f"y[{index}]" if tree.is_nested(y_true) else "y"


def _kind(y_true: Any, y_pred: Any) -> str:
    """Which variant of accuracy or cross-entropy the shapes ask for."""
    if y_pred.shape[-1] == 1:
        return "binary"
    if len(y_true.shape) < len(y_pred.shape) or (y_true.shape[-1] == 1 and y_pred.shape[-1] > 1):
        return "sparse"
    return "categorical"


def _is_within(name: str | None, key: str) -> bool:
    """Whether an output's name is a key of a dict of outputs, or of what lies under that key."""
    return name == key or str(name).startswith(f"{key}/")


# -- losses ----------------------------------------------------------------------------------------------------------


def resolve_loss(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """A `Loss` from a name, a function or a `Loss`; ``"crossentropy"`` and ``"ce"`` by the shapes."""
    if str(identifier).lower() in ("crossentropy", "ce"):
        names = {
            "binary": "binary_crossentropy",
            "sparse": "sparse_categorical_crossentropy",
            "categorical": "categorical_crossentropy",
        }
        loss = losses_room.get(names[_kind(y_true, y_pred)])
    else:
        loss = losses_room.get(identifier)
    if isinstance(loss, losses_room.Loss):
        return loss
    name = identifier if isinstance(identifier, str) else getattr(loss, "__name__", type(loss).__name__)
    return losses_room.LossFunctionWrapper(loss, name=name)


@dataclass
class Term:
    """One loss on one output."""

    output: int
    loss: Any
    weight: Any
    name: str
    tracker: Any = None


class CompiledLoss:
    """The loss of `compile` as a function of targets and predictions.

    Args:
        loss: an identifier, a list or dict of them; None for an output without loss.
        loss_weights: float, list or dict; multiplies each output's loss.
        output_names: names of the model's outputs, if they are known.

    Attributes:
        metrics: one `Mean` per loss if there are several, named ``<output>_loss``.
    """

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: Sequence[str] | None = None):
        if loss_weights is not None and not isinstance(loss_weights, (list, tuple, dict, float, int)):
            raise ValueError(f"loss_weights must be a number, a list or a dict, received {loss_weights!r}")
        self._loss = loss
        self._weights = loss_weights
        self._names = output_names
        self._terms: list[Term] = []
        self.built = False

    @property
    def metrics(self) -> list[Any]:
        return [term.tracker for term in self._terms if term.tracker is not None]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Resolve names and make the trackers; only shapes are looked at."""
        outputs = outputs_of(y_pred, self._names)
        names = [output.name for output in outputs]
        loss, weights = self._loss, self._weights
        if isinstance(loss, dict) and not isinstance(y_pred, dict) and set(loss) != set(names):
            raise ValueError(f"loss must have one entry per output: the outputs are {names}, the keys are {list(loss)}")
        if len(outputs) == 1 and isinstance(loss, (list, tuple)):
            if not loss:
                raise ValueError(f"loss is an empty {type(loss).__name__}: expected a loss for output {names[0]!r}")
            each = [(0, identifier) for identifier in loss]  # several losses on the only output
        else:
            each = list(enumerate(per_output(loss, outputs, "loss")))
        if len(outputs) == 1 and isinstance(weights, (list, tuple)):
            scales = list(weights)
        else:
            scales = per_output(weights, outputs, "loss_weights")
            if len(outputs) == 1:
                scales = scales * len(each)
        if len(scales) != len(each):
            raise ValueError(f"loss_weights has {len(scales)} entries for {len(each)} losses")
        targets = targets_for(y_true, y_pred, outputs, self._wanted(len(outputs), each))
        terms = []
        for (index, identifier), scale in zip(each, scales, strict=True):
            if identifier is None:
                continue
            if targets[index] is None:
                where = f" for output {names[index]!r}" if len(outputs) > 1 else ""
                raise ValueError(f"y is missing{where}: the loss {identifier!r} needs targets")
            resolved = resolve_loss(identifier, targets[index], outputs[index].tensor)
            name = names[index] if len(outputs) > 1 else None  # several losses of one output go by their own names
            terms.append(Term(index, resolved, scale, name or resolved.name))
        if isinstance(y_pred, dict):  # in the order that the user gave losses or outputs in
            given = [str(key) for key in (loss if isinstance(loss, dict) else y_pred)]
            terms.sort(key=lambda term: [not _is_within(names[term.output], key) for key in given])
        if len(terms) > 1:
            for term in terms:
                term.tracker = metrics_room.Mean(name=f"{term.name}_loss")
        self._terms = terms
        self.built = True

    @staticmethod
    def _wanted(count: int, each: Sequence[tuple[int, Any]]) -> list[bool]:
        indices = {index for index, identifier in each if identifier is not None}
        return [i in indices for i in range(count)]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted sum of the losses, a floatx scalar; None if no output has a loss."""
        if not self.built:
            self.build(y_true, y_pred)
        outputs = outputs_of(y_pred, self._names)
        wanted = self._wanted(len(outputs), [(term.output, term) for term in self._terms])
        targets = targets_for(y_true, y_pred, outputs, wanted)
        weights = _weights_for(sample_weight, y_pred, outputs, wanted)
        total = None
        for term in self._terms:
            predicted = outputs[term.output].tensor
            with calling(labels=_label_name(y_true, term.output, outputs)), _about(outputs[term.output]):
                value = term.loss(targets[term.output], predicted, weights[term.output])
            if value.dtype != floatx():
                value = ops.cast(value, floatx())
            if term.tracker is not None:
                term.tracker.update_state(value, sample_weight=predicted.shape[0])
            if term.weight is not None:
                value = value * term.weight
            total = value if total is None else total + value
        return total


def _weights_for(sample_weight: Any, y_pred: Any, outputs: Sequence[Output], wanted: Sequence[bool]) -> list[Any]:
    """Sample weights per output; one array is used for all outputs."""
    if sample_weight is None or not tree.is_nested(sample_weight):
        return [sample_weight] * len(outputs)
    return targets_for(sample_weight, y_pred, outputs, wanted, "sample_weight")


# -- metrics ---------------------------------------------------------------------------------------------------------


def resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """A `Metric` from a name, a function or a `Metric`; ``"accuracy"`` and ``"acc"`` by the shapes."""
    if identifier is None:
        raise ValueError("a metric is expected, received None")
    if str(identifier).lower() in ("accuracy", "acc"):
        classes = {
            "binary": metrics_room.BinaryAccuracy,
            "sparse": metrics_room.SparseCategoricalAccuracy,
            "categorical": metrics_room.CategoricalAccuracy,
        }
        return classes[_kind(y_true, y_pred)](name=identifier)
    metric = metrics_room.get(identifier)
    if not isinstance(metric, metrics_room.Metric):
        name = identifier if isinstance(identifier, str) else getattr(metric, "__name__", type(metric).__name__)
        return metrics_room.MeanMetricWrapper(metric, name=name)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


class Entry(NamedTuple):
    """One metric on one output."""

    output: int
    metric: Any
    prefix: str
    weighted: bool


class CompiledMetrics:
    """The metrics of `compile`: those of `metrics` see no sample weights, those of `weighted_metrics` do.

    Args:
        metrics, weighted_metrics: list, list of lists per output, or dict by output name.
        output_names: names of the model's outputs, if they are known.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any = None, output_names: Sequence[str] | None = None):
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    f"{argument} must be a list, tuple or dict, received {value!r} of type {type(value).__name__}"
                )
        self._given = (metrics, weighted_metrics)
        self._names = output_names
        self._entries: list[Entry] = []
        self.built = False

    @property
    def metrics(self) -> list[Any]:
        return [entry.metric for entry in self._entries]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Make the metrics; only shapes are looked at."""
        outputs = outputs_of(y_pred, self._names)
        several = len(outputs) > 1
        entries = []
        for argument, given, weighted in zip(("metrics", "weighted_metrics"), self._given, (False, True), strict=True):
            if not given:
                continue
            each = per_output(given, outputs, argument) if several else [tree.flatten(given)]
            targets = targets_for(y_true, y_pred, outputs, [bool(m) for m in each])
            for index, (identifiers, target) in enumerate(zip(each, targets, strict=True)):
                if identifiers is None:
                    continue
                if target is None:
                    where = f" for output {outputs[index].name!r}" if several else ""
                    raise ValueError(f"y is missing{where}: {argument} {identifiers!r} needs targets")
                prefix = f"{outputs[index].name}_" if several and outputs[index].name else ""
                for identifier in identifiers if isinstance(identifiers, (list, tuple)) else [identifiers]:
                    metric = resolve_metric(identifier, target, outputs[index].tensor)
                    entries.append(Entry(index, metric, prefix, weighted))
        self._entries = entries
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if not self.built:
            self.build(y_true, y_pred)
        outputs = outputs_of(y_pred, self._names)
        wanted = [any(entry.output == i for entry in self._entries) for i in range(len(outputs))]
        targets = targets_for(y_true, y_pred, outputs, wanted)
        weights = _weights_for(sample_weight, y_pred, outputs, wanted)
        for entry in self._entries:
            predicted = outputs[entry.output].tensor
            weight = (
                {"sample_weight": weights[entry.output]} if entry.weighted and weights[entry.output] is not None else {}
            )
            with _about(outputs[entry.output]):
                entry.metric.update_state(targets[entry.output], predicted, **weight)

    def result(self) -> dict[str, Any]:
        """The values by name; a second metric of one name gets ``weighted_`` before it, or a number after it."""
        results: dict[str, Any] = {}
        for name, metric in self.named():
            results[name] = metric.result()
        return results

    def named(self) -> list[tuple[str, Any]]:
        """The metrics with the names their values are logged under."""
        used: dict[str, int] = {}
        named = []
        for entry in self._entries:
            name = entry.prefix + entry.metric.name
            if name in used and entry.weighted:
                name = f"{entry.prefix}weighted_{entry.metric.name}"
            if name in used:
                used[name] += 1
                name = f"{name}_{used[name] - 1}"
            else:
                used[name] = 1
            named.append((name, entry.metric))
        return named

    def reset_state(self) -> None:
        for entry in self._entries:
            entry.metric.reset_state()
