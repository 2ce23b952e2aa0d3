"""Categories, hashes, vocabularies and text beside Keras's own; `categorical_cases` says how the values were made."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.naming import reset_names

sys.path.insert(0, str(Path(__file__).parent))
from categorical_cases import CASES, outcome  # noqa: E402

RECORDED = json.loads(Path(__file__).with_name("categorical_values.json").read_text())


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()


def test_every_case_is_recorded():
    assert RECORDED.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_like_keras(name):
    got, expected = outcome(layers, name), RECORDED[name]
    assert got["vocabulary"] == expected["vocabulary"]
    for a, b in zip(got["outputs"], expected["outputs"], strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert got["config"] == expected["config"]
    kind = getattr(layers, CASES[name][0])
    again = kind.from_config({**expected["config"], "name": "again"})
    assert json.loads(json.dumps({k: v for k, v in again.get_config().items() if k != "name"})) == got["config"]


def test_lookup_of_integers_is_a_layer_of_models_and_its_vocabulary_a_file_of_the_archive(tmp_path):
    layer = layers.IntegerLookup(output_mode="tf_idf", mask_token=0)
    layer.adapt(np.array([[5, 7, 7], [9, 5, 0]]))
    inputs = kcore.Input((3,), dtype="int32")
    model = kcore.Model(inputs, layers.Dense(1, kernel_initializer="ones")(layer(inputs)))
    x = np.array([[5, 1, 0], [9, 9, 7]])
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(expected, layer(x).numpy().sum(1, keepdims=True), rtol=1e-6)
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.read("assets/layers/integer_lookup/vocabulary.txt") == b"-1\n7\n5\n9"
    again = kcore.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@kcore.utils.register_keras_serializable("tests")
class Texts(kcore.Model):
    """A model that keeps the layers its texts went through."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.text = layers.TextVectorization(output_mode="tf_idf")
        self.words = layers.StringLookup(vocabulary=["x", "y"])
        self.dense = layers.Dense(1)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_text_layers_kept_by_a_model_are_saved_with_it(tmp_path):
    model = Texts()
    model.text.adapt(["a b b", "b c"])
    tokens = model.text(["a", "b c"])
    model(tokens)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        names = {name for name in archive.namelist() if name.startswith("assets/")}
        places = {"assets/layers/text_vectorization/vocabulary.txt"}
        assert names == places | {"assets/layers/text_vectorization/_lookup_layer/vocabulary.txt"}
        assert archive.read(next(iter(places))) == b"[UNK]\nb\nc\na"
    again = kcore.models.load_model(tmp_path / "m.keras")
    assert again.text.get_vocabulary() == model.text.get_vocabulary()
    np.testing.assert_array_equal(again.text(["a", "b c"]).numpy(), tokens.numpy())
    np.testing.assert_array_equal(again(tokens).numpy(), model(tokens).numpy())


def test_a_file_that_keras_wrote_on_tensorflow():
    """``integer_lookup.keras``: IntegerLookup(output_mode="one_hot") adapted to 5, 7, 7, then Dense(1)."""
    folder = Path(__file__).parent
    model = kcore.models.load_model(folder / "integer_lookup.keras")
    assert model.layers[1].get_vocabulary() == [-1, 7, 5]
    expected = [[-0.70977467], [0.17532468], [-0.51746714]]
    np.testing.assert_allclose(model.predict(np.array([[5], [7], [1]]), verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["../vocabulary.txt", "a/../../vocabulary.txt", "/vocabulary.txt"])
def test_a_member_whose_name_leads_elsewhere_is_no_vocabulary(name, tmp_path):
    source = Path(__file__).parent / "integer_lookup.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
        new.writestr(f"assets/layers/integer_lookup/{name}", "1\n2")
    model = kcore.models.load_model(tmp_path / "m.keras")
    assert model.layers[1].get_vocabulary() == [-1, 7, 5]
    assert [path.name for path in tmp_path.rglob("*")] == ["m.keras"]


def test_vocabularies_from_files(tmp_path):
    (tmp_path / "words.txt").write_text("b\na\n")
    layer = layers.StringLookup(vocabulary=tmp_path / "words.txt")
    assert layer.get_vocabulary() == ["[UNK]", "b", "a"]
    assert layer.get_vocabulary(include_special_tokens=False) == ["b", "a"]
    numbers = layers.IntegerLookup()
    (tmp_path / "numbers.txt").write_text("4\n9\n")
    numbers.set_vocabulary(str(tmp_path / "numbers.txt"))
    assert numbers([9, 5]).numpy().tolist() == [2, 0]
    with pytest.raises(ValueError, match="may not name files"):
        layers.StringLookup.from_config({"vocabulary": str(tmp_path / "words.txt")})


def test_adapt_reads_batches_and_steps():
    layer = layers.StringLookup()
    layer.adapt((np.array(batch) for batch in (["a", "b"], ["b"], ["z"])), steps=2)
    assert layer.get_vocabulary() == ["[UNK]", "b", "a"]
    text = layers.TextVectorization()
    text.adapt(iter([np.array(["one two", "two"]), np.array(["three"])]), steps=1)
    assert text.get_vocabulary() == ["", "[UNK]", "two", "one"]


def test_bytes_and_functions_of_ones_own():
    layer = layers.TextVectorization(
        standardize=lambda x: np.char.upper(x), split=lambda x: [s.split("-") for s in x], vocabulary=["A", "B"]
    )
    assert layer([b"a-b", b"c"]).numpy().tolist() == [[2, 3], [1, 0]]
    back = layers.StringLookup(vocabulary=["x", "y"], invert=True)
    assert back(np.array([[1, 2], [0, 7]])).tolist() == [["x", "y"], ["[UNK]", "[UNK]"]]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: kcore.Input((1,), dtype="string"), "make numbers of them before it, with layers.TextVectorization"),
        (lambda: layers.Hashing(0), "num_bins=0: expected a positive integer"),
        (lambda: layers.Hashing(3, dtype="float32"), "dtype is int32 or int64"),
        (lambda: layers.Hashing(3, salt="x"), "expected an integer or two integers"),
        (
            lambda: layers.Hashing(3)(kcore.Input((1,), dtype="int32")),
            "computed by the host and cannot be part of a model",
        ),
        (lambda: layers.StringLookup()(["a"]), "no vocabulary yet"),
        (lambda: layers.IntegerLookup()([1]), "no vocabulary yet"),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), "'b' is not in the vocabulary"),
        (lambda: layers.IntegerLookup(vocabulary=[3], num_oov_indices=0)([4]), "4 is not in the vocabulary"),
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), "tokens twice: 'a'"),
        (lambda: layers.StringLookup(vocabulary=["a", "m"], mask_token="m"), "has the mask token 'm' at 1"),
        (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), "3 entries, but max_tokens=2"),
        (lambda: layers.StringLookup(vocabulary=[]), "the vocabulary is empty"),
        (lambda: layers.StringLookup(vocabulary=["a"]).adapt(["b"]), "nothing to learn"),
        (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "needs idf_weights"),
        (lambda: layers.StringLookup(max_tokens=1), "expected an integer above 1"),
        (lambda: layers.StringLookup(pad_to_max_tokens=True), "needs max_tokens"),
        (lambda: layers.StringLookup(invert=True, output_mode="count"), "invert=True goes with output_mode='int'"),
        (lambda: layers.IntegerLookup(salt=3), "salt goes with oov_method='farmhash'"),
        (lambda: layers.IntegerLookup(sparse=True), "there are no sparse tensors"),
        (lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3), "output_sequence_length=3"),
        (lambda: layers.TextVectorization(split="words"), "expected one of"),
        (lambda: layers.TextVectorization(vocabulary=["a"])(np.array([["a", "b"]])), r"got \(1, 2\)"),
        (lambda: layers.TextVectorization(vocabulary=["a"])(np.array([1.0])), "expected strings"),
        (lambda: layers.HashedCrossing(3)(["a"]), "expected a list of two or more inputs"),
        (lambda: layers.HashedCrossing(3)((["a"], ["a", "b"])), "all of one shape"),
        (lambda: layers.HashedCrossing(3)((["a"], [1.5])), "strings or integers"),
        (lambda: layers.CategoryEncoding(3)([3]), "3 is none of the categories 0 to 2"),
        (lambda: layers.CategoryEncoding(3)([1], count_weights=np.ones(1)), "count_weights is for output_mode='count'"),
        (lambda: layers.Discretization(), "either bin_boundaries or num_bins"),
        (lambda: layers.Discretization(num_bins=2)([1.0]), "has no boundaries yet"),
        (lambda: layers.Discretization([1.0]).adapt([1.0]), "nothing to learn"),
    ],
)
def test_messages(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_weights_of_counts():
    layer = layers.CategoryEncoding(4, "count")
    theirs = keras.layers.CategoryEncoding(4, "count")
    x, weights = np.array([[0, 1], [2, 2]]), np.array([[0.5, 2.0], [1.0, 3.0]])
    np.testing.assert_allclose(layer(x, count_weights=weights).numpy(), theirs(x, count_weights=weights))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_symbolic_shapes(mode):
    x = kcore.Input((3,), dtype="int32")
    for layer in (
        layers.IntegerLookup(vocabulary=[1, 2], output_mode=mode),
        layers.Discretization([0.0, 1.0], output_mode=mode),
    ):
        y = layer(x)
        got = kcore.function(layer)(np.ones((2, 3), "int32"))
        assert (y.shape[1:], y.dtype) == (tuple(got.shape[1:]), got.dtype)
