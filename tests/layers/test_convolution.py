"""Transposed, depthwise and separable convolutions beside Keras's, in both layouts."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, keras, same

from kcore import layers, ops


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"strides": 2},
        {"strides": 3, "output_padding": 1},
        {"strides": (2, 3), "output_padding": (0, 2)},
        {"dilation_rate": 2},
        {"kernel_size": (1, 4), "strides": 2, "use_bias": False, "activation": "relu"},
    ],
)
def test_conv2d_transpose(padding, config):
    same("Conv2DTranspose", array((2, 4, 3, 3)), 5, **{"kernel_size": 3, "padding": padding, **config})


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("config", [{"strides": 2}, {"strides": 4, "output_padding": 3}, {"dilation_rate": 3}])
def test_conv1d_and_3d_transpose(padding, config):
    same("Conv1DTranspose", array((2, 5, 3)), 4, 3, padding=padding, **config)
    same("Conv3DTranspose", array((1, 2, 3, 2, 2)), 3, 2, padding=padding, **config)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_sizes_of_transposed_convolutions_are_keras_s(padding):
    for size, k, strides, extra, spread in [
        (1, 1, 3, None, 1),
        (1, 2, 2, 0, 1),
        (5, 2, 3, 2, 1),
        (5, 4, 2, 1, 1),
        (2, 3, 1, 0, 2),
    ]:
        config = {"strides": strides, "output_padding": extra, "dilation_rate": spread, "padding": padding}
        x, kernel = array((2, size, 3)), array((k, 2, 3), 1)
        expected = keras.ops.conv_transpose(x, kernel, **config)
        got = ops.conv_transpose(x, kernel, **config).numpy()
        assert got.shape == expected.shape, f"kernel {k}, size {size}, {config}"
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5, err_msg=f"kernel {k}, size {size}, {config}")


@pytest.mark.parametrize("padding", ["valid", "SAME"])
@pytest.mark.parametrize(
    "config",
    [{}, {"strides": 2}, {"dilation_rate": 2}, {"depth_multiplier": 3}, {"use_bias": False, "activation": "relu"}],
)
def test_depthwise_conv(padding, config):
    same("DepthwiseConv2D", array((2, 7, 8, 4)), 3, padding=padding, **config)


def test_depthwise_conv1d():
    same("DepthwiseConv1D", array((2, 9, 4)), 2, padding="same", depth_multiplier=2)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "config",
    [{}, {"strides": 2}, {"dilation_rate": 2}, {"depth_multiplier": 3}, {"use_bias": False, "activation": "relu"}],
)
def test_separable_conv(padding, config):
    same("SeparableConv2D", array((2, 7, 8, 4)), 5, 3, padding=padding, **config)


def test_separable_conv1d():
    same("SeparableConv1D", array((2, 9, 4)), 5, 2, padding="same", depth_multiplier=2)


@pytest.mark.parametrize(
    "name, args, size",
    [
        ("Conv1D", (3, 2), (5,)),
        ("Conv3D", (3, 2), (4, 3, 4)),
        ("Conv1DTranspose", (3, 2, 2), (5,)),
        ("Conv2DTranspose", (3, 2, 2), (5, 3)),
        ("Conv3DTranspose", (3, 2, 2), (2, 3, 2)),
        ("DepthwiseConv1D", (2,), (5,)),
        ("DepthwiseConv2D", (2,), (5, 4)),
        ("SeparableConv1D", (3, 2), (5,)),
        ("SeparableConv2D", (3, 2), (5, 4)),
    ],
)
def test_channels_first_is_the_other_layout_moved(name, args, size):
    """Keras's NumPy engine has no kernels for it, so the reference is the layer in the other layout."""
    make = getattr(layers, name)
    last = make(*args, activation="tanh", data_format="channels_last", bias_initializer="ones")
    first = make(*args, activation="tanh", data_format="channels_first", bias_initializer="ones")
    x = array((2, *size, 4))
    expected = last(x).numpy()
    moved = np.moveaxis(x, -1, 1)
    first.build(moved.shape)
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(np.moveaxis(first(moved).numpy(), 1, -1), expected, rtol=1e-5, atol=1e-5)
    assert first.compute_output_shape((None, *moved.shape[1:])) == (None, expected.shape[-1], *expected.shape[1:-1])


def test_sizes_that_are_not_known_stay_so():
    assert layers.Conv2DTranspose(4, 3, strides=2)(layers.Input((None, 5, 3))).shape == (None, None, 11, 4)
    assert layers.DepthwiseConv2D(3)(layers.Input((None, 5, 3))).shape == (None, None, 3, 3)
    assert layers.SeparableConv1D(4, 3, padding="same")(layers.Input((None, 3))).shape == (None, None, 4)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=2), r"output_padding=\(2, 2\) must be below"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, dilation_rate=2), "only one of them may be above 1"),
        (lambda: layers.Conv2DTranspose(4, 3, padding="causal"), "argument padding='causal': expected one of 'valid'"),
        (lambda: layers.Conv2DTranspose(0, 3), "argument filters=0: expected a positive integer"),
        (lambda: layers.Conv1DTranspose(4, 0), "argument kernel_size: expected a positive integer"),
        (
            lambda: layers.Conv1DTranspose(4, 2, output_padding=-1),
            "argument output_padding: expected a integer|expected",
        ),
        (
            lambda: layers.DepthwiseConv2D((3, 3, 3)),
            "argument kernel_size: expected a positive integer or a tuple of 2",
        ),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "argument depth_multiplier=0: expected a positive"),
        (lambda: layers.SeparableConv1D(4, 2, padding="causal"), "argument padding='causal': expected one of 'valid'"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "only Conv1D can be causal"),
        (lambda: layers.Conv2D(4, 3, groups=3), "filters=4 cannot be split into groups=3"),
        (lambda: layers.Conv2D(4, 3, padding=1), "argument padding=1: expected one of 'valid'"),
    ],
)
def test_arguments_out_of_range_are_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    "name, args", [("Conv2DTranspose", (4, 3)), ("DepthwiseConv2D", (3,)), ("SeparableConv2D", (4, 3))]
)
def test_inputs_that_do_not_fit_are_named(name, args):
    layer = getattr(layers, name)(*args, name="window")
    with pytest.raises(ValueError, match=rf"'window' \({name}\): the input has shape \(2, 5, 3\).*expected rank 4"):
        layer(np.ones((2, 5, 3), "float32"))
    with pytest.raises(
        ValueError, match=rf"'window' \({name}\): the number of channels, axis -1 of the input .* known"
    ):
        layer(layers.Input((5, 5, None)))
    layer(np.ones((2, 5, 5, 3), "float32"))
    with pytest.raises(ValueError, match=rf"'window' \({name}\): .*expected size 3 along axis -1, got 4"):
        layer(np.ones((2, 5, 5, 4), "float32"))


def test_windows_larger_than_the_input_are_named():
    with pytest.raises(ValueError, match="window does not fit: it covers 5 elements of spatial axis 0, which has 3"):
        layers.DepthwiseConv1D(5)(np.ones((2, 3, 4), "float32"))


def test_mixed_policies_keep_weights_wide():
    for layer in (
        layers.Conv2DTranspose(2, 2, dtype="mixed_float16"),
        layers.SeparableConv2D(2, 2, dtype="mixed_float16"),
    ):
        assert layer(array((1, 3, 3, 2))).dtype == "float16"
        assert {w.dtype for w in layer.weights} == {"float32"}


@pytest.mark.parametrize(
    "op, shapes, said",
    [
        (ops.conv_transpose, [(2, 5, 3), (2, 4, 2)], r"takes 2 input channels; received inputs of shape \(2, 5, 3\)"),
        (ops.conv_transpose, [(2, 5, 3), (2, 2, 4, 3)], "inputs and a kernel of one rank of at least 3"),
    ],
)
def test_conv_transpose_names_what_does_not_fit(op, shapes, said):
    with pytest.raises(ValueError, match=f"conv_transpose: .*{said}"):
        op(*(np.ones(s, "float32") for s in shapes))
    x, kernel = np.ones((2, 5, 3), "float32"), np.ones((2, 4, 3), "float32")
    with pytest.raises(ValueError, match=r"output_padding to be from 0 to below strides=\(2,\); received 2"):
        ops.conv_transpose(x, kernel, strides=2, output_padding=2)
    with pytest.raises(ValueError, match="expected padding 'valid' or 'same'; received 'full'"):
        ops.conv_transpose(x, kernel, padding="full")
