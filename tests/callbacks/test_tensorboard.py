"""What the callback writes is read back by TensorBoard itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.callbacks import TensorBoard
from kcore.errors import MissingExtraError


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"histograms": 0, "images": 0})
    events.Reload()
    return events


def points(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_epochs_are_written_under_keras_s_names(model, data, tmp_path):
    history = model.fit(
        *data, batch_size=8, epochs=3, validation_split=0.25, verbose=0, callbacks=TensorBoard(tmp_path)
    ).history
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    assert set(train.Tags()["scalars"]) == {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    assert set(validation.Tags()["scalars"]) == {
        "epoch_loss",
        "epoch_accuracy",
        "evaluation_loss_vs_iterations",
        "evaluation_accuracy_vs_iterations",
    }
    for events, prefix in ((train, ""), (validation, "val_")):
        for name in ("loss", "accuracy"):
            expected = list(enumerate(np.float32(history[f"{prefix}{name}"]).tolist()))
            assert points(events, f"epoch_{name}") == expected
    assert points(train, "epoch_learning_rate") == [(epoch, pytest.approx(0.1)) for epoch in range(3)]
    assert [step for step, _ in points(validation, "evaluation_loss_vs_iterations")] == [3, 6, 9]


@pytest.mark.parametrize(("update_freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6, 7, 8]), (3, [3, 6]), ("epoch", [])])
def test_batches_are_written_every_so_often(model, data, tmp_path, update_freq, steps):
    callback = TensorBoard(tmp_path, update_freq=update_freq, write_steps_per_second=True, write_graph=False)
    model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=callback)
    events = read(tmp_path / "train")
    tags = events.Tags()["scalars"]
    assert ("batch_loss" in tags) == bool(steps) and not events.Tags()["graph"]
    for tag in ("batch_loss", "batch_accuracy", "batch_steps_per_second") if steps else ():
        assert [step for step, _ in points(events, tag)] == steps
    assert all(value > 0 for _, value in points(events, "epoch_steps_per_second"))


def test_weights_are_written_as_histograms_and_pictures(model, data, tmp_path):
    callback = TensorBoard(tmp_path, histogram_freq=2, write_images=True)
    model.fit(*data, epochs=3, verbose=0, callbacks=callback)
    events = read(tmp_path / "train")
    assert events.Tags()["histograms"] == ["net/only/kernel/histogram", "net/only/bias/histogram"]
    first, last = events.Histograms("net/only/kernel/histogram")
    kernel = model.get_weights()[0]
    assert (first.step, last.step) == (0, 2)
    value = last.histogram_value
    assert (value.num, value.min, value.max) == (3, kernel.min(), kernel.max())
    assert value.sum == pytest.approx(kernel.sum(), rel=1e-6) and sum(value.bucket) == 3
    picture = events.Images("net/only/kernel/image")[-1]
    assert (picture.width, picture.height) == (3, 1) and picture.encoded_image_string[:4] == b"\x89PNG"


def test_weights_that_are_no_numbers_do_not_end_training(model, data, tmp_path):
    model.set_weights([np.full((3, 1), np.nan, "float32"), np.array([np.inf], "float32")])
    model.fit(*data, verbose=0, callbacks=TensorBoard(tmp_path, histogram_freq=1))
    assert read(tmp_path / "train").Tags()["histograms"] == []


def test_the_graph_has_every_op_in_the_box_of_its_layer(tmp_path):
    a, b = kcore.Input((4,), name="a"), kcore.Input((3,), name="b")
    block = kcore.Sequential([kcore.Input((4,)), layers.Dense(4, activation="relu", name="inside")], name="block")
    joined = layers.Concatenate(name="joined")([block(a), b])
    model = kcore.Model([a, b], layers.Dense(1, name="score")(layers.Dropout(0.5, name="drop")(joined)), name="net")
    model.compile("sgd", "mse")
    x = [np.ones((6, 4), "float32"), np.ones((6, 3), "float32")]
    model.fit(x, np.ones((6, 1), "float32"), batch_size=6, verbose=0, callbacks=TensorBoard(tmp_path))
    graph = read(tmp_path / "train").Graph()
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    for name, op in {
        "a": "Placeholder",
        "b": "Placeholder",
        "block/inside/kernel": "VariableV2",
        "block/inside/relu": "relu",
        "score/bias": "VariableV2",
        "drop/dropout": "dropout",
        "output": "Output",
    }.items():
        assert nodes[name].op == op
    scopes = {name.rsplit("/", 1)[0] for name in nodes if "/" in name}
    assert {"block/inside", "joined", "drop", "score"} <= scopes
    for node in graph.node:  # every arrow begins at a node
        assert all(source.split(":")[0] in nodes for source in node.input)
    shape = nodes["block/inside/relu"].attr["_output_shapes"].list.shape[0]
    assert [dim.size for dim in shape.dim] == [6, 4]
    before = [w.copy() for w in model.get_weights()]
    assert model.losses == [] and all(np.isfinite(w).all() for w in before)


def test_a_subclassed_model_with_a_dict_of_inputs_has_a_graph(tmp_path):
    class Net(kcore.Model):
        def __init__(self):
            super().__init__(name="net")
            self.dense = layers.Dense(1, name="dense")

        def call(self, inputs):
            return self.dense(inputs["left"] - inputs["right"])

    model = Net()
    model.compile("sgd", "mse")
    x = {"left": np.ones((4, 2), "float32"), "right": np.zeros((4, 2), "float32")}
    model.fit(x, np.ones((4, 1), "float32"), verbose=0, callbacks=TensorBoard(tmp_path))
    names = {node.name for node in read(tmp_path / "train").Graph().node}
    assert {"left", "right", "dense/kernel", "dense/add"} <= names


def test_eager_runs_have_no_graph_but_all_the_rest(make_model, data, tmp_path):
    make_model(run_eagerly=True).fit(*data, verbose=0, callbacks=TensorBoard(tmp_path))
    tags = read(tmp_path / "train").Tags()
    assert not tags["graph"] and "epoch_loss" in tags["scalars"]


def test_two_runs_into_one_folder_do_not_overwrite_each_other(model, data, tmp_path):
    for _ in range(2):
        model.fit(*data, epochs=2, verbose=0, callbacks=TensorBoard(tmp_path))
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_a_callback_that_is_used_twice_writes_twice(model, data, tmp_path):
    callback = TensorBoard(tmp_path)
    for _ in range(2):
        model.fit(*data, verbose=0, callbacks=callback)
    assert len(list((tmp_path / "train").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"profile_batch": 5},
            "profile_batch=5: only 0 is supported: kcore has no profile that TensorBoard could show",
        ),
        ({"embeddings_freq": 1}, "embeddings_freq=1: only 0 is supported"),
        ({"update_freq": "step"}, "update_freq='step': expected 'epoch', 'batch' or a positive number"),
        ({"update_freq": 0}, "update_freq=0"),
        ({"histogram_freq": -1}, "histogram_freq=-1: expected a number of at least 0"),
    ],
)
def test_arguments_that_are_not_supported_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard(**arguments)


def test_without_tensorboardx_the_command_is_named(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorboardX"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r'callback TensorBoard needs .*pip install "kcore\[tensorboard\]"'):
        TensorBoard()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_that_names_the_folder(model, data, tmp_path, monkeypatch):
    module = pytest.importorskip("tensorboardX.record_writer")
    monkeypatch.setattr(module, "open_file", lambda path: open("/dev/full", "wb", buffering=0))
    with pytest.raises(OSError, match=r"TensorBoard could not write its events \(No space left.*train"):
        model.fit(*data, verbose=0, callbacks=TensorBoard(tmp_path))
    assert np.isfinite(model.evaluate(*data, verbose=0)[0])


def test_neither_tensorflow_nor_torch_nor_tensorboard_is_imported(tmp_path):
    program = (
        "import sys\nfrom kcore.callbacks import TensorBoard\n"
        f"board = TensorBoard({str(tmp_path)!r})\nboard._train.scalar('x', 1.0, 0)\nboard.on_abort()\n"
        "print([m for m in ('tensorflow', 'torch', 'tensorboard', 'PIL', 'matplotlib') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
