"""What kernel generators want to know of a device: kind, vectors, memories, spellings."""

from __future__ import annotations

from dataclasses import dataclass

from kcore.codegen import OPENCL, Dialect


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
        dialect: the language its kernels are written in.
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
    dialect: Dialect = OPENCL

    @property
    def cpu(self) -> bool:
        """Whether work-groups are turns of a core's loop: one wide work-item per group is best."""
        return self.kind == "cpu"
