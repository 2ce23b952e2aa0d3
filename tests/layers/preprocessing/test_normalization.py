"""Normalization beside Keras's: what it computes, what it learns from which data, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, keras, pair, same

import kcore
from kcore import layers

DATA = array((12, 3, 2), 1) * 3 + 5


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [(-1, 1.5, 4.0), (-1, [1.0, 2.0], [4.0, 0.0]), (None, 2, 9), ((1, 2), np.ones((3, 2)), np.full((3, 2), 4.0))],
)
def test_given_statistics(axis, mean, variance, invert):
    same("Normalization", array((2, 3, 2)), axis=axis, mean=mean, variance=variance, invert=invert)


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (0, 2)])
@pytest.mark.parametrize("invert", [False, True])
def test_learned_statistics(axis, invert):
    theirs, mine = pair("Normalization", axis=axis, invert=invert)
    theirs.adapt(DATA)
    mine.adapt(DATA)
    assert [w.name for w in mine.weights] == [w.name for w in theirs.weights]
    for a, b in zip(theirs.weights, mine.weights, strict=True):
        assert tuple(a.shape) == b.shape
        np.testing.assert_allclose(b.numpy(), np.asarray(a), rtol=1e-5)
    x = DATA if axis == (0, 2) else DATA[:2]
    np.testing.assert_allclose(mine(x).numpy(), np.asarray(theirs(x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mine.mean.numpy(), np.asarray(theirs.mean), rtol=1e-5)
    np.testing.assert_allclose(mine.variance.numpy(), np.asarray(theirs.variance), rtol=1e-4)


class Batches(kcore.utils.PyDataset):
    """Five samples at a time, with labels."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return DATA[index * 5 : index * 5 + 5], np.zeros(1)


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        DATA.tolist(),
        kcore.runtime.convert_to_tensor(DATA),
        [DATA[:5], DATA[5:]],
        (DATA[i : i + 5] for i in (0, 5, 10)),
        Batches(),
        [[DATA[:7], np.zeros(7)], [DATA[7:], np.zeros(5)]],
    ],
    ids=["array", "list", "tensor", "batches", "generator", "PyDataset", "loader"],
)
def test_every_kind_of_data_teaches_the_same(data):
    layer = layers.Normalization()
    layer.adapt(data)
    np.testing.assert_allclose(layer.adapt_mean.numpy(), DATA.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(layer.adapt_variance.numpy(), DATA.var((0, 1)), rtol=1e-6)


def test_data_of_a_file_is_read_in_parts(tmp_path, monkeypatch):
    import h5py

    from kcore.layers.preprocessing import data_layer

    monkeypatch.setattr(data_layer, "CHUNK", 20)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = DATA
        layer = layers.Normalization()
        layer.adapt(file["x"])
    np.testing.assert_allclose(layer.adapt_mean.numpy(), DATA.mean((0, 1)), rtol=1e-6)


def test_bytes_and_integers_become_floats():
    layer = layers.Normalization(axis=None)
    x = np.arange(6, dtype="uint8").reshape(3, 2)
    layer.adapt(x)
    y = layer(x)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y.numpy(), (x - 2.5) / x.std(), rtol=1e-6)


def test_learning_again_replaces_what_was_learned_also_within_a_compiled_step():
    layer = layers.Normalization()
    layer.adapt(DATA)
    model = kcore.Sequential([kcore.Input((3, 2)), layer])
    model.compile()
    before = model.predict(DATA, verbose=0)
    layer.adapt(DATA * 2)
    np.testing.assert_allclose(model.predict(DATA * 2, verbose=0), before, rtol=1e-4, atol=1e-5)


def test_a_model_trains_behind_it_and_leaves_it_alone():
    layer = layers.Normalization()
    layer.adapt(DATA)
    model = kcore.Sequential([kcore.Input((3, 2)), layer, layers.Flatten(), layers.Dense(1)])
    model.compile(kcore.optimizers.SGD(0.05), "mse")
    before = [w.numpy() for w in layer.weights]
    losses = model.fit(DATA, DATA.sum((1, 2))[:, None] - 30, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for a, b in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


@pytest.mark.parametrize("form", ["x.keras", "x.h5", "x.safetensors", "x.weights.h5", "x.weights.json"])
@pytest.mark.parametrize("given", [False, True])
def test_saved_and_loaded(form, given, tmp_path):
    def made(adapted):
        layer = layers.Normalization(mean=3.0, variance=4.0) if given else layers.Normalization(name="n")
        if adapted and not given:
            layer.adapt(DATA)
        return kcore.Sequential([kcore.Input((3, 2)), layer, layers.Dense(1, kernel_initializer="ones")])

    model = made(True)
    expected = model(DATA).numpy()
    if form in ("x.keras", "x.h5"):
        model.save(tmp_path / form)
        again = kcore.models.load_model(tmp_path / form)
    else:
        model.save_weights(tmp_path / form)
        again = made(False)
        again.load_weights(tmp_path / form)
    np.testing.assert_array_equal(again(DATA).numpy(), expected)
    if form == "x.keras":
        theirs = keras.models.load_model(tmp_path / form)
        np.testing.assert_allclose(np.asarray(theirs(DATA)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: layers.Normalization(mean=1.0), "given together"),
        (lambda: layers.Normalization(mean=[1.0, 2.0], variance=1.0), "one shape"),
        (lambda: layers.Normalization(axis=None, mean=[1.0], variance=[1.0]), r"axis=\(\) keeps only 0"),
        (lambda: layers.Normalization(axis="x"), "expected an integer, a tuple"),
        (lambda: layers.Normalization(mean="a", variance="b"), "expected a number"),
        (lambda: layers.Normalization(axis=3)(DATA), r"axis=\(3,\) is not among those of the input \(12, 3, 2\)"),
        (lambda: layers.Normalization()(kcore.Input((None,))), r"its size must be known"),
        (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(DATA), "nothing to learn"),
        (lambda: layers.Normalization().adapt(iter(())), "got no data"),
        (lambda: layers.Normalization().adapt(np.zeros((0, 2))), "got no data"),
        (lambda: layers.Normalization().adapt([DATA, DATA[..., :1]]), r"got data of shape \(12, 3, 1\)"),
    ],
)
def test_messages(made, message):
    with pytest.raises(ValueError, match=message):
        made()


@pytest.mark.parametrize("data", [5j, "text", {"x": 1}, [{"a": 1}]])
def test_what_is_no_data(data):
    with pytest.raises(TypeError, match=r"adapt\(\) takes"):
        layers.Normalization().adapt(data)


def test_data_without_end():
    class Endless(Batches):
        num_batches = None

    with pytest.raises(ValueError, match="has none"):
        layers.Normalization().adapt(Endless())
