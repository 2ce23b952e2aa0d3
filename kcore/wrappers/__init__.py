"""Models as scikit-learn estimators, for its pipelines, searches and cross-validation."""

from __future__ import annotations

from kcore.extras import require

require("sklearn", "sklearn", "kcore.wrappers")

from kcore.wrappers.estimators import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer  # noqa: E402

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]
