"""Diagrams of models: the same boxes and arrows as from Keras, drawn by Graphviz."""

from __future__ import annotations

import re
import shutil
import sys

import keras
import pytest

import kcore
from kcore import layers
from kcore.errors import MissingExtraError
from kcore.visualization import model_to_dot, plot_model

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot of Graphviz is not installed")


def chain(lib):
    return lib.Sequential(
        [
            lib.Input((4,), name="in"),
            lib.layers.Dense(3, activation="relu", name="first"),
            lib.layers.Dropout(0.5, name="drop"),
            lib.layers.Dense(2, name="last"),
        ],
        name="chain",
    )


def branches(lib):
    a, b = lib.Input((3,), name="a"), lib.Input((3,), name="b")
    shared = lib.layers.Dense(4, name="shared")
    joined = lib.layers.Add(name="joined")([shared(a), shared(b)])
    return lib.Model(
        [a, b], [lib.layers.Dense(1, name="one")(joined), lib.layers.Dense(2, name="two")(joined)], name="net"
    )


def nested(lib):
    block = lib.Sequential(
        [lib.Input((3,)), lib.layers.Dense(3, name="left"), lib.layers.Dense(3, name="right")], name="block"
    )
    inner_input = lib.Input((3,), name="door")
    inner = lib.Model(inner_input, lib.layers.Dense(3, name="deep")(block(inner_input)), name="inner")
    inputs = lib.Input((3,), name="in")
    return lib.Model(inputs, lib.layers.Dense(1, name="out")(inner(inputs)), name="outer")


def boxes_and_arrows(dot):
    """Names of the boxes, and the arrows between them, whatever the boxes are called inside."""
    names = {}

    def walk(graph):
        for node in graph.get_nodes():
            label = node.get_label()
            if label:
                found = re.search(r"<b>([^<]+)</b>", label)
                names[node.get_name().strip('"')] = found.group(1)
        for inner in graph.get_subgraphs():
            walk(inner)

    def edges(graph):
        yield from graph.get_edges()
        for inner in graph.get_subgraphs():
            yield from edges(inner)

    walk(dot)
    arrows = {(names[edge.get_source().strip('"')], names[edge.get_destination().strip('"')]) for edge in edges(dot)}
    return sorted(names.values()), arrows


# Keras leaves away the arrows of a stack that is expanded, so that one is not compared.
@pytest.mark.parametrize(("make", "expand_nested"), [(chain, False), (branches, False), (branches, True)])
def test_boxes_and_arrows_are_keras_s(make, expand_nested):
    ours = boxes_and_arrows(model_to_dot(make(kcore), expand_nested=expand_nested))
    theirs = boxes_and_arrows(keras.utils.model_to_dot(make(keras), expand_nested=expand_nested))
    assert ours == theirs


def test_inner_models_are_boxes_or_frames():
    plain = boxes_and_arrows(model_to_dot(nested(kcore)))
    assert plain == boxes_and_arrows(keras.utils.model_to_dot(nested(keras)))
    dot = model_to_dot(nested(kcore), expand_nested=True)
    names, arrows = boxes_and_arrows(dot)
    assert names == ["deep", "door", "in", "left", "out", "right"]
    assert arrows == {("in", "door"), ("door", "left"), ("left", "right"), ("right", "deep"), ("deep", "out")}
    (inner,) = dot.get_subgraphs()
    assert inner.get_label() == "inner" and inner.get_subgraphs()[0].get_label() == "block"
    assert boxes_and_arrows(model_to_dot(chain(kcore), expand_nested=True))[1] == {("first", "drop"), ("drop", "last")}


def test_what_is_asked_for_is_shown():
    model = branches(kcore)
    model.get_layer("shared").trainable = False
    text = model_to_dot(
        model, show_shapes=True, show_dtype=True, show_layer_activations=True, show_trainable=True, rankdir="LR", dpi=80
    ).to_string()
    for shown in ("(None, 3)", "float32", "linear", "not trainable", ">trainable<", "rankdir=LR", "dpi=80"):
        assert shown in text, shown
    bare = model_to_dot(model, show_layer_names=False).to_string()
    assert "shared</b>" not in bare and "<b>Dense</b>" in bare and "(None" not in bare


def test_layers_are_highlighted_by_name_or_pattern():
    plain, marked = (model_to_dot(branches(kcore), highlight=h).to_string() for h in ((), ["one", "sh.*"]))
    assert plain.count("#c2410c") == 0 and marked.count("#c2410c") == 2
    with pytest.raises(ValueError, match="highlight='share' matches no layer of model 'net'; did you mean 'shared'"):
        model_to_dot(branches(kcore), highlight="share")


def test_ops_and_subclassed_models_have_boxes_too():
    inputs = kcore.Input((3,), name="in")
    model = kcore.Model(inputs, kcore.ops.exp(inputs) * 2.0)
    assert "ops.exp" in model_to_dot(model).to_string()

    class Mine(kcore.Model):
        def call(self, x):
            return x

    mine = Mine(name="mine")
    mine(kcore.ops.ones((1, 2)))
    assert boxes_and_arrows(model_to_dot(mine, expand_nested=True)) == (["mine"], set())


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: model_to_dot(kcore.Sequential([layers.Dense(1)], name="raw")), "model 'raw' is not built yet"),
        (lambda: model_to_dot(chain(kcore), show_shape=True), "no argument 'show_shape'; did you mean 'show_shapes'"),
        (lambda: model_to_dot(chain(kcore), rankdir="up"), "rankdir='up': expected 'TB', 'LR', 'BT' or 'RL'"),
    ],
)
def test_wrong_arguments_are_named(act, message):
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.parametrize("draw", [model_to_dot, plot_model])
@pytest.mark.parametrize("thing", [5, None, "model"])
def test_what_is_no_model_is_shown(draw, thing):
    with pytest.raises(TypeError, match=f"^model must be a model, received {thing!r} of type {type(thing).__name__}$"):
        draw(thing)


@needs_dot
@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_graphviz_draws_it(tmp_path, kind, start):
    path = tmp_path / f"model.{kind}"
    kcore.utils.plot_model(nested(kcore), path, show_shapes=True, show_layer_names=True, expand_nested=True, dpi=50)
    content = path.read_bytes()
    assert content.startswith(start)
    if kind == "svg":
        text = content.decode()
        assert all(f">{name}<" in text for name in ("left", "deep", "inner", "block"))
        assert text.count('class="edge"') == 5


@needs_dot
def test_a_format_graphviz_does_not_have_is_named(tmp_path):
    with pytest.raises(ValueError, match="Graphviz could not draw model 'chain' as 'nonsense'"):
        plot_model(chain(kcore), tmp_path / "m.nonsense")


def test_without_graphviz_the_message_says_what_to_install_and_dot_files_work(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="needs the program 'dot' of Graphviz.*apt install graphviz"):
        plot_model(chain(kcore), tmp_path / "model.png")
    plot_model(chain(kcore), tmp_path / "model.dot")
    assert "digraph" in (tmp_path / "model.dot").read_text()


def test_without_pydot_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(MissingExtraError, match=r'a diagram of a model needs .pydot.*pip install "kcore\[graphviz\]"'):
        model_to_dot(chain(kcore))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        plot_model(chain(kcore), tmp_path / "nowhere" / "model.png")
