"""Callbacks: what hooks into the stages of fit, evaluate and predict."""

from __future__ import annotations

import inspect
from typing import Any

from kcore.callbacks.backup_and_restore import BackupAndRestore
from kcore.callbacks.callback import Callback
from kcore.callbacks.callback_list import CallbackList
from kcore.callbacks.csv_logger import CSVLogger
from kcore.callbacks.early_stopping import EarlyStopping
from kcore.callbacks.history import History
from kcore.callbacks.lambda_callback import LambdaCallback
from kcore.callbacks.learning_rate_scheduler import LearningRateScheduler
from kcore.callbacks.model_checkpoint import ModelCheckpoint
from kcore.callbacks.monitor import MonitorCallback
from kcore.callbacks.progbar_logger import ProgbarLogger
from kcore.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from kcore.callbacks.remote_monitor import RemoteMonitor
from kcore.callbacks.swap_ema_weights import SwapEMAWeights
from kcore.callbacks.tensorboard import TensorBoard
from kcore.callbacks.terminate_on_nan import TerminateOnNaN
from kcore.naming import did_you_mean
from kcore.registry import REGISTRY, deserialize

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "get",
]


def get(identifier: Any) -> Any:
    """The callback an identifier stands for.

    Args:
        identifier: a name (``"TerminateOnNaN"``, or ``"package>Name"`` of a plugin), a class, a configuration, or a
            callback, which is given back.

    Raises:
        ValueError: an unknown name; near names are shown.

    Example:
        >>> get("TerminateOnNaN")
        <TerminateOnNaN raise_error=False>
    """
    if isinstance(identifier, dict):
        return deserialize(identifier, module="keras.callbacks")
    found = identifier
    if isinstance(identifier, str):
        found = REGISTRY.custom(identifier) or REGISTRY.public(f"keras.callbacks.{identifier}")
        if found is None:
            hint = did_you_mean(identifier, REGISTRY.members("keras.callbacks"))
            raise ValueError(f"there is no callback called {identifier!r}{hint}")
    return found() if inspect.isclass(found) else found
