"""Methods of older Keras under their names, each a line that says what to write today."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from kcore.training.data import is_by_number


class OldNames:
    """What old scripts call on a model."""

    def fit_generator(
        self: Any,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: int | None = None,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> Any:
        """Deprecated: `fit`, which takes generators. The arguments of workers count for a `PyDataset`."""
        _say("fit_generator", "fit")
        return self.fit(
            _with_workers(generator, max_queue_size, workers, use_multiprocessing),
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    def evaluate_generator(
        self: Any,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int | None = None,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        verbose: int | str = 0,
    ) -> Any:
        """Deprecated: `evaluate`, which takes generators."""
        _say("evaluate_generator", "evaluate")
        data = _with_workers(generator, max_queue_size, workers, use_multiprocessing)
        return self.evaluate(data, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self: Any,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int | None = None,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        verbose: int | str = 0,
    ) -> Any:
        """Deprecated: `predict`, which takes generators."""
        _say("predict_generator", "predict")
        data = _with_workers(generator, max_queue_size, workers, use_multiprocessing)
        return self.predict(data, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_classes(self: Any, x: Any, batch_size: int | None = None, verbose: int | str = 0) -> np.ndarray:
        """Deprecated: the class of each sample: the largest output, or 1 where a single output is above 0.5."""
        _say("predict_classes", "np.argmax(model.predict(x), axis=-1)", "(model.predict(x) > 0.5).astype('int32')")
        outputs = self.predict(x, batch_size=batch_size, verbose=verbose)
        return outputs.argmax(axis=-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype("int32")

    def predict_proba(self: Any, x: Any, batch_size: int | None = None, verbose: int | str = 0) -> Any:
        """Deprecated: `predict`."""
        _say("predict_proba", "predict")
        return self.predict(x, batch_size=batch_size, verbose=verbose)


def _say(old: str, new: str, binary: str | None = None) -> None:
    advice = f"model.{new}(...)" if new.isidentifier() else new
    if binary is not None:
        advice += f", or {binary} for one output"
    warnings.warn(f"model.{old}() is deprecated: write {advice}", DeprecationWarning, stacklevel=3)


def _with_workers(data: Any, max_queue_size: int | None, workers: int | None, processes: bool | None) -> Any:
    if is_by_number(data):
        for name, value in (
            ("max_queue_size", max_queue_size),
            ("workers", workers),
            ("use_multiprocessing", processes),
        ):
            if value is not None:
                setattr(data, name, value)
    return data
