"""TensorFlow functions that archives of Keras 2.4 to 2.15 call in place of layers, as ops of kcore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.saving.legacy.layers import Config, LegacyError

#: TensorFlow's name -> (op, TensorFlow's argument names -> the op's).
OPERATORS: dict[str, tuple[str, dict[str, str]]] = {
    **{
        name: (op, {"x": "x1", "y": "x2"})
        for op, names in {
            "add": ("__operators__.add", "math.add"),
            "subtract": ("__operators__.sub", "math.subtract"),
            "multiply": ("math.multiply", "__operators__.mul"),
            "divide": ("math.truediv", "math.divide", "__operators__.truediv"),
            "maximum": ("math.maximum",),
            "minimum": ("math.minimum",),
            "power": ("math.pow",),
        }.items()
        for name in names
    },
    **{
        name: (op, {})
        for op, names in {
            "square": ("math.square",),
            "sqrt": ("math.sqrt",),
            "exp": ("math.exp",),
            "log": ("math.log",),
            "abs": ("math.abs",),
            "tanh": ("math.tanh", "nn.tanh"),
            "sigmoid": ("math.sigmoid", "nn.sigmoid"),
            "negative": ("math.negative", "__operators__.neg"),
        }.items()
        for name in names
    },
    "nn.relu": ("relu", {"features": "x"}),
    "linalg.matmul": ("matmul", {"a": "x1", "b": "x2"}),
}


def translate_operator(entry: Mapping[str, Any]) -> Config | None:
    """A ``TFOpLambda`` as a call of an op; None for anything else.

    Raises:
        LegacyError: a TensorFlow function that is not among `OPERATORS`.
    """
    if entry["class_name"] not in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
        return None
    function = entry["config"].get("function", entry["class_name"])
    if function not in OPERATORS:
        raise LegacyError(
            f"layer {entry.get('name')!r} calls the TensorFlow function {function!r}, which kcore does not read; "
            f"those it reads are {', '.join(sorted(OPERATORS))}"
        )
    op, _ = OPERATORS[function]
    return {"module": "kcore.ops", "class_name": op, "config": {"name": entry["config"].get("name")}}
