"""Functions that build models as scikit-learn estimators, as ``keras.wrappers.scikit_learn`` of Keras 1 and 2 had them.

New code takes `wrappers.SKLearnClassifier` and `wrappers.SKLearnRegressor`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.extras import require
from kcore.models import Model
from kcore.utils import to_categorical

require("sklearn", "sklearn", "keras.wrappers.scikit_learn")

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: E402

__all__ = ["BaseWrapper", "KerasClassifier", "KerasRegressor"]


class BaseWrapper(BaseEstimator):
    """What the two estimators share.

    Args:
        build_fn: a function, or an object that can be called, which returns a compiled model; None in a subclass that
            has ``__call__``.
        **sk_params: arguments of `build_fn`, and of `Model.fit`, `Model.predict` and `Model.evaluate`: each of these
            gets those that it has by name.

    Attributes:
        model: what was trained, after `fit`.

    Raises:
        ValueError: an argument that none of them has.

    Source: `keras.wrappers.scikit_learn.BaseWrapper` (Keras 2).
    """

    def __init__(self, build_fn: Callable[..., Model] | None = None, **sk_params: Any):
        self.build_fn = build_fn
        self.sk_params = sk_params
        self.check_params(sk_params)

    def check_params(self, params: dict[str, Any]) -> None:
        """Raise ValueError for names that neither `build_fn` nor fit, predict or evaluate has."""
        takers: list[Callable[..., Any]] = [self._builder(), Model.fit, Model.predict, Model.evaluate]
        legal = [_names(taker) for taker in takers]
        for name in params:
            if not any(name in names for names in legal):
                raise ValueError(
                    f"{name} is not a legal parameter of {type(self).__name__}: build_fn takes "
                    f"{', '.join(legal[0]) or 'nothing'}; fit, predict and evaluate have none of that name"
                )

    def _builder(self) -> Callable[..., Model]:
        found = self.build_fn if self.build_fn is not None else self
        if not callable(found):
            raise ValueError(
                f"build_fn of {type(self).__name__} is a function that returns a compiled model; received {found!r}"
                if self.build_fn is not None
                else f"{type(self).__name__} needs build_fn, a function that returns a compiled model"
            )
        return found

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All arguments by name."""
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> Any:
        """Change arguments.

        Raises:
            ValueError: an argument that does not belong to `build_fn`, fit, predict or evaluate.
        """
        if "build_fn" in params:
            self.build_fn = params.pop("build_fn")
        self.check_params(params)
        self.sk_params.update(params)
        return self

    def filter_sk_params(self, fn: Callable[..., Any], override: dict[str, Any] | None = None) -> dict[str, Any]:
        """The arguments that a function has by name, and those of `override`."""
        names = _names(fn)
        return {name: value for name, value in self.sk_params.items() if name in names} | (override or {})

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a model and train it.

        Args:
            x: (samples, features), or more axes.
            y: a target per sample; classes become one-hot where the loss is "categorical_crossentropy".
            **kwargs: arguments of `Model.fit`.

        Returns: the `History` of training.
        """
        builder = self._builder()
        self.model = builder(**self.filter_sk_params(builder))
        return self.model.fit(x, self._targets(np.asarray(y)), **self.filter_sk_params(Model.fit, kwargs))

    def _targets(self, y: np.ndarray) -> np.ndarray:
        loss = self.model.loss
        name = getattr(loss, "__name__", getattr(loss, "name", loss))
        return to_categorical(y) if name == "categorical_crossentropy" and y.ndim != 2 else y

    def _outputs(self, x: Any, kwargs: dict[str, Any]) -> np.ndarray:
        return self._trained().predict(x, **{"verbose": 0, **self.filter_sk_params(Model.predict, kwargs)})

    def _evaluated(self, x: Any, y: np.ndarray, kwargs: dict[str, Any]) -> dict[str, float]:
        options = {"verbose": 0, **self.filter_sk_params(Model.evaluate, kwargs), "return_dict": True}
        return self._trained().evaluate(x, self._targets(y), **options)

    def _trained(self) -> Model:
        if not hasattr(self, "model"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"this {type(self).__name__} has no model yet: call fit() before")
        return self.model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model")


def _names(fn: Callable[..., Any]) -> list[str]:
    """The names of the arguments of a function."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, one in inspect.signature(fn).parameters.items() if one.kind in kinds and name != "self"]


class KerasClassifier(ClassifierMixin, BaseWrapper):
    """A function that builds a model as a scikit-learn classifier.

    Args:
        build_fn: a function, or an object that can be called, which returns a compiled model; None in a subclass that
            has ``__call__``.
        **sk_params: arguments of `build_fn`, and of `Model.fit`, `Model.predict` and `Model.evaluate`.

    Attributes:
        model: what was trained, after `fit`.
        classes_, n_classes_: the labels, sorted, and how many.

    Raises:
        MissingExtraError: on import, if scikit-learn is not installed.
        ValueError: an argument that none of the functions has.

    Example:
        >>> import kcore
        >>> def build(units=4):
        ...     model = kcore.Sequential([kcore.layers.Dense(units, "relu"), kcore.layers.Dense(2, "softmax")])
        ...     model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> x = np.linspace(-1, 1, 40).reshape(-1, 1)
        >>> names = np.where(x[:, 0] > 0, "right", "left")
        >>> kcore.set_random_seed(0)
        >>> classifier = KerasClassifier(build, units=16, epochs=60, verbose=0)
        >>> history = classifier.fit(x, names)
        >>> classifier.score(x, names) > 0.9, classifier.predict(x[:2]).tolist(), classifier.predict_proba(x).shape
        (True, ['left', 'left'], (40, 2))

    Source: `keras.wrappers.scikit_learn.KerasClassifier` (Keras 2).
    """

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a model and train it.

        Args:
            x: (samples, features), or more axes.
            y: labels of any kind, (samples,) or (samples, 1); or one-hot rows, (samples, classes).
            **kwargs: arguments of `Model.fit`.

        Returns: the `History` of training.

        Raises:
            ValueError: `y` has another shape.
        """
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        elif y.ndim in (1, 2):
            self.classes_, numbers = np.unique(y, return_inverse=True)
            y = numbers.reshape(y.shape)
        else:
            raise ValueError(f"y is one label per sample or one-hot rows; received shape {y.shape}")
        self.n_classes_ = len(self.classes_)
        return super().fit(x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The label of each sample: that of the largest output, or the second one where a single output is above 0.5.

        Args:
            x: as for `fit`.
            **kwargs: arguments of `Model.predict`.

        Returns: (samples,), or (samples, 1) for models with a single output, as in Keras 2.
        """
        outputs = self._outputs(x, kwargs)
        return self.classes_[outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype(int)]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The probability of each class, (samples, classes).

        Args:
            x: as for `fit`.
            **kwargs: arguments of `Model.predict`.
        """
        outputs = self._outputs(x, kwargs)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The accuracy that `Model.evaluate` tells.

        Args:
            x, y: as for `fit`.
            **kwargs: arguments of `Model.evaluate`, for instance ``sample_weight``.

        Raises:
            ValueError: the model was compiled without ``metrics=["accuracy"]``, or a label that `fit` did not see.
        """
        self._trained()
        y = np.asarray(y)
        if y.ndim == 1 or y.shape[1] == 1:
            labels = y.reshape(-1)
            unknown = labels[~np.isin(labels, self.classes_)]
            if len(unknown):
                raise ValueError(f"the label {unknown[0]!r} was not among those of fit: {self.classes_.tolist()}")
            y = np.searchsorted(self.classes_, labels)
            if self._targets(y) is not y:
                y = to_categorical(y, self.n_classes_)
        values = self._evaluated(x, y, kwargs)
        for name in ("accuracy", "acc"):
            if name in values:
                return float(values[name])
        raise ValueError(
            f"score() tells the accuracy, and the model has only {', '.join(values)}: compile it with "
            "metrics=['accuracy']"
        )


class KerasRegressor(RegressorMixin, BaseWrapper):
    """A function that builds a model as a scikit-learn regressor.

    Args:
        build_fn: a function, or an object that can be called, which returns a compiled model; None in a subclass that
            has ``__call__``.
        **sk_params: arguments of `build_fn`, and of `Model.fit`, `Model.predict` and `Model.evaluate`.

    Attributes:
        model: what was trained, after `fit`.

    Example:
        >>> import kcore
        >>> def build(rate=0.5):
        ...     model = kcore.Sequential([kcore.layers.Dense(1)])
        ...     model.compile(kcore.optimizers.SGD(rate), "mse")
        ...     return model
        >>> x = np.linspace(-1, 1, 40).reshape(-1, 1)
        >>> regressor = KerasRegressor(build, epochs=40, verbose=0)
        >>> history = regressor.fit(x, 3 * x[:, 0])
        >>> bool(regressor.score(x, 3 * x[:, 0]) > -0.01), regressor.predict(x).shape
        (True, (40,))

    Source: `keras.wrappers.scikit_learn.KerasRegressor` (Keras 2).
    """

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """What the model gives for each sample, without its last axis where that is 1.

        Args:
            x: as for `fit`.
            **kwargs: arguments of `Model.predict`.
        """
        outputs = self._outputs(x, kwargs)
        return outputs[..., 0] if outputs.shape[-1] == 1 else outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Minus the loss that `Model.evaluate` tells: larger is better.

        Args:
            x, y: as for `fit`.
            **kwargs: arguments of `Model.evaluate`, for instance ``sample_weight``.
        """
        return -float(self._evaluated(x, np.asarray(y), kwargs)["loss"])
