"""A clone has the same layers, and weights of its own."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import layers
from kcore.models import Model, Sequential, clone_model


def functional():
    x = layers.Input((3,), name="x")
    return Model(x, layers.Add()([layers.Dense(4)(x), layers.Dense(4)(x)]), name="net")


def sequential():
    return Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(4)], name="net")


@pytest.mark.parametrize("build", [functional, sequential])
def test_a_clone_has_fresh_weights_of_its_own(build):
    model = build()
    copy = clone_model(model)
    assert type(copy) is type(model) and copy.name == "net" and not copy.compiled
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    assert not (copy.get_weights()[0] == model.get_weights()[0]).all()
    copy.set_weights(model.get_weights())
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(copy(x).numpy(), model(x).numpy())


def test_something_else_is_refused():
    with pytest.raises(ValueError, match="takes a model, received"):
        clone_model(layers.Dense(1))
