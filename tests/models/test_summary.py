"""The summary is Keras's table."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "numpy")

from kcore import layers
from kcore.models import Model, Sequential


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    """Keras cuts lines off at the width of the terminal; kcore keeps a line length that was asked for."""
    monkeypatch.setenv("COLUMNS", "160")


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


def test_a_range_may_be_given_the_other_way_round():
    import keras

    ours, theirs = chain(layers, Sequential), chain(keras.layers, keras.Sequential)
    for names in (("conv", "flat"), ("logits", "flat")):
        assert text(ours, layer_range=names) == text(theirs, layer_range=names)


@pytest.mark.parametrize("positions", [[0.5, 0.7, 1.0], [0.3, 0.6, 0.8]])
def test_columns_end_where_they_are_told(positions):
    import keras

    ours, theirs = chain(layers, Sequential), chain(keras.layers, keras.Sequential)
    assert text(ours, positions=positions) == text(theirs, positions=positions)


@pytest.mark.parametrize("positions", [[0.5, 1.0], [0.2, 0.4, 0.6, 1.0], [0.5, 0.3, 1.0]])
def test_positions_that_do_not_fit_the_columns_are_named(positions):
    with pytest.raises(ValueError, match="expected 3 rising shares of the line, one for each of Layer .type., Output"):
        text(chain(layers, Sequential), positions=positions)


def test_a_summary_in_a_file_is_as_wide_as_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    path = tmp_path / "summary.txt"
    with path.open("w") as file:
        chain(layers, Sequential).summary(print_fn=lambda line: file.write(line + "\n"), line_length=100)
    lines = path.read_text().splitlines()
    assert max(map(len, lines)) == 100 and any("Param #" in line for line in lines)
    assert all("\x1b" not in line for line in lines)


def test_a_terminal_that_says_it_is_hardly_there_gets_a_summary(monkeypatch):
    monkeypatch.setenv("COLUMNS", "5")
    assert "Total params:" in text(chain(layers, Sequential))


def test_a_summary_goes_to_standard_output(capsys):
    chain(layers, Sequential).summary()
    assert "Total params:" in capsys.readouterr().out
