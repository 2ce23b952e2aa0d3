"""Stacked built-in cells run as a sequence of whole-sequence ops: what they give is what their steps give."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import layers, ops
from kcore.layers.recurrent.stacked_cells import StackedRNNCells
from kcore.runtime import GradientTape

rng = np.random.default_rng(3)
X = rng.standard_normal((3, 5, 4)).astype("float32")
MASK = np.array([[0, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


class Stepwise(StackedRNNCells):
    """Stacked cells of another class, which are walked step by step."""


class DoubledCell(layers.SimpleRNNCell):
    """A cell whose step no op knows."""

    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training)
        return 2 * output, states


def cells(**options):
    return [
        layers.LSTMCell(3, **options),
        layers.GRUCell(4, reset_after=False, **options),
        layers.GRUCell(2, **options),
        layers.SimpleRNNCell(3, **options),
    ]


def twins(**options):
    """A layer that walks by ops, one that walks by steps, of the same weights."""
    kinds = (StackedRNNCells, Stepwise)
    made = [layers.RNN(kind(cells()), return_sequences=True, return_state=True, **options) for kind in kinds]
    for layer in made:
        layer.build(X.shape)
    made[1].set_weights(made[0].get_weights())
    assert [layer._is_ops(True) for layer in made] == [True, False]
    return made


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("options", [{}, {"zero_output_for_mask": True}])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_by_ops_as_by_steps(go_backwards, options, masked, given):
    results, starts = [], None
    if given:
        starts = [[np.full((3, 3), 0.3, "float32")] * 2, *([np.full((3, n), 0.2, "float32")] for n in (4, 2, 3))]
    for layer in twins(go_backwards=go_backwards, **options):
        with GradientTape() as tape:
            outputs, *states = layer(X, initial_state=starts, mask=MASK if masked else None)
            loss = ops.sum(outputs**2)
        grads = tape.gradient(loss, layer.trainable_variables)
        assert len(grads) == 12 and all(g is not None for g in grads)
        flat = [s for state in states for s in (state if isinstance(state, list | tuple) else [state])]
        results.append([np.asarray(a) for a in (outputs, *flat, *grads)])
    assert len(results[0]) == len(results[1])
    for by_ops, by_steps in zip(*results, strict=True):
        np.testing.assert_allclose(by_ops, by_steps, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "cell, by_op",
    [
        (lambda: layers.GRUCell(3, reset_after=False), True),
        (lambda: layers.LSTMCell(3, dropout=0.2), True),
        (lambda: layers.LSTMCell(3, recurrent_dropout=0.2), False),
        (lambda: layers.LSTMCell(3, activation="relu"), False),
        (lambda: layers.GRUCell(3, recurrent_activation="hard_sigmoid"), False),
        (lambda: DoubledCell(3), False),
        (lambda: layers.SimpleRNNCell(3, dtype="float64"), False),
    ],
    ids=["gru", "dropout", "recurrent_dropout", "activation", "gates", "own_call", "other_dtype"],
)
def test_only_what_an_op_computes_is_one(cell, by_op):
    layer = layers.RNN(cell())
    assert layer._is_ops(training=True) is by_op
    assert layer(X, training=True).shape == (3, 3)


def test_recurrent_dropout_is_no_matter_outside_of_training():
    layer = layers.LSTM(3, recurrent_dropout=0.5)
    assert layer._is_ops(training=False)
    steps = layers.RNN(Stepwise([layer.cell]))
    np.testing.assert_allclose(layer(X).numpy(), steps(X).numpy(), rtol=2e-5, atol=1e-6)


STACK = {"class_name": "StackedRNNCells", "config": {"name": "stack"}}


def _described(*cells):
    return {**STACK, "config": {"name": "stack", "cells": list(cells)}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_described(), "StackedRNNCells.*expected at least one cell"),
        (
            _described({"class_name": "Dense", "config": {"units": 3}}),
            r"needs 'state_size', but number 0 of 1 is .*Dense",
        ),
        (_described("LSTMCell"), "number 0 of 1 cells is 'LSTMCell', expected a configuration with 'class_name'"),
        (
            _described(
                {"class_name": "GRUCell", "config": {"units": 2}},
                {"class_name": "L2", "config": {"l2": 0.1}, "module": "keras.regularizers"},
            ),
            "may not name keras.regularizers.L2: one of keras.layers, .* is needed here",
        ),
        ({**STACK, "config": {"cells": {"class_name": "GRUCell"}}}, "expected the configurations of cells in a list"),
    ],
    ids=["none", "another layer", "a bare name", "a regularizer", "no list"],
)
def test_a_configuration_of_something_else_is_told(config, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layers.deserialize(config)


def test_cells_are_described_by_their_class_alone_as_in_keras_2():
    stack = layers.deserialize(_described({"class_name": "GRUCell", "config": {"units": 2}}))
    assert isinstance(stack.cells[0], layers.GRUCell)
