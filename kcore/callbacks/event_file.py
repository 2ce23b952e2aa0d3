"""Files of events as TensorBoard reads them: scalars, histograms, images and graphs."""

from __future__ import annotations

import io
import itertools
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from kcore.extras import require

_numbers = itertools.count()


class EventFile:
    """One file of events, made when the first one is written.

    Args:
        folder: where it lies; TensorBoard calls a folder a run.

    Raises:
        MissingExtraError: tensorboardX, which writes the format, is not installed.
        OSError: the file cannot be written, because the disk is full, say; the message names the file.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self._protos = {
            name: require(f"tensorboardX.proto.{name}_pb2", "tensorboard", "the callback TensorBoard")
            for name in ("event", "summary")
        }
        self._writer: Any = None

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """One point of a curve."""
        self._value(step, tag=tag, simple_value=float(value))

    def histogram(self, tag: str, values: Any, step: int, bins: int = 30) -> None:
        """The distribution of an array's finite values; one that has none is left out."""
        array = np.asarray(values, dtype="float64").reshape(-1)
        array = array[np.isfinite(array)]
        if not array.size:
            return
        counts, edges = np.histogram(array, bins=bins)
        histogram = self._protos["summary"].HistogramProto(
            min=array.min(),
            max=array.max(),
            num=array.size,
            sum=array.sum(),
            sum_squares=array.dot(array),
            bucket_limit=[edges[0], *edges[1:]],
            bucket=[0, *counts],
        )
        self._value(step, tag=tag, histo=histogram)

    def image(self, tag: str, values: np.ndarray, step: int) -> None:
        """An array ``(height, width)`` or ``(height, width, 3)`` as a picture, its values spread over all shades."""
        pillow = require("PIL.Image", "tensorboard", "write_images")
        low, high = float(values.min()), float(values.max())
        scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
        file = io.BytesIO()
        pillow.fromarray(scaled.round().astype("uint8")).save(file, format="PNG")
        height, width = values.shape[:2]
        channels = 1 if values.ndim == 2 else values.shape[2]
        image = self._protos["summary"].Summary.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=file.getvalue()
        )
        self._value(step, tag=tag, image=image)

    def graph(self, graph: Any) -> None:
        """A ``GraphDef``."""
        self._write(graph_def=graph.SerializeToString())

    def flush(self) -> None:
        """Bring everything to the disk."""
        if self._writer is not None:
            self._guarded(self._writer.flush)

    def close(self) -> None:
        """Close the file; the next event begins another one."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._guarded(writer.close)

    def _value(self, step: int, **value: Any) -> None:
        summary = self._protos["summary"].Summary
        self._write(step=int(step), summary=summary(value=[summary.Value(**value)]))

    def _write(self, **content: Any) -> None:
        if self._writer is None:
            self._guarded(self._open)
        event = self._protos["event"].Event(wall_time=time.time(), **content)
        self._guarded(self._writer.write_event, event)

    def _open(self) -> None:
        module = require("tensorboardX.event_file_writer", "tensorboard")
        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = f".{os.getpid()}.{next(_numbers)}.v2"  # two files of one second do not share a name
        self._writer = module.EventsWriter(str(self.folder / "events"), suffix)

    def _guarded(self, act: Any, *arguments: Any) -> None:
        try:
            act(*arguments)
        except OSError as error:
            raise OSError(
                error.errno,
                f"the callback TensorBoard could not write its events ({os.strerror(error.errno or 0)}); the model "
                "keeps its weights",
                str(self.folder),
            ) from error
