"""TensorFlow functions that Keras 2.2 to 2.15 put among a model's layers, as ops of kcore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore.saving.legacy.layers import Config, LegacyError

#: Classes of steps that are functions: Keras 2.4 and later, and 2.0 to 2.3 of TensorFlow.
FUNCTIONS = ("TFOpLambda", "SlicingOpLambda")
NODES = "TensorFlowOpLayer"

_UNARY = "square sqrt rsqrt exp log log1p abs tanh sigmoid negative sin cos floor ceil round sign softplus erf".split()
_BINARY = {
    "add": "__operators__.add __operators__.radd math.add",
    "subtract": "__operators__.sub math.subtract",
    "multiply": "math.multiply __operators__.mul __operators__.rmul",
    "divide": "math.truediv math.divide __operators__.truediv",
    "maximum": "math.maximum",
    "minimum": "math.minimum",
    "power": "math.pow __operators__.pow",
    "greater": "math.greater __operators__.gt",
    "greater_equal": "math.greater_equal __operators__.ge",
    "less": "math.less __operators__.lt",
    "less_equal": "math.less_equal __operators__.le",
    "equal": "math.equal",
    "not_equal": "math.not_equal",
}
_REDUCTIONS = {
    "mean": "reduce_mean",
    "sum": "reduce_sum",
    "max": "reduce_max",
    "min": "reduce_min",
    "prod": "reduce_prod",
}

#: TensorFlow's function -> (op, its parameters in order with the op's names for them).
OPERATORS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"math.{name}": (name, {"x": "x"}) for name in _UNARY},
    **{name: (op, {"x": "x1", "y": "x2"}) for op, names in _BINARY.items() for name in names.split()},
    "__operators__.rsub": ("subtract", {"x": "x2", "y": "x1"}),
    "__operators__.rtruediv": ("divide", {"x": "x2", "y": "x1"}),
    "__operators__.rpow": ("power", {"x": "x2", "y": "x1"}),
    "__operators__.neg": ("negative", {"x": "x"}),
    "__operators__.getitem": ("get_item", {"tensor": "x", "slice_spec": "key"}),
    **{
        f"math.{name}": (op, {"input_tensor": "x", "axis": "axis", "keepdims": "keepdims"})
        for op, name in _REDUCTIONS.items()
    },
    "math.argmax": ("argmax", {"input": "x", "axis": "axis"}),
    **{f"nn.{name}": (name, {"x": "x"}) for name in ("tanh", "sigmoid")},
    **{
        f"nn.{name}": (name, {"features": "x"})
        for name in ("relu", "relu6", "elu", "selu", "silu", "softplus", "softsign")
    },
    "nn.leaky_relu": ("leaky_relu", {"features": "x", "alpha": "negative_slope"}),
    "nn.gelu": ("gelu", {"features": "x", "approximate": "approximate"}),
    "nn.softmax": ("softmax", {"logits": "x", "axis": "axis"}),
    "linalg.matmul": ("matmul", {"a": "x1", "b": "x2"}),
    "concat": ("concatenate", {"values": "xs", "axis": "axis"}),
    "stack": ("stack", {"values": "x", "axis": "axis"}),
    "reshape": ("reshape", {"tensor": "x", "shape": "newshape"}),
    "expand_dims": ("expand_dims", {"input": "x", "axis": "axis"}),
    "squeeze": ("squeeze", {"input": "x", "axis": "axis"}),
    "transpose": ("transpose", {"a": "x", "perm": "axes"}),
    "tile": ("tile", {"input": "x", "multiples": "repeats"}),
    "cast": ("cast", {"x": "x", "dtype": "dtype"}),
    "clip_by_value": ("clip", {"t": "x", "clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "zeros_like": ("zeros_like", {"input": "x"}),
    "ones_like": ("ones_like", {"input": "x"}),
}

#: What TensorFlow takes where an argument is not given, where the op takes something else.
_DEFAULTS = {"gelu": {"approximate": False}}

#: TensorFlow's node -> (op, names of its inputs).
_NODES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name.capitalize(): (name, ("x",)) for name in _UNARY if name != "negative"},
    **{name.capitalize(): (name, ("x",)) for name in ("relu", "relu6", "elu", "selu", "softmax", "softsign")},
    "Neg": ("negative", ("x",)),
    "AddV2": ("add", ("x1", "x2")),
    "Add": ("add", ("x1", "x2")),
    "Sub": ("subtract", ("x1", "x2")),
    "Mul": ("multiply", ("x1", "x2")),
    "RealDiv": ("divide", ("x1", "x2")),
    "Maximum": ("maximum", ("x1", "x2")),
    "Minimum": ("minimum", ("x1", "x2")),
    "Pow": ("power", ("x1", "x2")),
    "MatMul": ("matmul", ("x1", "x2")),
    "BatchMatMulV2": ("matmul", ("x1", "x2")),
    **{name.capitalize(): (name, ("x", "axis")) for name in _REDUCTIONS},
    "Reshape": ("reshape", ("x", "newshape")),
    "ExpandDims": ("expand_dims", ("x", "axis")),
    "Transpose": ("transpose", ("x", "axes")),
    "Tile": ("tile", ("x", "repeats")),
    "ConcatV2": ("concatenate", ()),
    "StridedSlice": ("get_item", ()),
}

#: Attributes of nodes, and of functions, that change the meaning in a way no op has.
_TRANSPOSED = ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "adj_x", "adj_y")


def translate_operator(entry: Mapping[str, Any]) -> Config | None:
    """A step that is a TensorFlow function as an op; None for anything else.

    Raises:
        LegacyError: a function that is not among those known; the message lists them.
    """
    if entry["class_name"] not in (*FUNCTIONS, NODES):
        return None
    found = _found(entry)
    if found is None:
        known = sorted(_NODES if entry["class_name"] == NODES else OPERATORS)
        raise LegacyError(
            f"layer {entry.get('name')!r} calls the TensorFlow function {_function(entry)!r}, which kcore does not "
            f"read; those it reads are {', '.join(known)}"
        )
    name = entry["config"].get("name")
    if found[0] == "get_item":
        return {"module": "keras.ops", "class_name": "GetItem", "config": {"name": name}}
    return {"module": "kcore.ops", "class_name": found[0], "config": {"name": name}}


def _function(entry: Mapping[str, Any]) -> Any:
    config = entry["config"]
    if entry["class_name"] != NODES:
        return config.get("function")
    node = config.get("node_def")
    return node.get("op") if isinstance(node, Mapping) else None


def _found(entry: Mapping[str, Any]) -> tuple[str, Any] | None:
    table: Mapping[str, tuple[str, Any]] = _NODES if entry["class_name"] == NODES else OPERATORS
    function = _function(entry)
    return table.get(function) if isinstance(function, str) else None


def operator_call(entry: Mapping[str, Any], tensors: Any, kwargs: Mapping[str, Any]) -> Config:
    """The call of an op, ``{"args", "kwargs"}``.

    Args:
        entry: the step, one that `translate_operator` knows.
        tensors: the function's first argument, a reference or a list of them; of a node, all its inputs that are
            no constants.
        kwargs: the function's other arguments by TensorFlow's names.

    Raises:
        LegacyError: an argument that the op does not have.
    """
    found = _found(entry)
    assert found is not None
    op, parameters = found
    if entry["class_name"] == NODES:
        return _node_call(entry, op, parameters, tensors if isinstance(tensors, list) else [tensors])
    given = {next(iter(parameters)): tensors}
    given |= {key: value for key, value in kwargs.items() if value is not None and key != "name"}
    unknown = [key for key, value in given.items() if key not in parameters and value is not False]
    if unknown:
        raise LegacyError(
            f"layer {entry.get('name')!r}: the argument {unknown[0]!r} of the TensorFlow function "
            f"{entry['config']['function']!r} is not read"
        )
    arguments = {**_DEFAULTS.get(op, {}), **{parameters[k]: v for k, v in given.items() if k in parameters}}
    if op == "get_item":
        return {"args": [arguments["x"], _key(arguments["key"])], "kwargs": {}}
    return {"args": [], "kwargs": arguments}


def _key(spec: Any) -> Any:
    """What stands between the brackets of ``x[...]``."""
    if isinstance(spec, Mapping) and {"start", "stop", "step"} <= set(spec):
        return {"class_name": "__slice__", "config": dict(spec)}
    if isinstance(spec, Mapping) and spec.get("value") == "Ellipsis":
        return {"class_name": "__ellipsis__", "config": {}}
    return [_key(part) for part in spec] if isinstance(spec, list) else spec


# -- nodes of TensorFlow's graph ---------------------------------------------------------------------------------------


def _node_call(entry: Mapping[str, Any], op: str, names: Sequence[str], tensors: list[Any]) -> Config:
    config = entry["config"]
    attributes = {key: next(iter(value.values()), None) for key, value in config["node_def"].get("attr", {}).items()}
    if any(attributes.get(key) for key in _TRANSPOSED):
        raise LegacyError(f"layer {entry.get('name')!r}: a product of matrices that are transposed first is not read")
    constants = {int(place): value for place, value in (config.get("constants") or {}).items()}
    rest = iter(tensors)
    inputs = [constants[i] if i in constants else next(rest) for i in range(len(tensors) + len(constants))]
    if op == "concatenate":
        return {"args": [], "kwargs": {"xs": inputs[:-1], "axis": inputs[-1]}}
    if op == "get_item":
        return {"args": [inputs[0], _strided(entry, inputs[1:], attributes)], "kwargs": {}}
    arguments = dict(zip(names, inputs, strict=True))
    if attributes.get("keep_dims"):
        arguments["keepdims"] = True
    return {"args": [], "kwargs": arguments}


def _strided(entry: Mapping[str, Any], bounds: Sequence[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """The key of a StridedSlice with begins, ends and strides; bit i of each mask speaks of place i."""
    masks = {key: int(value or 0) for key, value in attributes.items() if key.endswith("_mask")}
    if any(not isinstance(part, list) for part in bounds):
        raise LegacyError(f"layer {entry.get('name')!r}: a slice whose bounds are computed is not read")
    key: list[Any] = []
    for i, (start, stop, step) in enumerate(zip(*bounds, strict=True)):
        bit = 1 << i
        if masks.get("ellipsis_mask", 0) & bit:
            key.append({"class_name": "__ellipsis__", "config": {}})
        elif masks.get("new_axis_mask", 0) & bit:
            key.append(None)
        elif masks.get("shrink_axis_mask", 0) & bit:
            key.append(start)
        else:
            start = None if masks.get("begin_mask", 0) & bit else start
            stop = None if masks.get("end_mask", 0) & bit else stop
            key.append({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}})
    return key
