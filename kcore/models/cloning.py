"""A second model of the same layers with fresh weights."""

from __future__ import annotations

from typing import Any

from kcore.models.model import Model
from kcore.registry import public


@public("keras.models")
def clone_model(model: Model) -> Any:
    """Make a model of the same configuration, with weights of its own that are drawn anew.

    The new model is not compiled. To copy the weights, too: ``copy.set_weights(model.get_weights())``.

    Args:
        model: any model that `get_config` describes.

    Returns:
        A model of the same class and name.

    Raises:
        ValueError: not a model.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
        >>> copy = clone_model(model)
        >>> copy.count_params(), bool((copy.get_weights()[0] == model.get_weights()[0]).all())
        (8, False)

    Source: `keras.models.clone_model`.
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model() takes a model, received {model!r} of type {type(model).__name__}")
    return type(model).from_config(model.get_config())
