"""The loops over data: fit, evaluate, predict, and their one-batch forms."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kcore import tree
from kcore.naming import named_arguments
from kcore.training.data import (
    ArrayBatches,
    check_batch_size,
    check_lengths,
    is_stream,
    pack,
    source_of,
    split,
    to_arrays,
    unpack,
    weights_by_class,
    whole,
)
from kcore.training.epochs import Epochs
from kcore.training.interrupt import StepGuard
from kcore.training.logs import LazyLogs, as_floats


class Loops:
    """The public methods that run a model's steps over data; `Trainer` brings the steps."""

    @named_arguments
    def fit(
        self: Any,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> Any:
        """Train the model.

        Ctrl-C waits for the end of the running step: the weights are those of the last finished step, and
        ``model.history`` holds the epochs that finished.

        Args:
            x: array ``(samples, ...)``, list or dict of arrays for several inputs, or a generator or iterable of
                ``(x, y)`` or ``(x, y, sample_weight)`` batches. Floats become floatx batch by batch; ints stay.
            y: targets, in the same forms; None if x yields them.
            batch_size: samples per step, 32 if None; the last batch of an epoch may be smaller.
            epochs: number of the last epoch.
            verbose: 0 silent; 1 progress bar in a terminal, one line per epoch in a log; 2 one line per epoch;
                ``"auto"`` is 1.
            callbacks: `Callback` or list of them.
            validation_split: in (0, 1): this share of the samples, the last ones before any shuffling, is not trained
                on but evaluated after every epoch.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)``, or a generator; goes before `validation_split`.
            shuffle: another order every epoch, drawn on the host from kcore's stream; ``"batch"`` shuffles within
                batches.
            class_weight: class -> weight in the loss.
            sample_weight: weights ``(samples,)``, or ``(samples, time)`` for sequences.
            initial_epoch: epoch to start with, to go on with an earlier run.
            steps_per_epoch: steps in an epoch; the next one goes on where it stopped.
            validation_steps: steps of validation; all of them if None.
            validation_batch_size: `batch_size` if None.
            validation_freq: validate every so many epochs, or after the epochs listed (from 1).

        Returns:
            A `History`; its ``history`` maps names to one float per epoch.

        Raises:
            ValueError: the model is not compiled, or the data does not fit; nothing was changed then.

        Example:
            >>> import kcore
            >>> kcore.set_random_seed(0)
            >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
            >>> model.compile("sgd", loss="mse")
            >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0)
            >>> sorted(history.history), history.epoch
            (['loss'], [0, 1])

        Source: `keras.Model.fit`.
        """
        from kcore.callbacks import CallbackList

        state = self._state("fit")
        check_batch_size(validation_batch_size, "validation_batch_size")
        _check_frequency(validation_freq)
        _check_epochs(epochs=epochs, initial_epoch=initial_epoch)
        if validation_data is not None:
            validation = unpack(validation_data) if not is_stream(validation_data) else (validation_data, None, None)
        elif validation_split != 0:
            (x, y, sample_weight), validation = split(x, y, sample_weight, validation_split)
        else:
            validation = None
        source = source_of(x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight)
        data = Epochs(source, steps_per_epoch, state.steps_per_execution)
        held_out = None
        if validation is not None:
            size = None if is_stream(validation[0]) else validation_batch_size or batch_size
            val_x, val_y, val_weight = validation
            if (
                val_y is None
                and not is_stream(val_x)
                and state.loss is not None
                and unpack(source.first())[1] is not None
            ):
                raise ValueError(
                    "validation_data is (x, y) or (x, y, sample_weight), received no y "
                    f"({type(validation_data).__name__})"
                )
            val_source = source_of(val_x, val_y, val_weight, size, validation_steps)
            held_out = Epochs(val_source, validation_steps, state.steps_per_execution)
        self._symbolic_build(source.first())
        self._look_again("train", "test")
        step = self.make_train_function()
        lazy = self._logs_are_metrics("train_step")
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks, True, verbose != 0, self, verbose=verbose, epochs=epochs, steps=data.steps
            )
        self.stop_training = False
        logs: dict[str, Any] = {}
        callbacks.on_train_begin()
        finished = False
        try:
            with StepGuard() as guard:
                for epoch in range(initial_epoch, epochs):
                    self.reset_metrics()
                    callbacks.on_epoch_begin(epoch)
                    last = _train_epoch(self, data, step, guard, callbacks, None if lazy else {})
                    logs = as_floats(self._epoch_logs(last))
                    if held_out is not None and _due(epoch + 1, validation_freq):
                        values = self._evaluate(held_out, callbacks)
                        logs.update((f"val_{name}", value) for name, value in values.items())
                    self._trained.epochs += 1
                    callbacks.on_epoch_end(epoch, logs)
                    if self.stop_training:
                        break
            finished = True
        finally:
            if state.optimizer is not None and epochs > 0:
                state.optimizer.finalize_variable_values(self.trainable_variables)
            if finished:
                callbacks.on_train_end(logs)
            else:
                callbacks.close()
        return self.history

    @named_arguments
    def evaluate(
        self: Any,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data, without training.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: see `fit`.
            steps: number of batches; all of them if None.
            return_dict: values by name instead of a list in the order of `metrics_names`.

        Returns:
            The loss as a float if there are no metrics; else a list of floats, or a dict.

        Raises:
            ValueError: the model is not compiled, or the data does not fit.

        Source: `keras.Model.evaluate`.
        """
        from kcore.callbacks import CallbackList

        state = self._state("evaluate")
        source = source_of(x, y, sample_weight, batch_size, steps)
        data = Epochs(source, steps, state.steps_per_execution)
        self._symbolic_build(source.first())
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(callbacks, False, verbose != 0, self, verbose=verbose, epochs=1, steps=data.steps)
        self._look_again("test")
        try:
            logs = self._evaluate(data, callbacks)
        except BaseException:
            callbacks.close()
            raise
        return logs if return_dict else self._in_order(logs)

    def _evaluate(self: Any, data: Epochs, callbacks: Any) -> dict[str, Any]:
        """The evaluation loop; inside `fit` with the callbacks of `fit`."""
        step = self.make_test_function()
        lazy = self._logs_are_metrics("test_step")
        begin, end = callbacks.test_batch_begin, callbacks.test_batch_end
        callbacks.on_test_begin()
        self.reset_metrics()
        self.stop_evaluating = False
        last: Any = None if lazy else {}
        for first, final, batches in data:
            for hook in begin:
                hook(first, logs={})
            for batch in batches:
                last = step(batch)
            if end:
                _call_end(end, final, self.get_metrics_result if lazy else partial(dict, last))
            if self.stop_evaluating:
                break
        logs = as_floats(self._epoch_logs(last))
        callbacks.on_test_end(logs)
        return logs

    @named_arguments
    def predict(
        self: Any,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's outputs for data.

        Args:
            x, batch_size, verbose, callbacks: see `fit`.
            steps: number of batches; all of them if None.

        Returns:
            A NumPy array ``(samples, ...)``, or a structure of them like the model's outputs.

        Example:
            >>> import kcore
            >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(3)])
            >>> model.predict(np.ones((5, 2)), verbose=0).shape
            (5, 3)

        Source: `keras.Model.predict`.
        """
        from kcore.callbacks import CallbackList

        source = source_of(x, None, None, batch_size, steps)
        data = Epochs(source, steps, self.steps_per_execution)
        if not self.built:
            self._symbolic_build(source.first())
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(callbacks, False, verbose != 0, self, verbose=verbose, epochs=1, steps=data.steps)
        self._look_again("predict")
        step = self.make_predict_function()
        begin, end = callbacks.predict_batch_begin, callbacks.predict_batch_end
        result = _Outputs(source.samples if isinstance(source, ArrayBatches) and steps is None else None)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        try:
            for first, final, batches in data:
                for hook in begin:
                    hook(first, logs={})
                for batch in batches:
                    outputs = step(batch)
                    result.add(outputs, _length(batch))
                if end:
                    for hook in end:
                        hook(final, logs={"outputs": outputs})
                if self.stop_predicting:
                    break
        except BaseException:
            callbacks.close()
            raise
        callbacks.on_predict_end()
        return result.get()

    # -- one batch ---------------------------------------------------------------------------------------------------

    def train_on_batch(
        self: Any,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on one batch.

        Args:
            x, y, sample_weight, class_weight: one batch; see `fit`.
            return_dict: values by name instead of a list.

        Returns:
            Loss and metrics, averaged over the batches since `reset_metrics`: a float, a list of floats, or a dict.

        Source: `keras.Model.train_on_batch`.
        """
        state = self._state("train_on_batch")
        if class_weight is not None and sample_weight is not None:
            raise ValueError("class_weight and sample_weight cannot be used at the same time")
        batch = _one_batch(x, y, sample_weight, class_weight)
        if "train" not in state.functions:
            self._symbolic_build(batch)
        step = self.make_train_function()
        with StepGuard() as guard:
            guard.busy = True
            logs = step(batch)
        self._trained.steps += 1
        return self._batch_logs(logs, return_dict)

    def test_on_batch(self: Any, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """One evaluation step on one batch; see `train_on_batch`."""
        state = self._state("test_on_batch")
        batch = _one_batch(x, y, sample_weight, None)
        if "test" not in state.functions:
            self._symbolic_build(batch)
        return self._batch_logs(self.make_test_function()(batch), return_dict)

    def predict_on_batch(self: Any, x: Any) -> Any:
        """The model's outputs for one batch, as NumPy arrays."""
        batch = _one_batch(x, None, None, None)
        if not self.built:
            self._symbolic_build(batch)
        return tree.map_structure(_numpy, self.make_predict_function()(batch))

    # -- logs --------------------------------------------------------------------------------------------------------

    def _epoch_logs(self: Any, last: Any) -> Mapping[str, Any]:
        """What is logged for an epoch: the metrics, unless the last step's own logs have other names."""
        metrics = self.get_metrics_result()
        return metrics if last is None or set(last) == set(metrics) else last

    def _batch_logs(self: Any, logs: Any, return_dict: bool) -> Any:
        values = as_floats(self.get_metrics_result() if logs is None else logs)
        return values if return_dict else self._in_order(values)

    def _in_order(self: Any, logs: Mapping[str, Any]) -> Any:
        """Values in the order of the metrics, others by name; one alone by itself."""
        names = self.metrics_names
        ordered = [name for name in names if name in logs] + sorted(name for name in logs if name not in names)
        values = [logs[name] for name in ordered]
        return values[0] if len(values) == 1 else values


def _train_epoch(
    model: Any, data: Epochs, step: Callable[[Any], Any], guard: StepGuard, callbacks: Any, last: Any
) -> Any:
    """One epoch of steps; returns the last step's logs, None if they are just the metrics."""
    lazy = last is None
    begin, end = callbacks.train_batch_begin, callbacks.train_batch_end
    trained = model._trained
    done = 0
    for first, final, batches in data:
        for hook in begin:
            hook(first, logs={})
        for batch in batches:
            guard.busy = True
            try:
                last = step(batch)
            finally:
                guard.busy = False
            trained.steps += 1
            done += 1
            if guard.pending:
                guard.leave()
        if end:
            _call_end(end, final, model.get_metrics_result if lazy else partial(dict, last))
        if model.stop_training:
            break
    if not done:
        warnings.warn("the data has run out: this epoch had no step, and training stops", stacklevel=4)
        model.stop_training = True
    return last


def _call_end(hooks: Sequence[Callable[..., None]], step: int, read: Callable[[], Mapping[str, Any]]) -> None:
    """Call the hooks of a finished step with logs that are read when one of them looks."""
    logs = LazyLogs(read)
    for hook in hooks:
        hook(step, logs=logs)
    if logs.pending and sys.getrefcount(logs) > 2:
        logs.resolve()  # somebody kept them: they must hold this step's values, not a later one's


class _Outputs:
    """Predictions batch by batch, written into one array of the full length where that is known."""

    def __init__(self, samples: int | None):
        self._samples = samples
        self._structure: Any = None
        self._started = False
        self._whole: list[np.ndarray] | None = None
        self._parts: list[list[np.ndarray]] = []
        self._filled = 0

    def add(self, outputs: Any, count: int) -> None:
        arrays = [_numpy(leaf) for leaf in tree.flatten(outputs)]
        if not self._started:
            self._started = True
            self._structure = tree.map_structure(lambda _: None, outputs)
            if self._samples == count:
                self._whole, self._filled = arrays, count
                return
            if self._samples is not None and all(a.ndim and len(a) == count for a in arrays):
                self._whole = [np.empty((self._samples, *a.shape[1:]), a.dtype) for a in arrays]
        if self._whole is not None and self._fits(arrays, count):
            for whole, array in zip(self._whole, arrays, strict=True):
                whole[self._filled : self._filled + count] = array
        else:
            self._to_parts()
            self._parts.append(arrays)
        self._filled += count

    def _fits(self, arrays: list[np.ndarray], count: int) -> bool:
        assert self._whole is not None
        return all(a.shape == (count, *w.shape[1:]) for a, w in zip(arrays, self._whole, strict=True))

    def _to_parts(self) -> None:
        """Batches turned out not to be slices of one array after all."""
        if self._whole is not None:
            self._parts = [[whole[: self._filled] for whole in self._whole]]
            self._whole = None

    def get(self) -> Any:
        if not self._started:
            raise ValueError("there was nothing to predict: x gave no batch")
        if self._whole is not None:
            full = [
                whole if len(whole) == self._filled or not whole.ndim else whole[: self._filled]
                for whole in self._whole
            ]
        else:
            full = [
                np.concatenate(column) if column[0].ndim else np.stack(column)
                for column in zip(*self._parts, strict=True)
            ]
        return tree.pack(self._structure, full)


def _numpy(leaf: Any) -> np.ndarray:
    return leaf.numpy() if hasattr(leaf, "numpy") else np.asarray(leaf)


def _length(batch: Any) -> int:
    return next(leaf for leaf in tree.flatten(batch) if leaf is not None).shape[0]


def _one_batch(x: Any, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    """Arguments of an on-batch method as one batch, floats as floatx."""
    x, y, sample_weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(sample_weight, "sample_weight")
    check_lengths(x, y, sample_weight)
    if class_weight is not None:
        sample_weight = weights_by_class(y, class_weight)

    return tree.map_structure(whole, pack(x, y, sample_weight))


def _due(epoch: int, frequency: int | Sequence[int]) -> bool:
    return epoch % frequency == 0 if isinstance(frequency, int) else epoch in frequency


def _check_epochs(**numbers: Any) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not hasattr(number, "__index__") or number < 0:
            raise ValueError(f"{name} must be an integer of at least 0, received {number!r}")


def _check_frequency(frequency: Any) -> None:
    if isinstance(frequency, bool) or not isinstance(frequency, (int, list, tuple)) or frequency == 0:
        raise ValueError(
            f"validation_freq must be a positive integer or a list of epochs, "
            f"received {frequency!r} of type {type(frequency).__name__}"
        )
