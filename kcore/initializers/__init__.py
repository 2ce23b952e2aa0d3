"""Initializers: from shape and dtype to the first value of a weight, drawn on the host and the same everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.initializers.fixed import Constant, Identity, Ones, Zeros
from kcore.initializers.initializer import Initializer, draw
from kcore.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    compute_fans,
)
from kcore.initializers.spectral import STFT
from kcore.registry import Namespace

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "clone",
    "compute_fans",
    "constant",
    "deserialize",
    "draw",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

_names = Namespace("keras.initializers", "initializer")

#: Keras's other names of the classes.
IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT
constant, zeros, ones, identity, stft = Constant, Zeros, Ones, Identity, STFT
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, orthogonal, variance_scaling = LecunNormal, LecunUniform, Orthogonal, VarianceScaling


def get(identifier: Any) -> Any:
    """The initializer of a name, configuration, callable or array; None stays None.

    Raises:
        ValueError: an unknown name; near names are shown.

    Example:
        >>> get("he_normal").get_config()
        {'seed': None, 'input_axes': None, 'output_axes': None}
    """
    from kcore.runtime import is_tensor

    if isinstance(identifier, np.ndarray | np.generic) or is_tensor(identifier):
        return Constant(np.asarray(identifier))
    return _names.get(identifier)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer.

    Example:
        >>> serialize(get("zeros"))
        {'module': 'keras.initializers', 'class_name': 'Zeros', 'config': {}, 'registered_name': None}
    """
    return _names.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer a configuration describes."""
    return _names.deserialize(config, custom_objects)


def clone(initializer: Any) -> Any:
    """Another initializer of the same configuration, which draws other numbers where no seed was given."""
    if isinstance(initializer, Initializer) and not inspect.isclass(initializer):
        return type(initializer).from_config(initializer.get_config())
    return initializer
