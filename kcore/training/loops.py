"""The loops over data: fit, evaluate, predict, and their one-batch forms."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from kcore import config
from kcore.errors import warn_user
from kcore.naming import named_arguments
from kcore.runtime import Function
from kcore.training.data import check_batch_size, is_stream, split, unpack
from kcore.training.deprecated import OldNames
from kcore.training.epochs import Epochs, Words
from kcore.training.interrupt import StepGuard
from kcore.training.logs import LazyLogs, as_floats
from kcore.training.outputs import Outputs, length
from kcore.training.resume import Run, running
from kcore.training.single import Single
from kcore.training.sources.arrays import ArrayBatches
from kcore.training.sources.source import Source
from kcore.training.stateful import check_batches, source_for
from kcore.training.weights import check_classes

_TRAINING = Words("x", "steps_per_epoch", "training stops here")
_VALIDATION = Words("validation_data", "validation_steps", "from here on there is no validation")


class Loops(Single, OldNames):
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
            x: array ``(samples, ...)``, or a list or dict of arrays for several inputs (a dict by their names). An
                array may be of NumPy, of any library whose tensors convert to NumPy, a pandas data frame, a SciPy
                sparse matrix or an h5py data set; the last two are read batch by batch. Or a source of batches: a
                `PyDataset`, a generator, a torch or TensorFlow loader, any iterable, of ``(x,)``, ``(x, y)`` or
                ``(x, y, sample_weight)``. Floats become floatx batch by batch; ints stay.
            y: targets, in the same forms; None if x yields them.
            batch_size: samples per step, 32 if None; the last batch of an epoch may be smaller. A source of batches has
                its own.
            epochs: number of the last epoch.
            verbose: 0 silent; 1 progress bar in a terminal, one line per epoch in a log; 2 one line per epoch;
                ``"auto"`` is 1.
            callbacks: `Callback` or list of them.
            validation_split: in (0, 1): this share of the samples, the last ones before any shuffling, is not trained
                on but evaluated after every epoch.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)``, or a generator; goes before `validation_split`.
            shuffle: another order every epoch, drawn on the host from kcore's stream; ``"batch"`` shuffles within
                batches.
            class_weight: class -> weight in the loss and the weighted metrics of training; a class not in it weighs 1.
            sample_weight: weights ``(samples,)``, or ``(samples, time)`` for sequences; for several outputs one array
                for all, or a list or dict of one for each.
            initial_epoch: epoch to start with, to go on with an earlier run.
            steps_per_epoch: steps in an epoch; the next one goes on where it stopped. A generator is asked for no more
                batches than that, so that a later call goes on with it. If it ends before, a warning says so, and
                training stops after that epoch.
            validation_steps: steps of validation, the same batches every time unless they come from a generator; all
                if None.
            validation_batch_size: `batch_size` if None.
            validation_freq: validate every so many epochs, or after the epochs listed (from 1).

        Returns:
            A `History`; its ``history`` maps names to one float per epoch.

        Raises:
            ValueError: the model is not compiled, or the data does not fit; nothing was changed then.

        Example:
            >>> import numpy as np
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
        epochs = _limited(epochs)
        _check_verbose(verbose)
        if validation_data is None and validation_split != 0:
            (x, y, sample_weight), validation_data = split(x, y, sample_weight, validation_split)
        together, count = state.steps_per_execution, epochs - initial_epoch
        source = source_for(self, x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight)
        with closing(source):
            data = Epochs(source, steps_per_epoch, together, count, _TRAINING, resumable=True)
            held_out = None
            if validation_data is not None:
                size = validation_batch_size or batch_size
                val_source = _validation_source(self, source, validation_data, size, validation_steps)
                held_out = Epochs(val_source, validation_steps, together, count, _VALIDATION, anew=True)
            with closing(held_out.source if held_out is not None else source):
                _build_from(self, source, class_weight)
                check_batches(self, source, steps_per_epoch)
                if held_out is not None:
                    check_batches(self, held_out.source, validation_steps)
                    _trace_validation(self, held_out.source)
                data.more()
                if not isinstance(callbacks, CallbackList):
                    callbacks = CallbackList(
                        callbacks, True, verbose != 0, self, verbose=verbose, epochs=epochs, steps=data.steps
                    )
                self._look_again("train", "test")
                with running(self, data, initial_epoch) as run:
                    _train(self, run, data, held_out, callbacks, range(initial_epoch, epochs), validation_freq)
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
        _check_verbose(verbose)
        with closing(source_for(self, x, y, sample_weight, batch_size, steps)) as source:
            data = Epochs(source, steps, state.steps_per_execution)
            _build_from(self, source)
            check_batches(self, source, steps)
            if not isinstance(callbacks, CallbackList):
                callbacks = CallbackList(
                    callbacks, False, verbose != 0, self, verbose=verbose, epochs=1, steps=data.steps
                )
            self._look_again("test")
            try:
                data.more()
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
        final = None
        for first, final, batches in data:
            for hook in begin:
                hook(first, logs={})
            for batch in batches:
                last = step(batch)
            if end:
                _call_end(end, final, self._metric_values if lazy else partial(dict, last))
            if self.stop_evaluating:
                break
        if final is None:
            raise ValueError(f"there was nothing to evaluate: the {data.source.kind} gave no batch")
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
            >>> import numpy as np
            >>> import kcore
            >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(3)])
            >>> model.predict(np.ones((5, 2)), verbose=0).shape
            (5, 3)

        Source: `keras.Model.predict`.
        """
        from kcore.callbacks import CallbackList

        _check_verbose(verbose)
        with closing(source_for(self, x, None, None, batch_size, steps)) as source:
            data = Epochs(source, steps, self.steps_per_execution)
            if not self.built:
                self._symbolic_build(source.first())
            check_batches(self, source, steps)
            if not isinstance(callbacks, CallbackList):
                callbacks = CallbackList(
                    callbacks, False, verbose != 0, self, verbose=verbose, epochs=1, steps=data.steps
                )
            self._look_again("predict")
            try:
                data.more()
                return _predict(self, data, callbacks, source.samples if steps is None else None)
            except BaseException:
                callbacks.close()
                raise

    # -- logs --------------------------------------------------------------------------------------------------------

    def _epoch_logs(self: Any, last: Any) -> Mapping[str, Any]:
        """What is logged for an epoch: the metrics, unless the last step's own logs have other names."""
        metrics = self._metric_values(anew=True)
        return metrics if last is None or set(last) == set(metrics) else last

    def _batch_logs(self: Any, logs: Any, return_dict: bool) -> Any:
        values = as_floats(self._metric_values() if logs is None else logs)
        return values if return_dict else self._in_order(values)

    def _in_order(self: Any, logs: Mapping[str, Any]) -> Any:
        """Values in the order of the metrics, others by name; one alone by itself."""
        if len(logs) == 1:
            return next(iter(logs.values()))
        names = self.metrics_names
        ordered = [name for name in names if name in logs] + sorted(name for name in logs if name not in names)
        return [logs[name] for name in ordered]


def _train(
    model: Any, run: Run, data: Epochs, held_out: Epochs | None, callbacks: Any, epochs: range, validation_freq: Any
) -> None:
    """The training loop."""
    state = model._state("fit")
    step = model.make_train_function()
    lazy = model._logs_are_metrics("train_step")
    model.stop_training = False
    logs: dict[str, Any] = {}
    callbacks.on_train_begin()
    finished = False
    try:
        with StepGuard() as guard:
            for epoch in epochs:
                if epoch < run.epoch:  # done by a run that was interrupted
                    continue
                if not data.more():
                    break
                run.begin_epoch()
                callbacks.on_epoch_begin(epoch)
                last = _train_epoch(model, data, step, guard, callbacks, None if lazy else {})
                logs = as_floats(model._epoch_logs(last))
                if held_out is not None and _due(epoch + 1, validation_freq) and held_out.more():
                    values = model._evaluate(held_out, callbacks)
                    logs.update((f"val_{name}", value) for name, value in values.items())
                model._trained.epochs += 1
                run.epoch = epoch + 1
                callbacks.on_epoch_end(epoch, logs)
                if model.stop_training:
                    break
        finished = True
    finally:
        if state.optimizer is not None and len(epochs):
            state.optimizer.finalize_variable_values(model.trainable_variables)
        if finished:
            callbacks.on_train_end(logs)
        else:
            callbacks.close()


def _validation_source(model: Any, source: Source, data: Any, size: int | None, steps: int | None) -> Source:
    """The batches of validation data that goes with the batches of `source`."""
    try:
        x, y, sample_weight = (data, None, None) if is_stream(data) else unpack(data)
        batches = source_for(model, x, y, sample_weight, None if is_stream(x) else size, steps)
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation_data: {error}") from None
    has_loss = model._state("fit").loss is not None
    if y is None and not is_stream(x) and has_loss and unpack(source.first())[1] is not None:
        raise ValueError(
            f"validation_data is (x, y) or (x, y, sample_weight), received no y (x is of type {type(x).__name__})"
        )
    return batches


def _build_from(model: Any, source: Source, class_weight: Mapping[int, float] | None = None) -> None:
    """Make what is still to be made, from the first batch; it is only asked for where something is."""
    if model._waits_for_data():
        model._symbolic_build(source.first())
    outputs = getattr(model, "outputs", None)
    if class_weight and outputs is not None and len(outputs) == 1 and (outputs[0].shape[-1] or 0) > 1:
        units = outputs[0].shape[-1]
        check_classes(class_weight, units, f"output {model.output_names[0]!r} has {units} units")


def _trace_validation(model: Any, source: Source) -> None:
    """Trace the step of validation before anything is trained, so that arrays which do not fit are told by then."""
    step = model.make_test_function()
    if isinstance(source, ArrayBatches) and isinstance(step, Function):
        step.concrete(source.first())


def _predict(model: Any, data: Epochs, callbacks: Any, samples: int | None) -> Any:
    """The prediction loop."""
    step = model.make_predict_function()
    begin, end = callbacks.predict_batch_begin, callbacks.predict_batch_end
    result = Outputs(samples)
    model.stop_predicting = False
    callbacks.on_predict_begin()
    for first, final, batches in data:
        for hook in begin:
            hook(first, logs={})
        for batch in batches:
            outputs = step(batch)
            result.add(outputs, length(batch))
        if end:
            for hook in end:
                hook(final, logs={"outputs": outputs})
        if model.stop_predicting:
            break
    callbacks.on_predict_end()
    return result.get()


def _train_epoch(
    model: Any, data: Epochs, step: Callable[[Any], Any], guard: StepGuard, callbacks: Any, last: Any
) -> Any:
    """One epoch of steps; returns the last step's logs, None if they are just the metrics."""
    lazy = last is None
    begin, end = callbacks.train_batch_begin, callbacks.train_batch_end
    trained = model._trained
    done = data.started
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
            _call_end(end, final, model._metric_values if lazy else partial(dict, last))
        if model.stop_training:
            break
    if not done:
        warn_user(f"x is a {data.source.kind}: it gave no batch for this epoch; training stops here")
        model.stop_training = True
    return last


def _call_end(hooks: Sequence[Callable[..., None]], step: int, read: Callable[[], Mapping[str, Any]]) -> None:
    """Call the hooks of a finished step with logs that are read when one of them looks."""
    logs = LazyLogs(read)
    for hook in hooks:
        hook(step, logs=logs)
    if logs.pending and sys.getrefcount(logs) > 2:
        logs.resolve()  # somebody kept them: they must hold this step's values, not a later one's


def _due(epoch: int, frequency: Any) -> bool:
    return epoch in frequency if isinstance(frequency, Collection) else epoch % frequency == 0


def _check_epochs(**numbers: Any) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not hasattr(number, "__index__") or number < 0:
            raise ValueError(f"{name} must be an integer of at least 0, received {number!r}")


def _limited(epochs: int) -> int:
    """The epochs that `kcore.config.max_epochs` allows."""
    limit = config.max_epochs()
    if limit is None or limit >= epochs:
        return epochs
    warn_user(f"kcore.config.max_epochs() limits the {epochs} epochs to {limit}")
    return limit


def _check_frequency(frequency: Any) -> None:
    each = frequency if isinstance(frequency, Collection) and not isinstance(frequency, str) else [frequency]
    if not all(hasattr(e, "__index__") and not isinstance(e, bool) and e > 0 for e in each):
        raise ValueError(
            "validation_freq must be a positive integer or a list of epochs (from 1 on), "
            f"received {frequency!r} of type {type(frequency).__name__}"
        )


def _check_verbose(verbose: Any) -> None:
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto', received {verbose!r}")
