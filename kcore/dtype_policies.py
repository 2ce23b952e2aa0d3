"""Dtype policies: in which dtype a layer computes, and in which it keeps its weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from kcore import config
from kcore.declare import Configurable
from kcore.dtypes import FLOATS, standardize_dtype
from kcore.naming import did_you_mean
from kcore.registry import REGISTRY, public
from kcore.registry import deserialize as _deserialize
from kcore.registry import serialize as _serialize

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "deserialize",
    "dtype_policy",
    "get",
    "serialize",
    "set_dtype_policy",
]

#: How the names of Keras's quantized policies begin.
QUANTIZED = ("int8", "float8", "int4", "gptq", "awq")

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
            if name.startswith(QUANTIZED):
                raise ValueError(f"dtype policy {name!r}: quantized policies are not supported") from None
            near = did_you_mean(name, [*MIXED, *FLOATS])
            raise ValueError(
                f"there is no dtype policy {name!r}; a dtype, or one of {', '.join(MIXED)}{near}"
            ) from None
        self.variable_dtype = "float32" if name in MIXED else self.compute_dtype

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """An input as a layer takes it: an array as a tensor, floats cast to `dtype` where `autocast` says so."""
        from kcore import ops
        from kcore.runtime import Tensor, convert_to_tensor

        if not isinstance(x, Tensor) and hasattr(x, "__array__"):
            x = convert_to_tensor(x)
        if isinstance(x, Tensor) and autocast and x.dtype in FLOATS:
            x = ops.cast(x, standardize_dtype(dtype))
        return x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


REGISTRY.publish(DTypePolicy, "keras.dtype_policies", "DTypePolicy", "FloatDTypePolicy")
#: Keras's other name of it.
FloatDTypePolicy = DTypePolicy


@public("keras.dtype_policies")
class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by layer path, for a layer whose inner layers compute in different dtypes.

    It is given as the `dtype` of the outer layer, which hands it to its inner ones; each looks its own path up: an
    exact key first, else the one key that matches the whole path as a regular expression, else the default.

    Args:
        default_policy: the policy of paths nothing matches; the global one if None.
        policy_map: path or pattern -> policy.

    Raises:
        ValueError: a path that several patterns match, a key that is there already, a map as the default.

    Example:
        >>> policies = DTypePolicyMap("float32", {"encoder/.*": DTypePolicy("mixed_float16")})
        >>> policies["encoder/dense"], policies["decoder/dense"]
        (<DTypePolicy "mixed_float16">, <DTypePolicy "float32">)

    Source: `keras.dtype_policies.DTypePolicyMap`.
    """

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("the default policy of a DTypePolicyMap cannot be a map")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"policy_map must be a dict of path -> policy, got {policy_map!r}")
        self._given_default = default_policy
        self._policies = {key: get(policy) for key, policy in (policy_map or {}).items()}
        get(default_policy)  # a wrong name is refused now

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that nothing matches."""
        return get(self._given_default)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:  # type: ignore[override]
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:  # type: ignore[override]
        return self.default_policy.variable_dtype

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policies:
            return self._policies[key]
        matching = [pattern for pattern in self._policies if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"path {key!r} matches several keys of the DTypePolicyMap: {matching}; it may match one")
        return self._policies[matching[0]] if matching else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policies:
            raise ValueError(f"the DTypePolicyMap already has the key {key!r}, with {self._policies[key]}")
        self._policies[key] = get(policy)

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicyMap) and (self._given_default, self._policies) == (
            other._given_default,
            other._policies,
        )

    __hash__ = object.__hash__

    def get_config(self) -> dict[str, Any]:
        return {"default_policy": _serialize(self._given_default), "policy_map": _serialize(self._policies)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicyMap:
        """Make a map from what ``get_config()`` gave."""
        return cls(_deserialize(config["default_policy"]), _deserialize(config["policy_map"]))

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default={self.default_policy.name}, {self._policies}>"


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
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except ValueError:
        raise ValueError(f"expected the name of a dtype policy, a dtype or a DTypePolicy, got {identifier!r}") from None


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The policy as Keras saves it.

    Example:
        >>> serialize(DTypePolicy("float16"))["config"]
        {'name': 'float16'}
    """
    return _serialize(policy)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """The policy a configuration describes.

    Example:
        >>> deserialize({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}})
        <DTypePolicy "mixed_bfloat16">
    """
    return _deserialize(config, custom_objects=custom_objects, module="keras")
