"""The summary is Keras's table."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "numpy")

from kcore import layers
from kcore.models import Model, Sequential


def text(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def chain(lib, sequential, built=True):
    first = [lib.Input((28, 28, 1))] if built else []
    return sequential(
        [*first, lib.Conv2D(4, 3, name="conv"), lib.Flatten(name="flat"), lib.Dense(10, name="logits")], name="net"
    )


def branches(lib, model_of):
    a, b = lib.Input((3,), name="a"), lib.Input((3,), name="b")
    shared = lib.Dense(4, name="shared")
    joined = lib.Add(name="joined")([shared(a), shared(b)])
    normal = lib.BatchNormalization(name="normal")(joined)
    return model_of([a, b], [lib.Dense(1, name="one")(normal), lib.Dense(2, name="two")(normal)], name="net")


@pytest.mark.parametrize("line_length", [None, 100])
def test_a_chain_prints_as_in_keras(line_length):
    import keras

    ours, theirs = chain(layers, Sequential), chain(keras.layers, keras.Sequential)
    assert text(ours, line_length=line_length) == text(theirs, line_length=line_length)


def test_an_unbuilt_model_prints_as_in_keras():
    import keras

    ours, theirs = chain(layers, Sequential, built=False), chain(keras.layers, keras.Sequential, built=False)
    assert text(ours) == text(theirs)


@pytest.mark.parametrize("options", [{}, {"line_length": 120}, {"show_trainable": True, "line_length": 120}])
def test_branches_print_as_in_keras(options):
    import keras

    assert text(branches(layers, Model), **options) == text(branches(keras.layers, keras.Model), **options)


def test_inner_models_print_as_in_keras():
    import keras

    def build(lib, sequential):
        inner = sequential([lib.Input((3,)), lib.Dense(2, name="deep")], name="inner")
        return sequential([lib.Input((3,)), inner, lib.Dense(1, name="top")], name="outer")

    ours, theirs = build(layers, Sequential), build(keras.layers, keras.Sequential)
    assert text(ours, expand_nested=True) == text(theirs, expand_nested=True)


def test_a_range_shows_part_of_the_layers():
    shown = text(chain(layers, Sequential), layer_range=("flat", "logits"))
    assert "flat" in shown and "conv" not in shown
    with pytest.raises(ValueError, match="matches no layer"):
        text(chain(layers, Sequential), layer_range=("nothing", "logits"))
