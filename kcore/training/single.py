"""Training, evaluation and prediction on one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore import tree
from kcore.naming import named_arguments
from kcore.training.data import check_lengths, pack, to_arrays, whole
from kcore.training.interrupt import StepGuard
from kcore.training.outputs import to_numpy
from kcore.training.weights import check_class_weight, check_sample_weight, weights_by_class


class Single:
    """The on-batch methods of a model."""

    @named_arguments
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
            Loss and metrics of this batch: a float, a list of floats in the order of `metrics_names`, or a dict.

        Raises:
            ValueError: the model is not compiled, or the data does not fit.

        Example:
            >>> import numpy as np
            >>> import kcore
            >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1, kernel_initializer="ones")])
            >>> model.compile("sgd", loss="mse")
            >>> model.train_on_batch(np.ones((4, 2)), np.zeros((4, 1)), return_dict=True)
            {'loss': 4.0}

        Source: `keras.Model.train_on_batch`.
        """
        state = self._state("train_on_batch")
        batch = _one_batch(x, y, sample_weight, class_weight)
        if "train" not in state.functions:
            self._symbolic_build(batch)
        step = self.make_train_function()
        self.reset_metrics()
        with StepGuard() as guard:
            guard.busy = True
            logs = step(batch)
        self._trained.steps += 1
        return self._batch_logs(logs, return_dict)

    @named_arguments
    def test_on_batch(self: Any, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """One evaluation step on one batch; see `train_on_batch`."""
        state = self._state("test_on_batch")
        batch = _one_batch(x, y, sample_weight, None)
        if "test" not in state.functions:
            self._symbolic_build(batch)
        step = self.make_test_function()
        self.reset_metrics()
        return self._batch_logs(step(batch), return_dict)

    @named_arguments
    def predict_on_batch(self: Any, x: Any) -> Any:
        """The model's outputs for one batch, as NumPy arrays in the structure of the outputs."""
        batch = _one_batch(x, None, None, None)
        if not self.built:
            self._symbolic_build(batch)
        return tree.map_structure(to_numpy, self.make_predict_function()(batch))


def _one_batch(x: Any, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    """Arguments of an on-batch method as one batch, floats as floatx."""
    class_weight = check_class_weight(class_weight, sample_weight)
    x, y, sample_weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(sample_weight, "sample_weight")
    check_lengths(x, y, sample_weight)
    check_sample_weight(y, sample_weight)
    if class_weight is not None:
        sample_weight = weights_by_class(y, class_weight)
    return tree.map_structure(whole, pack(x, y, sample_weight))
