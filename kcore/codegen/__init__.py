"""Fused groups to C-family source: one emitter, a table for each dialect."""

from __future__ import annotations

from kcore.codegen.dialect import CUDA, OPENCL, Dialect
from kcore.codegen.emit import can_emit, emit
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.reduction import REDUCERS, ReductionTile
from kcore.codegen.source import Argument, Code, Source, SpanReductionTile, SpanTile, Tile

__all__ = [
    "CUDA", "OPENCL", "REDUCERS", "Argument", "Code", "Dialect", "Epilogue", "ReductionTile", "Source",
    "SpanReductionTile", "SpanTile", "Tile", "can_emit", "emit",
]  # fmt: skip
