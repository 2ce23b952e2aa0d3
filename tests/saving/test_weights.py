"""Weight files: Keras reads ours, we read Keras's, whole or not at all, checked before anything changes."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "numpy")

import h5py

from kcore import layers
from kcore.models import Model, Sequential
from kcore.saving import SkippedWeights


def small(units=2, name="net"):
    model = Sequential(
        [layers.Input((3,)), layers.Dense(4, name="hidden"), layers.Dense(units, name="logits")], name=name
    )
    return model


def randomized(model):
    rng = np.random.default_rng(1)
    model.set_weights([rng.random(w.shape).astype(str(w.dtype)) for w in model.weights])
    return model


def zoo(lib, model_of, sequential):
    tokens = lib.Input((5,), dtype="int32", name="tokens")
    image = lib.Input((6, 6, 2), name="image")
    words = lib.Embedding(10, 4)(tokens)
    attended = lib.MultiHeadAttention(2, 2)(words, words)
    normal = lib.LayerNormalization()(lib.Add()([words, attended]))
    state = lib.LSTM(4)(normal)
    pixels = lib.BatchNormalization()(lib.Conv2D(4, 3)(image))
    pooled = lib.GlobalAveragePooling2D()(lib.ReLU()(pixels))
    inner = sequential([lib.Dense(4), lib.Dropout(0.2), lib.Dense(4)])
    return model_of([tokens, image], lib.Dense(2)(inner(lib.Add()([state, pooled]))))


def paths(file):
    found = {}
    with h5py.File(file) as f:
        f.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
    return found


@pytest.fixture
def both():
    import keras

    return zoo(layers, Model, Sequential), zoo(keras.layers, keras.Model, keras.Sequential)


def test_files_have_keras_layout(both, tmp_path):
    ours, theirs = both
    ours.save_weights(tmp_path / "a.weights.h5")
    theirs.save_weights(tmp_path / "b.weights.h5")
    mine = {name: shape for name, shape in paths(tmp_path / "a.weights.h5").items() if not name.startswith("kcore")}
    assert mine == paths(tmp_path / "b.weights.h5")


def test_keras_loads_ours_and_we_load_keras(both, tmp_path):
    ours, theirs = both
    randomized(ours).save_weights(tmp_path / "a.weights.h5")
    theirs.load_weights(tmp_path / "a.weights.h5")
    tokens, image = (
        np.arange(10, dtype="int32").reshape(2, 5),
        np.random.default_rng(0).random((2, 6, 6, 2), dtype="float32"),
    )
    expected = np.asarray(theirs([tokens, image]))
    np.testing.assert_allclose(ours([tokens, image]).numpy(), expected, rtol=2e-4, atol=1e-4)
    theirs.save_weights(tmp_path / "b.weights.h5")
    fresh = zoo(layers, Model, Sequential)
    fresh.load_weights(tmp_path / "b.weights.h5")
    np.testing.assert_allclose(fresh([tokens, image]).numpy(), expected, rtol=2e-4, atol=1e-4)


def test_subclassed_models_have_keras_paths(tmp_path):
    import keras

    def build(lib, base):
        class Net(base):
            def __init__(self):
                super().__init__()
                self.zeta = lib.Dense(2)
                self.alpha = lib.Dense(3)
                self.blocks = [lib.Dense(2), [lib.Dense(2)]]

            def call(self, x):
                return self.blocks[1][0](self.blocks[0](self.zeta(self.alpha(x))))

        net = Net()
        net(np.ones((1, 3), "float32"))
        return net

    build(layers, Model).save_weights(tmp_path / "a.weights.h5")
    build(keras.layers, keras.Model).save_weights(tmp_path / "b.weights.h5")
    ours, theirs = ({k for k, v in paths(tmp_path / f"{n}.weights.h5").items() if v} for n in "ab")
    assert ours == theirs


def test_the_optimizers_state_goes_along(tmp_path):
    model = small()
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    other = small()
    other.compile("adam", "mse")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "a.weights.h5")
    for mine, theirs in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.weights.h5"
    small().save_weights(file)
    before = file.read_bytes()
    model = small()

    def fail(store):
        raise KeyboardInterrupt

    monkeypatch.setattr(model.layers[1], "save_own_variables", fail, raising=False)
    with pytest.raises(KeyboardInterrupt):
        model.save_weights(file)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.weights.h5"]


def test_a_wrong_shape_names_layer_variable_shapes_and_file_and_changes_nothing(tmp_path):
    file = tmp_path / "a.weights.h5"
    randomized(small(units=5)).save_weights(file)
    model = small(units=2)
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        model.load_weights(file)
    message = str(error.value)
    for part in (
        str(file),
        "layer 'logits' (Dense)",
        "variable 'kernel' has shape (4, 2), the file has (4, 5)",
        "Nothing was loaded",
    ):
        assert part in message
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_mismatches_can_be_skipped(tmp_path):
    file = tmp_path / "a.weights.h5"
    source = randomized(small(units=5))
    source.save_weights(file)
    model = small(units=2)
    with pytest.warns(SkippedWeights, match="these layers keep their weights") as caught:
        model.load_weights(file, skip_mismatch=True)
    assert caught[0].message.problems == [
        "layer 'logits' (Dense): variable 'kernel' has shape (4, 2), the file has (4, 5)",
        "layer 'logits' (Dense): variable 'bias' has shape (2,), the file has (5,)",
    ]
    np.testing.assert_array_equal(model.get_weights()[0], source.get_weights()[0])


def test_layers_that_the_file_lacks_are_named(tmp_path):
    file = tmp_path / "a.weights.h5"
    Sequential([layers.Input((3,)), layers.Dense(4)]).save_weights(file)
    with pytest.raises(ValueError, match=r"layer 'logits' \(Dense\) has 2 variables \(kernel, bias\), the file has 0"):
        small().load_weights(file)


def test_surplus_weights_are_mentioned(tmp_path):
    file = tmp_path / "a.weights.h5"
    small().save_weights(file)
    with pytest.warns(UserWarning, match="has no layer for: layers/dense_1"):
        Sequential([layers.Input((3,)), layers.Dense(4)]).load_weights(file)


def test_an_unbuilt_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be saved: it has none yet"):
        Sequential([layers.Dense(1)]).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="cannot be loaded: it has none yet"):
        Sequential([layers.Dense(1)]).load_weights(tmp_path / "a.weights.h5")


def test_other_endings_missing_and_broken_files_are_refused(tmp_path):
    model = small()
    with pytest.raises(ValueError, match=r"must be called <name>\.weights\.h5, or end in .*; received .*a.npz"):
        model.save_weights(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        model.load_weights(tmp_path / "a.weights.h5")
    (tmp_path / "b.weights.h5").write_bytes(b"not hdf5")
    with pytest.raises(ValueError, match="is not a complete HDF5 file"):
        model.load_weights(tmp_path / "b.weights.h5")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.save_weights(tmp_path / "none" / "a.weights.h5")


def test_overwriting_can_be_forbidden(tmp_path):
    small().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        small().save_weights(tmp_path / "a.weights.h5", overwrite=False)


def test_links_in_a_file_are_not_followed(tmp_path):
    file = tmp_path / "a.weights.h5"
    model = small()
    model.save_weights(file)
    with h5py.File(file, "a") as f:
        f["layers/other"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(ValueError, match="is a link, which is not followed"):
        model.load_weights(file)
