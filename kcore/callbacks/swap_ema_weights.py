"""The callback that evaluates a model with the moving averages of its weights."""

from __future__ import annotations

from typing import Any

from kcore.callbacks.callback import Callback
from kcore.declare import argument
from kcore.registry import public


@public("keras.callbacks")
class SwapEMAWeights(Callback):
    """Puts the moving averages of the weights into the model for evaluation and prediction, and the weights back.

    The optimizer must be made with ``use_ema=True``. The weights are kept on the device meanwhile, beside the
    averages.

    Args:
        swap_on_epoch: let the averages stay in the model from the end of an epoch to the start of the next one, so
            that callbacks after this one, such as `ModelCheckpoint`, save them.

    Raises:
        ValueError: the optimizer keeps no averages.

    Example:
        >>> import kcore, numpy as np
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile(kcore.optimizers.SGD(0.1, use_ema=True), "mse")
        >>> x, y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
        >>> history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=SwapEMAWeights())
        >>> len(history.history["val_loss"])
        2

    Source: `keras.callbacks.SwapEMAWeights`.
    """

    swap_on_epoch: bool = argument(False)

    def __post_init__(self) -> None:
        self._weights: list[tuple[Any, Any]] | None = None
        self._in_fit = False

    def _swap_in(self) -> None:
        """The averages into the model; the optimizer keeps them, too, as they are the result when `fit` ends."""
        if self._weights is not None:
            return
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        averaging = [each for each in getattr(optimizer, "optimizers", [optimizer]) if getattr(each, "use_ema", False)]
        if not averaging:
            raise ValueError(
                f"SwapEMAWeights: optimizer {getattr(optimizer, 'name', None)!r} of model {self.model.name!r} keeps no "
                "moving averages of the weights; make it with use_ema=True"
            )
        pairs = [pair for each in averaging for pair in zip(each._trainable_variables, each._averages, strict=True)]
        self._weights = [(variable, variable.snapshot()) for variable, _ in pairs]
        for variable, average in pairs:
            variable.assign(average.value)

    def _swap_back(self) -> None:
        for variable, value in self._weights or ():
            variable.assign(value)
        self._weights = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._swap_back()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._swap_in()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False
        self._weights = None  # fit has given the model the averages for good

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_in()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_back()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_in()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_back()

    def on_abort(self) -> None:
        if self._in_fit:
            self.on_train_end()
        else:
            self._swap_back()
