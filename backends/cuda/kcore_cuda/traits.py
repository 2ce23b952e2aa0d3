"""What kernel generators want to know of a GPU."""

from __future__ import annotations

from kcore.codegen import CUDA
from kcore.kernels import Traits
from kcore_cuda.gpus import Gpu
from kcore_cuda.memory import ALIGNMENT


def traits_of(gpu: Gpu) -> Traits:
    """The traits of a GPU."""
    return Traits(
        kind="gpu",
        maker="nvidia",
        units=gpu.units,
        vector=1,
        local=gpu.local,
        group=gpu.group,
        alignment=ALIGNMENT,
        largest=gpu.memory,
        memory=gpu.memory,
        fp64=True,
        fp16=True,
        unified=gpu.integrated,
        dialect=CUDA,
        subgroup=gpu.warp,
    )
