"""LeakyReLU, ELU, PReLU and Identity beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, build_alike, pair, same

from kcore import layers


@pytest.mark.parametrize("config", [{}, {"negative_slope": 0.5}, {"negative_slope": 0}])
def test_leaky_relu(config):
    same("LeakyReLU", array((4, 7)), **config)


def test_leaky_relu_takes_its_old_argument_with_a_warning():
    with pytest.warns(UserWarning, match="alpha is now called negative_slope"):
        layer = layers.LeakyReLU(alpha=0.1)
    assert layer.negative_slope == 0.1 and "alpha" not in layer.get_config()


@pytest.mark.parametrize("config", [{}, {"alpha": 0.5}])
def test_elu(config):
    same("ELU", array((4, 7)), **config)


@pytest.mark.parametrize("config", [{}, {"shared_axes": 1}, {"shared_axes": [1, 2]}, {"alpha_regularizer": "l2"}])
def test_prelu(config):
    same("PReLU", array((2, 3, 4, 5)), **config)


def test_prelu_checks_later_inputs_where_slopes_are_its_own():
    layer = layers.PReLU(shared_axes=[1])
    layer(np.ones((2, 3, 4), "float32"))
    assert layer(np.ones((2, 7, 4), "float32")).shape == (2, 7, 4)
    with pytest.raises(ValueError, match=r"'p_re_lu' \(PReLU\): the input has shape \(2, 3, 5\).*size 4 along axis 2"):
        layer(np.ones((2, 3, 5), "float32"))


@pytest.mark.parametrize("axes", [[0], [3], [-3]])
def test_prelu_refuses_shared_axes_that_are_not_there(axes):
    with pytest.raises(ValueError, match=r"'p_re_lu' \(PReLU\): shared_axes=.* must be axes of the input \(2, 3, 4\)"):
        layers.PReLU(shared_axes=axes)(np.ones((2, 3, 4), "float32"))


def test_slopes_below_zero_are_refused():
    with pytest.raises(ValueError, match="LeakyReLU: argument negative_slope=-1: expected a number between 0 and inf"):
        layers.LeakyReLU(-1)
    with pytest.raises(ValueError, match="negative_slope=None"):
        layers.LeakyReLU(None)


def test_identity_gives_structures_back():
    same("Identity", array((2, 3)))
    theirs, mine = pair("Identity")
    inputs = {"a": array((2, 3)), "b": array((1,))}
    build_alike(theirs, mine, inputs)
    assert mine(inputs).keys() == {"a", "b"}
    assert layers.Identity()(layers.Input((3,), dtype="int32")).dtype == "int32"
