"""What kernel generators want to know of a device: kind, vectors, memories, spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Traits:
    """Facts of one device that shape generated kernels.

    Attributes:
        kind: ``"cpu"`` or ``"gpu"`` (accelerators count as GPUs).
        maker: ``"intel-cpu"`` (Intel's CPU runtime), ``"pocl"``, ``"nvidia"``, ``"amd"``, ``"intel"``, ``"oclgrind"``
            or ``"other"``: whose compiler it is.
        units: compute units; on a CPU, cores.
        vector: float32 lanes of its vector registers; 1 where work-items are the lanes (GPUs).
        local: bytes of local memory of a work-group.
        group: most work-items of a work-group.
        alignment: bytes sub-buffers are aligned to.
        largest: bytes of the largest single buffer.
        memory: bytes of memory.
        fma: how ``a * b + c`` is spelt so that it becomes one instruction: a template over ``{a}``, ``{b}``, ``{c}``.
        fp64, fp16: whether it computes with them.
        unified: whether host and device share memory.
        subgroup: work-items that run in step: a GPU's warp, wavefront or SIMD width; on a CPU the vector's lanes.
    """

    kind: str
    maker: str
    units: int
    vector: int
    local: int
    group: int
    alignment: int
    largest: int
    memory: int
    fma: str = "fma({a}, {b}, {c})"
    fp64: bool = True
    fp16: bool = False
    unified: bool = False
    subgroup: int = 1

    @property
    def cpu(self) -> bool:
        """Whether work-groups are turns of a core's loop: one wide work-item per group is best."""
        return self.kind == "cpu"


def traits_of(device: Any) -> Traits:
    """The traits of a PyOpenCL device."""
    import pyopencl as cl

    platform, vendor = device.platform.name.lower(), device.vendor.lower()
    cpu = bool(device.type & cl.device_type.CPU)
    if "oclgrind" in platform:
        maker = "oclgrind"
    elif "portable" in platform:
        maker = "pocl"
    elif "intel" in platform and cpu:
        maker = "intel-cpu"
    elif "nvidia" in vendor:
        maker = "nvidia"
    elif "amd" in vendor or "advanced micro" in vendor:
        maker = "amd"
    elif "intel" in vendor:
        maker = "intel"
    else:
        maker = "other"
    extensions = device.extensions.split()
    vector = max(device.native_vector_width_float, 4) if cpu else 1
    return Traits(
        kind="cpu" if cpu else "gpu",
        maker=maker,
        units=device.max_compute_units,
        vector=vector,
        local=device.local_mem_size,
        group=device.max_work_group_size,
        alignment=max(device.mem_base_addr_align // 8, 64),
        largest=device.max_mem_alloc_size,
        memory=device.global_mem_size,
        fma="{a} * {b} + {c}" if maker == "pocl" else "fma({a}, {b}, {c})",
        fp64="cl_khr_fp64" in extensions,
        fp16="cl_khr_fp16" in extensions,
        unified=cpu or bool(device.host_unified_memory),
        subgroup=vector if cpu else _subgroup(device),
    )


def _subgroup(device: Any) -> int:
    """Work-items of a GPU that run in step; 1 where its driver does not tell."""
    import pyopencl as cl

    for query in ("warp_size_nv", "wavefront_width_amd", "preferred_work_group_size_multiple"):
        try:
            return int(getattr(device, query))
        except (AttributeError, cl.Error):  # another maker's question, or OpenCL before 3.0
            continue
    return 1
