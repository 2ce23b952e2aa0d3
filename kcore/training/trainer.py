"""What a model needs to be trained: compile, the steps, and the functions compiled from them."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kcore import metrics as metrics_room
from kcore import ops, tree
from kcore import optimizers as optimizers_room
from kcore.naming import did_you_mean, named_arguments
from kcore.registry import deserialize, serialize
from kcore.runtime import Function, GradientTape, KerasTensor, convert_to_tensor, function
from kcore.training.containers import CompiledLoss, CompiledMetrics
from kcore.training.data import floatx, unpack
from kcore.training.loops import Loops
from kcore.training.trained import Trained, turned

if TYPE_CHECKING:
    from kcore.layers import Layer as _OtherHalf
else:
    _OtherHalf = object

logger = logging.getLogger("kcore")


@dataclass
class Compiled:
    """What `compile` made; one object, so that none of it is taken for a part of the model.

    Attributes:
        arguments: what `compile` was given, for `get_compile_config`.
        trainable: layer -> its `trainable` flag when `compile` was called.
        functions: ``"train"``, ``"test"``, ``"predict"`` -> the compiled step; ``"metrics"`` -> what reads the metrics.
    """

    optimizer: Any
    loss: CompiledLoss | None
    metrics: CompiledMetrics | None
    loss_tracker: Any
    arguments: dict[str, Any]
    trainable: dict[Any, bool]
    run_eagerly: bool = False
    steps_per_execution: int = 1
    jit_compile: Any = "auto"
    functions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)


class Trainer(Loops, _OtherHalf):
    """The training half of a model; `Model` mixes it with `Layer`."""

    _compiled: Compiled | None = None

    def __init__(self) -> None:
        self._compiled: Compiled | None = None
        self._trained = Trained()
        #: ``"predict"`` -> function, for models that were never compiled.
        self._functions: dict[str, Callable[[Any], Any]] = {}
        self.stop_training = False

    @named_arguments
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how the model is trained.

        The variables that training changes are those trainable now: a `trainable` flag set later counts from the
        next `compile` on.

        Args:
            optimizer: name or `Optimizer`.
            loss: name, function ``(y_true, y_pred) -> values`` or `Loss`; a list or dict of them per output.
            loss_weights: what multiplies the losses of several outputs: list or dict of floats.
            metrics: list of names, functions or `Metric`; per output a list of lists or a dict. They see no weights.
            weighted_metrics: the same, weighted by `sample_weight` and `class_weight`.
            run_eagerly: run every step op by op instead of compiled, for debugging.
            steps_per_execution: how many steps run between two calls of the batch callbacks. They run as a loop over
                one compiled step.
            jit_compile: accepted as in Keras; a step is compiled unless `run_eagerly`.
            auto_scale_loss: put a `LossScaleOptimizer` around the optimizer if the model's dtype policy is
                ``"mixed_float16"``.

        Raises:
            ValueError: an unknown name, or a structure that does not fit the outputs.

        Example:
            >>> import kcore
            >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(1)])
            >>> model.compile("sgd", loss="mse", metrics=["mae"])
            >>> model.compiled
            True

        Source: `keras.Model.compile`.
        """
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"steps_per_execution must be a positive integer, received {steps_per_execution!r}")
        names = getattr(self, "output_names", None)
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        compiled = Compiled(
            optimizer=optimizers_room.get(optimizer),
            loss=None if loss is None else CompiledLoss(loss, loss_weights, names),
            metrics=CompiledMetrics(metrics, weighted_metrics, names) if metrics or weighted_metrics else None,
            loss_tracker=metrics_room.Mean(name="loss"),
            arguments=arguments,
            trainable={layer: layer.trainable for layer in self._flatten_layers()},
            run_eagerly=bool(run_eagerly),
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        if auto_scale_loss and compiled.optimizer is not None and self.dtype_policy.name == "mixed_float16":
            compiled.optimizer = optimizers_room.scaled(compiled.optimizer)
        arguments["optimizer"] = compiled.optimizer
        if self._trained.steps and self._compiled is not None:
            self._trained.note_compiled_again(self.name, turned(self._compiled.trainable, compiled.trainable))
        self._compiled = compiled
        self._functions = {}
        self.stop_training = False

    # -- what was compiled -------------------------------------------------------------------------------------------

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    @property
    def optimizer(self) -> Any:
        return None if self._compiled is None else self._compiled.optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Any) -> None:
        state = self._state("optimizer")
        state.optimizer = optimizers_room.get(optimizer)
        state.functions.clear()

    @property
    def loss(self) -> Any:
        """The loss as it was given to `compile`."""
        return None if self._compiled is None else self._compiled.arguments["loss"]

    @property
    def run_eagerly(self) -> bool:
        return self._compiled is not None and self._compiled.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        state = self._state("run_eagerly")
        state.run_eagerly = bool(value)
        state.functions.clear()
        self._functions = {}

    @property
    def steps_per_execution(self) -> int:
        return 1 if self._compiled is None else self._compiled.steps_per_execution

    @property
    def jit_compile(self) -> Any:
        return "auto" if self._compiled is None else self._compiled.jit_compile

    def _state(self, method: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(f"model {self.name!r} is not compiled: call compile() before {method}")
        return self._compiled

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` in serialized form; empty if the model is not compiled."""
        return {} if self._compiled is None else serialize(self._compiled.arguments)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Call `compile` with what `get_compile_config` gave."""
        self.compile(**deserialize(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    # -- metrics -----------------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the compiled metrics, losses of single outputs, and metrics of the model's own layers."""
        found: list[Any] = []
        if self._compiled is not None:
            found.append(self._compiled.loss_tracker)
            if self._compiled.metrics is not None:
                found += self._compiled.metrics.metrics
            if self._compiled.loss is not None:
                found += self._compiled.loss.metrics
        return found + self._own_metrics()

    def _own_metrics(self) -> list[Any]:
        """Metrics that are attributes of the model or of its layers, not those of a compiled inner model."""
        found = list(getattr(self, "_metrics", ()))
        for layer in self._flatten_layers()[1:]:
            if not isinstance(layer, Trainer):
                found += getattr(layer, "_metrics", ())
        return found

    @property
    def metrics_names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Set all metrics back to their start."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' values by the names they are logged under."""
        results: dict[str, Any] = {}
        if type(self).metrics is not Trainer.metrics:  # a model that says itself what its metrics are
            for metric in self.metrics:
                value = metric.result()
                results.update(value if isinstance(value, dict) else {metric.name: value})
            return results
        if self._compiled is not None:
            results[self._compiled.loss_tracker.name] = self._compiled.loss_tracker.result()
            if self._compiled.metrics is not None:
                results.update(self._compiled.metrics.result())
            if self._compiled.loss is not None:
                results.update((metric.name, metric.result()) for metric in self._compiled.loss.metrics)
        for metric in self._own_metrics():
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def _metric_values(self, anew: bool = False) -> dict[str, Any]:
        """`get_metrics_result` by one compiled function: op by op it would cost many times as much.

        Args:
            anew: look for the metrics in all layers again, which takes longer than a small step; else they are those
                found since a step was traced last.
        """
        if self._compiled is None or self.run_eagerly:
            return self.get_metrics_result()
        functions = self._compiled.functions
        if anew or "metrics" not in functions:
            key = f"metrics of {tuple(map(id, self.metrics))}"
            if key not in functions:
                functions[key] = function(lambda: self.get_metrics_result())
            functions["metrics"] = functions[key]
        return functions["metrics"]()  # type: ignore[call-arg]

    # -- the steps, each of which may be overridden ------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """One training step: forward, loss, gradients, optimizer, metrics.

        Override it for training of another kind; it is traced and compiled as a whole.

        Args:
            data: ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``.

        Returns:
            Values to log by name.
        """
        x, y, sample_weight = unpack(data)
        state = self._state("train_step")
        if state.optimizer is None:
            raise ValueError(f"model {self.name!r} was compiled with optimizer=None and cannot train; give it one")
        self._check_names(x)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = state.optimizer.scale_loss(loss)
        state.loss_tracker.update_state(loss, sample_weight=_batch(x))
        variables = self._training_variables()
        if variables:
            state.optimizer.apply(tape.gradient(scaled, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation: forward without training behaviour, loss, metrics; see `train_step`."""
        x, y, sample_weight = unpack(data)
        self._check_names(x)
        y_pred = self(x, training=False)
        loss = self._compute_loss(x, y, y_pred, sample_weight, training=False)
        self._state("test_step").loss_tracker.update_state(loss, sample_weight=_batch(x))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """One step of prediction: the model's outputs for a batch."""
        x = unpack(data)[0]
        self._check_names(x)
        return self(x, training=False)

    def _check_names(self, x: Any) -> None:
        """Raise ValueError where a dict of inputs has a name that no input of the model has."""
        struct = getattr(self, "_inputs_struct", None)
        if not isinstance(x, dict) or struct is None:
            return
        known = list(struct) if isinstance(struct, dict) else list(self.input_names)
        unknown = [name for name in x if name not in known]
        if unknown:
            near = did_you_mean(unknown[0], map(str, known))
            raise ValueError(f"model {self.name!r} has no input {unknown[0]!r}; its inputs are {known}{near}")

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss that training minimizes: the compiled loss plus regularization and `add_loss`.

        Args:
            x, y, sample_weight: the batch.
            y_pred: the model's outputs for x.
            training: whether the step trains or evaluates.

        Returns:
            A floatx scalar.

        Raises:
            ValueError: there is no loss of any kind.
        """
        state = self._state("compute_loss")
        total = None if state.loss is None else state.loss(y, y_pred, sample_weight)
        for extra in self.losses:
            value = ops.sum(extra if extra.dtype == floatx() else ops.cast(extra, floatx()))
            total = value if total is None else total + value
        if total is None:
            raise ValueError(
                f"model {self.name!r} has no loss to compute: give one to compile(loss=...), or use add_loss()"
            )
        return total

    def _compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """`compute_loss`, which older overrides wrote without `training`."""
        if "training" in inspect.signature(self.compute_loss).parameters:
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the metrics with a batch; override it to update metrics of your own.

        Args:
            x, y, sample_weight: the batch.
            y_pred: the model's outputs for x.

        Returns:
            Values to log by name.
        """
        state = self._state("compute_metrics")
        if state.metrics is not None:
            state.metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _training_variables(self) -> list[Any]:
        """The variables training changes; the compiled flags are in force while a step is traced."""
        return list(self.trainable_variables)

    # -- from steps to functions -------------------------------------------------------------------------------------

    def _logs_are_metrics(self, step: str) -> bool:
        """Whether a step's logs are just the metrics' values, which can then be read when somebody looks."""
        return all(
            getattr(type(self), name) is getattr(Trainer, name)
            for name in (step, "compute_metrics", "get_metrics_result")
        )

    def make_train_function(self, force: bool = False) -> Callable[[Any], Any]:
        """The training step as one compiled function of a batch."""
        return self._step_function("train", self.train_step, self._logs_are_metrics("train_step"), force)

    def make_test_function(self, force: bool = False) -> Callable[[Any], Any]:
        """The evaluation step as one compiled function of a batch."""
        return self._step_function("test", self.test_step, self._logs_are_metrics("test_step"), force)

    def make_predict_function(self, force: bool = False) -> Callable[[Any], Any]:
        """The prediction step as one compiled function of a batch."""
        return self._step_function("predict", self.predict_step, False, force)

    def _step_function(self, kind: str, step: Callable[[Any], Any], lazy: bool, force: bool) -> Callable[[Any], Any]:
        functions = self._functions if kind == "predict" else self._state(f"{kind}ing").functions
        if kind not in functions or force:
            functions[kind] = self._make(kind, step, lazy)
        return functions[kind]

    def _make(self, kind: str, step: Callable[[Any], Any], lazy: bool) -> Callable[[Any], Any]:
        def run(data: Any) -> Any:
            with self._compiled_flags():
                logs = step(data)
            self._clear_losses()
            if self._compiled is not None:
                self._compiled.functions.pop("metrics", None)  # the step may have made metrics while it was traced
            # values nobody returns cost nothing: a compiled step drops what computes them
            return None if lazy else logs

        run.__name__ = f"{self.name}_{kind}"
        if self.run_eagerly:
            return lambda data: run(
                tree.map_structure(lambda leaf: None if leaf is None else convert_to_tensor(leaf), data)
            )
        return function(run, names=self._word)

    def _word(self, argument: str) -> str:
        """What the user calls a part of a step's argument: ``"data[1]['o']"`` is ``"y['o']"``."""
        found = re.fullmatch(r"data(?:\[([012])\])?(?:\[(\d+)\])?(.*)", argument)
        if found is None:
            return argument
        place, part, rest = found.groups()
        word = ("x", "y", "sample_weight")[int(place or 0)]
        if part is None:
            return word + rest
        names = getattr(self, "input_names" if word == "x" else "output_names", []) if self.built else []
        said = f" ({'input' if word == 'x' else 'output'} {names[int(part)]!r})" if int(part) < len(names) else ""
        return f"{word}[{part}]{said}{rest}"

    def _look_again(self, *kinds: str) -> None:
        """Data may have changed since an earlier call: let compiled steps check labels and indices once more."""
        for functions in (self._functions, {} if self._compiled is None else self._compiled.functions):
            for kind in kinds:
                step = functions.get(kind)
                if isinstance(step, Function):
                    step.look_again()

    def _compiled_flags(self) -> Any:
        """Context in which every layer has the `trainable` flag it had when `compile` was called."""
        return _Flags({} if self._compiled is None else self._compiled.trainable)

    # -- building ----------------------------------------------------------------------------------------------------

    def _waits_for_data(self) -> bool:
        """Whether something is still to be made from the shapes of a batch."""
        state = self._compiled
        parts = [] if state is None else [state.loss, state.metrics, state.optimizer]
        return any(part is not None and not part.built for part in (*parts, *self._flatten_layers()))

    def _symbolic_build(self, data: Any) -> None:
        """Make the variables of the model, of metrics and of the optimizer, from the shapes of one batch.

        Args:
            data: a batch; only shapes and dtypes are looked at.
        """
        x, y, _ = unpack(tree.map_structure(_symbolic, data))
        state = self._compiled
        waiting = [part for part in (state.loss, state.metrics) if part is not None and not part.built] if state else []
        if any(not layer.built for layer in self._flatten_layers()) or waiting:
            try:
                y_pred = self._symbolic_outputs(x)
            except NotImplementedError as error:
                unbuilt = [layer.name for layer in self._flatten_layers() if layer is not self and not layer.built]
                if unbuilt or waiting:
                    needed = ", ".join(map(repr, unbuilt)) or "metrics and losses given to compile()"
                    raise NotImplementedError(
                        f"{error}, so it cannot build {needed} from a batch. Where its own steps call its parts, build "
                        "those before"
                    ) from None
                self.built, waiting = True, []  # its own steps call its parts
            for part in waiting:
                if y is not None or type(self).compute_loss is Trainer.compute_loss:
                    part.build(y, y_pred)
        if state is not None and state.optimizer is not None and not state.optimizer.built:
            with self._compiled_flags():
                state.optimizer.build(self._training_variables())

    def _symbolic_outputs(self, x: Any) -> Any:
        """The outputs for symbolic inputs; builds what is not built."""
        return self(x, training=False)


class _Flags:
    """Context: layers have these `trainable` flags for a while."""

    def __init__(self, flags: dict[Any, bool]):
        self._flags = flags
        self._before: list[tuple[Any, bool]] = []

    def __enter__(self) -> None:
        before = [(layer, layer.trainable) for layer in self._flags]
        if any(self._flags[layer] != now for layer, now in before):
            self._before = before
            for layer, flag in self._flags.items():  # outer layers first, as a flag is handed down to inner ones
                layer.trainable = flag

    def __exit__(self, *error: object) -> None:
        for layer, flag in self._before:
            layer.trainable = flag


def _symbolic(leaf: Any) -> Any:
    return None if leaf is None else KerasTensor(tuple(leaf.shape), str(leaf.dtype))


def _batch(x: Any) -> int:
    """Samples in a batch."""
    return tree.flatten(x)[0].shape[0]
