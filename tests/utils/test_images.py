"""Image files, pictures and arrays beside Keras's; `Config`, too."""

from __future__ import annotations

import copy
import io
import pickle
import sys

import keras
import numpy as np
import pytest

from kcore import preprocessing, utils
from kcore.errors import MissingExtraError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("data_format", [None, "channels_first"])
def test_arrays_and_pictures(channels, scale, data_format):
    x = RNG.uniform(0, 255, (4, 5, channels)).astype("float32")
    given = x.transpose(2, 0, 1) if data_format else x
    mine = utils.array_to_img(given, data_format, scale)
    theirs = keras.utils.array_to_img(given, data_format, scale)
    assert mine.mode == theirs.mode
    np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))
    back = utils.img_to_array(mine, data_format)
    np.testing.assert_array_equal(back, keras.utils.img_to_array(theirs, data_format))
    assert back.dtype == "float32" and back.shape == given.shape


def test_gray_values_above_255_stay():
    x = np.array([[[0.0], [70000.0]]])
    assert utils.array_to_img(x, scale=False).mode == keras.utils.array_to_img(x, scale=False).mode == "I"


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("options", [{}, {"target_size": (3, 6)}, {"target_size": (6, 3), "keep_aspect_ratio": True}])
def test_files(color_mode, options, tmp_path):
    x = RNG.uniform(0, 255, (8, 10, 3))
    utils.save_img(tmp_path / "x.png", x, scale=False)
    for interpolation in ("nearest", "lanczos"):
        arguments = {"color_mode": color_mode, "interpolation": interpolation, **options}
        mine, theirs = (m.load_img(tmp_path / "x.png", **arguments) for m in (utils, keras.utils))
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))
    assert utils.load_img(io.BytesIO((tmp_path / "x.png").read_bytes())).size == (10, 8)
    if not options:
        np.testing.assert_array_equal(utils.img_to_array(utils.load_img(tmp_path / "x.png")), x.astype("uint8"))


def test_jpeg_has_no_transparency(tmp_path):
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        utils.save_img(tmp_path / "x.jpg", RNG.uniform(0, 255, (4, 4, 4)))
    assert utils.load_img(tmp_path / "x.jpg").mode == "RGB"


def test_smart_resize():
    x = RNG.uniform(0, 255, (2, 6, 9, 3)).astype("float32")
    got = preprocessing.image.smart_resize(x, (4, 3))
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, keras.preprocessing.image.smart_resize(x, (4, 3)), rtol=1e-4, atol=1e-2)
    assert preprocessing.image.load_img is utils.load_img


def test_messages(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"rank 3, got the shape \(2, 2\)"):
        utils.array_to_img(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="1, 3 or 4 channels, got 2"):
        utils.array_to_img(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="rank 2 or 3"):
        utils.img_to_array(np.zeros(2))
    utils.save_img(tmp_path / "x.png", np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="color_mode='blue'"):
        utils.load_img(tmp_path / "x.png", "blue")
    with pytest.raises(ValueError, match="interpolation='area'"):
        utils.load_img(tmp_path / "x.png", target_size=(1, 1), interpolation="area")
    with pytest.raises(TypeError, match="expected a path or an open file, got 3"):
        utils.load_img(3)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r'pip install "kcore\[images\]"'):
        utils.load_img(tmp_path / "x.png")


def test_config():
    mine, theirs = utils.Config(a=1, b="x"), keras.utils.Config(a=1, b="x")
    for config in (mine, theirs):
        config.c = 2
        config["d"] = 3
        config.update({"e": 4})
        assert config.pop("e") == 4
        assert (config.a, config["c"], config.get("z", 9), len(config), "d" in config) == (1, 2, 9, 4, True)
        config.freeze()
        assert config.frozen
        with pytest.raises(ValueError, match="frozen"):
            config.a = 5
        config.unfreeze()
        with pytest.raises(AttributeError):
            config.nothing  # noqa: B018
    assert mine.as_dict() == theirs.as_dict() and mine.to_json() == theirs.to_json() and list(mine) == list(theirs)
    assert repr(mine) == repr(theirs)
    with pytest.raises(AttributeError, match="did you mean 'rate'"):
        utils.Config(rate=1).rat  # noqa: B018
    mine.freeze()
    assert copy.deepcopy(mine).as_dict() == pickle.loads(pickle.dumps(mine)).as_dict() == mine.as_dict()
    assert copy.copy(mine).frozen
