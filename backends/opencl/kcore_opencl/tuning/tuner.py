"""`tune`: what a training step or a list of shapes asks for is measured, node by node, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from kcore.backend import current_device
from kcore.backend.base import Device
from kcore.backend.control import planning_for
from kcore.errors import KcoreError
from kcore.kernels.choosing import Asked, collecting, key_of, store_of
from kcore_opencl.place import place_of
from kcore_opencl.tuning.measuring import Result, measure
from kcore_opencl.tuning.shapes import nodes_of


def tune(model: Any = None, batch_size: int = 32, *, shapes: Iterable[str] = (), progress: bool = True) -> list[Result]:
    """Find the fastest kernels for a model's training step, or for single products and convolutions, on this device.

    What is found holds for this device, driver and version of kcore, from the next process on, and in this one for
    what it has not computed yet. With Ctrl-C what was found so far stays.

    Args:
        model: a built model; its step forward and back is tuned for `batch_size`. It is not changed.
        batch_size: samples in a batch.
        shapes: texts such as ``"matmul 128x784x256"`` (see `kcore_opencl.tuning.shapes.nodes_of`).
        progress: whether a progress bar is drawn.

    Returns:
        One result per product or convolution, in the order of the step.

    Raises:
        KcoreError: the device in use is none of this backend, or the model is not built.

    Example::

        kcore.use_backend("opencl")
        kcore_opencl.tune(model, batch_size=128)
        model.fit(x, y, batch_size=128)
    """
    device = current_device()  # starts it: the self-test's products are not ours
    if device.backend != "opencl":
        raise KcoreError(f"tune() is for OpenCL devices, {device} is in use; call kcore.use_backend('opencl') before")
    place_of(device)
    asked = [] if model is None else _step(model, batch_size)
    for text in shapes:
        asked += _asked(nodes_of(text), device)
    return tune_nodes(asked, device, progress)


def tune_nodes(asked: Sequence[Asked], device: Device, progress: bool = True) -> list[Result]:
    """Measure what was asked for, each key once; Ctrl-C ends it early with what was found so far."""
    place = place_of(device)
    first: dict[str, Asked] = {}
    for one in asked:
        first.setdefault(key_of(one.node), one)
    store = store_of(place.traits)
    assert store is not None
    results: list[Result] = []
    with _bar(len(first)) if progress else nullcontext(_silent) as advance:
        try:
            for one in first.values():
                result = measure(one, device)
                store.keep(result.key, result.way, result.best, result.default)
                results.append(result)
                advance(result)
        except KeyboardInterrupt:
            pass  # what was found is kept
    return results


def _step(model: Any, batch_size: int) -> list[Asked]:
    """What the kernels of a model's training step ask for: traced and planned, not run."""
    import kcore

    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise KcoreError("tune() needs a model that knows the shapes of its inputs: give it an Input, or call it once")
    unknown = [str(x.shape) for x in inputs if None in x.shape[1:]]
    if unknown:
        raise KcoreError(f"tune() needs inputs of fixed shapes, the model has {', '.join(unknown)}")
    batch = [np.zeros((batch_size, *x.shape[1:]), x.dtype) for x in inputs]

    def step(*arrays: Any) -> Any:
        with kcore.GradientTape() as tape:
            outputs = model(arrays[0] if len(arrays) == 1 else list(arrays), training=True)
            total = sum(kcore.ops.sum(y * y) for y in (outputs if isinstance(outputs, list | tuple) else [outputs]))
        return tape.gradient(total, model.trainable_variables)

    with collecting() as asked:
        kcore.function(step).concrete(*batch)
    return asked


def _asked(nodes: Iterable[Any], device: Device) -> list[Asked]:
    """What the kernels of single nodes ask for."""
    from kcore.backend import backend_of
    from kcore.backend.compile import choose

    backend = backend_of("opencl")
    with collecting() as asked, planning_for(backend, device):
        for node in nodes:
            kernel = choose(backend, node)
            if kernel is None or kernel.scratch is None:
                raise KcoreError(f"op {node.op.name!r} has nothing to tune on {device}")
            kernel.scratch(node)
    return asked


def _silent(result: Result) -> None:
    """No progress bar."""


def _bar(total: int) -> Any:
    """A progress bar that tells what was found."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def drawn() -> Iterator[Callable[[Result], None]]:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        with Progress(*columns, transient=True) as bar:
            task = bar.add_task("", total=total)

            def advance(result: Result) -> None:
                bar.update(task, advance=1, description=f"{result.label}: {result.default / result.best:.2f} x")

            yield advance

    return drawn()
