"""Layers for images beside Keras's: what each does with what was drawn, and what every one of them has to keep to."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.layers.preprocessing.image_layer import ImageLayer
from kcore.naming import reset_names

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (3, 6, 7, 3)).astype("float32")
SMALL = IMAGES / 255
FLAGS = np.array([True, False, True])
UNIT = np.array([0.2, 0.9, 0.5], "float32")
ORDER = np.array([2, 0, 1], "int32")
BOX = RNG.uniform(size=(3, 6, 7, 1)) > 0.5


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()


def wide(x):
    return np.reshape(x, (-1, 1, 1, 1))


def plain(config):
    return json.loads(json.dumps({key: value for key, value in config.items() if key != "name"}))


#: Layers without chance, or whose factor leaves none.
FORCED = [
    ("Resizing", {"height": 4, "width": 9}),
    ("Resizing", {"height": 4, "width": 3, "interpolation": "nearest"}),
    ("Resizing", {"height": 3, "width": 3, "antialias": True}),
    ("Resizing", {"height": 9, "width": 4, "interpolation": "bicubic", "crop_to_aspect_ratio": True}),
    ("Resizing", {"height": 9, "width": 4, "pad_to_aspect_ratio": True, "fill_value": 3.0}),
    ("CenterCrop", {"height": 3, "width": 4}),
    ("CenterCrop", {"height": 8, "width": 4}),
    ("RandomCrop", {"height": 8, "width": 4, "seed": 1}),
    ("RandomCrop", {"height": 6, "width": 7, "seed": 1}),
    *(
        ("RandomRotation", {"factor": (0.1, 0.1), "fill_mode": mode})
        for mode in ("reflect", "wrap", "constant", "nearest")
    ),
    (
        "RandomRotation",
        {"factor": (-0.3, -0.3), "interpolation": "nearest", "fill_mode": "constant", "fill_value": 9.0},
    ),
    ("RandomZoom", {"height_factor": (0.3, 0.3)}),
    ("RandomZoom", {"height_factor": (-0.3, -0.3), "width_factor": (0.2, 0.2), "fill_mode": "constant"}),
    ("RandomTranslation", {"height_factor": (0.2, 0.2), "width_factor": (-0.3, -0.3), "fill_mode": "wrap"}),
    ("RandomShear", {"x_factor": (0.0, 0.0), "y_factor": (0.0, 0.0)}),
    ("RandomPerspective", {"scale": 0.0}),
    ("RandomBrightness", {"factor": (0.3, 0.3)}),
    ("RandomBrightness", {"factor": (-0.3, -0.3), "value_range": (20, 200)}),
    ("RandomContrast", {"factor": (0.0, 0.0)}),
    ("RandomColorDegeneration", {"factor": (0.4, 0.4)}),
    ("RandomGrayscale", {"factor": 1.0}),
    ("RandomHue", {"factor": (0.0, 0.0)}),
    ("RandomSaturation", {"factor": (0.3, 0.3)}),
    ("RandomSharpness", {"factor": (0.9, 0.9)}),
    ("RandomSharpness", {"factor": (0.1, 0.1), "value_range": (20, 200)}),
    ("RandomColorJitter", {"brightness_factor": (0.1, 0.1), "saturation_factor": (0.6, 0.6), "hue_factor": (0.0, 0.0)}),
    ("RandomInvert", {"factor": (1.0, 1.0)}),
    ("RandomPosterization", {"factor": (3, 3)}),
    ("Solarization", {"addition_factor": 0.0, "threshold_factor": 0.0}),
    ("RandomErasing", {"factor": (1.0, 1.0), "scale": (1.0, 1.0), "fill_value": (1.0, 2.0, 3.0)}),
    ("RandomGaussianBlur", {"factor": (1.0, 1.0), "sigma": (0.7, 0.7), "kernel_size": (3, 5)}),
    ("RandomElasticTransform", {"factor": 0.0}),
    ("AutoContrast", {}),
    ("AutoContrast", {"value_range": (0, 300)}),
    ("Equalization", {}),
    ("Equalization", {"bins": 16}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (2, 3)}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (4, 4), "clip_limit": 0.0}),
]


@pytest.mark.parametrize(("name", "arguments"), FORCED)
def test_like_keras(name, arguments):
    theirs, mine = getattr(keras.layers, name)(**arguments), getattr(layers, name)(**arguments)
    assert plain(mine.get_config()) == plain(theirs.get_config())
    assert plain(type(mine).from_config(theirs.get_config()).get_config()) == plain(mine.get_config())
    expected = np.asarray(theirs(IMAGES, training=True))
    got = mine(IMAGES, training=True)
    assert got.dtype == "float32"
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=5e-3)
    first = type(mine).from_config({**mine.get_config(), "data_format": "channels_first"})
    turned = first(IMAGES.transpose(0, 3, 1, 2), training=True)
    np.testing.assert_allclose(turned.numpy().transpose(0, 2, 3, 1), got.numpy(), rtol=1e-4, atol=1e-3)
    if name != "Equalization":  # over the batch
        np.testing.assert_allclose(mine(IMAGES[1], training=True).numpy(), got.numpy()[1], rtol=1e-4, atol=1e-3)
    compiled = kcore.function(lambda x: mine(x, training=True))(IMAGES)
    np.testing.assert_allclose(compiled.numpy(), got.numpy(), rtol=1e-4, atol=1e-3)
    symbolic = mine(kcore.Input((6, 7, 3)))
    assert symbolic.shape == (None, *expected.shape[1:])


ROWS = np.array([[1, s, 0, t, 1, 0, 0, 0] for s, t in ((0.2, -0.1), (0.0, 0.3), (-0.4, 0.0))], "float32")
CORNERS = np.array([[[0, 0], [6, 0], [0, 5], [6, 5]]] * 3, "float32")
MOVED = CORNERS * np.linspace(0.7, 1.2, 24, dtype="float32").reshape(3, 4, 2)

#: Layer, arguments, what Keras calls what was drawn, and what we do.
DRAWN = [("RandomFlip", {"mode": mode}, {"flips": wide(FLAGS)}, wide(FLAGS)) for mode in ("horizontal", "vertical")] + [
    ("RandomFlip", {}, {"flips": wide(FLAGS)}, wide(FLAGS)),
    ("RandomShear", {"x_factor": (0.1, 0.2), "y_factor": (0.1, 0.2)}, {"shear_factor": ROWS[:, [1, 3]]}, ROWS),
    (
        "RandomPerspective",
        {},
        {"apply_perspective": FLAGS, "start_points": CORNERS, "end_points": MOVED},
        (wide(FLAGS), CORNERS, MOVED),
    ),
    ("RandomContrast", {"factor": 0.5}, {"contrast_factor": wide(UNIT * 2)}, wide(UNIT * 2)),
    ("RandomHue", {"factor": 0.5}, {"factor": UNIT - 0.5}, wide(UNIT - 0.5)),
    ("RandomGrayscale", {}, wide(FLAGS), wide(FLAGS)),
    ("RandomInvert", {}, {"apply_inversion": FLAGS}, wide(FLAGS)),
    ("RandomPosterization", {"factor": 5}, {"shift_factor": np.array([1, 4, 6], "uint8")}, wide([2.0, 16.0, 64.0])),
    (
        "Solarization",
        {},
        {"additions": wide(UNIT * 50), "thresholds": wide(UNIT * 255)},
        [wide(UNIT * 50), wide(UNIT * 255)],
    ),
    (
        "RandomErasing",
        {},
        {"apply_erasing": FLAGS, "batch_masks": BOX & np.ones(3, bool), "fill_value": IMAGES[::-1]},
        (BOX & wide(FLAGS), IMAGES[::-1].copy()),
    ),
    (
        "RandomGaussianBlur",
        {},
        {"should_apply_blur": FLAGS, "blur_factor": np.array([0.4, 1.0], "float32") + 1e-6},
        (wide(FLAGS), np.array([0.4, 1.0], "float32")),
    ),
    ("MixUp", {}, {"mix_weight": UNIT, "permutation_order": ORDER}, (ORDER, wide(UNIT))),
    ("CutMix", {}, {"mix_weight": UNIT, "permutation_order": ORDER, "batch_masks": BOX}, (ORDER, wide(UNIT), BOX)),
]


@pytest.mark.parametrize(("name", "arguments", "theirs_drawn", "drawn"), DRAWN)
def test_what_is_done_with_what_was_drawn(name, arguments, theirs_drawn, drawn, monkeypatch):
    theirs, mine = getattr(keras.layers, name)(**arguments), getattr(layers, name)(**arguments)
    assert plain(mine.get_config()) == plain(theirs.get_config())
    monkeypatch.setattr(type(mine), "draw", lambda self, images, seed: drawn)
    expected = np.asarray(theirs.transform_images(IMAGES, theirs_drawn, training=True))
    np.testing.assert_allclose(mine(IMAGES, training=True).numpy(), expected, rtol=1e-4, atol=5e-3)
    first = type(mine).from_config({**mine.get_config(), "data_format": "channels_first"})
    turned = first(IMAGES.transpose(0, 3, 1, 2), training=True).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(turned, expected, rtol=1e-4, atol=5e-3)
    if name in ("MixUp", "CutMix"):
        labels = np.eye(3, dtype="float32")
        both = mine({"images": IMAGES, "labels": labels}, training=True)
        np.testing.assert_allclose(
            both["labels"].numpy(), np.asarray(theirs.transform_labels(labels, theirs_drawn)), rtol=1e-6
        )
    if mine.moves:
        masks = (IMAGES[..., :1] > 100).astype("int32")
        parts = mine({"images": IMAGES, "segmentation_masks": masks}, training=True)
        seen = np.asarray(theirs.transform_segmentation_masks(masks, theirs_drawn, training=True))
        assert parts["segmentation_masks"].dtype == "int32"
        np.testing.assert_array_equal(parts["segmentation_masks"].numpy(), seen)


#: Every layer with arguments that make it do something.
EVERY = {
    "RandomCrop": {"height": 3, "width": 3},
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomZoom": {"height_factor": 0.3, "width_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.2},
    "RandomShear": {"x_factor": (0.1, 0.3), "y_factor": (0.1, 0.2)},
    "RandomPerspective": {"scale": 0.5},
    "RandomElasticTransform": {},
    "RandomBrightness": {"factor": 0.3},
    "RandomContrast": {"factor": 0.5},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {
        "brightness_factor": 0.2,
        "contrast_factor": 0.2,
        "saturation_factor": 0.6,
        "hue_factor": 0.2,
    },
    "RandomGrayscale": {},
    "RandomHue": {"factor": 0.5},
    "RandomSaturation": {"factor": 0.7},
    "RandomSharpness": {"factor": 0.9},
    "RandomInvert": {"factor": 0.5},
    "RandomPosterization": {"factor": 4},
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.9},
    "RandomErasing": {},
    "RandomGaussianBlur": {},
    "MixUp": {"alpha": 1.0},
    "CutMix": {},
    "RandAugment": {},
    "AugMix": {"num_chains": 2, "chain_depth": 1},
}


def test_every_random_layer_is_tested():
    found = {n for n in layers.__all__ if isinstance(c := getattr(layers, n), type) and issubclass(c, ImageLayer)}
    fixed = {"Resizing", "CenterCrop", "AutoContrast", "Equalization", "MaxNumBoundingBoxes"}
    assert found - fixed - {"ContrastLimitedAdaptiveHistogramEqualization"} == EVERY.keys()


@pytest.mark.parametrize("name", EVERY)
def test_every_random_layer(name):
    kind, arguments = getattr(layers, name), EVERY[name]
    layer = kind(**arguments, seed=5)
    theirs = getattr(keras.layers, name)(**arguments, seed=5)
    assert plain(layer.get_config()) == plain(theirs.get_config())
    again = kind.from_config(layer.get_config())
    one, other = layer(IMAGES, training=True).numpy(), layer(IMAGES, training=True).numpy()
    assert np.isfinite(one).all() and one.shape[0] == 3
    assert not np.allclose(one, other), "two draws are alike"
    np.testing.assert_array_equal(kind(**arguments, seed=5)(IMAGES, training=True).numpy(), one)
    assert plain(again.get_config()) == plain(layer.get_config())
    step = kcore.function(lambda x: layer(x, training=True))
    assert step(IMAGES).shape == one.shape and not np.allclose(step(IMAGES).numpy(), step(IMAGES).numpy())
    assert step.traces == 1
    resting = layer(IMAGES, training=False)
    if name == "RandomCrop":
        np.testing.assert_allclose(resting.numpy(), ops.image.resize(IMAGES, (3, 3), crop_to_aspect_ratio=True).numpy())
    else:
        np.testing.assert_array_equal(resting.numpy(), IMAGES)
    assert layer(IMAGES.astype("uint8"), training=True).dtype == "float32"
    single = layer(IMAGES[0], training=True)
    assert single.shape == one.shape[1:]


def test_training_is_the_default_and_models_tell_it():
    flip = layers.RandomFlip("horizontal", seed=1)
    assert any(not np.array_equal(flip(IMAGES).numpy(), IMAGES) for _ in range(4))
    model = kcore.Sequential([kcore.Input((6, 7, 3)), flip, layers.RandomBrightness(0.5)])
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), IMAGES)


def test_draws_follow_their_distribution():
    many = np.zeros((2000, 1, 2, 1), "float32") + np.array([0.0, 1.0], "float32")[:, None]
    flipped = layers.RandomFlip("horizontal", seed=1)(many, training=True).numpy()[:, 0, 0, 0]
    assert 0.45 < flipped.mean() < 0.55
    added = layers.RandomBrightness((-0.2, 0.4), (-10, 10), seed=1)(many[:, :, :1], training=True).numpy().ravel() / 20
    assert added.min() >= -0.2 and added.max() <= 0.4 and abs(added.mean() - 0.1) < 0.02
    gray = layers.RandomGrayscale(0.25, seed=1)(np.repeat(many[:, :, :1], 3, -1) + [0.0, 0.0, 9.0], training=True)
    assert 0.2 < (gray.numpy()[..., 2] < 8).mean() < 0.3
    bits = layers.RandomPosterization((1, 4), seed=1)(np.full((2000, 1, 1, 1), 255.0), training=True).numpy()
    assert set(bits.ravel().round()) == {128.0, 192.0, 224.0}
    erased = layers.RandomErasing((1.0, 1.0), (0.25, 0.25), fill_value=1, seed=1)(
        np.zeros((500, 20, 20, 1)), training=True
    )
    assert abs(erased.numpy().mean() - 0.25) < 0.03
    mixed = layers.CutMix(seed=1)(
        {"images": np.arange(300.0).reshape(-1, 1, 1, 1) + np.zeros((300, 9, 9, 1)), "labels": np.eye(300)}
    )
    np.testing.assert_allclose(mixed["labels"].numpy().sum(-1), 1, rtol=1e-5)


def test_keras_loads_a_shear_to_both_sides():
    config = layers.RandomShear(0.3).get_config()
    assert config["x_factor"] == 0.3 and layers.RandomShear.from_config(config).x_factor == (-0.3, 0.3)
    assert keras.layers.RandomShear.from_config(config).x_factor == (-0.3, 0.3)
    assert layers.RandomShear.from_config(keras.layers.RandomShear(0.3).get_config()).x_factor == (-0.3, 0.3)


def test_shear_goes_to_either_side():
    line = np.zeros((200, 5, 5, 1), "float32")
    line[:, :, 2] = 1
    out = layers.RandomShear((0.5, 0.5), fill_mode="constant", seed=3)(line, training=True).numpy()[..., 0]
    kinds = {tuple(row) for row in out[:, 4].round(3)}
    assert len(kinds) == 2


def test_parts_stay_together():
    layer = layers.RandomCrop(3, 3, seed=2)
    parts = {"images": IMAGES, "labels": np.arange(3), "segmentation_masks": IMAGES[..., :1].astype("int32")}
    out = layer(parts, training=True)
    np.testing.assert_array_equal(out["images"].numpy()[..., :1].astype("int32"), out["segmentation_masks"].numpy())
    np.testing.assert_array_equal(out["labels"].numpy(), np.arange(3))
    single = layers.RandomFlip(seed=1)({k: v[0] for k, v in parts.items() if k != "labels"}, training=True)
    np.testing.assert_array_equal(
        single["images"].numpy()[..., :1].astype("int32"), single["segmentation_masks"].numpy()
    )


def test_a_model_trains_behind_random_layers_and_is_saved_with_their_draws(tmp_path):
    scale = layers.Normalization(axis=None)
    scale.adapt(IMAGES)
    model = kcore.Sequential(
        [
            kcore.Input((6, 7, 3)),
            layers.RandomFlip(seed=1),
            layers.RandomRotation(0.1, seed=2),
            scale,
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1),
        ]
    )
    model.compile(kcore.optimizers.SGD(0.05), "mse")
    y = np.array([[0.0], [1.0], [2.0]], "float32")
    losses = model.fit(IMAGES, y, epochs=8, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m.keras")
    again = kcore.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))
    kept = [m.fit(IMAGES, y, epochs=2, verbose=0, shuffle=False).history["loss"] for m in (model, again)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("name", ["RandomFlip", "RandomRotation", "RandomHue", "RandAugment", "CutMix"])
def test_half_precision(name):
    layer = getattr(layers, name)(**EVERY[name], dtype="mixed_float16")
    out = layer(IMAGES, training=True)
    assert out.dtype == layer(kcore.Input((6, 7, 3))).dtype == "float16"
    assert np.isfinite(out.numpy().astype("float32")).all()


def test_pipeline():
    steps = [layers.RandomFlip(seed=1), layers.Resizing(4, 4), layers.Rescaling(1 / 255)]
    mine = layers.Pipeline(steps)
    out = mine(IMAGES, training=False).numpy()
    np.testing.assert_allclose(out, layers.Resizing(4, 4)(IMAGES).numpy() / 255, rtol=1e-5)
    config = json.loads(json.dumps(layers.serialize(mine)))
    again = layers.deserialize(config)
    np.testing.assert_allclose(again(IMAGES, training=False).numpy(), out, rtol=1e-6)
    theirs = keras.layers.deserialize(config)
    np.testing.assert_allclose(np.asarray(theirs(IMAGES, training=False)), out, rtol=1e-4)
    assert mine(kcore.Input((6, 7, 3))).shape == (None, 4, 4, 3)
    with pytest.raises(ValueError, match="expected layers, got 3"):
        layers.Pipeline([3])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_number_of_boxes(count):
    boxes = {"boxes": RNG.uniform(size=(3, 2, 4)).astype("float32"), "labels": np.ones((3, 2), "float32")}
    theirs = keras.layers.MaxNumBoundingBoxes(count, bounding_box_format="xyxy")
    expected = theirs({"images": IMAGES, "bounding_boxes": {k: v.copy() for k, v in boxes.items()}})["bounding_boxes"]
    mine = layers.MaxNumBoundingBoxes(count, bounding_box_format="xyxy")
    assert plain(mine.get_config()) == plain(theirs.get_config())
    got = mine({"images": IMAGES, "bounding_boxes": boxes})["bounding_boxes"]
    for key in boxes:
        np.testing.assert_allclose(got[key].numpy(), np.asarray(expected[key]))
    single = mine({"images": IMAGES[0], "bounding_boxes": {k: v[0] for k, v in boxes.items()}})["bounding_boxes"]
    assert single["boxes"].shape == (count, 4)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: layers.RandomRotation(2.0),
            r"RandomRotation: argument factor=2.0: expected a number, or two, in \[-1, 1\]",
        ),
        (lambda: layers.RandomRotation((0.1, 0.2, 0.3)), "expected a number, or two"),
        (lambda: layers.RandomZoom(-1.0), "expected more than -1"),
        (lambda: layers.RandomZoom("much"), "argument height_factor='much'"),
        (lambda: layers.RandomTranslation(None, 0.1), "height_factor=None"),
        (lambda: layers.RandomRotation(0.1, fill_mode="mirror"), "expected one of 'reflect', 'wrap'"),
        (lambda: layers.RandomFlip("sideways"), "expected one of 'horizontal'"),
        (lambda: layers.RandomBrightness(0.1, value_range=3), "the least and the greatest value of a pixel"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "expected an odd integer"),
        (lambda: layers.RandomFlip()(np.zeros((2, 2))), r"got the shape \(2, 2\)"),
        (lambda: layers.RandomFlip()({"image": IMAGES}), "a dict of inputs has 'images'"),
        (lambda: layers.MixUp()({"images": IMAGES, "labels": np.zeros(3)}), "they must be one-hot"),
        (
            lambda: layers.MaxNumBoundingBoxes(2)({"images": IMAGES, "bounding_boxes": {"boxes": IMAGES}}),
            "a dict of 'boxes' and",
        ),
        (lambda: layers.RandomCrop(3, 0), "expected a positive integer"),
    ],
)
def test_messages(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_boxes_are_refused_where_something_moves():
    for layer in (layers.RandomFlip(bounding_box_format="xyxy"), layers.MixUp(bounding_box_format="xyxy")):
        with pytest.raises(NotImplementedError, match="bounding boxes are not supported"):
            layer({"images": IMAGES, "bounding_boxes": {"boxes": np.ones((3, 1, 4)), "labels": np.ones((3, 1))}})


@pytest.mark.parametrize(
    "name",
    [
        *("RandomBrightness", "RandomGrayscale", "RandomHue", "RandomErasing", "RandomGaussianBlur", "Solarization"),
        *("AutoContrast", "Equalization", "ContrastLimitedAdaptiveHistogramEqualization", "RandomColorJitter"),
    ],
)
def test_boxes_stay_where_nothing_moves(name):
    arguments = EVERY.get(name, {})
    boxes = {"boxes": RNG.uniform(0, 5, (3, 2, 4)).astype("float32"), "labels": np.ones((3, 2), "float32")}
    layer = getattr(layers, name)(**arguments, bounding_box_format="xyxy")
    out = layer({"images": IMAGES, "bounding_boxes": boxes}, training=True)
    for key, value in boxes.items():
        np.testing.assert_array_equal(out["bounding_boxes"][key].numpy(), value)
    symbolic = layer(
        {
            "images": kcore.Input((6, 7, 3)),
            "bounding_boxes": {"boxes": kcore.Input((2, 4)), "labels": kcore.Input((2,))},
        }
    )
    assert symbolic["images"].shape == (None, 6, 7, 3) and symbolic["bounding_boxes"]["boxes"].shape == (None, 2, 4)
    with pytest.raises(ValueError, match="need a bounding_box_format, such as 'xyxy'"):
        getattr(layers, name)(**arguments)({"images": IMAGES, "bounding_boxes": boxes})
