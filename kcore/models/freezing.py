"""Freezing a stretch of a model's layers, so that training leaves their weights alone."""

from __future__ import annotations

from typing import Any

from kcore.layers import Layer
from kcore.naming import did_you_mean

__all__ = ["freeze_weights", "unfreeze_weights"]


def freeze_weights(model: Any, from_: str | int | None = None, to: str | int | None = None) -> None:
    """Set ``trainable=False`` on a stretch of a model's layers, and on all the layers those hold.

    Both ends are included. What is frozen counts from the next `compile` on; `BatchNormalization` layers that are
    frozen run in inference mode at once.

    Args:
        model: a model, or a layer that has ``layers``.
        from_: first layer to freeze, by name or by its place in ``model.layers`` (negative ones from the end); the
            first one if None.
        to: last layer to freeze, by name or place; the last one if None.

    Raises:
        ValueError: there is no such layer (near names are shown), `from_` lies behind `to`, or no model.

    Example:
        >>> import kcore
        >>> from kcore import layers
        >>> model = kcore.Sequential([layers.Input((4,)), layers.Dense(3, name="a"), layers.Dense(3, name="b"),
        ...                           layers.Dense(1, name="head")])
        >>> freeze_weights(model, to="b")
        >>> [layer.trainable for layer in model.layers]
        [False, False, True]
        >>> freeze_weights(model); unfreeze_weights(model, from_="b")
        >>> [layer.trainable for layer in model.layers], len(model.trainable_weights)
        ([False, True, True], 4)

    Source: `freeze_weights` of the R interface to Keras.
    """
    _set(model, from_, to, False, "freeze_weights")


def unfreeze_weights(model: Any, from_: str | int | None = None, to: str | int | None = None) -> None:
    """Set ``trainable=True`` on a stretch of a model's layers, and on all the layers those hold.

    The model itself becomes trainable, too: within one that is not, no layer's weights are trained.

    Args:
        model, from_, to: as for `freeze_weights`.

    Raises:
        ValueError: as for `freeze_weights`.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((4,)), kcore.layers.Dense(3), kcore.layers.Dense(1)])
        >>> model.trainable = False
        >>> unfreeze_weights(model, from_=-1)
        >>> [layer.trainable for layer in model.layers]
        [False, True]

    Source: `unfreeze_weights` of the R interface to Keras.
    """
    _set(model, from_, to, True, "unfreeze_weights")


def _set(model: Any, from_: Any, to: Any, trainable: bool, caller: str) -> None:
    if not isinstance(model, Layer) or not hasattr(model, "layers"):
        raise ValueError(f"{caller}() takes a model, received {model!r} of type {type(model).__name__}")
    layers = model.layers
    if not layers:
        raise ValueError(f"{caller}(): model {model.name!r} has no layers yet")
    first = 0 if from_ is None else _place(model, layers, from_, f"{caller}(from_=)")
    last = len(layers) - 1 if to is None else _place(model, layers, to, f"{caller}(to=)")
    if first > last:
        raise ValueError(
            f"{caller}(): from_={from_!r} is layer {first} of model {model.name!r}, which lies behind to={to!r}, "
            f"layer {last}"
        )
    if trainable and not model.trainable:
        model._trainable = True  # without its layers, whose own flags stay as they are
    for layer in layers[first : last + 1]:
        layer.trainable = trainable


def _place(model: Any, layers: list[Any], which: Any, argument: str) -> int:
    if isinstance(which, bool) or not isinstance(which, str | int):
        raise ValueError(f"{argument}: expected the name of a layer or its place, received {which!r}")
    if isinstance(which, int):
        if not -len(layers) <= which < len(layers):
            raise ValueError(f"{argument}: model {model.name!r} has no layer {which}: it has {len(layers)} layers")
        return which % len(layers)
    names = [layer.name for layer in layers]
    if which not in names:
        near = did_you_mean(which, names) or "."
        raise ValueError(f"{argument}: model {model.name!r} has no layer {which!r}{near} Its layers are {names}")
    return names.index(which)
