"""Layers of categories and text; run by itself it prints what Keras makes of them.

    KERAS_BACKEND=tensorflow python tests/layers/preprocessing/categorical_cases.py > .../categorical_values.json

with Keras 3.15.1 and TensorFlow 2.21 made the file beside it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

WORDS = ["cat", "dog", "é", "", "A longer word", "cat and dog and some more to go past 32", "x" * 70]
IDS = [[1, -7, 123456789012], [0, 42, 1]]
NUMBERS = np.round(np.sin(np.arange(60.0)) * 20, 2).astype("float32")
TEXTS = ["The cat sat.", "the DOG, the cat!", "A  bird\tÉ"]

#: name -> (layer, arguments, what adapt is given or None, inputs)
CASES: dict[str, tuple[str, dict[str, Any], Any, list[Any]]] = {
    "hash strings": ("Hashing", {"num_bins": 1000}, None, [np.array(WORDS)]),
    "hash ids": ("Hashing", {"num_bins": 1000}, None, [np.array(IDS)]),
    "hash salt": ("Hashing", {"num_bins": 1000, "salt": 7}, None, [np.array(WORDS), np.array(IDS)]),
    "hash salts": ("Hashing", {"num_bins": 1000, "salt": [133, 137]}, None, [np.array(WORDS)]),
    "hash mask": ("Hashing", {"num_bins": 7, "mask_value": ""}, None, [np.array(WORDS)]),
    "hash mask ids": ("Hashing", {"num_bins": 7, "mask_value": 1}, None, [np.array(IDS)]),
    "hash one_hot": ("Hashing", {"num_bins": 4, "output_mode": "one_hot"}, None, [np.array(IDS), np.array([["a"]])]),
    "hash multi_hot": ("Hashing", {"num_bins": 4, "output_mode": "multi_hot"}, None, [np.array(IDS)]),
    "hash count": ("Hashing", {"num_bins": 3, "output_mode": "count"}, None, [np.array(IDS)]),
    "cross": ("HashedCrossing", {"num_bins": 100}, None, [[np.array(WORDS), np.arange(7) - 3]]),
    "cross three": (
        "HashedCrossing",
        {"num_bins": 100},
        None,
        [[np.array([["a"]]), np.array([[1]]), np.array([["b"]])]],
    ),
    "cross one_hot": (
        "HashedCrossing",
        {"num_bins": 4, "output_mode": "one_hot"},
        None,
        [[np.array(["a", "b"]), np.array([1, 2])], [np.array([["a"]]), np.array([["b"]])]],
    ),
    "bins": ("Discretization", {"bin_boundaries": [-1.0, 0.5, 3]}, None, [NUMBERS[:6].reshape(2, 3) / 5]),
    "bins learned": ("Discretization", {"num_bins": 4}, NUMBERS, [NUMBERS[:8]]),
    "bins rough": ("Discretization", {"num_bins": 3, "epsilon": 0.1}, NUMBERS, [NUMBERS[:8]]),
    **{
        f"bins {mode}": ("Discretization", {"bin_boundaries": [0.0, 2], "output_mode": mode}, None, [NUMBERS[None, :5]])
        for mode in ("one_hot", "multi_hot", "count")
    },
    **{
        f"categories {mode}": (
            "CategoryEncoding",
            {"num_tokens": 4, "output_mode": mode},
            None,
            [np.array([[0, 1], [2, 2]])],
        )
        for mode in ("one_hot", "multi_hot", "count")
    },
    "category": ("CategoryEncoding", {"num_tokens": 3, "output_mode": "one_hot"}, None, [np.array([[2], [0]])]),
    "words": ("StringLookup", {}, ["b", "a", "b", "c", "a", "d"], [np.array([["a", "z"], ["d", "[UNK]"]])]),
    "words few": (
        "StringLookup",
        {"max_tokens": 4, "num_oov_indices": 2},
        ["b", "a", "b", "c"],
        [np.array(["a", "b", "q", "r", "s"])],
    ),
    "words mask": ("StringLookup", {"mask_token": "a"}, ["b", "a", "b", "c"], [np.array(["a", "b", "q"])]),
    "words salt": (
        "StringLookup",
        {"num_oov_indices": 5, "salt": [3, 4], "vocabulary": ["k"]},
        None,
        [np.array(WORDS)],
    ),
    **{
        f"words {mode}": (
            "StringLookup",
            {"mask_token": "", "output_mode": mode},
            ["b", "a", "b"],
            [np.array([["a", "a", ""], ["q", "b", "a"]])],
        )
        for mode in ("one_hot", "multi_hot", "count")
    },
    "words padded": (
        "StringLookup",
        {"max_tokens": 5, "pad_to_max_tokens": True, "output_mode": "count", "vocabulary": ["a"]},
        None,
        [np.array([["a", "b"]])],
    ),
    "words tf_idf": (
        "StringLookup",
        {"output_mode": "tf_idf"},
        np.array([["a", "b", "a"], ["a", "c", "c"]]),
        [np.array([["a", "a", "b"], ["q", "c", "c"]])],
    ),
    "words given tf_idf": (
        "StringLookup",
        {"output_mode": "tf_idf", "vocabulary": ["a", "b"], "idf_weights": [1.0, 3.0]},
        None,
        [np.array([["a", "q", "b"]])],
    ),
    "words special": (
        "StringLookup",
        {"mask_token": "", "vocabulary": ["", "[UNK]", "a"]},
        None,
        [np.array(["a", "", "b"])],
    ),
    "ids": ("IntegerLookup", {}, [5, 7, 7, 3, 5, 9], [np.array([[5, 7, 1], [9, 3, -1]])]),
    "ids mask": (
        "IntegerLookup",
        {"mask_token": 0, "num_oov_indices": 3},
        [5, 7, 7, 0, 5, 9],
        [np.array([[5, 7, 1], [0, 2, -4]])],
    ),
    "ids farmhash": (
        "IntegerLookup",
        {"num_oov_indices": 3, "oov_method": "farmhash", "vocabulary": [5]},
        None,
        [np.array([[5, 7, 1], [0, 2, -4]])],
    ),
    "ids salt": (
        "IntegerLookup",
        {"num_oov_indices": 3, "oov_method": "farmhash", "salt": 9, "vocabulary": [5]},
        None,
        [np.array([[5, 7, 1]])],
    ),
    **{
        f"ids {mode}": (
            "IntegerLookup",
            {"mask_token": 1, "output_mode": mode},
            [5, 7, 7],
            [np.array([[5, 7, 1], [0, 5, 5]])],
        )
        for mode in ("one_hot", "multi_hot", "count", "tf_idf")
    },
    "ids back": (
        "IntegerLookup",
        {"invert": True, "vocabulary": [5, 7], "mask_token": 0},
        None,
        [np.array([[0, 1, 2, 3, 9]])],
    ),
    "text": ("TextVectorization", {}, TEXTS, [np.array(TEXTS), np.array([["sat cat"], ["unknown"]]), "the cat"]),
    "text length": (
        "TextVectorization",
        {"output_sequence_length": 2, "max_tokens": 5},
        TEXTS,
        [np.array(TEXTS), np.array(["a"])],
    ),
    "text lower": ("TextVectorization", {"standardize": "lower"}, TEXTS, [np.array(TEXTS)]),
    "text strip": ("TextVectorization", {"standardize": "strip_punctuation"}, TEXTS, [np.array(TEXTS)]),
    "text plain": ("TextVectorization", {"standardize": None}, TEXTS, [np.array(TEXTS)]),
    "text characters": (
        "TextVectorization",
        {"split": "character", "output_sequence_length": 6},
        TEXTS,
        [np.array(TEXTS)],
    ),
    "text whole": ("TextVectorization", {"split": None}, TEXTS, [np.array(TEXTS)]),
    "text pairs": ("TextVectorization", {"ngrams": 2}, TEXTS, [np.array(TEXTS)]),
    "text only pairs": ("TextVectorization", {"ngrams": (2,), "output_mode": "multi_hot"}, TEXTS, [np.array(TEXTS)]),
    "text count": (
        "TextVectorization",
        {"output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True},
        TEXTS,
        [np.array(TEXTS)],
    ),
    "text tf_idf": ("TextVectorization", {"output_mode": "tf_idf"}, TEXTS, [np.array(TEXTS)]),
    "text tf_idf padded": (
        "TextVectorization",
        {"output_mode": "tf_idf", "max_tokens": 12, "pad_to_max_tokens": True},
        TEXTS,
        [np.array(TEXTS)],
    ),
    "text given": ("TextVectorization", {"vocabulary": ["cat", "the"]}, None, [np.array(TEXTS)]),
}


def outcome(layers: Any, name: str) -> dict[str, Any]:
    """Outputs, configuration and vocabulary of a case."""
    kind, arguments, data, inputs = CASES[name]
    layer = getattr(layers, kind)(**arguments)
    if data is not None:
        layer.adapt(data if isinstance(data, list) and isinstance(data[0], str) else np.asarray(data))
    outputs = [np.asarray(layer(x)) for x in inputs]
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    vocabulary = layer.get_vocabulary() if hasattr(layer, "get_vocabulary") else None
    return json.loads(
        json.dumps(
            {
                "outputs": [np.round(y.astype("float64"), 5).tolist() for y in outputs],
                "config": config,
                "vocabulary": vocabulary,
            },
            default=lambda x: x.item(),
        )
    )


if __name__ == "__main__":
    import keras as reference

    lines = [f"{json.dumps(name)}: {json.dumps(outcome(reference.layers, name))}" for name in CASES]
    print("{\n" + ",\n".join(lines) + "\n}")
