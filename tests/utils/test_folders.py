"""Data sets of files in folders: which files, in which order, with which labels, and what is read.

The order of shuffled files and the resized images were compared with Keras 3.15.1 on TensorFlow once; what came of that
is written down here.
"""

from __future__ import annotations

import sys
import wave

import numpy as np
import pytest
from PIL import Image

import kcore
from kcore import layers, ops, utils
from kcore.errors import MissingExtraError


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs", "eels"):
        (tmp_path / name / "more").mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 255, (6 + i, 9 - i, 3)).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / name / ("more" if i == 3 else "") / f"{i}.png")
    (tmp_path / "dogs" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def made(folder, **options):
    return utils.image_dataset_from_directory(folder, **{"image_size": (5, 4), "verbose": False, **options})


def names(data, folder):
    return [path[len(str(folder)) + 1 :] for path in data.file_paths]


def whole(data):
    parts = list(data)
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(x) for x in zip(*parts, strict=True))
    return np.concatenate(parts)


def test_files_in_order(images, capsys):
    data = utils.image_dataset_from_directory(images, image_size=5, shuffle=False, batch_size=5)
    assert capsys.readouterr().out == "Found 12 files belonging to 3 classes.\n"
    assert data.class_names == ["cats", "dogs", "eels"] and len(data) == 3
    assert names(data, images)[:5] == ["cats/0.png", "cats/1.png", "cats/2.png", "cats/more/3.png", "dogs/0.png"]
    x, y = whole(data)
    assert x.shape == (12, 5, 5, 3) and x.dtype == "float32" and y.dtype == "int32"
    assert y.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert [len(x) for x, _ in data] == [5, 5, 2]


def test_a_split_has_keras_s_files_on_either_side(images):
    options = {"seed": 3, "validation_split": 0.3}
    train, validation = made(images, subset="both", **options)
    expected = ["eels/0.png", "eels/1.png", "eels/2.png"]
    assert sorted(names(validation, images)) == expected
    assert not set(train.file_paths) & set(validation.file_paths) and len(train.file_paths) == 9
    for subset, data in (("training", train), ("validation", validation)):
        assert made(images, subset=subset, **options).file_paths == data.file_paths
    x, y = whole(validation)
    again, _ = whole(validation)
    np.testing.assert_array_equal(x, again)
    classes = [path.split("/")[0] for path in names(validation, images)]
    assert [validation.class_names[i] for i in y] == classes


def test_every_pass_is_shuffled_anew_and_can_be_repeated(images):
    data, same = (made(images, seed=1, batch_size=12) for _ in range(2))
    first, second = whole(data), whole(data)
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(np.sort(first[0].sum((1, 2, 3))), np.sort(second[0].sum((1, 2, 3))))
    np.testing.assert_array_equal(whole(same)[0], first[0])


@pytest.mark.parametrize(
    ("mode", "expected"), [("int", [0, 1]), ("categorical", [[1, 0], [0, 1]]), ("binary", [[0], [1]]), (None, None)]
)
def test_label_modes(mode, expected, images):
    names = ["dogs", "cats"] if mode else None
    data = made(images, label_mode=mode, class_names=names, batch_size=8, shuffle=False)
    batch = whole(data)
    if mode is None:
        assert batch.shape == (12, 5, 4, 3)
    else:
        np.testing.assert_array_equal(batch[1][[0, -1]], expected)
        assert batch[1].dtype == ("int32" if mode == "int" else "float32")
        assert data.class_names == ["dogs", "cats"]


def test_labels_of_ones_own_and_none(images):
    data = made(images / "cats", labels=[3, 1, 1, 3], shuffle=False)
    assert data.class_names == ["1", "3"] and whole(data)[1].tolist() == [3, 1, 1, 3]
    none = made(images, labels=None, shuffle=False, batch_size=None)
    assert none.class_names is None and len(none) == 12 and next(iter(none)).shape == (5, 4, 3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "lanczos3"])
@pytest.mark.parametrize("crop", [False, True])
def test_images_are_resized_as_ops_do(interpolation, crop, images):
    data = made(images, interpolation=interpolation, crop_to_aspect_ratio=crop, shuffle=False, batch_size=12)
    x, _ = whole(data)
    for path, image in zip(data.file_paths, x, strict=True):
        pixels = np.asarray(Image.open(path), "float32")
        expected = ops.image.resize(pixels, (5, 4), interpolation, crop_to_aspect_ratio=crop)
        np.testing.assert_allclose(image, expected.numpy(), rtol=1e-4, atol=1e-3)


def test_padding_colours_and_layout(images):
    x, _ = whole(made(images, pad_to_aspect_ratio=True, shuffle=False, image_size=(8, 4)))
    # 6 x 9 fits in as 2 x 4, between rows of zeros
    assert not x[0, [0, 1, 4, 5, 6, 7]].any() and x[0, 2:4].all()
    gray, _ = whole(made(images, color_mode="grayscale", data_format="channels_first"))
    assert gray.shape == (12, 1, 5, 4)
    assert whole(made(images, color_mode="rgba"))[0][..., 3].min() == 255


def test_a_model_is_trained_on_it(images):
    train, validation = made(images, subset="both", seed=1, validation_split=0.25, batch_size=4)
    model = kcore.Sequential([kcore.Input((5, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)])
    model.compile("adam", kcore.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = model.fit(train, validation_data=validation, epochs=2, verbose=0).history
    assert len(history["val_accuracy"]) == 2
    assert model.predict(made(images, labels=None), verbose=0).shape == (12, 3)
    scale = layers.Normalization()
    scale.adapt(train)
    assert scale.adapt_mean.shape == (3,)


def test_texts(tmp_path):
    for name, text in (("bad/1", "so bad"), ("bad/2", "awful é"), ("good/1", "so good")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    data = utils.text_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    ((x, y),) = list(data)
    assert x.tolist() == ["so bad", "awful é", "so good"] and y.tolist() == [0, 0, 1]
    short = utils.text_dataset_from_directory(tmp_path, labels=None, max_length=7, shuffle=False, verbose=False)
    assert next(iter(short)).tolist() == ["so bad", "awful ", "so good"]
    vectorize = layers.TextVectorization(output_sequence_length=3)
    vectorize.adapt(data.map(lambda x, y: x))
    assert vectorize.get_vocabulary()[:3] == ["", "[UNK]", "so"]
    tokens = data.map(lambda x, y: (vectorize(x), y), num_parallel_calls=4)
    model = kcore.Sequential(
        [kcore.Input((3,), dtype="int32"), layers.Embedding(8, 2), layers.Flatten(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(tokens, verbose=0)


def tone(path, samples, width=2, rate=8000, channels=1):
    values = np.linspace(-1, 1, samples * channels)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        if width == 1:
            file.writeframes(((values + 1) * 127.5).round().astype("uint8").tobytes())
        else:
            whole = (values * (2**31 - 1)).astype("<i4").view("uint8").reshape(-1, 4)
            file.writeframes(np.ascontiguousarray(whole[:, 4 - width :]).tobytes())


def test_sounds(tmp_path):
    for name, samples in (("a", 5), ("b", 8)):
        (tmp_path / name).mkdir()
        tone(tmp_path / name / "x.wav", samples)
    ((x, y),) = list(utils.audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False))
    assert x.shape == (2, 8, 1) and x.dtype == "float32" and y.tolist() == [0, 1]
    np.testing.assert_allclose(x[1, :, 0], np.linspace(-1, 1, 8), atol=1e-4)
    assert not x[0, 5:].any()
    fixed = utils.audio_dataset_from_directory(tmp_path, output_sequence_length=6, shuffle=False, verbose=False)
    assert next(iter(fixed))[0].shape == (2, 6, 1)
    with pytest.raises(ValueError, match="has 8000 samples in a second, not 16000"):
        list(utils.audio_dataset_from_directory(tmp_path, sampling_rate=16000, verbose=False))
    with pytest.raises(ValueError, match="ragged=True is not supported"):
        utils.audio_dataset_from_directory(tmp_path, ragged=True)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_widths_of_samples(width, tmp_path):
    tone(tmp_path / "x.wav", 6, width, channels=2)
    x = next(iter(utils.audio_dataset_from_directory(tmp_path, labels=None, verbose=False)))
    np.testing.assert_allclose(x[0].ravel(), np.linspace(-1, 1, 12), atol=0.01 if width == 1 else 1e-4)
    (tmp_path / "y.wav").write_bytes(b"RIFFnone")
    with pytest.raises(ValueError, match="is no WAV file of integers"):
        list(utils.audio_dataset_from_directory(tmp_path, labels=None, verbose=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "guess"}, "labels='guess'"),
        ({"labels": [1, 2]}, "labels must be 12 integers, one for each file"),
        ({"label_mode": "hot"}, "label_mode='hot'"),
        ({"label_mode": "binary"}, "needs two classes, found"),
        ({"class_names": ["cats", "cows"]}, "class_names has cows, but the folders are cats, dogs, eels"),
        ({"labels": None, "class_names": ["cats"]}, "class_names go with labels='inferred'"),
        ({"color_mode": "bw"}, "color_mode='bw'"),
        ({"image_size": (1, 2, 3)}, "expected two positive integers"),
        ({"interpolation": "area"}, "interpolation='area'"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "exclude each other"),
        ({"validation_split": 0.5}, "give both, the subset as"),
        ({"validation_split": 2, "subset": "training"}, "expected a number between 0 and 1"),
        ({"validation_split": 0.5, "subset": "training"}, "needs a seed"),
        ({"validation_split": 0.01, "subset": "validation", "seed": 1}, "no validation files in"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_messages(options, message, images):
    with pytest.raises(ValueError, match=f"image_dataset_from_directory: .*{message}"):
        made(images, **options)


def test_what_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="there is no folder"):
        made(tmp_path / "none")
    with pytest.raises(ValueError, match="no files in .*; their names would end with .bmp"):
        made(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r'pip install "kcore\[images\]"'):
        made(tmp_path)
    assert kcore.preprocessing.image_dataset_from_directory is utils.image_dataset_from_directory
