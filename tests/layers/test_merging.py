"""Dot beside Keras's, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, keras, same

import kcore
from kcore import layers


@pytest.mark.parametrize(
    "first, second, axes",
    [
        ((2, 3), (2, 3), 1),
        ((2, 3), (2, 3), -1),
        ((2, 3, 5), (2, 10, 3), (1, 2)),
        ((2, 3, 5), (2, 5), (2, 1)),
        ((2, 5), (2, 3, 5), (1, 2)),
        ((2, 3, 5), (2, 4, 5), -1),
        ((2, 3, 4, 5), (2, 5, 6), (-1, 1)),
        ((2, 3, 4, 5), (2, 6, 3, 7), (1, 2)),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(first, second, axes, normalize):
    same("Dot", ([array(first), array(second, 1)],), axes, normalize=normalize)


def test_dot_function_and_unknown_sizes():
    x, y = array((2, 3)), array((2, 3), 1)
    np.testing.assert_allclose(layers.dot([x, y], axes=1), keras.layers.dot([x, y], axes=1), rtol=1e-6)
    a, b = layers.Input((None, 4)), layers.Input((None, 4))
    assert layers.dot([a, b], axes=2).shape == (None, None, None)


def test_dot_drops_masks():
    a = layers.Embedding(5, 4, mask_zero=True)(array((2, 3), dtype="int32"))
    assert a._keras_mask is not None
    assert layers.Dot(2)([a, a])._keras_mask is None


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
def test_masked_inputs_give_the_values_and_the_mask_that_keras_gives(name, masked):
    def outputs(module):
        ids = [module.Input((4,), dtype="int32") for _ in masked]
        tables = [module.layers.Embedding(6, 3, mask_zero=m) for m in masked]
        vectors = [table(i) for table, i in zip(tables, ids, strict=True)]
        joined = getattr(module.layers, name)()(vectors)
        model = module.Model(ids, [joined, module.layers.GlobalAveragePooling1D()(joined)])
        for seed, table in enumerate(tables):
            table.set_weights([array((6, 3), seed)])
        return [np.asarray(x) for x in model([np.array([[1, 2, 0, 0], [3, 0, 4, 5]]), np.array([[1, 0, 2, 0]] * 2)])]

    for mine, theirs in zip(outputs(kcore), outputs(keras), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_masks_reach_every_further_axis():
    x = layers.Masking()(np.array([[[1.0], [0.0]], [[2.0], [3.0]]], "float32"))
    pictures = layers.TimeDistributed(layers.Reshape((1, 1)))(x)
    assert layers.Multiply()([pictures, pictures]).numpy().ravel().tolist() == [1, 0, 4, 9]
    assert layers.Maximum()([pictures, pictures]).numpy().ravel().tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize(
    "axes, shapes, said",
    [
        (1, [(2, 3), (2, 4)], r"axes=1: axis 1 of the first input is 3, axis 1 of the second 4: expected equal sizes"),
        (0, [(2, 3), (2, 3)], r"axes=0: expected for each input one of its axes beside the batch"),
        (2, [(2, 3), (2, 3)], r"axes=2: expected for each input .* got inputs of shapes \(2, 3\) and \(2, 3\)"),
        (1, [(2, 3)], "expected two inputs, got 1"),
        (1, [(2, 3)] * 3, "expected two inputs, got 3"),
    ],
)
def test_dot_names_axes_and_shapes_that_do_not_fit(axes, shapes, said):
    with pytest.raises(ValueError, match=rf"'both' \(Dot\): {said}"):
        layers.Dot(axes, name="both")([np.ones(s, "float32") for s in shapes])


def test_dot_refuses_axes_of_another_form():
    with pytest.raises(TypeError, match="Dot: argument axes='a': expected an integer or a pair"):
        layers.Dot("a")
    with pytest.raises(ValueError, match=r"Dot: argument axes=\(1, 2, 3\): expected an integer or a pair"):
        layers.Dot((1, 2, 3))


def test_dot_needs_a_list():
    with pytest.raises(ValueError, match=r"'dot' \(Dot\): expected a list of"):
        layers.Dot(1)(np.ones((2, 3), "float32"))
