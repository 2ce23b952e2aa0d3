"""Dtype policies: in which dtype a layer computes, and in which it keeps its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore import config
from kcore.declare import Configurable
from kcore.dtypes import standardize_dtype
from kcore.registry import deserialize as _deserialize
from kcore.registry import public
from kcore.registry import serialize as _serialize

__all__ = ["DTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"]

#: Policies whose compute dtype differs from that of the weights.
MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


@public("keras", "DTypePolicy")
class DTypePolicy(Configurable):
    """The dtype a layer computes in and the dtype of its weights.

    Args:
        name: a dtype (``"float32"``, ``"float64"``), or ``"mixed_float16"`` / ``"mixed_bfloat16"``: compute in the
            short dtype, keep weights in float32. None is the global policy.

    Raises:
        ValueError: not the name of a policy.

    Example:
        >>> policy = DTypePolicy("mixed_float16")
        >>> policy.compute_dtype, policy.variable_dtype
        ('float16', 'float32')

    Source: `keras.DTypePolicy`.
    """

    #: Quantized policies are not kcore's.
    quantization_mode: str | None = None
    name: str

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"a dtype policy is named by a string such as 'mixed_float16', got {name!r}")
        self.name = name
        try:
            self.compute_dtype = MIXED.get(name) or standardize_dtype(name)
        except (ValueError, TypeError):
            raise ValueError(f"there is no dtype policy {name!r}; a dtype, or one of {', '.join(MIXED)}") from None
        self.variable_dtype = "float32" if name in MIXED else self.compute_dtype

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


#: Keras's other name of it.
FloatDTypePolicy = DTypePolicy

_global: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none: that of `set_dtype_policy`, else `kcore.config.floatx()`."""
    return _global or DTypePolicy(config.floatx())


def set_dtype_policy(policy: str | DTypePolicy | None) -> None:
    """Set the policy of layers made from now on.

    Example:
        >>> set_dtype_policy("float64"); dtype_policy().compute_dtype
        'float64'
        >>> set_dtype_policy(None)
    """
    global _global
    _global = None if policy is None else get(policy)


def get(identifier: Any) -> DTypePolicy:
    """The policy of a name, dtype, configuration or policy; None is the global one.

    Example:
        >>> get("float64")
        <DTypePolicy "float64">
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    return DTypePolicy(identifier if isinstance(identifier, str) else standardize_dtype(identifier))


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The policy as Keras saves it."""
    return _serialize(policy)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """The policy a configuration describes."""
    return _deserialize(config, custom_objects=custom_objects, module="keras")
