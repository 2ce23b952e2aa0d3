"""Tables as vectors, as Keras makes them; `feature_space_cases` says how the values were made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.utils import FeatureSpace

sys.path.insert(0, str(Path(__file__).parent))
from feature_space_cases import CASES, TABLE, outcome  # noqa: E402

RECORDED = json.loads(Path(__file__).with_name("feature_space_values.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_like_keras(name):
    got, expected = outcome(FeatureSpace, name), RECORDED[name]
    for part in ("every", "one"):
        if isinstance(expected[part], dict):
            assert list(got[part]) == list(expected[part])
        pairs = (
            [(got[part], expected[part])]
            if isinstance(expected[part], list)
            else [(got[part][key], expected[part][key]) for key in expected[part]]
        )
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_configurations(name):
    space = FeatureSpace(**CASES[name](FeatureSpace))
    config = json.loads(json.dumps(space.get_config()))
    again = FeatureSpace.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config


def test_batches_teach_the_same():
    columns = {key: np.array(TABLE[key]) for key in ("b", "city")}
    whole, parts = (FeatureSpace({"b": "float_normalized", "city": "string_categorical"}) for _ in range(2))
    whole.adapt(columns)
    parts.adapt({key: x[i : i + 2] for key, x in columns.items()} for i in (0, 2))
    np.testing.assert_allclose(whole(columns).numpy(), parts(columns).numpy(), rtol=1e-5)


def test_numbers_are_the_beginning_of_a_model():
    space = FeatureSpace({"a": "float_discretized", "b": "float_normalized", "zip": "integer_categorical"})
    table = {key: np.array(TABLE[key]) for key in ("a", "b", "zip")}
    space.adapt(table)
    encoded = space.get_encoded_features()
    model = kcore.Model(space.get_inputs(), layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    batch = {key: x[:, None] for key, x in table.items()}
    model.fit(batch, np.ones((4, 1)), verbose=0)
    np.testing.assert_allclose(
        model.predict(batch, verbose=0), model.layers[-1](space(table)).numpy(), rtol=1e-5, atol=1e-6
    )


@kcore.utils.register_keras_serializable("tests")
class Rows(kcore.Model):
    """A model with the feature space that its rows went through."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.space = FeatureSpace({"b": "float_normalized", "city": "string_categorical"}, name="space")
        self.dense = layers.Dense(1)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_what_was_learned_is_saved_with_a_model(tmp_path):
    table = {key: np.array(TABLE[key]) for key in ("b", "city")}
    model = Rows()
    model.space.adapt(table)
    rows = model.space(table)
    model(rows)
    model.save(tmp_path / "m.keras")
    again = kcore.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.space(table).numpy(), rows.numpy())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: FeatureSpace({}), "a dict of names and kinds"),
        (
            lambda: FeatureSpace({"a": "floats"}),
            "feature 'a' is 'floats': expected one of float, .*did you mean 'float'",
        ),
        (lambda: FeatureSpace({"a": "float"}, output_mode="list"), "output_mode='list'"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), "there is no feature 'b' to cross"),
        (lambda: FeatureSpace({"a": "float_normalized"})({"a": [1.0]}), "has not learned its features yet"),
        (lambda: FeatureSpace({"a": "float"})({"b": [1.0]}), "the data has no 'a', only 'b'"),
        (lambda: FeatureSpace({"a": "float"})([1.0]), "expected a dict of columns"),
        (lambda: FeatureSpace({"a": "float"}).adapt(3), "takes a dict of columns, or batches of them"),
        (
            lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(3, "int")})({"a": [1]}),
            "cannot be put into one vector",
        ),
        (lambda: FeatureSpace.feature("int32", layers.Identity(), "two_hot"), "output_mode='two_hot'"),
        (lambda: FeatureSpace({"a": "string_hashed"}).get_inputs(), "'a' cannot be part of a model"),
        (lambda: FeatureSpace.cross(("a", "b"), 3, "float"), "output_mode='float'"),
        (
            lambda: FeatureSpace({"a": FeatureSpace.feature("int32", layers.Identity(), "one_hot")})({"a": [1]}),
            "'a' cannot be one-hot",
        ),
    ],
)
def test_messages(made, message):
    with pytest.raises(ValueError, match=message):
        made()
