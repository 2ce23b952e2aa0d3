"""Pixels for the applications and their predictions in words, beside Keras's."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import kcore
from kcore import applications
from kcore.applications import imagenet_utils

MODES = {
    "tf": ["inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "nasnet", "resnet_v2", "xception"],
    "caffe": ["resnet", "resnet50", "vgg16", "vgg19"],
    "torch": ["densenet"],
    None: ["convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3"],
}


def pixels(shape, data_format, dtype="float32"):
    shape = (*shape[:-3], shape[-1], *shape[-3:-1]) if data_format == "channels_first" else shape
    return np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 3)])
@pytest.mark.parametrize("mode", imagenet_utils.MODES)
def test_pixels_are_keras_s(mode, shape, data_format):
    x = pixels(shape, data_format)
    expected = keras.applications.imagenet_utils.preprocess_input(x.copy(), data_format, mode)
    before = x.copy()
    for given in (x, kcore.ops.convert_to_tensor(x), kcore.Variable(x)):
        found = imagenet_utils.preprocess_input(given, data_format, mode)
        assert isinstance(found, np.ndarray) == isinstance(given, np.ndarray)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(x, before)
    symbol = kcore.Input(batch_shape=x.shape)
    model = kcore.Model(symbol, imagenet_utils.preprocess_input(symbol, data_format, mode))
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64"])
@pytest.mark.parametrize("mode", imagenet_utils.MODES)
def test_dtypes_are_keras_s(mode, dtype):
    x = pixels((4, 5, 3), "channels_last", dtype)
    expected = keras.applications.imagenet_utils.preprocess_input(x.copy(), None, mode)
    found = imagenet_utils.preprocess_input(x, None, mode)
    assert found.dtype == expected.dtype
    rough = {"rtol": 4e-3, "atol": 4e-3} if dtype == "float16" else {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose(found, expected, **rough)
    tensor = imagenet_utils.preprocess_input(kcore.ops.convert_to_tensor(x), None, mode)
    np.testing.assert_allclose(np.asarray(tensor), expected, **rough)


@pytest.mark.parametrize(("mode", "module"), [(mode, m) for mode, modules in MODES.items() for m in modules])
def test_each_module_has_its_own(mode, module):
    x = pixels((2, 4, 4, 3), "channels_last")
    mine, theirs = getattr(applications, module), getattr(keras.applications, module)
    np.testing.assert_allclose(mine.preprocess_input(x), theirs.preprocess_input(x.copy()), rtol=1e-6, atol=1e-5)
    assert (mine.preprocess_input(x) is x) == (mode is None)
    assert mine.decode_predictions is imagenet_utils.decode_predictions


def test_a_model_that_prepares_its_pixels_is_saved_and_keras_loads_it(tmp_path):
    image = kcore.Input((4, 4, 3))
    model = kcore.Model(image, applications.vgg16.preprocess_input(image))
    x = pixels((1, 4, 4, 3), "channels_last")
    model.save(tmp_path / "a.keras")
    for load in (kcore.models.load_model, keras.models.load_model):
        np.testing.assert_allclose(np.asarray(load(tmp_path / "a.keras")(x)), np.asarray(model(x)), rtol=1e-6)


def test_the_data_format_in_force_counts():
    x = pixels((3, 4, 5), "channels_last")
    kcore.config.set_image_data_format("channels_first")
    try:
        assert imagenet_utils.preprocess_input(x).shape == (3, 4, 5)
    finally:
        kcore.config.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match=r"mode='caffe' is for images of 3 channels, channels_last; .*\(3, 4, 5\)"):
        imagenet_utils.preprocess_input(x)


def test_other_modes_and_formats_are_refused():
    x = pixels((4, 5, 3), "channels_last")
    with pytest.raises(ValueError, match="mode must be one of 'caffe', 'tf', 'torch', received 'tff'"):
        imagenet_utils.preprocess_input(x, mode="tff")
    with pytest.raises(ValueError, match="data_format should be one of .*'channels'"):
        imagenet_utils.preprocess_input(x, data_format="channels")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A list of classes in the place of ImageNet's, for kcore and for Keras."""
    path = tmp_path / "imagenet_class_index.json"
    path.write_text(json.dumps({str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}), encoding="utf-8")
    asked = []

    def get_file(fname, origin, cache_subdir, file_hash):
        asked.append((fname, origin, cache_subdir, file_hash))
        return str(path)

    from keras.src.applications import imagenet_utils as theirs

    monkeypatch.setattr(imagenet_utils, "get_file", get_file)
    monkeypatch.setattr(theirs.file_utils, "get_file", get_file)
    monkeypatch.setattr(theirs, "CLASS_INDEX", None)
    imagenet_utils.classes.cache_clear()
    yield asked
    imagenet_utils.classes.cache_clear()


def test_predictions_in_words_are_keras_s(index):
    scores = np.random.default_rng(0).permutation(2000).reshape(2, 1000).astype("float32")
    for top in (1, 5, 1000):
        expected = keras.applications.imagenet_utils.decode_predictions(scores, top)
        assert imagenet_utils.decode_predictions(scores, top) == expected
        assert imagenet_utils.decode_predictions(kcore.ops.convert_to_tensor(scores), top) == expected
    assert index[0] == index[1] and len(index) == 2
    found = imagenet_utils.decode_predictions(scores, 2)
    assert found[0][0][:2] == (f"n{scores[0].argmax():08}", f"thing_{scores[0].argmax()}")


@pytest.mark.parametrize("shape", [(1000,), (2, 999), (1, 2, 1000)])
def test_predictions_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"preds must have the shape \(batch, 1000\).*received \("):
        imagenet_utils.decode_predictions(np.zeros(shape))
