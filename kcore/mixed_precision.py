"""`keras.mixed_precision`: the dtype policies and the optimizer with loss scaling under the names scripts use."""

from __future__ import annotations

from kcore.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from kcore.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
