"""A training's backup: a file of weights that also says where the training stood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from kcore.saving.datasets import OWN, child, opened, read_array, write_array
from kcore.saving.state import read_state, write_state
from kcore.saving.window import created_at
from kcore.utils.atomic import replacing


def write_backup(model: Any, path: Path, position: dict[str, Any], metrics: list[np.ndarray] | None) -> None:
    """Write a model's state and the position of its training into one file, which appears whole or not at all.

    Args:
        model: the model.
        path: the file, in the form of ``.weights.h5``.
        position: plain values.
        metrics: what the metrics have counted, within an epoch.
    """

    with replacing(path) as temporary, created_at(temporary) as file:
        write_state(model, file, include_states=True)
        own = file.require_group(OWN)
        own.create_dataset("training", data=np.frombuffer(json.dumps(position).encode(), dtype=np.uint8))
        if metrics is not None:
            group = own.create_group("metrics")
            for number, value in enumerate(metrics):
                write_array(group, str(number), value)


def read_backup(model: Any, path: Path) -> tuple[dict[str, Any], list[np.ndarray] | None]:
    """Load a model's state from a backup.

    Returns:
        The position of its training, and what the metrics had counted within an epoch.

    Raises:
        ValueError: it is no backup, or one of another model; nothing was changed then.
    """
    with opened(path, path) as file:
        own = child(file, OWN, path)
        text = None if own is None else child(own, "training", path)
        if text is None:
            raise ValueError(f"{path} does not say where a training stood: it was not written by BackupAndRestore")
        try:
            position = json.loads(read_array(text, path).tobytes())
            for key in ("epoch", "data", "random"):
                position[key]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: what it says of the training cannot be read: {error}") from None
        group = child(own, "metrics", path)
        metrics = None
        if group is not None:
            found = [child(group, str(i), path) for i in range(len(group))]
            metrics = [read_array(dataset, path) for dataset in found if dataset is not None]
        read_state(model, file, path)
    return position, metrics
