"""Pooling beside Keras's: adaptive windows, volumes, layouts, padding, and the older names."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, keras, same

from kcore import layers

FORMATS = ["channels_last", "channels_first"]


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kind", ["Average", "Max"])
@pytest.mark.parametrize("size, target", [(7, 3), (6, 3), (3, 5), (5, 5), (4, 1)])
def test_adaptive_pooling1d(kind, size, target, data_format):
    same(f"Adaptive{kind}Pooling1D", array((2, size, size)), target, data_format=data_format)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kind", ["Average", "Max"])
@pytest.mark.parametrize("target", [3, (2, 5), (1, 4)])
def test_adaptive_pooling2d(kind, target, data_format):
    same(f"Adaptive{kind}Pooling2D", array((2, 6, 8, 5)), target, data_format=data_format)


@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_adaptive_pooling3d(kind):
    same(f"Adaptive{kind}Pooling3D", array((1, 4, 5, 3, 2)), (2, 3, 3))


def test_adaptive_pooling_of_unknown_sizes():
    assert layers.AdaptiveMaxPooling2D(3)(layers.Input((None, None, 4))).shape == (None, 3, 3, 4)


@pytest.mark.parametrize("size", [0, (2, 2, 2), "all", None])
def test_adaptive_pooling_refuses_other_sizes(size):
    with pytest.raises(ValueError, match="AdaptiveAveragePooling2D: argument output_size"):
        layers.AdaptiveAveragePooling2D(size)


def test_adaptive_pooling_names_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(AdaptiveMaxPooling1D\): the input has shape \(2, 3\).*expected rank 3"):
        layers.AdaptiveMaxPooling1D(2)(np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match=r"adaptive_max_pool: there is nothing to pool in inputs of shape \(2, 0, 3\)"):
        layers.AdaptiveMaxPooling1D(2)(np.ones((2, 0, 3), "float32"))


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_pooling_in_both_layouts(kind, padding, data_format):
    for rank, size in ((1, (6,)), (2, (5, 6)), (3, (4, 5, 3))):
        x = array((2, *size, 3) if data_format == "channels_last" else (2, 3, *size))
        same(f"{kind}Pooling{rank}D", x, 2, strides=1, padding=padding, data_format=data_format)
        same(f"{kind}Pooling{rank}D", x, 3, padding=padding, data_format=data_format)


@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_global_pooling_of_one_axis_and_of_volumes_in_both_layouts(kind):
    same(f"Global{kind}Pooling1D", array((2, 5, 3)), data_format="channels_first")
    same(f"Global{kind}Pooling3D", array((2, 3, 5, 4, 2)), keepdims=True, data_format="channels_first")


def test_global_average_pooling_leaves_masked_steps_out_in_the_other_layout():
    mask = np.array([[True, True, False], [True, False, False]])
    same("GlobalAveragePooling1D", array((2, 5, 3)), call={"mask": mask}, data_format="channels_first", keepdims=True)


@pytest.mark.parametrize(
    "name",
    sorted(n for n in dir(keras.layers) if "AvgPool" in n or "MaxPool" in n or "Convolution" in n),
)
def test_older_names_are_the_same_classes(name):
    assert getattr(layers, name).__name__ == getattr(keras.layers, name).__name__
    assert name in layers.__all__
    named = {"class_name": name, "config": {}, "module": "keras.layers", "registered_name": None}
    if "Global" in name:
        assert type(layers.deserialize(named)) is getattr(layers, name)


@pytest.mark.parametrize("name", ["MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D"])
def test_another_rank_is_refused(name):
    with pytest.raises(ValueError, match=rf"\({name}\): the input has shape \(2, 3, 4\).*expected rank 4"):
        getattr(layers, name)()(np.ones((2, 3, 4), "float32"))
