"""What kernel generators want to know of an OpenCL device."""

from __future__ import annotations

from typing import Any

from kcore.kernels import Traits


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
