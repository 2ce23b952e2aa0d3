"""The callback that writes what TensorBoard shows: curves, histograms and images of weights, the model's graph."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore import tree
from kcore.callbacks import learning_rate
from kcore.callbacks.callback import Callback, not_negative
from kcore.callbacks.event_file import EventFile
from kcore.callbacks.graph_def import graph_def
from kcore.declare import argument, only
from kcore.graph.core import Graph
from kcore.registry import public
from kcore.runtime import Function
from kcore.runtime.trace import Trace
from kcore.training.data import unpack


def _frequency(value: Any) -> Any:
    if value == "batch":
        return 1
    if value != "epoch" and (isinstance(value, bool) or not hasattr(value, "__index__") or value < 1):
        raise ValueError("expected 'epoch', 'batch' or a positive number of batches")
    return value


@public("keras.callbacks")
class TensorBoard(Callback):
    """Writes logs for TensorBoard: ``pip install "kcore[tensorboard]"``, then ``tensorboard --logdir logs``.

    ``<log_dir>/train`` and ``<log_dir>/validation`` get the same names as from Keras: ``epoch_loss`` and so on over
    the epochs, with ``epoch_learning_rate``; ``batch_loss`` over the steps where `update_freq` asks for it; and
    ``evaluation_loss_vs_iterations`` at every evaluation.

    Args:
        log_dir: folder of the logs; one per run, ``logs/first``, lets TensorBoard compare runs.
        histogram_freq: epochs between two histograms of all weights; 0 for none.
        write_graph: write the graph of a training step's forward pass, every op in a box of its layer. There is none
            with ``run_eagerly=True``.
        write_images: together with the histograms, write weights as pictures; those with one to three dimensions
            larger than 1.
        write_steps_per_second: write how many steps were made in a second, of each epoch and, with `update_freq`, of
            each batch.
        update_freq: ``"epoch"``; or write values after every so many steps, which makes the host wait for them;
            ``"batch"`` is 1.
        profile_batch: must be 0: nothing is profiled here.
        embeddings_freq: must be 0: the projector is not served. `write_images` shows small tables.
        embeddings_metadata: must be None.

    Raises:
        MissingExtraError: tensorboardX, which writes the files, is not installed.
        ValueError: an argument out of range, or one that is not supported.
        OSError: the files cannot be written; the message names the folder.

    Example:
        >>> import kcore, numpy as np, tempfile, os
        >>> folder = tempfile.mkdtemp()
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> history = model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=TensorBoard(folder))
        >>> sorted(os.listdir(folder))
        ['train', 'validation']

    Source: `keras.callbacks.TensorBoard`.
    """

    log_dir: str = argument("logs", os.fspath)
    histogram_freq: int = argument(0, not_negative)
    write_graph: bool = argument(True)
    write_images: bool = argument(False)
    write_steps_per_second: bool = argument(False)
    update_freq: Any = argument("epoch", _frequency)
    profile_batch: Any = argument(0, only(0, "kcore has no profile that TensorBoard could show"))
    embeddings_freq: int = argument(0, only(0, "weights are not written for TensorBoard's projector"))
    embeddings_metadata: Any = argument(None, only(None, "weights are not written for TensorBoard's projector"))

    def __post_init__(self) -> None:
        self._train = EventFile(os.path.join(self.log_dir, "train"))
        self._validation = EventFile(os.path.join(self.log_dir, "validation"))
        self._step = 0
        self._test_steps = 0
        self._epoch_start: tuple[float, int] = (0.0, 0)
        self._batch_start = 0.0
        self._graph_due = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._step = 0
        self._graph_due = self.write_graph

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_start = (time.perf_counter(), self._step)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step += 1
        if self._graph_due:
            self._graph_due = False
            self._write_graph()
        if self.update_freq == "epoch" or self._step % self.update_freq:
            return
        for name, value in (logs or {}).items():
            self._train.scalar(f"batch_{name}", value, self._step)
        if self.write_steps_per_second:
            self._train.scalar("batch_steps_per_second", 1 / (time.perf_counter() - self._batch_start), self._step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = dict(logs or {})
        if values:
            for name in [name for name in values if name.startswith("val_")]:
                self._validation.scalar(f"epoch_{name.removeprefix('val_')}", values.pop(name), epoch)
            if self.model.optimizer is not None:
                learning_rate.log(self.model, values)
            if self.write_steps_per_second:
                start, step = self._epoch_start
                values["steps_per_second"] = (self._step - step) / (time.perf_counter() - start)
            for name, value in values.items():
                self._train.scalar(f"epoch_{name}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        self._train.flush()
        self._validation.flush()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.model.optimizer is None:
            return
        step = int(np.asarray(self.model.optimizer.iterations))
        for name, value in (logs or {}).items():
            self._validation.scalar(f"evaluation_{name}_vs_iterations", value, step)
        self._validation.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.on_abort()

    def on_abort(self) -> None:
        self._train.close()
        self._validation.close()

    # -- weights -----------------------------------------------------------------------------------------------------

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                values = weight.numpy()
                self._train.histogram(f"{weight.path}/histogram", values, epoch)
                if self.write_images:
                    for place, picture in _pictures(values):
                        self._train.image(f"{weight.path}/image{place}", picture, epoch)

    # -- the graph ---------------------------------------------------------------------------------------------------

    def _write_graph(self) -> None:
        function = self.model.make_train_function()
        if not isinstance(function, Function):  # run_eagerly: there is no graph
            return
        arguments = function.signature()
        x = unpack(arguments[0])[0]
        trace = Trace(Graph(self.model.name))
        names = [name for name, _ in _inputs(self.model, x)]
        tensors = iter(
            [
                trace.tensor(trace.graph.placeholder(leaf.shape, leaf.dtype, name))
                for name, leaf in zip(names, tree.flatten(x), strict=True)
            ]
        )
        with trace.active():
            outputs = self.model(tree.map_structure(lambda _: next(tensors), x), training=True)
            trace.graph.outputs = [trace.lift(output) for output in tree.flatten(outputs)]
        self.model._clear_losses()
        self._train.graph(graph_def(trace.graph, self.model.name))


def _inputs(model: Any, x: Any) -> list[tuple[str, Any]]:
    """The leaves of a model's input with the names they have in the graph."""
    if isinstance(x, Mapping):
        return [(str(name), leaf) for name, leaf in tree.entries(x)]
    leaves = tree.flatten(x)
    known = getattr(model, "input_names", None) or []
    if len(known) != len(leaves):
        known = ["input"] if len(leaves) == 1 else [f"input_{i}" for i in range(len(leaves))]
    return list(zip(known, leaves, strict=True))


def _pictures(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """A weight as grey pictures: a row, a matrix, or one matrix per entry of its last axis; at most three."""
    values = np.squeeze(np.asarray(values, "float32"))
    if values.ndim == 1:
        return [("", values[None, :])]
    if values.ndim == 2:
        return [("", values.T if values.shape[0] > values.shape[1] else values)]
    if values.ndim == 3:
        return [(f"/{i}", values[..., i]) for i in range(min(3, values.shape[2]))]
    return []
