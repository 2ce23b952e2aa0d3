"""The forty models beside Keras's: layers, weights, settings, addresses, values, files both ways."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

import kcore
from kcore import applications
from kcore.applications import assembly
from kcore.runtime.loading import loading

#: Keras's arrays do not know NumPy 2's argument `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("describing", HERE / "describing.py")
assert spec is not None and spec.loader is not None
describing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(describing)

#: What Keras 3.15.1 has; made by ``KERAS_BACKEND=jax python tests/applications/describing.py``.
RECORDED = json.loads((HERE / "keras_models.json").read_text(encoding="utf-8"))
SMALL = describing.SMALL


@pytest.fixture(autouse=True)
def fresh_names():
    kcore.backend.clear_session()


def unfilled(make, **arguments):
    """A model whose weights are all zero: to draw 350 million takes longer than all else."""
    with loading(sys.maxsize, ""):
        return make(**arguments)


def test_all_of_keras_s_names_are_there():
    assert set(RECORDED) == {n for n in dir(keras.applications) if n[0].isupper()}
    assert set(dir(keras.applications)) - set(applications.__all__) == {
        n for n in dir(keras.applications) if n.startswith("_")
    }
    for name in (n for n in dir(keras.applications) if n[0].islower()):
        theirs = {n for n in dir(getattr(keras.applications, name)) if not n.startswith("_")}
        assert theirs <= set(dir(getattr(applications, name)))


@pytest.mark.filterwarnings("ignore:MobileNet.* weights='imagenet' (is published|was learned)")
@pytest.mark.parametrize("name", RECORDED)
def test_layers_weights_and_settings_are_keras_s(name, monkeypatch):
    monkeypatch.setattr(assembly, "get_file", lambda *args, **options: "nowhere")
    monkeypatch.setattr(kcore.Model, "load_weights", lambda self, path: None)
    expected = {k: v for k, v in RECORDED[name]["top"].items() if k != "file"}
    assert describing.describe(getattr(applications, name)()) == expected


@pytest.mark.parametrize("name", SMALL)
def test_models_without_a_head_are_keras_s(name):
    expected = {k: v for k, v in RECORDED[name]["features"].items() if k != "file"}
    if name == "EfficientNetB0":  # with published weights there is a layer more
        expected = {**expected, "layers": expected["layers"] - 1, "names": None, "settings": None}
    made = describing.describe(unfilled(getattr(applications, name), weights=None, include_top=False, pooling="avg"))
    assert {k: None if expected[k] is None else v for k, v in made.items()} == expected


@pytest.mark.filterwarnings("ignore:MobileNet.* weights='imagenet' (is published|was learned)")
@pytest.mark.parametrize("name", RECORDED)
def test_published_weights_are_fetched_from_where_keras_has_them(name, monkeypatch):
    asked = []

    def get_file(fname, origin, cache_subdir, file_hash):
        asked.append([fname or origin.rpartition("/")[2], origin, file_hash])
        assert cache_subdir == "models"
        raise OSError("no network here")

    monkeypatch.setattr(assembly, "get_file", get_file)
    for top in (True, False):
        with pytest.raises(
            OSError, match=rf"{name}: weights='imagenet': no network here; or give its path as weights="
        ):
            getattr(applications, name)(include_top=top)
    assert asked == [RECORDED[name][kind]["file"] for kind in ("top", "features")]


@pytest.mark.parametrize("name", SMALL)
def test_small_models_compute_what_keras_computes(name):
    model = unfilled(describing.small, applications=applications, name=name)
    assert describing.describe(model) == RECORDED[name]["small"]
    describing.fill(model)
    values = model.predict(describing.picture(applications, name), verbose=0)[0, :7]
    expected = np.array(RECORDED[name]["values"])
    # float32, up to 270 layers in a row that keep the size of values: each adds about 1e-7 of it
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def forms(model, folder):
    """Files of a Keras model: weights of Keras 3, weights as they are published, the whole model."""
    model.save_weights(folder / "a.weights.h5")
    with h5py.File(folder / "published.h5", "w") as file:
        save_weights_to_hdf5_group(file, model)
        for attribute in ("backend", "keras_version"):  # the oldest of the published files have none
            file.attrs.pop(attribute, None)
    model.save(folder / "a.keras")
    return ["a.weights.h5", "published.h5", "a.keras"]


def exchanged(name, folder):
    """A Keras model's files are loaded here, and what is saved here by Keras, with the same outputs."""
    theirs = describing.small(keras.applications, name)
    describing.fill(theirs)
    x = describing.picture(keras.applications, name)
    expected = theirs.predict(x, verbose=0)
    near = {"rtol": 0, "atol": 1e-4 * np.abs(expected).max()}
    for file in forms(theirs, folder):
        kcore.backend.clear_session()
        model = describing.small(applications, name, weights=folder / file)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, **near)
    np.testing.assert_allclose(kcore.models.load_model(folder / "a.keras").predict(x, verbose=0), expected, **near)
    model.save_weights(folder / "b.h5")
    model.save(folder / "b.keras")
    keras.utils.clear_session()
    for back in (
        describing.small(keras.applications, name, weights=str(folder / "b.h5")),
        keras.models.load_model(folder / "b.keras"),
    ):
        for mine, other in zip(model.get_weights(), back.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_files_are_exchanged_with_keras(tmp_path):
    exchanged("MobileNet", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name != "MobileNet"])
def test_files_of_every_family_are_exchanged_with_keras(name, tmp_path):
    exchanged(name, tmp_path)


def test_statistics_of_a_normalization_come_from_the_file(tmp_path):
    """EfficientNet has one whose mean and variance are weights."""
    arguments = {"input_shape": (32, 32, 3), "include_top": False, "weights": None}
    theirs = keras.applications.EfficientNetB0(**arguments)
    norm = theirs.get_layer("normalization")
    norm.adapt_mean.assign([0.4, 0.5, 0.6])
    norm.adapt_variance.assign([0.1, 0.2, 0.3])
    with h5py.File(tmp_path / "published.h5", "w") as file:
        save_weights_to_hdf5_group(file, theirs)
    model = applications.EfficientNetB0(**{**arguments, "weights": tmp_path / "published.h5"})
    x = np.full((1, 32, 32, 3), 0.25, "float32")
    found = model.get_layer("normalization")(x).numpy()[0, 0, 0]
    np.testing.assert_allclose(found, (0.25 - np.array([0.4, 0.5, 0.6])) / np.sqrt([0.1, 0.2, 0.3]), rtol=1e-6)


def test_a_file_names_the_layers_that_applications_bring(tmp_path):
    """They are found by a process that has not imported `kcore.applications`."""
    import subprocess

    image = kcore.Input((2, 2, 3))
    x = applications.convnext.LayerScale(0.5, 3)(image)
    x = applications.inception_resnet_v2.CustomScaleLayer(0.25)([image, x])
    kcore.Model(image, x).save(tmp_path / "a.keras")
    code = (
        "import sys, numpy, kcore; assert 'kcore.applications' not in sys.modules;"
        f"m = kcore.models.load_model({str(tmp_path / 'a.keras')!r});"
        "print(m.predict(numpy.ones((1, 2, 2, 3)), verbose=0)[0, 0, 0].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1.125, 1.125, 1.125]"
    import keras.src.applications.inception_resnet_v2  # Keras finds them once they are imported

    back = keras.models.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(back.predict(np.ones((1, 2, 2, 3)), verbose=0), 1.125)
