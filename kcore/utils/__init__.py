"""`keras.utils`: labels, sequences, files and seeds; what lives in other rooms is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from kcore.config import (
    disable_interactive_logging,
    disable_op_determinism,
    enable_interactive_logging,
    enable_op_determinism,
    is_interactive_logging_enabled,
)
from kcore.dtypes import standardize_dtype
from kcore.registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from kcore.runtime import clear_session, is_keras_tensor, set_random_seed, use_session_with_seed
from kcore.utils.files import get_file
from kcore.utils.labels import normalize, to_categorical
from kcore.utils.sequences import pad_sequences, timeseries_dataset_from_array
from kcore.utils.splitting import split_dataset

#: Names that Keras has here, of rooms that are loaded when one is asked for: ``"module"`` or ``"module:name there"``.
_ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("array_to_img", "img_to_array", "load_img", "save_img"), "kcore.utils.images"),
    **dict.fromkeys((f"{kind}_dataset_from_directory" for kind in ("audio", "image", "text")), "kcore.utils.folders"),
    "Config": "kcore.utils.settings",
    "FeatureSpace": "kcore.layers.preprocessing.feature_space",
    "Progbar": "kcore.training.progbar:Progbar",
    "PyDataset": "kcore.training.sources.py_dataset:PyDataset",
    "Sequence": "kcore.training.sources.py_dataset:PyDataset",
    "get_source_inputs": "kcore.models.calls:get_source_inputs",
    "model_to_dot": "kcore.visualization.diagram:model_to_dot",
    "pack_x_y_sample_weight": "kcore.training.data:pack",
    "plot_model": "kcore.visualization.plot_model:plot_model",
    "unpack_x_y_sample_weight": "kcore.training.data:unpack",
}

__all__ = [  # noqa: PLE0604
    "CustomObjectScope",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "disable_op_determinism",
    "enable_interactive_logging",
    "enable_op_determinism",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "normalize",
    "pad_sequences",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "timeseries_dataset_from_array",
    "to_categorical",
    "use_session_with_seed",
    *_ELSEWHERE,
]


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'kcore.utils' has no attribute {name!r}")
    module, _, there = _ELSEWHERE[name].partition(":")
    return getattr(importlib.import_module(module), there or name)


def __dir__() -> list[str]:
    return __all__
