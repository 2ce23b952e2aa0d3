"""The base class of callbacks: one method per moment of training, evaluation and prediction."""

from __future__ import annotations

import numbers
from typing import Any

from kcore.declare import Configurable
from kcore.registry import public

#: Every moment a callback may hook into, in the order of a run.
HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_batch_begin",
    "on_train_batch_end",
    "on_batch_end",
    "on_test_begin",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_test_end",
    "on_epoch_end",
    "on_train_end",
    "on_predict_begin",
    "on_predict_batch_begin",
    "on_predict_batch_end",
    "on_predict_end",
    "on_abort",
)


def not_negative(value: Any) -> Any:
    """A number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value) >= 0:
        raise ValueError("expected a number of at least 0")
    return value


@public("keras.callbacks")
class Callback(Configurable):
    """Hooks into the stages of `fit`, `evaluate` and `predict`; override the methods of the stages you want.

    The values in a batch's `logs` are read from the device when a callback first looks at them, so one that does not
    look does not make the host wait. Methods that are not overridden are not called. Callbacks of one list share
    their `logs`: what one puts into those of an epoch, later ones and the `History` see.

    ``model.stop_training = True`` ends the epoch after the step that runs, and then `fit`. An error raised in a
    callback ends the run and says which callback and method it came from; the model keeps what it has learned.

    Arguments may be declared with `kcore.declare.argument`, as in layers, or taken by an ``__init__`` that calls
    ``super().__init__()``.

    Attributes:
        params: dict of ``verbose``, ``epochs`` and ``steps``.
        model: the model in use.

    Example:
        >>> class Best(Callback):
        ...     best = float("inf")
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.best = min(self.best, logs["loss"])
        >>> callback = Best()
        >>> callback.on_epoch_end(0, {"loss": 0.5}); callback.on_epoch_end(1, {"loss": 0.7})
        >>> callback.best
        0.5

    Source: `keras.callbacks.Callback`.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    @property
    def model(self) -> Any:
        return self._model

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Another name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """At the start of an epoch of `fit`.

        Args:
            epoch: its index, from 0.
            logs: empty.
        """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """At the end of an epoch of `fit`, after validation.

        Args:
            epoch: its index, from 0.
            logs: loss and metrics of the epoch as floats; those of validation start with ``val_``.
        """

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a training step.

        Args:
            batch: its index in the epoch.
            logs: empty.
        """
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a training step.

        Args:
            batch: its index in the epoch.
            logs: loss and metrics since the epoch began.
        """
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a step of `evaluate`, or of the validation in `fit`."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a step of `evaluate`, or of the validation in `fit`."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a step of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a step of `predict`; ``logs["outputs"]`` holds its result."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """At the start of `fit`."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """At the end of `fit`; `logs` are those of the last epoch. Not called if an error or Ctrl-C ended it."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """At the start of `evaluate` or of validation."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """At the end of `evaluate` or of validation."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """At the start of `predict`."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """At the end of `predict`."""

    def on_abort(self) -> None:
        """When an error or Ctrl-C ends `fit`, `evaluate` or `predict`: let go of files and the screen.

        Keras has no such moment; there, as here, the ``..._end`` methods are not called then.
        """
