"""`KerasFileEditor`: looking at a file of weights, changing it, saving it as another."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import KerasFileEditor


def model(lib=kcore, units=3, name="first"):
    x = lib.Input((4,))
    y = lib.layers.Dense(units, name=name)(x)
    y = lib.layers.BatchNormalization(name="norm")(y)
    return lib.Model(x, lib.layers.Dense(2, name="last")(y))


@pytest.fixture(params=["kcore", "keras"])
def file(request, tmp_path):
    path = tmp_path / "a.weights.h5"
    model({"kcore": kcore, "keras": keras}[request.param]).save_weights(path)
    return path


def test_reading_comparing_and_saving_again(file, tmp_path, capsys):
    editor = KerasFileEditor(file)
    assert list(editor.weights) == ["layers/batch_normalization", "layers/dense", "layers/dense_1"]
    assert editor.compare(model()) == {"status": "success", "error_count": 0, "match_count": 8}
    assert editor.compare(model(units=5))["error_count"] == 7
    said = capsys.readouterr().out
    assert "layers/dense, weight 0: shape (4, 5) in the model, shape (4, 3) in the file" in said
    editor.summary()
    assert "layers/dense\n    0: float32[4, 3]\n    1: float32[3]" in capsys.readouterr().out
    editor.save(tmp_path / "b.weights.h5")
    for lib in (kcore, keras):
        one, other = model(lib), model(lib)
        one.load_weights(file)
        other.load_weights(tmp_path / "b.weights.h5")
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_layer_is_taken_out_renamed_and_put_in(file, tmp_path):
    editor = KerasFileEditor(file)
    editor.delete_object("batch_normalization")
    editor.rename_object("layers/dense_1", "dense_7")
    editor.rename_object("dense", "dense_1")
    editor.rename_object("dense_7", "dense")
    editor.add_object("layers/embedding", {"0": np.ones((5, 3), "float32")})
    editor.delete_weight("dense", "1")
    editor.add_weights("dense", {"1": np.full(2, 7.0, "float32")})
    editor.resave_weights(tmp_path / "b.weights.h5")
    held = KerasFileEditor(tmp_path / "b.weights.h5").weights
    assert {place: [w.shape for w in group.values()] for place, group in held.items()} == {
        "layers/dense": [(3, 2), (2,)],
        "layers/dense_1": [(4, 3), (3,)],
        "layers/embedding": [(5, 3)],
    }
    assert held["layers/dense"]["1"].tolist() == [7, 7]
    np.testing.assert_array_equal(held["layers/dense_1"]["0"], KerasFileEditor(file).weights["layers/dense"]["0"])


def test_a_whole_model_with_its_optimizer(tmp_path):
    whole = model()
    whole.compile("adam", "mse")
    whole.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    whole.save(tmp_path / "m.keras")
    editor = KerasFileEditor(tmp_path / "m.keras")
    assert "optimizer" in editor.weights and editor.compare(whole, verbose=0)["status"] == "success"
    assert editor.compare(model(), verbose=0)["error_count"] == 1


def test_nested_objects(tmp_path):
    nested = kcore.Sequential([layers.Input((4,)), model(), layers.Dense(1)])
    nested.save_weights(tmp_path / "n.weights.h5")
    editor = KerasFileEditor(tmp_path / "n.weights.h5")
    with pytest.raises(ValueError, match="several objects are called 'dense', give one by its place: layers/dense, "):
        editor.delete_object("dense")
    with pytest.raises(ValueError, match="'layers/functional' has no weights of its own; inside it are layers/funct"):
        editor.add_weights("layers/functional", {})
    editor.rename_object("functional", "inner")
    assert all(place.startswith(("layers/inner/", "layers/dense")) for place in editor.weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.rename_object("densee", "a"), "a.weights.h5 has no object 'densee'.*dense"),
        (lambda e: e.rename_object("dense", "a/b"), "without '/', received 'a/b'"),
        (lambda e: e.rename_object("dense", "dense_1"), "has an object 'layers/dense_1' already"),
        (lambda e: e.add_object("layers/dense", {}), "has an object 'layers/dense' already; add_weights"),
        (lambda e: e.add_object("layers/new", [1]), r"weights is a dict .*, received \[1\]"),
        (lambda e: e.add_weights("dense", {"0": "a"}), "weight '0' is no array of numbers, received 'a'"),
        (lambda e: e.delete_weight("dense", "2"), "object 'dense' has no weight '2'; it has 0, 1"),
        (lambda e: e.save("a.h5"), "must end in .weights.h5, received 'a.h5'"),
    ],
)
def test_bad_changes_change_nothing(file, change, message):
    editor = KerasFileEditor(file)
    with pytest.raises(ValueError, match=message):
        change(editor)
    assert editor.compare(model(), verbose=0)["status"] == "success"


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        KerasFileEditor(tmp_path / "none.weights.h5")
    model().save(tmp_path / "old.h5")
    with pytest.raises(
        ValueError, match=r"expected a .weights.h5 or .keras file of Keras 3; `kcore summary` reads any"
    ):
        KerasFileEditor(tmp_path / "old.h5")
    (tmp_path / "text.weights.h5").write_text("no")
    with pytest.raises(ValueError, match="expected a .weights.h5"):
        KerasFileEditor(tmp_path / "text.weights.h5")
