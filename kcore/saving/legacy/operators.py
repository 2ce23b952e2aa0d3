"""TensorFlow functions that Keras 2.2 to 2.15 put among a model's layers, as ops of kcore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kcore.saving.legacy.layers import Config, LegacyError

#: Classes of steps that are functions: Keras 2.4 and later, and 2.0 to 2.3 of TensorFlow.
FUNCTIONS = ("TFOpLambda", "SlicingOpLambda")
NODES = "TensorFlowOpLayer"

_UNARY = """square sqrt rsqrt exp expm1 log log1p abs tanh sigmoid negative sign reciprocal sin cos tan sinh cosh
 floor ceil round softplus erf logical_not""".split()
_RENAMED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "is_nan": "isnan", "is_finite": "isfinite"}
_BINARY = {
    "add": "__operators__.add __operators__.radd math.add",
    "subtract": "__operators__.sub math.subtract",
    "multiply": "math.multiply __operators__.mul __operators__.rmul",
    "divide": "math.truediv math.divide __operators__.truediv",
    "divide_no_nan": "math.divide_no_nan",
    "floor_divide": "floor_div math.floordiv __operators__.floordiv",
    "mod": "math.floormod math.mod __operators__.mod",
    "maximum": "math.maximum",
    "minimum": "math.minimum",
    "power": "math.pow __operators__.pow",
    "greater": "math.greater __operators__.gt",
    "greater_equal": "math.greater_equal __operators__.ge",
    "less": "math.less __operators__.lt",
    "less_equal": "math.less_equal __operators__.le",
    "equal": "math.equal __operators__.eq",
    "not_equal": "math.not_equal __operators__.ne",
    "logical_and": "math.logical_and __operators__.and",
    "logical_or": "math.logical_or __operators__.or",
    "logical_xor": "math.logical_xor __operators__.xor",
}
_REDUCTIONS = {
    "mean": "reduce_mean",
    "sum": "reduce_sum",
    "max": "reduce_max",
    "min": "reduce_min",
    "prod": "reduce_prod",
    "var": "reduce_variance",
    "std": "reduce_std",
    "logsumexp": "reduce_logsumexp",
    "all": "reduce_all",
    "any": "reduce_any",
}
_MATMUL = {"a": "x1", "b": "x2"}

#: TensorFlow's function, without ``compat.v1.`` -> (op, its parameters in order with the op's names for them).
OPERATORS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"math.{name}": (name, {"x": "x"}) for name in _UNARY},
    **{f"math.{name}": (op, {"x": "x"}) for name, op in _RENAMED.items()},
    **{name: (op, {"x": "x1", "y": "x2"}) for op, names in _BINARY.items() for name in names.split()},
    "__operators__.rsub": ("subtract", {"x": "x2", "y": "x1"}),
    "__operators__.rtruediv": ("divide", {"x": "x2", "y": "x1"}),
    "__operators__.rpow": ("power", {"x": "x2", "y": "x1"}),
    "__operators__.neg": ("negative", {"x": "x"}),
    "__operators__.abs": ("abs", {"x": "x"}),
    "__operators__.invert": ("logical_not", {"x": "x"}),
    "__operators__.getitem": ("get_item", {"tensor": "x", "slice_spec": "key"}),
    **{
        f"math.{name}": (op, {"input_tensor": "x", "axis": "axis", "keepdims": "keepdims"})
        for op, name in _REDUCTIONS.items()
    },
    "math.argmax": ("argmax", {"input": "x", "axis": "axis"}),
    "math.argmin": ("argmin", {"input": "x", "axis": "axis"}),
    "math.cumsum": ("cumsum", {"x": "x", "axis": "axis"}),
    "math.top_k": ("top_k", {"input": "x", "k": "k", "sorted": "sorted"}),
    "math.l2_normalize": ("normalize", {"x": "x", "axis": "axis", "epsilon": "epsilon"}),
    "norm": ("norm", {"tensor": "x", "ord": "ord", "axis": "axis", "keepdims": "keepdims"}),
    "math.add_n": ("Add", {"inputs": "inputs"}),
    "identity": ("Identity", {"input": "inputs"}),
    "stop_gradient": ("stop_gradient", {"input": "x"}),
    **{f"nn.{name}": (name, {"x": "x"}) for name in ("tanh", "sigmoid")},
    **{
        f"nn.{name}": (name, {"features": "x"})
        for name in ("relu", "relu6", "elu", "selu", "silu", "swish", "softplus", "softsign")
    },
    "nn.leaky_relu": ("leaky_relu", {"features": "x", "alpha": "negative_slope"}),
    "nn.gelu": ("gelu", {"features": "x", "approximate": "approximate"}),
    "nn.softmax": ("softmax", {"logits": "x", "axis": "axis"}),
    "nn.log_softmax": ("log_softmax", {"logits": "x", "axis": "axis"}),
    "linalg.matmul": ("matmul", _MATMUL),
    "__operators__.matmul": ("matmul", {"x": "x1", "y": "x2"}),
    "tensordot": ("tensordot", {"a": "x1", "b": "x2", "axes": "axes"}),
    "concat": ("concatenate", {"values": "xs", "axis": "axis"}),
    "stack": ("stack", {"values": "x", "axis": "axis"}),
    "unstack": ("unstack", {"value": "x", "num": "num", "axis": "axis"}),
    "split": ("split", {"value": "x", "num_or_size_splits": "indices_or_sections", "axis": "axis"}),
    "reshape": ("reshape", {"tensor": "x", "shape": "newshape"}),
    "expand_dims": ("expand_dims", {"input": "x", "axis": "axis"}),
    "squeeze": ("squeeze", {"input": "x", "axis": "axis"}),
    "transpose": ("transpose", {"a": "x", "perm": "axes"}),
    "tile": ("tile", {"input": "x", "multiples": "repeats"}),
    "repeat": ("repeat", {"input": "x", "repeats": "repeats", "axis": "axis"}),
    "reverse": ("flip", {"tensor": "x", "axis": "axis"}),
    "pad": ("pad", {"tensor": "x", "paddings": "pad_width", "mode": "mode", "constant_values": "constant_values"}),
    "gather": ("take", {"params": "x", "indices": "indices", "axis": "axis"}),
    "one_hot": ("one_hot", {"indices": "x", "depth": "num_classes", "axis": "axis"}),
    "where": ("where", {"condition": "condition", "x": "x1", "y": "x2"}),
    "broadcast_to": ("broadcast_to", {"input": "x", "shape": "shape"}),
    "cast": ("cast", {"x": "x", "dtype": "dtype"}),
    "clip_by_value": ("clip", {"t": "x", "clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "zeros_like": ("zeros_like", {"input": "x"}),
    "ones_like": ("ones_like", {"input": "x"}),
}

#: Names that are layers, not ops.
_LAYERS = ("Add", "Identity")

#: What TensorFlow takes where an argument is not given, where the op takes something else.
_DEFAULTS: dict[str, Config] = {
    "gelu": {"approximate": False},
    "normalize": {"axis": None, "epsilon": 1e-12},
    "cumsum": {"axis": 0},
    "argmax": {"axis": 0},
    "argmin": {"axis": 0},
    "split": {"axis": 0},
    "one_hot": {"dtype": "float32"},
    "top_k": {"k": 1},
}

#: Arguments that say the same as none, or how something is computed.
_NEUTRAL: dict[str, Any] = {
    "name": None,
    "conjugate": False,
    "validate_indices": None,
    "batch_dims": 0,
    "data_format": None,
}


def _sections(arguments: Config) -> Config:
    """TensorFlow splits by sizes, NumPy at places."""
    sizes = arguments["indices_or_sections"]
    if isinstance(sizes, list):
        arguments["indices_or_sections"] = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return arguments


def _root(arguments: Config) -> Config:
    """TensorFlow compares the sum of squares with epsilon."""
    axis = arguments["axis"]
    arguments["axis"] = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    return {**arguments, "epsilon": arguments["epsilon"] ** 0.5}


def _usual_norm(arguments: Config) -> Config:
    return {key: value for key, value in arguments.items() if (key, value) != ("ord", "euclidean")}


def _lower_mode(arguments: Config) -> Config:
    mode = arguments.get("mode", "constant").lower()
    kept = {key: value for key, value in arguments.items() if key != "constant_values" or mode == "constant"}
    return {**kept, "mode": mode}


def _where(arguments: Config) -> Config:
    if len(arguments) != 3:
        raise LegacyError("where() of a condition alone is not read")
    return arguments


def _known_sizes(arguments: Config) -> Config:
    """The sizes of a shape, with -1 for one that is taken from another tensor."""
    shape = arguments["newshape"]
    if isinstance(shape, list):
        sizes = [-1 if isinstance(size, Mapping) else size for size in shape]
        if sizes.count(-1) > 1:
            raise LegacyError("a shape with several sizes that are computed is not read")
        arguments["newshape"] = sizes
    return arguments


#: Ops whose arguments are not those of TensorFlow under other names.
_CHANGED: dict[str, Callable[[Config], Config]] = {
    "split": _sections,
    "normalize": _root,
    "norm": _usual_norm,
    "pad": _lower_mode,
    "where": _where,
    "reshape": _known_sizes,
}

#: TensorFlow's node -> (op, names of its inputs).
_NODES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name.capitalize(): (name, ("x",)) for name in _UNARY if name not in ("negative", "logical_not")},
    **{name.capitalize(): (name, ("x",)) for name in ("relu", "relu6", "elu", "selu", "softmax", "softsign")},
    **{node: (op, ("x",)) for node, op in (("Asin", "arcsin"), ("Acos", "arccos"), ("Atan", "arctan"))},
    "Neg": ("negative", ("x",)),
    "LogicalNot": ("logical_not", ("x",)),
    "IsFinite": ("isfinite", ("x",)),
    "IsNan": ("isnan", ("x",)),
    "LogSoftmax": ("log_softmax", ("x",)),
    "LeakyRelu": ("leaky_relu", ("x",)),
    "Identity": ("Identity", ("inputs",)),
    "StopGradient": ("stop_gradient", ("x",)),
    "ZerosLike": ("zeros_like", ("x",)),
    "OnesLike": ("ones_like", ("x",)),
    "Squeeze": ("squeeze", ("x",)),
    "Cast": ("cast", ("x",)),
    **{
        node: (op, ("x1", "x2"))
        for node, op in {
            "AddV2": "add",
            "Add": "add",
            "Sub": "subtract",
            "Mul": "multiply",
            "RealDiv": "divide",
            "DivNoNan": "divide_no_nan",
            "FloorDiv": "floor_divide",
            "FloorMod": "mod",
            "Maximum": "maximum",
            "Minimum": "minimum",
            "Pow": "power",
            "Greater": "greater",
            "GreaterEqual": "greater_equal",
            "Less": "less",
            "LessEqual": "less_equal",
            "Equal": "equal",
            "NotEqual": "not_equal",
            "LogicalAnd": "logical_and",
            "LogicalOr": "logical_or",
            "MatMul": "matmul",
            "BatchMatMulV2": "matmul",
        }.items()
    },
    **{name.capitalize(): (name, ("x", "axis")) for name in ("mean", "sum", "max", "min", "prod", "all", "any")},
    "ArgMax": ("argmax", ("x", "axis")),
    "ArgMin": ("argmin", ("x", "axis")),
    "Cumsum": ("cumsum", ("x", "axis")),
    "Reshape": ("reshape", ("x", "newshape")),
    "ExpandDims": ("expand_dims", ("x", "axis")),
    "Transpose": ("transpose", ("x", "axes")),
    "Tile": ("tile", ("x", "repeats")),
    "ReverseV2": ("flip", ("x", "axis")),
    "Pad": ("pad", ("x", "pad_width")),
    "PadV2": ("pad", ("x", "pad_width", "constant_values")),
    "GatherV2": ("take", ("x", "indices", "axis")),
    "SelectV2": ("where", ("condition", "x1", "x2")),
    "Select": ("where", ("condition", "x1", "x2")),
    "TopKV2": ("top_k", ("x", "k")),
    "SplitV": ("split", ("x", "indices_or_sections", "axis")),
    "Split": ("split", ("axis", "x")),
    "Unpack": ("unstack", ("x",)),
    "Pack": ("stack", ()),
    "AddN": ("Add", ()),
    "ConcatV2": ("concatenate", ()),
    "StridedSlice": ("get_item", ()),
}

#: Attributes of nodes -> arguments of ops.
_ATTRIBUTES = {
    "squeeze": {"squeeze_dims": "axis"},
    "cast": {"DstT": "dtype"},
    "leaky_relu": {"alpha": "negative_slope"},
    "unstack": {"axis": "axis"},
    "stack": {"axis": "axis"},
    "split": {"num_split": "indices_or_sections"},
    **dict.fromkeys(("mean", "sum", "max", "min", "prod", "all", "any"), {"keep_dims": "keepdims"}),
}
_DTYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_BFLOAT16": "bfloat16",
    "DT_BOOL": "bool",
}
_DTYPES |= {f"DT_{kind}{bits}": f"{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)}

#: Attributes that change the meaning of a product in a way no op has, for its left and right side.
_TRANSPOSED = (("transpose_a", "adjoint_a", "adj_x"), ("transpose_b", "adjoint_b", "adj_y"))


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
    name, op = entry["config"].get("name"), found[0]
    if op == "get_item":
        return {"module": "keras.ops", "class_name": "GetItem", "config": {"name": name}}
    if op in _LAYERS:
        return {"module": "keras.layers", "class_name": op, "config": {"name": name}}
    if op == "matmul" and any(_turned(entry)):
        op = "einsum"
    return {"module": "kcore.ops", "class_name": op, "config": {"name": name}}


def sizes_of_tensors(entries: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of steps that are the shape of a tensor, or one number of it."""
    shapes = {e["name"] for e in entries if e["class_name"] in FUNCTIONS and _function(e) == "shape"}
    taken = {
        e["name"]
        for e in entries
        if e["class_name"] == "SlicingOpLambda" and e["inbound_nodes"] and e["inbound_nodes"][0][0] in shapes
    }
    return shapes | taken


def _turned(entry: Mapping[str, Any]) -> list[bool]:
    """Whether the left and the right side of a product of matrices are transposed first."""
    if entry["class_name"] == NODES:
        given: Mapping[str, Any] = _attributes(entry)
    else:
        node = entry["inbound_nodes"][0]
        place = node if node and isinstance(node[0], str) else node[0]
        given = place[3] if len(place) > 3 else {}
    return [any(given.get(key) for key in keys) for keys in _TRANSPOSED]


def _product(turned: list[bool], x1: Any, x2: Any) -> Config:
    """The call of an einsum for a product of matrices, either side transposed."""
    left, right = "ji" if turned[0] else "ij", "kj" if turned[1] else "jk"
    return {"args": [f"...{left},...{right}->...ik", x1, x2], "kwargs": {}}


def _function(entry: Mapping[str, Any]) -> Any:
    config = entry["config"]
    if entry["class_name"] != NODES:
        function = config.get("function")
        return function.removeprefix("compat.v1.") if isinstance(function, str) else function
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
    if op == "matmul" and any(turned := _turned(entry)):
        return _product(turned, given["a"], given["b"])
    unknown = [key for key, value in given.items() if key not in parameters and value not in (False, _NEUTRAL.get(key))]
    if unknown:
        raise LegacyError(
            f"layer {entry.get('name')!r}: the argument {unknown[0]!r} of the TensorFlow function "
            f"{entry['config']['function']!r} is not read"
        )
    arguments = {**_DEFAULTS.get(op, {}), **{parameters[k]: v for k, v in given.items() if k in parameters}}
    if op == "get_item":
        return {"args": [arguments["x"], _key(arguments["key"])], "kwargs": {}}
    if op in _LAYERS:
        return {"args": [arguments["inputs"]], "kwargs": {}}
    return {"args": [], "kwargs": _changed(entry, op, arguments)}


def _changed(entry: Mapping[str, Any], op: str, arguments: Config) -> Config:
    try:
        return _CHANGED[op](arguments) if op in _CHANGED else arguments
    except (LegacyError, TypeError, KeyError, AttributeError) as error:
        raise LegacyError(f"layer {entry.get('name')!r}: {_function(entry)}: {error}") from None


def _key(spec: Any) -> Any:
    """What stands between the brackets of ``x[...]``."""
    if isinstance(spec, Mapping) and {"start", "stop", "step"} <= set(spec):
        return {"class_name": "__slice__", "config": dict(spec)}
    if isinstance(spec, Mapping) and (spec.get("value") == "Ellipsis" or spec.get("class_name") == "__ellipsis__"):
        return {"class_name": "__ellipsis__", "config": {}}
    return [_key(part) for part in spec] if isinstance(spec, list) else spec


# -- nodes of TensorFlow's graph ---------------------------------------------------------------------------------------


def _attributes(entry: Mapping[str, Any]) -> Config:
    """A node's attributes, without the words for their types."""
    found = {
        key: next(iter(value.values()), None) for key, value in entry["config"]["node_def"].get("attr", {}).items()
    }
    return {key: [int(i) for i in v.get("i", ())] if isinstance(v, Mapping) else v for key, v in found.items()}


def _node_call(entry: Mapping[str, Any], op: str, names: Sequence[str], tensors: list[Any]) -> Config:
    config, attributes = entry["config"], _attributes(entry)
    constants = {int(place): value for place, value in (config.get("constants") or {}).items()}
    rest = iter(tensors)
    inputs = [constants[i] if i in constants else next(rest) for i in range(len(tensors) + len(constants))]
    if op == "concatenate":
        return {"args": [], "kwargs": {"xs": inputs[:-1], "axis": inputs[-1]}}
    if op == "stack":
        return {"args": [], "kwargs": {"x": inputs, "axis": int(attributes.get("axis") or 0)}}
    if op == "get_item":
        return {"args": [inputs[0], _strided(entry, inputs[1:], attributes)], "kwargs": {}}
    if op in _LAYERS:
        return {"args": [inputs if op == "Add" else inputs[0]], "kwargs": {}}
    if op == "matmul" and any(turned := _turned(entry)):
        return _product(turned, *inputs)
    arguments = dict(zip(names, inputs, strict=True))
    for key, argument in _ATTRIBUTES.get(op, {}).items():
        value = attributes.get(key)
        if value and argument not in arguments:
            arguments[argument] = _DTYPES.get(value) if key == "DstT" else value
    whole = {key: int(arguments[key]) for key in ("axis", "indices_or_sections") if isinstance(arguments.get(key), str)}
    return {"args": [], "kwargs": _changed(entry, op, {**arguments, **whole})}


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
