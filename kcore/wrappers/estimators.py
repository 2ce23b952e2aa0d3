"""A model, or a function that builds one, behind scikit-learn's fit, predict, score and transform."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from kcore.models import Model, clone_model
from kcore.registry import public


class _Estimator(BaseEstimator):
    """What the three wrappers share.

    Args:
        model: a compiled `Model`, of which each `fit` trains a clone; or a function ``(X, y, **model_kwargs)`` that
            builds and compiles one. `y` has two axes there: one-hot for a classifier.
        warm_start: `fit` goes on with the model of the last `fit`, and trains a given `Model` itself.
        model_kwargs: further arguments of the function.
        fit_kwargs: arguments of `Model.fit`; those given to the estimator's own `fit` go before them.

    Attributes:
        model_: the model that was trained.
        history_: its `History`.
        n_features_in_: features of a sample.
    """

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_clone__(self) -> Any:
        """An estimator that is not fitted, with a model of its own."""
        settings = self.get_params(deep=False)
        if isinstance(self.model, Model):
            settings["model"] = copy.deepcopy(self.model)
        return type(self)(**settings)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.input_tags.allow_nan = False
        return tags

    def fit(self, X: Any, y: Any, **fit_kwargs: Any) -> Any:  # noqa: N803 - the names of scikit-learn
        """Train.

        Args:
            X: (samples, features), or more axes.
            y: a target per sample.
            **fit_kwargs: arguments of `Model.fit`, for instance ``epochs`` or ``sample_weight``.

        Raises:
            ValueError: data that scikit-learn refuses; a model that is not compiled; one class only.
        """
        X, y = _validated(self, X, y, multi_output=True, y_numeric=not isinstance(self, ClassifierMixin))  # noqa: N806
        targets = self._encode(y)
        model = self._model_for(X, targets)
        self.history_ = model.fit(X, targets, **{**(self.fit_kwargs or {}), **fit_kwargs})
        self.model_ = model
        return self

    def _model_for(self, X: Any, y: Any) -> Model:  # noqa: N803
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            model = self.model if self.warm_start else clone_model(self.model)
            if model is not self.model and self.model.compiled:
                model.compile_from_config(self.model.get_compile_config())
        else:
            model = self.model(X=X, y=y, **(self.model_kwargs or {}))
        if not isinstance(model, Model) or not model.compiled or model.loss is None or model.optimizer is None:
            raise ValueError(
                f"{type(self).__name__} needs a model that is compiled with a loss and an optimizer, received {model!r}"
            )
        return model

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Targets with two axes."""
        self._flat = y.ndim == 1
        return y[:, None] if self._flat else y

    def _outputs(self, X: Any) -> np.ndarray:  # noqa: N803
        check_is_fitted(self, "model_")
        return self.model_.predict(_validated(self, X, reset=False), verbose=0)


def _validated(estimator: Any, *data: Any, **options: Any) -> Any:
    """The data as arrays, as scikit-learn checks them."""
    options = {"allow_nd": True, **options}
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # before 1.6 it was a method
        return estimator._validate_data(*data, **options)
    return validate_data(estimator, *data, **options)


@public("keras.wrappers")
class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A model as a scikit-learn classifier.

    The model is trained on one-hot targets, (samples, classes), and its outputs are one number per class: softmax with
    ``loss="categorical_crossentropy"``, for instance.

    Args:
        model: a compiled `Model`, of which each `fit` trains a clone; or a function ``(X, y, **model_kwargs)`` that
            builds and compiles one.
        warm_start: `fit` goes on with the model of the last `fit`, and trains a given `Model` itself.
        model_kwargs: further arguments of the function.
        fit_kwargs: arguments of `Model.fit`; those given to the estimator's own `fit` go before them.

    Attributes:
        classes_: the labels, sorted.
        model_, history_: the model that was trained, and how.

    Raises:
        MissingExtraError: on import of `kcore.wrappers`, if scikit-learn is not installed.

    Example:
        >>> import kcore
        >>> import numpy as np
        >>> def build(X, y, units=8):
        ...     layers = [kcore.layers.Dense(units, "relu"), kcore.layers.Dense(y.shape[1], "softmax")]
        ...     model = kcore.Sequential(layers)
        ...     model.compile("adam", "categorical_crossentropy")
        ...     return model
        >>> kcore.set_random_seed(0)
        >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
        >>> names = np.where(X[:, 0] > 0, "right", "left")
        >>> classifier = SKLearnClassifier(build, model_kwargs={"units": 16}, fit_kwargs={"verbose": 0})
        >>> classifier.fit(X, names, epochs=60).score(X, names) > 0.9
        True

    Source: `keras.wrappers.SKLearnClassifier`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # a few epochs on a few samples, in scikit-learn's own checks
        return tags

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The label of each sample, (samples,): that of the largest output."""
        outputs = self._outputs(X)
        chosen = self.classes_[np.argmax(outputs, axis=1)]
        return chosen if self._flat else chosen[:, None]

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """The outputs of the model, (samples, classes): probabilities, if its last layer is a softmax."""
        return self._outputs(X)

    decision_function = predict_proba

    def _encode(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Unknown label type: {kind}. Only binary and multiclass targets are supported: one label per sample"
            )
        self._flat = y.ndim == 1
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_.tolist()}")
        return np.eye(len(self.classes_), dtype="float32")[indices.reshape(-1)]


@public("keras.wrappers")
class SKLearnRegressor(RegressorMixin, _Estimator):
    """A model as a scikit-learn regressor.

    Args:
        model: a compiled `Model`, of which each `fit` trains a clone; or a function ``(X, y, **model_kwargs)`` that
            builds and compiles one.
        warm_start: `fit` goes on with the model of the last `fit`, and trains a given `Model` itself.
        model_kwargs: further arguments of the function.
        fit_kwargs: arguments of `Model.fit`; those given to the estimator's own `fit` go before them.

    Attributes:
        model_, history_: the model that was trained, and how.

    Example:
        >>> import kcore
        >>> import numpy as np
        >>> model = kcore.Sequential([kcore.layers.Dense(1)])
        >>> model.compile(kcore.optimizers.SGD(0.5), "mse")
        >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
        >>> y = 3 * X[:, 0]
        >>> SKLearnRegressor(model, fit_kwargs={"verbose": 0}).fit(X, y, epochs=40).score(X, y) > 0.9
        True

    Source: `keras.wrappers.SKLearnRegressor`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """What the model gives for each sample, with as many axes as the targets had."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat and outputs.ndim == 2 and outputs.shape[1] == 1 else outputs


@public("keras.wrappers")
class SKLearnTransformer(TransformerMixin, _Estimator):
    """A model as a scikit-learn transformer: what it gives for a sample is the sample transformed.

    Args:
        model: a compiled `Model`, of which each `fit` trains a clone; or a function ``(X, y, **model_kwargs)`` that
            builds and compiles one.
        warm_start: `fit` goes on with the model of the last `fit`, and trains a given `Model` itself.
        model_kwargs: further arguments of the function.
        fit_kwargs: arguments of `Model.fit`; those given to the estimator's own `fit` go before them.

    Attributes:
        model_, history_: the model that was trained, and how.

    Example:
        >>> import kcore
        >>> import numpy as np
        >>> model = kcore.Sequential([kcore.layers.Dense(2)])
        >>> model.compile("sgd", "mse")
        >>> X = np.ones((8, 3))
        >>> SKLearnTransformer(model, fit_kwargs={"verbose": 0}).fit(X, X[:, :2]).transform(X).shape
        (8, 2)

    Source: `keras.wrappers.SKLearnTransformer`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """What the model gives for each sample."""
        return self._outputs(X)
