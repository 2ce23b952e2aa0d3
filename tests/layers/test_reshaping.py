"""Permute, RepeatVector, ZeroPadding, Cropping and UpSampling beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, keras, same

from kcore import layers

FORMATS = ["channels_last", "channels_first"]


@pytest.mark.parametrize("dims, shape", [((2, 1), (2, 3, 4)), ((3, 1, 2), (2, 3, 4, 5)), ((1,), (2, 3))])
def test_permute(dims, shape):
    same("Permute", array(shape), dims)
    same("Permute", array(shape, dtype="int32"), dims)


@pytest.mark.parametrize("dims", [(0, 1), (2, 3), (1, 1), (), 3])
def test_permute_refuses_what_is_no_order(dims):
    with pytest.raises(ValueError, match="Permute: argument dims=.*: expected an order of the axes 1, 2"):
        layers.Permute(dims)


def test_repeat_vector():
    same("RepeatVector", array((2, 3)), 4)
    with pytest.raises(ValueError, match="RepeatVector: argument n=0: expected a positive integer"):
        layers.RepeatVector(0)
    with pytest.raises(ValueError, match=r"'again' \(RepeatVector\).*expected rank 2, got rank 3"):
        layers.RepeatVector(2, name="again")(np.ones((2, 3, 4), "float32"))


@pytest.mark.parametrize("padding", [1, (0, 2), 0])
def test_zero_padding1d(padding):
    same("ZeroPadding1D", array((2, 3, 4)), padding)
    same("ZeroPadding1D", array((2, 3, 4)), padding, data_format="channels_first")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("padding", [2, (1, 0), ((0, 1), (2, 3)), (1, (0, 2))])
def test_zero_padding2d(padding, data_format):
    same("ZeroPadding2D", array((2, 3, 4, 5)), padding, data_format=data_format)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("padding", [1, (1, 0, 2), ((0, 1), (2, 3), (0, 0))])
def test_zero_padding3d(padding, data_format):
    same("ZeroPadding3D", array((2, 3, 4, 2, 3)), padding, data_format=data_format)


@pytest.mark.parametrize("cropping", [1, (0, 2), 0, (2, 0)])
def test_cropping1d(cropping):
    same("Cropping1D", array((2, 5, 4)), cropping)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("cropping", [1, (1, 0), ((0, 1), (2, 1)), 0])
def test_cropping2d(cropping, data_format):
    same("Cropping2D", array((2, 5, 6, 5)), cropping, data_format=data_format)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("cropping", [1, (1, 0, 1), ((0, 1), (2, 0), (0, 0))])
def test_cropping3d(cropping, data_format):
    same("Cropping3D", array((2, 4, 5, 3, 4)), cropping, data_format=data_format)


@pytest.mark.parametrize("name", ["ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D"])
def test_defaults_are_keras_s(name):
    assert (
        getattr(layers, name)().get_config()[("padding", "cropping")["Crop" in name]]
        == (getattr(keras.layers, name)().get_config()[("padding", "cropping")["Crop" in name]])
    )


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("ZeroPadding1D", (1, 2, 3), r"argument padding=\(1, 2, 3\): expected a non-negative integer, or a pair"),
        ("ZeroPadding2D", (1, 2, 3), r"argument padding=\(1, 2, 3\): .* expected 2 entries, got 3"),
        ("ZeroPadding2D", -1, r"argument padding=-1: expected a non-negative integer"),
        ("Cropping3D", ((1, 2), 1), r"argument cropping=\(\(1, 2\), 1\): .* expected 3 entries, got 2"),
        ("Cropping2D", ((1, 2, 3), 1), "argument cropping=.*tuple of 2"),
        ("Cropping1D", "all", "argument cropping='all'"),
    ],
)
def test_margins_of_another_form_are_named(name, value, said):
    with pytest.raises(ValueError, match=f"{name}: {said}"):
        getattr(layers, name)(value)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 2, 4)])
def test_cropping_more_than_there_is(shape):
    with pytest.raises(
        ValueError, match=r"'cut' \(Cropping1D\): cropping \(1, 2\) leaves nothing of axis 1, which has"
    ):
        layers.Cropping1D((1, 2), name="cut")(np.ones(shape, "float32"))
    with pytest.raises(ValueError, match="leaves nothing of axis 1"):
        layers.Cropping1D((1, 2))(layers.Input(shape[1:]))


def test_sizes_that_are_not_known_stay_so():
    assert layers.ZeroPadding2D(1)(layers.Input((None, 4, 3))).shape == (None, None, 6, 3)
    assert layers.Cropping2D(((0, 1), (1, 0)))(layers.Input((None, 4, 3))).shape == (None, None, 3, 3)
    assert layers.UpSampling2D(2)(layers.Input((None, 4, 3))).shape == (None, None, 8, 3)
    assert layers.UpSampling2D(2, interpolation="bilinear")(layers.Input((None, 4, 3))).shape == (None, None, 8, 3)


@pytest.mark.parametrize("name", ["ZeroPadding2D", "Cropping2D", "UpSampling2D"])
def test_another_rank_is_refused(name):
    with pytest.raises(ValueError, match=rf"\({name}\): the input has shape \(2, 3, 4\).*expected rank 4, got rank 3"):
        getattr(layers, name)()(np.ones((2, 3, 4), "float32"))


@pytest.mark.parametrize("size", [1, 3])
def test_up_sampling1d(size):
    same("UpSampling1D", array((2, 3, 4)), size)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("size", [2, (3, 1)])
@pytest.mark.parametrize("data_format", FORMATS)
def test_up_sampling2d(size, interpolation, data_format):
    same("UpSampling2D", array((2, 3, 4, 5)), size, interpolation=interpolation, data_format=data_format)


@pytest.mark.parametrize("data_format", FORMATS)
def test_up_sampling3d(data_format):
    same("UpSampling3D", array((2, 2, 3, 2, 3)), (2, 1, 3), data_format=data_format)


def test_up_sampling_refuses_what_it_cannot():
    with pytest.raises(ValueError, match="UpSampling2D: argument interpolation='linear': expected one of 'nearest'"):
        layers.UpSampling2D(interpolation="linear")
    with pytest.raises(ValueError, match=r"UpSampling2D: argument size=\(2, 0\): expected a positive integer"):
        layers.UpSampling2D((2, 0))
