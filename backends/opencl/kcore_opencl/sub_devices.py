"""Pieces of a CPU device as devices: ``opencl:0.1`` is the second half of the first, ``opencl:0.3/4`` a quarter."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import Any

import pyopencl as cl

from kcore.backend.base import Device
from kcore.errors import BackendNotFoundError

#: Pieces a device is split into where the wish does not say.
PIECES = 2

_WISH = re.compile(r"(?P<whole>.+)\.(?P<piece>\d+)(?:/(?P<count>\d+))?")

_lock = threading.Lock()
_split: dict[tuple[Any, int], list[Any]] = {}


def parse(wanted: str) -> tuple[str, int, int] | None:
    """The whole device that is wished for, which piece of it, and of how many; None if no piece is.

    Example:
        >>> parse("0.1"), parse("intel.3/4"), parse("intel")
        (('0', 1, 2), ('intel', 3, 4), None)
    """
    found = _WISH.fullmatch(wanted)
    return (found["whole"], int(found["piece"]), int(found["count"] or PIECES)) if found else None


def split(device: Any, name: str, count: int) -> list[Any]:
    """The pieces of a PyOpenCL device, made once; compute units that are left over go to the first ones.

    Raises:
        BackendNotFoundError: the device cannot be split so.
    """
    units = device.max_compute_units
    if not device.type & cl.device_type.CPU:
        raise BackendNotFoundError(f"{name} cannot be split into pieces: only CPU devices can")
    if not 2 <= count <= units:
        have = f"{name} has {units} compute unit{'s' if units > 1 else ''}"
        raise BackendNotFoundError(f"{have} and cannot be split into {count} pieces" + _advice(units))
    with _lock:
        known = _split.get((device, count))
        if known is None:
            counts = [units // count + (i < units % count) for i in range(count)]
            how = [cl.device_partition_property.BY_COUNTS, *counts, cl.device_partition_property.BY_COUNTS_LIST_END]
            try:
                known = _split[device, count] = device.create_sub_devices(how)
            except cl.Error as error:
                raise BackendNotFoundError(f"the driver of {name} cannot split it: {error}") from error
        return known


def _advice(units: int) -> str:
    return f"; 'opencl:0.0/{units}' is one of {units}" if units > 2 else ""


def piece(whole: Device, opencl_device: Any, index: int, count: int) -> tuple[Device, Any]:
    """One piece of a device: as kcore's device, and as PyOpenCL's.

    Raises:
        BackendNotFoundError: the device cannot be split so, or has no such piece.
    """
    pieces = split(opencl_device, f"{whole} ({whole.name})", count)
    if index >= count:
        raise BackendNotFoundError(
            f"{whole} has no piece {index}: split into {count} its pieces are {whole}.0 to {whole}.{count - 1}; "
            f"for one of {index + 1} write {whole}.{index}/{index + 1}"
        )
    found = pieces[index]
    part = f".{index}" if count == PIECES else f".{index}/{count}"
    details = {**whole.details, "units": found.max_compute_units, "piece": f"{index + 1} of {count}"}
    return replace(whole, part=whole.part + part, details=details), found
