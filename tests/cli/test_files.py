"""``kcore summary``, ``convert`` and ``diff``: every form of file, as people type them."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.cli import main

FORMS = ("a.keras", "a.h5", "a.weights.h5", "w.h5", "a.weights.json", "a.safetensors", "a.json", "a.yaml")


def build(units=2, scale=1.0):
    kcore.set_random_seed(0)
    inner = kcore.Sequential([kcore.Input((4,)), layers.Dense(4, name="deep")], name="inner")
    model = kcore.Sequential(
        [kcore.Input((3,)), layers.Dense(4, activation="relu", name="hidden"), inner, layers.Dense(units, name="out")],
        name="net",
    )
    model.set_weights([w * scale for w in model.get_weights()])
    model.compile("adam", "mse")
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model = build()
    model.fit(np.ones((4, 3)), np.ones((4, 2)), batch_size=1, verbose=0)
    model.save(folder / "a.keras")
    model.save(folder / "a.h5")
    for name in ("a.weights.h5", "w.h5", "a.weights.json", "a.safetensors"):
        model.save_weights(folder / name)
    (folder / "a.json").write_text(model.to_json())
    (folder / "a.yaml").write_text(model.to_yaml())
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_summary_of_every_form(form, folder, capsys):
    assert main(["summary", str(folder / form)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{folder / form}: ")
    if form in ("a.keras", "a.h5", "a.json", "a.yaml"):
        assert "model: Sequential 'net', " in out and "units=4, activation=relu" in out and "inner/deep" in out
        assert "compiled: " in out and "dam, loss m" in out
    if form not in ("a.json", "a.yaml"):
        assert "parameters: 46 (184.00 B)" in out
    if form in ("a.keras", "a.h5", "a.weights.h5", "a.weights.json"):
        assert ", step 4\n" in out
    if form in ("a.keras", "a.h5", "a.safetensors"):
        assert f"written by: kcore {kcore.__version__}" in out


def test_who_wrote_it(tmp_path, capsys):
    import keras

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(tmp_path / "k.keras")
    assert main(["summary", str(tmp_path / "k.keras")]) == 0
    assert f"written by: Keras {keras.__version__}, 20" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["b.keras", "b.h5", "b.weights.h5", "b.weights.json", "b.safetensors", "b.yaml"])
@pytest.mark.parametrize("source", ["a.keras", "a.h5"])
def test_convert(source, target, folder, tmp_path, capsys):
    assert main(["convert", str(folder / source), str(tmp_path / target)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / target}: Sequential 'net', 46 parameters\n"
    assert main(["diff", str(tmp_path / target), str(folder / target.replace("b", "a", 1))]) in (0, 1)
    if target in ("b.keras", "b.safetensors", "b.yaml"):
        out = capsys.readouterr().out
        assert "differs by" not in out and "weight " not in out, out


def test_convert_an_architecture_with_weights(folder, tmp_path, capsys):
    target = tmp_path / "b.keras"
    arguments = ["convert", str(folder / "a.json"), str(target)]
    assert main([*arguments, "--weights", str(folder / "a.safetensors")]) == 0
    made, original = (kcore.models.load_model(f) for f in (target, folder / "a.keras"))
    np.testing.assert_array_equal(made.get_weights()[0], original.get_weights()[0])
    assert main(arguments) == 2
    assert f"{target} exists; pass --force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
    assert "a.json holds no weights: those in" in capsys.readouterr().err


def test_files_that_are_the_same(folder, capsys):
    for form in FORMS:
        assert main(["diff", str(folder / form), str(folder / form)]) == 0
        assert capsys.readouterr().out == "what both hold is the same\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """One trained model of many kinds of layers, as .keras and as .h5."""
    folder = tmp_path_factory.mktemp("many")
    inputs = kcore.Input((6, 6, 2))
    hidden = layers.Conv2D(3, 3, padding="same", kernel_initializer="he_normal", kernel_regularizer="l2")(inputs)
    hidden = layers.LeakyReLU(0.1)(layers.BatchNormalization()(hidden))
    hidden = layers.SeparableConv2D(4, 3)(hidden)
    hidden = layers.Bidirectional(layers.LSTM(3))(layers.Reshape((16, 4))(hidden))
    inner = kcore.Sequential([kcore.Input((6,)), layers.Dense(5), layers.BatchNormalization()], name="inner")
    model = kcore.Model(inputs, layers.Dense(2)(layers.Concatenate()([inner(hidden), hidden])))
    model.compile(kcore.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(np.ones((4, 6, 6, 2)), np.ones((4, 2)), verbose=0)
    model.save(folder / "a.keras")
    model.save(folder / "a.h5")
    return folder


def test_one_model_in_two_forms_is_the_same(many, capsys):
    assert main(["diff", str(many / "a.keras"), str(many / "a.h5")]) == 0
    assert capsys.readouterr().out == "what both hold is the same\n"


def test_a_change_shows_across_forms(many, tmp_path, capsys):
    model = kcore.models.load_model(many / "a.keras")
    model.layers[-1].bias.assign([0.0, 5.0])
    model.optimizer.learning_rate = 0.5
    model.save(tmp_path / "b.h5")
    assert main(["diff", str(many / "a.keras"), str(tmp_path / "b.h5")]) == 1
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["compile", "weight", "training"]
    assert rows[0][1] == "optimizer.config.learning_rate"


def test_weights_that_nothing_pairs_are_not_compared(many, tmp_path, capsys):
    model = kcore.models.load_model(many / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    model.save_weights(tmp_path / "b.h5")
    assert main(["diff", str(tmp_path / "a.weights.h5"), str(tmp_path / "b.h5")]) == 2
    assert "different names and orders" in capsys.readouterr().err


def test_diff_says_what_and_by_how_much(folder, tmp_path, capsys):
    build(units=3, scale=1.5).save(tmp_path / "b.keras")
    assert main(["diff", str(folder / "a.keras"), str(tmp_path / "b.keras")]) == 1
    out = capsys.readouterr().out
    assert [line.split()[:4] for line in out.splitlines() if "out.units" in line] == [
        ["argument", "out.units", "2", "3"]
    ]
    assert "float32 (4, 2)" in out and "float32 (4, 3)" in out
    assert "differs by up to" in out and "of its norm" in out
    assert main(["diff", str(folder / "a.safetensors"), str(folder / "w.h5"), "--tolerance", "1e-6"]) in (0, 1)


def test_diff_knows_a_tolerance(tmp_path, capsys):
    for name, scale in (("a", 1.0), ("b", 1.001)):
        build(scale=scale).save_weights(tmp_path / f"{name}.safetensors")
    arguments = ["diff", str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")]
    assert main(arguments) == 1
    assert main([*arguments, "--tolerance", "0.01"]) == 0


def test_diff_says_what_only_one_has(folder, capsys):
    assert main(["diff", str(folder / "a.keras"), str(folder / "a.json")]) == 0
    out = capsys.readouterr().out
    assert "only " in out and "a.keras holds weights" in out and "a.keras holds training state" in out


@pytest.mark.parametrize("command", [["summary"], ["convert"], ["diff"]])
def test_trouble_is_a_line_and_status_2(command, folder, tmp_path, capsys):
    bad = tmp_path / "bad.keras"
    more = [] if command == ["summary"] else [str(tmp_path / "c.keras")] if command == ["convert"] else [str(bad)]
    for content, message in ((None, "bad.keras"), (b"no model", "bad.keras"), (b"PK\x03\x04 cut off", "bad.keras")):
        if content is not None:
            bad.write_bytes(content)
        assert main([*command, str(bad), *more]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("kcore: ") and message in captured.err and "Traceback" not in captured.err


@pytest.mark.parametrize("command", ["summary", "convert", "diff"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: kcore {command}" in out
    assert command != "diff" or "exit status: 0" in out
