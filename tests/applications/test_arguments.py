"""Arguments of the applications: what they make, what they refuse, and in which words."""

from __future__ import annotations

import inspect
import sys

import keras
import numpy as np
import pytest

import kcore
from kcore import applications
from kcore.runtime.loading import loading

NAMES = [name for name in applications.__all__ if name[0].isupper()]


@pytest.fixture
def channels_first():
    kcore.config.set_image_data_format("channels_first")
    yield
    kcore.config.set_image_data_format("channels_last")


def made(which, /, **arguments):
    with loading(sys.maxsize, ""):  # nothing is drawn
        return getattr(applications, which)(**{"weights": None, "input_shape": (32, 32, 3), **arguments})


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_keras_s(name):
    mine = inspect.signature(getattr(applications, name)).parameters
    theirs = inspect.signature(getattr(keras.applications, name)).parameters
    assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in theirs.values()]
    assert getattr(applications, name).__name__ == name
    assert "Args:\n" in getattr(applications, name).__doc__


@pytest.mark.parametrize(("pooling", "shape"), [(None, (None, 1, 1, 512)), ("avg", (None, 512)), ("max", (None, 512))])
def test_pooling_without_a_head(pooling, shape):
    model = made("MobileNet", alpha=0.5, include_top=False, pooling=pooling)
    assert model.output_shape == shape
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    features = made("MobileNet", alpha=0.5, include_top=False)
    weights = [np.random.default_rng(i).normal(0.1, 0.2, w.shape) ** 2 for i, w in enumerate(model.get_weights())]
    for m in (model, features):
        m.set_weights(weights)
    pooled = {"avg": np.mean, "max": np.max}.get(pooling)
    expected = features.predict(x, verbose=0)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), pooled(expected, axis=(1, 2)) if pooled else expected, rtol=1e-5
    )


def test_any_size_without_a_head():
    model = made("ResNet50", include_top=False, input_shape=None)
    assert model.input_shape == (None, None, None, 3) and model.output_shape == (None, None, None, 2048)
    assert made("MobileNetV3Small", input_shape=None).input_shape == (None, None, None, 3)
    assert made("MobileNetV2", include_top=False, input_shape=None).name == "mobilenetv2_1.00_None"
    assert made("NASNetLarge", include_top=False, input_shape=None).input_shape == (None, 331, 331, 3)


def test_names():
    assert made("VGG16", include_top=False).name == "vgg16"
    assert made("MobileNet", alpha=0.5, input_shape=(160, 160, 3)).name == "mobilenet_0.50_160"
    assert made("MobileNetV2", input_shape=None).name == "mobilenetv2_1.00_224"
    assert made("EfficientNetV2S", name="mine", include_top=False).name == "mine"
    model = made("ConvNeXtTiny", name="mine", include_top=False)
    assert model.get_layer("mine_stage_0_block_0_layernorm") is not None


@pytest.mark.parametrize("name", ["MobileNetV2", "ConvNeXtTiny", "EfficientNetV2B0"])
def test_an_input_tensor_inside_another_model(name):
    image = kcore.Input((64, 64, 1), name="grey")
    wide = kcore.layers.Conv2D(3, 2, strides=2)(image)
    model = made(name, input_tensor=wide, include_top=False, pooling="avg", input_shape=None)
    alone = made(name, include_top=False, pooling="avg")
    assert model.input_shape == (None, 64, 64, 1) and model.layers[0].name == "grey"
    assert [w.shape for w in model.weights] == [(2, 2, 1, 3), (3,), *(w.shape for w in alone.weights)]
    if name == "MobileNetV2":
        theirs = keras.layers.Conv2D(3, 2, strides=2)(keras.Input((64, 64, 1), name="grey"))
        other = keras.applications.MobileNetV2(input_tensor=theirs, include_top=False, pooling="avg", weights=None)
        assert (other.input_shape, other.name) == (model.input_shape, model.name)
        assert len(other.layers) == len(model.layers)


def test_an_input_of_other_channels_warns():
    with pytest.warns(UserWarning, match=r"MobileNet: images have 1 or 3 channels; input_shape=\(32, 32, 4\) has 4"):
        assert made("MobileNet", input_shape=(32, 32, 4), include_top=False).count_params() > 0
    assert made("EfficientNetV2B0", input_shape=(32, 32, 1), include_top=False).layers[1].offset == -1


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0"])
def test_channels_first(channels_first, name):
    model = made(name, input_shape=(3, 32, 32), classes=5)
    assert model.input_shape == (None, 3, 32, 32) and model.output_shape == (None, 5)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32)).astype("float32")
    weights = [np.random.default_rng(i).normal(0.1, 0.2, w.shape) ** 2 for i, w in enumerate(model.get_weights())]
    model.set_weights(weights)
    first = model.predict(x, verbose=0)
    kcore.config.set_image_data_format("channels_last")
    last = made(name, classes=5)
    last.set_weights(weights)
    np.testing.assert_allclose(first, last.predict(x.transpose(0, 2, 3, 1), verbose=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["InceptionV3", "InceptionResNetV2", "ResNet50V2", "Xception", "VGG16"])
def test_channels_first_in_other_families(channels_first, name):
    model = made(name, input_shape=(3, 75, 75), include_top=False, pooling="avg")
    kcore.config.set_image_data_format("channels_last")
    last = made(name, input_shape=(75, 75, 3), include_top=False, pooling="avg")
    assert model.output_shape == last.output_shape
    assert [w.shape for w in model.weights] == [w.shape for w in last.weights]
    assert [layer.output.shape[1] for layer in model.layers[:-1]] == [
        layer.output.shape[-1] for layer in last.layers[:-1]
    ]


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "DenseNet121", "NASNetMobile"])
def test_families_that_want_channels_last_say_so(channels_first, name):
    with pytest.raises(ValueError, match=f"{name} takes images with their channels last only: .*set_image_data_format"):
        made(name, input_shape=(3, 32, 32))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("VGG16", {"weights": "imgnet"}, "VGG16: weights must be None, 'imagenet', or the path .* no file 'imgnet'"),
        ("VGG16", {"pooling": "mean"}, "VGG16: pooling must be None, 'avg' or 'max', received 'mean'"),
        ("VGG16", {"input_shape": (31, 32, 3)}, r"VGG16: images must be at least 32x32, received .*\(31, 32, 3\)"),
        ("Xception", {}, r"Xception: images must be at least 71x71, received input_shape=\(32, 32, 3\)"),
        ("MobileNetV3Large", {"input_shape": (31, 31, 3)}, "MobileNetV3Large: images must be at least 32x32"),
        ("VGG16", {"input_shape": (32, 3)}, r"VGG16: input_shape must have three sizes.*received \(32, 3\)"),
        ("VGG16", {"input_shape": (None, 32, 3)}, r"include_top=True needs the sizes of input_shape, received \(None"),
        ("VGG16", {"weights": "imagenet", "classes": 7}, "VGG16: .* has classes=1000, received 7; for other classes"),
        ("VGG16", {"weights": "imagenet"}, r"is for input_shape=\(224, 224, 3\), received \(32, 32, 3\)"),
        (
            "VGG16",
            {"weights": "imagenet", "include_top": False, "input_shape": (32, 32, 1)},
            r"VGG16: weights='imagenet' is for images of 3 channels, received input_shape=\(32, 32, 1\)",
        ),
        (
            "VGG16",
            {"weights": "imagenet", "classifier_activation": "relu"},
            "classifier_activation must be 'softmax' or None where weights are loaded, received 'relu'",
        ),
        ("VGG16", {"input_tensor": np.ones((1, 2))}, "VGG16: input_tensor must be a symbolic tensor.*a ndarray"),
        (
            "MobileNetV2",
            {"weights": "imagenet", "alpha": 0.4, "include_top": False},
            "MobileNetV2: weights='imagenet' is for an alpha of 0.35, 0.5, 0.75, 1.0, 1.3, 1.4, received 0.4",
        ),
        (
            "MobileNet",
            {"weights": "imagenet", "depth_multiplier": 2, "include_top": False},
            "MobileNet: .* an alpha of 0.25, 0.5, 0.75 or 1 and depth_multiplier=1, received alpha=1.0, depth",
        ),
        (
            "MobileNetV3Small",
            {"weights": "imagenet", "alpha": 0.75, "minimalistic": True},
            "MobileNetV3Small: .* an alpha of 0.75 or 1, minimalistic 1; received alpha=0.75, minimalistic=True",
        ),
        ("NASNetMobile", {"input_shape": (None, None, 3), "include_top": False}, r"NASNetMobile joins what it finds"),
    ],
)
def test_arguments_that_do_not_fit(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        made(name, **arguments)


def test_an_input_shape_that_is_not_the_tensor_s():
    image = kcore.Input((64, 64, 3))
    with pytest.raises(
        ValueError, match=r"MobileNet: input_shape=\(32, 32, 3\) is not that of input_tensor, which has"
    ):
        made("MobileNet", input_tensor=image)
    made("MobileNet", input_tensor=kcore.Input((None, None, 3)), include_top=False)


def test_an_unknown_argument_is_named():
    with pytest.raises(TypeError, match="VGG16: got an unexpected keyword argument 'clases'; did you mean 'classes'"):
        applications.VGG16(weights=None, clases=10)


def test_published_sizes_of_mobilenets(monkeypatch):
    from kcore.applications import assembly

    asked = []

    def get_file(fname, origin, **options):
        asked.append(origin.rpartition("/")[2])
        raise OSError("offline")

    monkeypatch.setattr(assembly, "get_file", get_file)

    def ask(name, **arguments):
        with pytest.raises(OSError, match="offline"):
            getattr(applications, name)(**arguments)

    ask("MobileNet", alpha=0.25, input_shape=(128, 128, 3))
    ask("MobileNetV2", alpha=1.4, input_shape=(96, 96, 3), include_top=False)
    with pytest.warns(UserWarning, match="MobileNet: weights='imagenet' is published for square images of 128, 160"):
        ask("MobileNet", input_shape=(128, 160, 3), include_top=False)
    with pytest.warns(UserWarning, match="was learned from images of 224x224; they are loaded for"):
        ask("MobileNetV3Large", minimalistic=True)
    assert asked == [
        "mobilenet_2_5_128_tf.h5",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_96_no_top.h5",
        "mobilenet_1_0_224_tf_no_top.h5",
        "weights_mobilenet_v3_large_minimalistic_224_1.0_float.h5",
    ]


def test_weights_of_another_model_are_refused(tmp_path):
    made("MobileNet", alpha=0.25, classes=3).save_weights(tmp_path / "a.weights.h5")
    again = made("MobileNet", alpha=0.25, classes=3, weights=str(tmp_path / "a.weights.h5"))
    assert again.count_params() > 0
    with pytest.raises(ValueError, match=r"shape \(1, 1, 256, 4\), the file has \(1, 1, 256, 3\)"):
        made("MobileNet", alpha=0.25, classes=4, weights=tmp_path / "a.weights.h5")


def test_no_weights_are_drawn_where_a_file_has_them(tmp_path, monkeypatch):
    made("MobileNet", alpha=0.25, classes=3).save_weights(tmp_path / "a.weights.h5")
    monkeypatch.setattr(kcore.initializers.GlorotUniform, "array", lambda *args: pytest.fail("drawn in vain"))
    applications.MobileNet(alpha=0.25, classes=3, weights=tmp_path / "a.weights.h5", input_shape=(32, 32, 3))
