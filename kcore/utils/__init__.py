"""`keras.utils`: labels, sequences, files and seeds; what lives in other rooms is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from kcore.runtime import set_random_seed
from kcore.utils.files import get_file
from kcore.utils.labels import normalize, to_categorical
from kcore.utils.sequences import pad_sequences, timeseries_dataset_from_array
from kcore.utils.splitting import split_dataset

#: Names that Keras has here, of rooms that are loaded when one is asked for: ``"module:name there"``.
_ELSEWHERE: dict[str, str] = {
    "PyDataset": "kcore.training.sources.py_dataset:PyDataset",
    "Sequence": "kcore.training.sources.py_dataset:PyDataset",
    "model_to_dot": "kcore.visualization.diagram:model_to_dot",
    "pack_x_y_sample_weight": "kcore.training.data:pack",
    "plot_model": "kcore.visualization.plot_model:plot_model",
    "unpack_x_y_sample_weight": "kcore.training.data:unpack",
}

__all__ = [  # noqa: PLE0604
    "get_file",
    "normalize",
    "pad_sequences",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
    *_ELSEWHERE,
]


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'kcore.utils' has no attribute {name!r}")
    module, _, there = _ELSEWHERE[name].partition(":")
    return getattr(importlib.import_module(module), there)


def __dir__() -> list[str]:
    return __all__
