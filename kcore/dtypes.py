"""Dtype names, what NumPy calls them, their ranges, and the type two dtypes promote to (the rules of Keras 3)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from kcore import config

if TYPE_CHECKING:
    import numpy as np

#: Bytes per element of every dtype a tensor may have.
ITEMSIZE: dict[str, int] = {
    "bool": 1,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "bfloat16": 2,
    "float16": 2,
    "float32": 4,
    "float64": 8,
}

INTS = frozenset(d for d in ITEMSIZE if "int" in d)
FLOATS = frozenset(d for d in ITEMSIZE if "float" in d)

#: Finite range of the floating dtypes: smallest positive normal number, largest number, gap above one.
FLOAT_RANGE: dict[str, tuple[float, float, float]] = {
    "bfloat16": (2.0**-126, (2 - 2.0**-7) * 2.0**127, 2.0**-7),
    "float16": (2.0**-14, 65504.0, 2.0**-10),
    "float32": (2.0**-126, (2 - 2.0**-23) * 2.0**127, 2.0**-23),
    "float64": (2.0**-1022, (2 - 2.0**-52) * 2.0**1023, 2.0**-52),
}

# The lattice of Keras 3 (and JAX): each type and the next higher ones. "int" and "float" are Python scalars, which
# are weak: they take part by kind only.
_LATTICE: dict[str, tuple[str, ...]] = {
    "bool": ("int",),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": ("float",),
    "int": ("uint8", "int8"),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float",),
    "float": ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": (),
}


@cache
def _above(node: str) -> frozenset[str]:
    """A type and everything it promotes to."""
    return frozenset({node}).union(*map(_above, _LATTICE[node]))


@cache
def _promote(nodes: frozenset[str], floatx: str) -> str:
    common = frozenset.intersection(*map(_above, nodes))
    # The least upper bound is the one common bound below all the others.
    least = next(c for c in common if common <= _above(c))
    if least == "int":
        return "int" + floatx[-2:]
    if least == "float":
        return floatx
    return least


_PYTHON: dict[Any, str] = {bool: "bool", int: "int", float: "float"}
_results: dict[tuple, str] = {}


def result_type(*dtypes: Any) -> str:
    """The dtype in which values of the given dtypes are computed together.

    This is the promotion of Keras 3: bool < ints < floats; ints with a float take the float's dtype (int32 with
    float16 is float16), float16 with bfloat16 is float32, and a Python scalar never raises the precision. 64-bit
    dtypes are kept where an argument has one, as Keras does with TensorFlow; Python scalars alone follow `floatx`.

    Args:
        dtypes: names, numpy dtypes, None for `floatx`, or the Python types `bool`, `int` and `float`, which stand
            for weak scalars. No argument at all gives `floatx`.

    Returns:
        Name of the dtype.

    Raises:
        ValueError: an argument is not a dtype.

    Example:
        >>> result_type("int32", "float16"), result_type("int32", float), result_type("bfloat16", "float16")
        ('float16', 'float32', 'float32')
        >>> result_type("uint8", "int8"), result_type("uint8", int)
        ('int16', 'uint8')
    """
    key = (*dtypes, config._floatx)
    try:
        return _results[key]
    except KeyError:
        floatx = config.floatx()
        names = frozenset(_PYTHON.get(d) or standardize_dtype(d) for d in dtypes) or frozenset({floatx})
        result = _promote(names, floatx)
        if config._floatx == key[-1]:  # the first call reads keras.json, which may change it
            _results[key] = result
        return result


_names: dict[Any, str] = {**{name: name for name in ITEMSIZE}, "int": "int32"}


def standardize_dtype(dtype: Any) -> str:
    """The canonical name of a dtype.

    Args:
        dtype: a name, a numpy dtype or scalar type, a Python type, another framework's dtype object that has a
            `name`, or None for `floatx`.

    Returns:
        The name.

    Raises:
        ValueError: there is no such dtype here.

    Example:
        >>> standardize_dtype(float), standardize_dtype("int"), standardize_dtype(None)
        ('float32', 'int32', 'float32')
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, type):
        # Types apart from the table: numpy.dtype("float64") == float, so one could be taken for the other.
        name = {bool: "bool", int: "int32", float: "float32"}.get(dtype) or dtype.__name__
    else:
        known = _names.get(dtype)
        if known is not None:
            return known
        name = getattr(dtype, "name", None) or str(dtype)
    name = name.rsplit(".", 1)[-1]  # torch.float32
    if name == "bool_":
        name = "bool"
    if name not in ITEMSIZE:
        raise ValueError(f"{dtype!r} is not a dtype; expected one of {', '.join(ITEMSIZE)}")
    if not isinstance(dtype, type):
        _names[dtype] = name
    return name


@cache
def numpy_dtype(name: str) -> np.dtype:
    """The numpy dtype of that name; ml_dtypes is imported when bfloat16 is asked for.

    Example:
        >>> numpy_dtype("float32")
        dtype('float32')
    """
    import numpy as np

    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    if name not in ITEMSIZE:
        raise ValueError(f"{name!r} is not a dtype; expected one of {', '.join(ITEMSIZE)}")
    return np.dtype(name)


def itemsize(name: str) -> int:
    """Bytes per element.

    Example:
        >>> itemsize("bfloat16")
        2
    """
    return ITEMSIZE[name]


def is_float(dtype: Any) -> bool:
    """Whether a dtype is floating point.

    Example:
        >>> is_float("bfloat16"), is_float("int32")
        (True, False)
    """
    return standardize_dtype(dtype) in FLOATS


def is_int(dtype: Any) -> bool:
    """Whether a dtype is a signed or unsigned integer; bool is none.

    Example:
        >>> is_int("uint8"), is_int("bool")
        (True, False)
    """
    return standardize_dtype(dtype) in INTS


def is_unsigned(dtype: Any) -> bool:
    """Whether a dtype is an unsigned integer.

    Example:
        >>> is_unsigned("uint8"), is_unsigned("int8")
        (True, False)
    """
    return standardize_dtype(dtype).startswith("uint")


def is_bool(dtype: Any) -> bool:
    """Whether a dtype is bool.

    Example:
        >>> is_bool(bool)
        True
    """
    return standardize_dtype(dtype) == "bool"


def int_range(dtype: Any) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype.

    Example:
        >>> int_range("int8")
        (-128, 127)
    """
    name = standardize_dtype(dtype)
    if name not in INTS:
        raise ValueError(f"int_range() wants an integer dtype, not {name!r}")
    bits = 8 * ITEMSIZE[name]
    return (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def float_range(dtype: Any) -> tuple[float, float, float]:
    """Smallest positive normal number, largest number, and the gap above one of a floating dtype.

    Example:
        >>> float_range("float16")
        (6.103515625e-05, 65504.0, 0.0009765625)
    """
    name = standardize_dtype(dtype)
    if name not in FLOATS:
        raise ValueError(f"float_range() wants a floating dtype, not {name!r}")
    return FLOAT_RANGE[name]
