"""The data sets, read from files of their layout and compared with what Keras makes of the same files."""

from __future__ import annotations

import gzip
import importlib
import os
import pickle
import zipfile

import keras
import numpy as np
import pytest

from kcore import datasets
from kcore.datasets import reading

RNG = np.random.default_rng(0)


def lists(count):
    made = np.empty(count, object)
    made[:] = [[int(w) for w in RNG.integers(1, 30, RNG.integers(2, 9))] for _ in range(count)]
    return made


NPZ = {
    "mnist": {
        "x_train": RNG.integers(0, 256, (6, 28, 28), np.uint8),
        "y_train": np.arange(6, dtype=np.uint8),
        "x_test": RNG.integers(0, 256, (2, 28, 28), np.uint8),
        "y_test": np.arange(2, dtype=np.uint8),
    },
    "imdb": {"x_train": lists(9), "y_train": np.arange(9) % 2, "x_test": lists(5), "y_test": np.arange(5) % 2},
    "reuters": {"x": lists(20), "y": np.arange(20)},
    "boston_housing": {"x": RNG.normal(size=(20, 13)), "y": RNG.normal(size=20)},
    "california_housing": {"x": RNG.normal(size=(700, 8)), "y": RNG.normal(size=700)},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with every file of the data sets."""
    tmp_path = tmp_path_factory.mktemp("cache")
    for name, arrays in NPZ.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    for part, count in (("train", 6), ("t10k", 3)):
        images = RNG.integers(0, 256, (count, 28, 28), np.uint8).tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes(range(count))))
    for folder, names, keys in (
        ("cifar-10", [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], ["labels"]),
        ("cifar-100", ["train", "test"], ["fine_labels", "coarse_labels"]),
    ):
        inner = (
            tmp_path
            / f"{folder}-python-target"
            / (f"{folder}-batches-py" if folder == "cifar-10" else f"{folder}-python")
        )
        inner.mkdir(parents=True)
        for name in names:
            rows = 10000 if folder == "cifar-10" else 4
            content = {k.encode(): RNG.integers(0, 10, rows).tolist() for k in keys}
            content[b"data"] = np.broadcast_to(RNG.integers(0, 256, (1, 3072), np.uint8), (rows, 3072))
            (inner / name).write_bytes(pickle.dumps(content))
    return tmp_path


@pytest.fixture
def files(cache, monkeypatch):
    """kcore and Keras find the folder's files in their cache."""

    def get_file(fname=None, origin=None, **options):
        name = {"cifar-10-batches-py-target": "cifar-10-python-target"}.get(fname, fname)
        assert origin.startswith("https://")
        return str(cache / os.path.basename(name))

    for name in datasets.__all__:
        monkeypatch.setattr(importlib.import_module(f"kcore.datasets.{name}"), "get_file", get_file)
        monkeypatch.setattr(importlib.import_module(f"keras.src.datasets.{name}"), "get_file", get_file)


def same(ours, theirs):
    for (x, y), (kx, ky) in zip(ours, theirs, strict=True):
        assert x.dtype == kx.dtype and x.shape == kx.shape
        assert x.tolist() == kx.tolist()
        assert y.dtype == ky.dtype and y.tolist() == ky.tolist()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mnist", {}),
        ("fashion_mnist", {}),
        ("cifar100", {}),
        ("cifar100", {"label_mode": "coarse"}),
        ("imdb", {}),
        ("imdb", {"num_words": 12, "skip_top": 5, "maxlen": 7, "seed": 3}),
        ("imdb", {"oov_char": None, "num_words": 12, "start_char": None, "index_from": 0}),
        ("reuters", {}),
        ("reuters", {"num_words": 12, "skip_top": 5, "maxlen": 7, "test_split": 0.3}),
        ("boston_housing", {}),
        ("boston_housing", {"test_split": 0.5, "seed": 1}),
        ("california_housing", {"version": "small"}),
        ("california_housing", {}),
    ],
)
def test_load_data_is_keras_s(files, name, options):
    same(getattr(datasets, name).load_data(**options), getattr(keras.datasets, name).load_data(**options))


def test_cifar10_is_keras_s(files):
    ours, theirs = datasets.cifar10.load_data(), keras.datasets.cifar10.load_data()
    for (x, y), (kx, ky) in zip(ours, theirs, strict=True):
        assert x.shape == kx.shape and x.dtype == kx.dtype
        assert np.array_equal(x, kx) and np.array_equal(y, ky)


def test_addresses_and_digests_are_keras_s(monkeypatch):
    asked: dict[str, list] = {"ours": [], "theirs": []}

    def recorder(who):
        def get_file(fname=None, origin=None, file_hash=None, cache_subdir="datasets", extract=False, **rest):
            asked[who].append((fname, origin, file_hash, os.path.normpath(cache_subdir), extract))
            raise FileNotFoundError

        return get_file

    calls = [(name, "load_data") for name in datasets.__all__]
    calls += [("imdb", "get_word_index"), ("reuters", "get_word_index")]
    for name, function in calls:
        for who, package in (("ours", "kcore.datasets"), ("theirs", "keras.src.datasets")):
            module = importlib.import_module(f"{package}.{name}")
            monkeypatch.setattr(module, "get_file", recorder(who))
            with pytest.raises(FileNotFoundError):
                getattr(module, function)()
    ours = {call for call in asked["ours"] if "ubyte" not in call[0]}
    assert ours == {call for call in asked["theirs"] if "ubyte" not in call[0]}
    fashion = next(call for call in asked["ours"] if "ubyte" in call[0])
    assert fashion[1:] == (reading.SERVER + fashion[0], None, os.path.join("datasets", "fashion-mnist"), False)


def test_reuters_topics_are_keras_s():
    assert datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()


class Payload:
    def __reduce__(self):
        return os.mkdir, (self.folder,)

    def __init__(self, folder):
        self.folder = folder


def evil_npz(path, folder):
    array = np.empty(1, object)
    array[0] = Payload(str(folder))
    np.savez(path, x=array, y=np.zeros(1))
    return path


def test_a_pickle_in_a_data_set_runs_nothing(tmp_path):
    path = evil_npz(tmp_path / "a.npz", tmp_path / "harm")
    with pytest.raises(ValueError, match=r"a.npz cannot be read as a data set: .*asks for posix.mkdir"):
        reading.read_npz(str(path))
    assert not (tmp_path / "harm").exists()
    np.load(path, allow_pickle=True)["x"]  # the payload is real
    assert (tmp_path / "harm").exists()


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"a.npz cannot be read as a data set: .*delete it to have it fetched again"):
        reading.read_npz(str(tmp_path / "a.npz"))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY")
    with pytest.raises(ValueError, match="b.npz cannot be read as a data set"):
        reading.read_npz(str(tmp_path / "b.npz"))
    (tmp_path / "batch").write_bytes(pickle.dumps({b"other": 1}))
    with pytest.raises(ValueError, match="batch is not a file of the CIFAR data sets"):
        reading.read_cifar(tmp_path / "batch", "labels")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.cifar100.load_data("rough"), "label_mode must be 'fine' or 'coarse', received 'rough'"),
        (lambda: datasets.boston_housing.load_data(test_split=1), r"test_split must lie in \[0, 1\), received 1"),
        (lambda: datasets.california_housing.load_data("huge"), "version must be 'small' or 'large', received 'huge'"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_fetched(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sequences_all_too_long(files):
    with pytest.raises(ValueError, match="no sequence is shorter than maxlen=1"):
        datasets.imdb.load_data(maxlen=1)
