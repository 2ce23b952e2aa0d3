"""Batches from folders and data frames beside those of Keras."""

from __future__ import annotations

import numpy as np
import pytest
from keras.src.legacy.preprocessing import image as theirs

import kcore
from kcore.compat import image as ours

pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")

Image = pytest.importorskip("PIL.Image")
pandas = pytest.importorskip("pandas")

COUNTS = {"birds": 5, "cats": 4, "dogs": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of three classes, some deeper, and what is no picture."""
    draw = np.random.default_rng(0)
    top = tmp_path_factory.mktemp("pictures")
    for name, count in COUNTS.items():
        (top / name / "more").mkdir(parents=True)
        for i in range(count):
            pixels = (draw.random((6 + i, 8, 3)) * 255).astype("uint8")
            Image.fromarray(pixels).save(top / name / ("more" if i == 2 else "") / f"{i}.{'PNG' if i else 'bmp'}")
        (top / name / "notes.txt").write_text("no picture")
    (top / "list.csv").write_text("")
    return top


@pytest.fixture(scope="module")
def frame(folder):
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".PNG", ".bmp"))
    kinds = [name.partition("/")[0] for name in names]
    return pandas.DataFrame(
        {
            "filename": names,
            "class": kinds,
            "both": [[kind, "all"] if kind != "cats" else [kind] for kind in kinds],
            "animal": ["bird" if kind == "birds" else "beast" for kind in kinds],
            "size": np.arange(len(names)) / 2,
            "age": np.arange(len(names)),
        }
    )


def alike(one, other):
    """Whether two structures of arrays are equal, dtypes and all."""
    if isinstance(other, (tuple, list)):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            alike(mine, its)
        return
    assert one.dtype == other.dtype
    np.testing.assert_allclose(one, other, atol=1e-4)


def compared(method, settings, *args, **kwargs):
    """Our iterator, whose batches are found to be those of Keras."""
    flows = [getattr(m.ImageDataGenerator(**settings), method)(*args, **kwargs) for m in (ours, theirs)]
    one, other = flows
    assert one.filenames == other.filenames and one.samples == other.samples == one.n
    assert [str(path) for path in one.filepaths] == other.filepaths
    assert len(one) == len(other) and one.image_shape == other.image_shape
    if hasattr(other, "class_indices"):
        assert one.class_indices == other.class_indices
        np.testing.assert_array_equal(np.asarray(one.classes, object), np.asarray(other.classes, object))
    for _ in range(len(other) + 1):
        alike(next(one), next(other))
    alike(one[0], other[0])
    return one


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"horizontal_flip": True, "rotation_range": 20}, {"target_size": (5, 6), "batch_size": 4, "seed": 3}),
        ({"rescale": 1 / 255}, {"class_mode": "sparse", "target_size": (8, 8), "interpolation": "bilinear", "seed": 1}),
        ({}, {"class_mode": "binary", "classes": ["dogs", "cats"], "shuffle": False, "batch_size": 3}),
        ({}, {"class_mode": "input", "color_mode": "grayscale", "target_size": (4, 4), "seed": 1}),
        ({}, {"class_mode": None, "color_mode": "rgba", "target_size": (4, 4), "shuffle": False}),
        ({"validation_split": 0.4}, {"subset": "training", "target_size": (4, 4), "seed": 1}),
        (
            {"validation_split": 0.4},
            {"subset": "validation", "target_size": (4, 4), "keep_aspect_ratio": True, "seed": 2},
        ),
        ({"data_format": "channels_first"}, {"target_size": (4, 5), "seed": 1}),
    ],
    ids=lambda value: "-".join(value) or "plain",
)
def test_folders(folder, settings, arguments, capsys):
    flow = compared("flow_from_directory", settings, folder, **arguments)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second == f"Found {flow.samples} images belonging to {flow.num_classes} classes."


@pytest.mark.parametrize(
    "arguments",
    [
        {"class_mode": "categorical", "seed": 1},
        {"class_mode": "categorical", "y_col": "both", "shuffle": False, "seed": 1},
        {"class_mode": "categorical", "y_col": "both", "classes": ["cats", "dogs"], "seed": 1},
        {"class_mode": "binary", "y_col": "animal", "weight_col": "size", "seed": 1},
        {"class_mode": "sparse", "classes": ["dogs", "birds"], "shuffle": False, "seed": 1},
        {"class_mode": "raw", "y_col": ["size", "age"], "seed": 1},
        {"class_mode": "raw", "y_col": "age", "subset": "validation", "seed": 1},
        {"class_mode": "multi_output", "y_col": ["size", "age"], "subset": "training", "seed": 1},
        {"class_mode": "input", "validate_filenames": False, "seed": 1},
        {"class_mode": None, "color_mode": "grayscale", "seed": 1},
    ],
    ids=lambda value: "-".join(str(one) for one in value.values()),
)
def test_frames(folder, frame, arguments, capsys):
    settings = {"validation_split": 0.3} if "subset" in arguments else {"horizontal_flip": True}
    compared("flow_from_dataframe", settings, frame, folder, target_size=(4, 5), batch_size=4, **arguments)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith("Found ")


def test_whole_paths_and_names_that_are_none(folder, frame):
    paths = frame.assign(filename=[str(folder / name) for name in frame["filename"]])
    paths.loc[3, "filename"] = str(folder / "list.csv")
    with pytest.warns(UserWarning, match="1 of 15 files in x_col='filename' are not there or no images: left out"):
        flow = ours.ImageDataGenerator().flow_from_dataframe(paths, y_col="age", class_mode="other", target_size=(4, 4))
    assert flow.samples == 14 and 3 not in flow.labels.tolist() and flow.class_mode == "raw"


def test_training_on_folders(folder, capsys):
    generator = ours.ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, validation_split=0.4)
    more = {"target_size": (6, 6), "batch_size": 4}
    training = generator.flow_from_directory(folder, subset="training", **more)
    held_out = ours.ImageDataGenerator(rescale=1 / 255, validation_split=0.4).flow_from_directory(
        folder, subset="validation", shuffle=False, **more
    )
    model = kcore.Sequential([kcore.layers.Flatten(), kcore.layers.Dense(3, "softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(training, steps_per_epoch=training.samples // 4, epochs=3, validation_data=held_out, verbose=0)
    assert len(history.history["val_accuracy"]) == 3
    assert model.predict(held_out, verbose=0).shape == (held_out.samples, 3)
    assert model.evaluate(held_out, verbose=0)[1] == pytest.approx(history.history["val_accuracy"][-1])
    kcore.config.disable_interactive_logging()
    try:
        capsys.readouterr()
        generator.flow_from_directory(folder)
        assert not capsys.readouterr().out
    finally:
        kcore.config.enable_interactive_logging()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"directory": "nowhere"}, FileNotFoundError, "directory 'nowhere' of images is not there"),
        ({"class_mode": "onehot"}, ValueError, "class_mode of a DirectoryIterator is one of 'categorical', .*'onehot'"),
        ({"color_mode": "bgr"}, ValueError, "color_mode is one of grayscale, rgb, rgba; received 'bgr'"),
        ({"subset": "all"}, ValueError, "subset is 'training' or 'validation', received 'all'"),
        ({"subset": "training"}, ValueError, "needs an ImageDataGenerator with a validation_split"),
        ({"classes": ["fish"]}, ValueError, "has no images in its folders fish; expected a folder per class"),
    ],
)
def test_bad_folders(folder, arguments, error, message):
    with pytest.raises(error, match=message):
        ours.ImageDataGenerator().flow_from_directory(**{"directory": folder, **arguments})


def test_folders_without_images(folder, tmp_path):
    with pytest.raises(ValueError, match="has no images in it, which has no folder for a class; expected a folder"):
        ours.ImageDataGenerator().flow_from_directory(tmp_path)
    with pytest.raises(ValueError, match="no images for subset='validation' in its folders birds, cats, dogs"):
        ours.ImageDataGenerator(validation_split=0.01).flow_from_directory(folder, subset="validation")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"class_mode": "one"}, ValueError, "class_mode of a DataFrameIterator is one of"),
        ({"y_col": "kind"}, ValueError, "the dataframe has no column 'kind', only 'filename', 'class'"),
        ({"x_col": "age"}, TypeError, "x_col='age' must be a column of names of files, found 0"),
        ({"y_col": "age"}, TypeError, "y_col='age' with class_mode='categorical' must be a column of strings, found 0"),
        ({"class_mode": "binary"}, ValueError, "class_mode='binary' needs two classes, there are 3: birds, cats, dogs"),
        ({"class_mode": "multi_output"}, TypeError, "needs y_col to be a list of columns, received 'class'"),
        ({"weight_col": "class"}, TypeError, "weight_col='class' must be a column of numbers"),
        ({"classes": ["fish"]}, ValueError, "none of the 15 rows of the dataframe is an image that can be used"),
        ({"nonsense": 1}, TypeError, r"flow_from_dataframe\(\) has no argument 'nonsense'"),
    ],
)
def test_bad_frames(folder, frame, arguments, error, message):
    with pytest.raises(error, match=message):
        ours.ImageDataGenerator().flow_from_dataframe(frame, folder, **arguments)


def test_old_arguments_of_frames(folder, frame):
    with pytest.warns(DeprecationWarning, match="has_ext has no effect"):
        ours.ImageDataGenerator().flow_from_dataframe(frame, folder, has_ext=True)
    with pytest.warns(UserWarning, match="classes is not used with class_mode='input'"):
        ours.ImageDataGenerator().flow_from_dataframe(frame, folder, class_mode="input", classes=["cats"])
