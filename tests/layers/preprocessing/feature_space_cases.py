"""Feature spaces; run by itself it prints what Keras makes of them.

    KERAS_BACKEND=tensorflow python tests/layers/preprocessing/feature_space_cases.py > .../feature_space_values.json

with Keras 3.15.1 and TensorFlow 2.21 made the file beside it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

TABLE = {
    "a": [1.0, 2.0, 5.0, 9.0],
    "b": [3.0, 1.0, 0.0, 2.0],
    "city": ["Bonn", "Rome", "Bonn", "Oslo"],
    "zip": [7, 9, 7, 7],
}
#: name -> arguments as a function of the class.
CASES: dict[str, Any] = {
    "plain": lambda f: {"features": {"a": "float", "b": "float_normalized", "city": "string_categorical"}},
    "all": lambda f: {
        "features": {
            "a": "float_discretized",
            "b": f.float_rescaled(2.0, 1.0),
            "city": f.string_hashed(5),
            "zip": "integer_categorical",
        },
        "num_discretization_bins": 3,
    },
    "crosses": lambda f: {
        "features": {"city": f.string_categorical(max_tokens=3), "zip": f.integer_hashed(4)},
        "crosses": [("city", "zip"), f.cross(("zip", "city"), 3)],
        "crossing_dim": 6,
    },
    "dict": lambda f: {
        "features": {"zip": f.integer_categorical(output_mode="int"), "b": "float"},
        "output_mode": "dict",
        "crosses": [f.cross(("zip", "zip"), 4, output_mode="int")],
    },
}


def outcome(space: Any, name: str) -> dict[str, Any]:
    """Encoded rows of a case, and one row by itself."""
    made = space(**CASES[name](space))
    table = {key: TABLE[key] for key in made.features}
    made.adapt(table)
    every = made({key: np.array(value) for key, value in table.items()})
    one = made({key: value[1] for key, value in table.items()})
    return {"every": _plain(every), "one": _plain(one)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    return np.round(np.asarray(value).astype("float64"), 5).tolist()


if __name__ == "__main__":
    import keras as reference

    lines = [f"{json.dumps(name)}: {json.dumps(outcome(reference.utils.FeatureSpace, name))}" for name in CASES]
    print("{\n" + ",\n".join(lines) + "\n}")
