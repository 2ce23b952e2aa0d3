"""Tensors, variables, applying ops, compiled functions, gradients and seeds."""

from __future__ import annotations

from kcore.backend.batch import Rows
from kcore.runtime.apply import convert_to_tensor, is_tensor
from kcore.runtime.function import Function, function
from kcore.runtime.scope import current_path, name_scope
from kcore.runtime.seeds import SeedGenerator, set_random_seed
from kcore.runtime.session import clear_session, use_session_with_seed
from kcore.runtime.symbolic import is_keras_tensor
from kcore.runtime.tape import GradientTape, grad
from kcore.runtime.tensor import CallRecord, EagerTensor, KerasTensor, Tensor, TracedTensor
from kcore.runtime.trace import in_trace, no_trace
from kcore.runtime.variable import Variable

__all__ = [
    "CallRecord",
    "EagerTensor",
    "Function",
    "GradientTape",
    "KerasTensor",
    "Rows",
    "SeedGenerator",
    "Tensor",
    "TracedTensor",
    "Variable",
    "clear_session",
    "convert_to_tensor",
    "current_path",
    "function",
    "grad",
    "in_trace",
    "is_keras_tensor",
    "is_tensor",
    "name_scope",
    "no_trace",
    "set_random_seed",
    "use_session_with_seed",
]
