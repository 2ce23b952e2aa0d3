"""`ops.image.resize` beside Keras's, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.ops.image import INTERPOLATIONS

keras = pytest.importorskip("keras")


def images(*shape, dtype="float32"):
    values = np.random.default_rng(0).uniform(0, 255, shape)
    return values.astype(dtype)


def compare(x, size, tolerance=1e-5, **config):
    expected = keras.ops.image.resize(x, size, **config)
    got = ops.image.resize(x, size, **config).numpy()
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got.astype("float64") / 255, expected.astype("float64") / 255, atol=tolerance)


@pytest.mark.parametrize("size", [(5, 9), (2, 3), (6, 10), (3, 5), (1, 1), (7, 2)])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resize(interpolation, size):
    compare(images(2, 3, 5, 4), size, interpolation=interpolation)
    compare(images(2, 3, 5, 4), size, interpolation=interpolation, antialias=True)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resize_of_one_image_and_of_channels_first(interpolation):
    compare(images(3, 5, 4), (4, 4), interpolation=interpolation)
    compare(images(2, 4, 3, 5), (4, 4), interpolation=interpolation, data_format="channels_first")
    compare(images(4, 3, 5), (4, 4), interpolation=interpolation, data_format="channels_first")


@pytest.mark.parametrize("size", [(4, 8), (8, 4), (3, 3)])
def test_resize_keeps_the_ratio_by_cropping_or_padding(size):
    compare(images(2, 6, 7, 3), size, crop_to_aspect_ratio=True)
    compare(images(2, 6, 7, 3), size, pad_to_aspect_ratio=True, fill_value=9.0)
    compare(images(6, 7, 3), size, pad_to_aspect_ratio=True)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resize_keeps_the_dtype(interpolation, dtype):
    compare(images(2, 3, 5, 4, dtype=dtype), (5, 9), interpolation=interpolation, tolerance=5e-3)


def test_bytes_do_not_wrap_where_bicubic_overshoots():
    x = np.array([0, 0, 255, 255], "uint8").reshape(1, 4, 1, 1)
    y = ops.image.resize(x, (16, 1), interpolation="bicubic").numpy().ravel()
    assert (np.diff(y.astype(int)) >= 0).all() and y.min() == 0 and y.max() == 255


@pytest.mark.parametrize(
    "shape, size, config, said",
    [
        ((2, 3), (4, 4), {}, r"expected an image \(rank 3\) or a batch of them \(rank 4\); received shape \(2, 3\)"),
        ((2, 3, 3, 1), (4, 0), {}, r"expected size to be two positive integers .* received \(4, 0\)"),
        ((2, 0, 3, 1), (4, 4), {}, "there is nothing to resize in"),
        ((2, 3, 3, 1), 4, {}, "expected size to be two positive integers"),
        ((2, 3, 3, 1), (4, 4), {"interpolation": "area"}, "expected interpolation to be one of .* received 'area'"),
        ((2, 3, 3, 1), (4, 4), {"fill_mode": "edge"}, "expected fill_mode to be 'constant'; received 'edge'"),
        (
            (2, 3, 3, 1),
            (4, 4),
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
            "only one of crop_to_aspect_ratio and pad_to_aspect_ratio",
        ),
    ],
)
def test_resize_names_what_it_refuses(shape, size, config, said):
    with pytest.raises(ValueError, match=f"resize: {said}"):
        ops.image.resize(np.ones(shape, "float32"), size, **config)
