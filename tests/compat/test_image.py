"""Augmented images beside those of Keras: geometry, draws, statistics, batches."""

from __future__ import annotations

import numpy as np
import pytest
from keras.src.legacy.preprocessing import image as theirs

import kcore
from kcore.compat import image as ours
from kcore.compat.image_transforms import FILL_MODES

rng = np.random.default_rng(0)
IMAGES = (rng.random((10, 6, 7, 3)) * 255).astype("float32")
TARGETS = np.arange(10)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This ImageDataGenerator specifies", "ignore:Please import `affine_transform`:DeprecationWarning"
)


def parameters(count):
    """Transformations of all kinds, some without this or that."""
    draw = np.random.default_rng(1)
    for _ in range(count):
        on = draw.integers(2, size=5)
        yield {
            "theta": draw.uniform(-200, 200) * on[0],
            "tx": draw.uniform(-9, 9) * on[1],
            "ty": draw.uniform(-9, 9) * on[2],
            "shear": draw.uniform(-40, 40) * on[3],
            "zx": draw.uniform(0.3, 2) if on[4] else 1,
            "zy": draw.uniform(0.3, 2),
        }


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_geometry(fill_mode, order):
    axes = {
        (9, 9, 3): (0, 1, 2),
        (6, 11, 1): (0, 1, 2),
        (3, 8, 7): (1, 2, 0),
        (7, 5, 2): (1, 0, 2),
        (1, 6, 2): (0, 1, 2),
    }
    for shape, (row, column, channel) in axes.items():
        x = (np.random.default_rng(2).random(shape) * 255).astype("float32")
        more = {"row_axis": row, "col_axis": column, "channel_axis": channel, "fill_mode": fill_mode, "cval": 7.0}
        for given in parameters(12):
            one = ours.apply_affine_transform(x, **given, **more, order=order)
            other = theirs.apply_affine_transform(x, **given, **more, order=order)
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, atol=2e-3, err_msg=f"{shape} {given}")


def test_geometry_of_bytes_and_of_nothing():
    x = np.arange(60, dtype="uint8").reshape(4, 5, 3) * 4
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    one, other = (m.apply_affine_transform(x, theta=33, ty=0.3, **axes) for m in (ours, theirs))
    assert one.dtype == other.dtype == "uint8"
    np.testing.assert_allclose(one.astype(int), other.astype(int), atol=1)  # a half may be rounded either way
    assert np.mean(one == other) > 0.95
    same = ours.apply_affine_transform(x, **axes)
    assert (same == x).all() and not np.shares_memory(same, x)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_brightness_and_channels(channels, scale):
    draw = np.random.default_rng(3)
    for x in (
        draw.random((5, 6, channels)) * 255,
        draw.random((5, 6, channels)) * 600 - 100,
        np.zeros((2, 2, channels)),
    ):
        x = x.astype("float32")
        for factor in (0.3, 1.0, 1.37, 2.5):
            one, other = (m.apply_brightness_shift(x, factor, scale) for m in (ours, theirs))
            np.testing.assert_allclose(one, other, atol=1e-3)
        one, other = (m.apply_channel_shift(x, 40.0, 2) for m in (ours, theirs))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("random_rotation", (30,)),
        ("random_shift", (0.3, 0.2)),
        ("random_shear", (20,)),
        ("random_zoom", ((0.5, 1.5),)),
        ("random_zoom", ((1, 1),)),
    ],
)
def test_random_functions_draw_what_keras_draws(name, arguments):
    results = []
    for module in (ours, theirs):
        np.random.seed(4)
        results.append(getattr(module, name)(IMAGES[0], *arguments, 0, 1, 2, fill_mode="reflect"))
    np.testing.assert_allclose(*results, atol=2e-3)
    for name, argument in (("random_brightness", (0.5, 1.5)), ("random_channel_shift", 30.0)):
        results = []
        for module in (ours, theirs):
            np.random.seed(5)
            results.append(getattr(module, name)(IMAGES[0], argument))
        np.testing.assert_allclose(*results, atol=1e-3)


SETTINGS = {
    "plain": {},
    "all": {
        "rotation_range": 30,
        "width_shift_range": 0.2,
        "height_shift_range": 0.1,
        "shear_range": 10,
        "zoom_range": 0.3,
        "horizontal_flip": True,
        "vertical_flip": True,
        "channel_shift_range": 20.0,
        "brightness_range": (0.5, 1.5),
        "rescale": 1 / 255,
    },
    "pixels": {"width_shift_range": 3, "height_shift_range": [1, 2, 5]},
    "lists": {
        "width_shift_range": [0.1, 0.2],
        "height_shift_range": 4.0,
        "zoom_range": [0.5, 1.5],
        "fill_mode": "reflect",
    },
    "samplewise": {
        "samplewise_std_normalization": True,
        "fill_mode": "constant",
        "cval": 3,
        "rotation_range": 9,
        "interpolation_order": 0,
        "preprocessing_function": lambda x: x[::-1] + 1,
    },
    "featurewise": {"featurewise_std_normalization": True, "rescale": 0.5},
    "first": {
        "data_format": "channels_first",
        "width_shift_range": 0.2,
        "horizontal_flip": True,
        "fill_mode": "wrap",
        "featurewise_center": True,
    },
}


def both(settings):
    with pytest.warns(UserWarning) if "std_norm" in str(settings) else pytest.MonkeyPatch.context():
        generators = ours.ImageDataGenerator(**settings), theirs.ImageDataGenerator(**settings)
    return (*generators, IMAGES.transpose(0, 3, 1, 2) if settings.get("data_format") else IMAGES)


@pytest.mark.parametrize("name", SETTINGS)
def test_batches_are_those_of_keras(name):
    one, other, x = both(SETTINGS[name])
    for generator in (one, other):
        generator.fit(x, augment=True, rounds=2, seed=3)
    for learned in ("mean", "std"):
        if getattr(other, learned) is not None:
            np.testing.assert_allclose(getattr(one, learned), getattr(other, learned), rtol=1e-4)
    for seed in (5, None):
        batches = []
        for generator in (one, other):
            np.random.seed(1)
            flow = generator.flow(x, TARGETS, 4, seed=seed, sample_weight=2.0 * TARGETS)
            drawn = [next(flow) for _ in range(5)]
            flow.reset()
            batches.append([*drawn, next(flow), flow[2], flow[0]])
        for mine, its in zip(*batches, strict=True):
            assert [part.dtype for part in mine] == [part.dtype for part in its]
            np.testing.assert_allclose(mine[0], its[0], rtol=1e-4, atol=2e-5 * np.abs(its[0]).max())
            np.testing.assert_array_equal(mine[1], its[1])
            np.testing.assert_array_equal(mine[2], its[2])


def test_whitening():
    settings = {"zca_whitening": True, "zca_epsilon": 1e-2, "dtype": "float64"}
    with pytest.warns(UserWarning, match="zca_whitening or featurewise_std includes featurewise_center"):
        one = ours.ImageDataGenerator(**settings)
    other = theirs.ImageDataGenerator(**settings)
    x = rng.random((40, 2, 3, 1))
    one.fit(x)
    other.fit(x)
    np.testing.assert_allclose(one.zca_whitening_matrix, other.zca_whitening_matrix, rtol=1e-6)
    white = one.standardize(x.copy())
    np.testing.assert_allclose(white, other.standardize(x.copy()), rtol=1e-6)
    flat = white.reshape(40, -1)
    np.testing.assert_allclose(flat.T @ flat / 40, np.eye(6), atol=0.02)


def test_what_was_not_fitted_is_told():
    with pytest.warns(UserWarning, match=r"ImageDataGenerator\(featurewise_center=True\) does nothing before fit"):
        ours.ImageDataGenerator(featurewise_center=True).standardize(np.ones((2, 2, 1)))


def test_draws_lie_where_they_should():
    generator = ours.ImageDataGenerator(
        rotation_range=30, width_shift_range=0.5, zoom_range=0.2, horizontal_flip=True, height_shift_range=[1, 4]
    )
    np.random.seed(0)
    drawn = [generator.get_random_transform((10, 20, 3)) for _ in range(400)]
    column = {name: np.array([one[name] for one in drawn]) for name in ("theta", "tx", "ty", "zx", "flip_horizontal")}
    assert 25 < column["theta"].max() <= 30 and abs(column["theta"].mean()) < 3
    assert set(np.abs(column["tx"])) == {1, 4} and 9 < column["ty"].max() <= 10
    assert 0.8 <= column["zx"].min() < 0.83 and 0.4 < column["flip_horizontal"].mean() < 0.6
    assert not any(one["flip_vertical"] or one["brightness"] for one in drawn)
    again = generator.get_random_transform((10, 20, 3), seed=7)
    assert again == generator.get_random_transform((10, 20, 3), seed=7) != drawn[0]
    image = generator.random_transform(IMAGES[0], seed=7)
    np.testing.assert_array_equal(
        image, generator.apply_transform(IMAGES[0], generator.get_random_transform((6, 7, 3), seed=7))
    )


def test_methods_of_a_subclass_are_used():
    class Own(ours.ImageDataGenerator):
        def get_random_transform(self, img_shape, seed=None):
            return {"flip_vertical": True}

        def apply_transform(self, x, transform_parameters):
            return super().apply_transform(x, transform_parameters) + 1

        def standardize(self, x):
            return x * 2

    batch = next(Own().flow(IMAGES, batch_size=3, shuffle=False))
    np.testing.assert_array_equal(batch, 2 * (IMAGES[:3, ::-1] + 1))


class Squares(ours.Iterator):
    """An iterator as old scripts write their own."""

    def next(self):
        with self.lock:
            index_array = next(self.index_generator)
        return self._get_batches_of_transformed_samples(index_array)

    def _get_batches_of_transformed_samples(self, index_array):
        return index_array[:, None] * 1.0, index_array**2


def test_iterators_of_ones_own():
    flow = Squares(5, batch_size=2, shuffle=False, seed=None)
    assert [y.tolist() for _, (_, y) in zip(range(4), flow, strict=False)] == [[0, 1], [4, 9], [16], [0, 1]]
    line = kcore.Sequential([kcore.layers.Dense(1)])
    line.compile(kcore.optimizers.SGD(0.01), "mse", steps_per_execution=3)
    history = line.fit(flow, steps_per_epoch=8, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0] and int(line.optimizer.iterations) == 16


# -- arrays ----------------------------------------------------------------------------------------------------------


class Noted(ours.NumpyArrayIterator):
    """Remembers which samples it was asked for."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = []

    def _get_batches_of_transformed_samples(self, index_array):
        self.asked.append(index_array.tolist())
        return super()._get_batches_of_transformed_samples(index_array)


def model():
    layers = [kcore.layers.Flatten(), kcore.layers.Dense(1)]
    built = kcore.Sequential([kcore.Input((6, 7, 3)), *layers])
    built.compile(kcore.optimizers.SGD(1e-7), "mse")
    return built


def test_epochs_longer_and_shorter_than_a_pass():
    flow = Noted(IMAGES, TARGETS, ours.ImageDataGenerator(), batch_size=4, shuffle=True)
    model().fit(flow, steps_per_epoch=7, epochs=2, verbose=0)
    assert len(flow.asked) == 15  # the first one shows the model what to expect
    for start in (1, 4):
        assert sorted(sum(flow.asked[start : start + 3], [])) == list(range(10))
    flow.asked.clear()
    model().fit(flow, steps_per_epoch=10 // 4, epochs=4, verbose=0, shuffle=False)
    assert [len(batch) for batch in flow.asked] == [4, 4, 4, 2, 4, 4, 2, 4, 4]
    flow.asked.clear()
    model().fit(flow, epochs=2, verbose=0, shuffle=False)
    assert [len(batch) for batch in flow.asked] == [4, 4, 4, 2, 4, 4, 2]
    assert flow.asked[1:4] != flow.asked[4:] and sorted(sum(flow.asked[4:], [])) == list(range(10))


@pytest.mark.filterwarnings("ignore:model.*deprecated")
@pytest.mark.parametrize("workers", [1, 3])
def test_methods_of_old_scripts(workers):
    generator = ours.ImageDataGenerator(rescale=1 / 255)
    flow = generator.flow(IMAGES, TARGETS, 4, shuffle=False)
    net = model()
    history = net.fit_generator(flow, steps_per_epoch=5, epochs=2, workers=workers, validation_data=flow, verbose=0)
    assert len(history.history["val_loss"]) == 2
    expected = net.predict(IMAGES / 255, verbose=0)
    np.testing.assert_allclose(net.predict_generator(flow, workers=workers), expected, rtol=1e-5, atol=1e-6)
    twice = net.predict_generator(flow, steps=6)
    np.testing.assert_allclose(twice, np.concatenate([expected, expected]), rtol=1e-5, atol=1e-6)
    loss = net.evaluate(IMAGES / 255, TARGETS, verbose=0)
    np.testing.assert_allclose(net.evaluate_generator(flow), loss, rtol=1e-5)
    seen = 0
    for images, targets in flow:
        net.train_on_batch(images, targets)
        seen += 1
        if seen == 7:
            break
    assert flow.next()[0].shape == (4, 6, 7, 3)


def test_the_same_seed_gives_the_same_training():
    losses = []
    for _ in range(2):
        kcore.set_random_seed(3)
        generator = ours.ImageDataGenerator(rotation_range=40, horizontal_flip=True, zoom_range=0.3)
        history = model().fit(
            generator.flow(IMAGES, TARGETS, 4),
            steps_per_epoch=4,
            epochs=2,
            validation_data=generator.flow(IMAGES, TARGETS),
            verbose=0,
        )
        losses.append([history.history["loss"], history.history["val_loss"]])
    assert losses[0] == losses[1]


def test_in_processes():
    flow = ours.ImageDataGenerator().flow(IMAGES, TARGETS, 4, seed=1)
    flow.workers, flow.use_multiprocessing = 2, True
    net = model()
    assert net.evaluate(flow, verbose=0) == pytest.approx(net.evaluate(IMAGES, TARGETS, verbose=0), rel=1e-5)


def test_one_seed_for_images_and_masks():
    generator = ours.ImageDataGenerator(rotation_range=90, horizontal_flip=True, zoom_range=0.3)
    pairs = zip(generator.flow(IMAGES, batch_size=3, seed=1), generator.flow(IMAGES, batch_size=3, seed=1), strict=True)
    for _ in range(5):
        np.testing.assert_array_equal(*next(pairs))


def test_what_goes_with_images_and_subsets():
    generator = ours.ImageDataGenerator(validation_split=0.3)
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    flow = generator.flow((IMAGES, [TARGETS, TARGETS * 2]), labels, 10, shuffle=False, subset="validation")
    (images, first, second), y = next(flow)
    np.testing.assert_array_equal(images, IMAGES[:3])
    assert first.tolist() == [0, 1, 2] and second.tolist() == [0, 2, 4] and y.tolist() == [0, 1, 0]
    assert generator.flow(IMAGES, labels, 10, subset="training").n == 7
    with pytest.raises(ValueError, match="the subset 'validation' takes, have other targets than the rest"):
        generator.flow(IMAGES, TARGETS, subset="training")
    assert generator.flow(IMAGES, TARGETS, subset="training", ignore_class_split=True).n == 7


def test_statistics_of_a_layer_from_a_flow():
    layer = kcore.layers.Normalization()
    layer.adapt(ours.ImageDataGenerator().flow(IMAGES, batch_size=4))  # one pass of what has no end
    np.testing.assert_allclose(np.ravel(layer.mean), IMAGES.mean((0, 1, 2)), rtol=1e-4)


def test_pictures_of_batches(tmp_path):
    pytest.importorskip("PIL")
    flow = ours.ImageDataGenerator().flow(IMAGES, None, 2, False, save_to_dir=tmp_path, save_prefix="a", seed=1)
    next(flow)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split("_")[:2] for name in names] == [["a", "0"], ["a", "1"]]
    assert ours.img_to_array(ours.load_img(tmp_path / names[0])).shape == (6, 7, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fill_mode": "zero"}, "fill_mode is one of constant, nearest, reflect, mirror, wrap; received 'zero'"),
        ({"validation_split": 1.0}, "validation_split lies between 0 and 1, both excluded, or is 0; received 1.0"),
        ({"validation_split": -0.1}, "validation_split lies between 0 and 1"),
        ({"zoom_range": (1, 2, 3)}, r"zoom_range is a tuple or list of two numbers; received \(1, 2, 3\)"),
        ({"brightness_range": 0.5}, "brightness_range is a tuple or list of two numbers; received 0.5"),
        ({"data_format": "first"}, "data_format is 'channels_last' or 'channels_first', received 'first'"),
        ({"interpolation_order": 6}, "the order of interpolation is an integer from 0 to 5, received 6"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        ours.ImageDataGenerator(**arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.flow(IMAGES[0]), r"x is a batch of images, of four axes; received shape \(6, 7, 3\)"),
        (lambda g: g.flow(IMAGES, TARGETS[:3]), r"x has shape \(10, 6, 7, 3\), y has shape \(3,\)"),
        (lambda g: g.flow(IMAGES, subset="test"), "subset is 'training' or 'validation', received 'test'"),
        (lambda g: g.flow(IMAGES, subset="training"), "needs an ImageDataGenerator with a validation_split above 0"),
        (
            lambda g: g.fit(IMAGES[0]),
            r"fit\(\) learns from a batch of images, of four axes; received shape \(6, 7, 3\)",
        ),
        (lambda g: g.apply_transform(IMAGES, {}), r"takes one image, of three axes; received shape \(10, 6, 7, 3\)"),
        (lambda g: ours.apply_affine_transform(IMAGES), "takes one image, of three axes"),
        (lambda g: ours.apply_affine_transform(IMAGES[0], 1, row_axis=2), "must be 0, 1 and 2 in some order"),
        (
            lambda g: ours.apply_brightness_shift(IMAGES[..., :2], 1),
            r"1, 3 or 4 channels; received shape \(10, 6, 7, 2\)",
        ),
    ],
)
def test_bad_images(call, message):
    with pytest.raises(ValueError, match=message):
        call(ours.ImageDataGenerator())
    with pytest.raises(IndexError, match="NumpyArrayIterator has batches 0 to 0, not 1"):
        ours.ImageDataGenerator().flow(IMAGES)[1]
    with pytest.warns(UserWarning, match=r"images of shape \(1, 2, 2, 5\) have 5 channels on axis 3"):
        ours.ImageDataGenerator().flow(np.zeros((1, 2, 2, 5)))
