"""What to tell a user whose device is out of memory: what was asked, what is held, what is largest, what would fit."""

from __future__ import annotations

from kcore.backend.base import Backend, Device
from kcore.graph.core import Placeholder, Value
from kcore.graph.plan import Plan

#: How many of the largest values the message names.
SHOWN = 5


def out_of_memory(backend: Backend, device: Device, plan: Plan, error: BaseException) -> str:
    """The message of the MemoryError raised where a plan's arena cannot be had."""
    held = backend.held(device)
    variables = sum(_nbytes(v) for v in plan.graph.state.values())
    lines = [
        f"device {device} ({device.name}) has no room for {plan.graph.name}: its values need {_size(plan.arena)} at "
        f"once, its {len(plan.graph.state)} variables {_size(variables)}: {error}"
    ]
    if device.memory:
        lines.append(f"the device has {_size(device.memory)}, of which this process holds {_size(held)}")
    own = sorted((v for v in plan.offsets if v not in plan.reuses), key=_nbytes, reverse=True)[:SHOWN]
    lines.append("the largest values:")
    lines += [f"  {_size(_nbytes(v)):>10}  {v.spec}  {_origin(v)}" for v in own]
    hint = _fitting_batch(plan, device.memory - held) if device.memory else ""
    lines.append(hint or "a smaller batch_size needs less")
    return "\n  ".join(lines)


def _fitting_batch(plan: Plan, free: int) -> str:
    """The batch size that would fit, for a plan whose inputs share their first axis and whose values grow with it."""
    sizes = {v.shape[0] for v in plan.graph.inputs if v.shape}
    if len(sizes) != 1:
        return ""
    batch = sizes.pop()
    fits = int(batch * free / max(plan.arena, 1) * 0.95)
    if not 0 < fits < batch:
        return ""
    return f"the batch size is {batch}; about {fits} would fit"


def _nbytes(value: Value) -> int:
    return value.nbytes


def _origin(value: Value) -> str:
    if value.node is None:
        return f"input {value.source.name}" if isinstance(value.source, Placeholder) else "input"
    return f"{value.node.op.name} ({value.node.location()})"


def _size(nbytes: int) -> str:
    """Bytes as a person reads them."""
    amount = float(nbytes)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
