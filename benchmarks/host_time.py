"""The host's own time: for a run of an Executable, a graph replayed, a step of `fit` and an epoch, without any device.

    python benchmarks/host_time.py [--only mlp,resnet20] [--rounds 7]

The CUDA backend runs on the fake GPU of its tests. Once a step is compiled, the calls of CUDA that a steady step makes
are answered at once and do nothing, so that what is left is kcore's own Python and the copies of batches. The same
Python runs on every backend; on a real GPU the driver's share of about a dozen calls per step comes on top.

A row is the best of some rounds, in microseconds. "step of fit" is what one more step in an epoch costs, "epoch" what
one more epoch costs beside its steps, both from fits of different lengths.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ["KCORE_NO_CACHE"] = "1"  # kernels of a fake compiler
sys.path.insert(0, str(Path(__file__).parents[1] / "backends/cuda/tests"))

import fake_cuda
import workloads

import kcore
from kcore.backend import backend_of
from kcore.backend.batch import Rows
from kcore_cuda import cuda, device_list, gpus, installation

#: Calls of CUDA in a steady step.
ANSWERED = ("getDevice", "memcpyAsync", "eventRecord", "eventQuery", "eventSynchronize", "streamWaitEvent",
            "streamSynchronize", "streamQuery", "graphLaunch")  # fmt: skip
#: Samples of a batch, and features, of the small model.
BATCH, FEATURES = 8, 16


class FakeGpu:
    """The fake GPU in use, which keeps to CUDA's rules until `answer_at_once`."""

    def __init__(self) -> None:
        self.fake = fake_cuda.Fake()
        self.fake.install(self)
        gpus.listing = lambda: gpus.Listing(13000, (fake_cuda.HOPPER,))
        installation.problem_of = lambda found: None
        backend = backend_of("cuda")
        backend._list = device_list.DeviceList()
        for library in [k for k in backend.kernels if k.priority > 0]:  # which would load NVIDIA's
            backend.kernels.remove(library)
        kcore.use_backend("cuda")

    @staticmethod
    def setattr(owner: Any, name: str, value: Any, raising: bool = True) -> None:
        """What `Fake.install` wants of a patch."""
        setattr(owner, name, value)

    def answer_at_once(self) -> None:
        for name in ANSWERED:
            setattr(cuda.runtime, name, _answer)
        cuda.driver.launchKernel = _answer

    def keep_rules(self) -> None:
        for name in ANSWERED:
            vars(cuda.runtime).pop(name, None)
        vars(cuda.driver).pop("launchKernel", None)


def _answer(*arguments: Any, **more: Any) -> int:
    return 0


def microseconds(work: Callable[[], Any], count: int, rounds: int) -> float:
    """The best of some rounds, by the count of what each does."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best / count * 1e6


def row(name: str, value: float, aim: str = "") -> None:
    print(f"{name:52s} {value:9.1f} us   {aim}".rstrip(), flush=True)


def measure_executable(gpu: FakeGpu, rounds: int, count: int = 2000) -> None:
    gpu.keep_rules()
    x = kcore.ops.convert_to_tensor(np.ones((8, 8), "float32"))

    @kcore.function
    def chain(x: Any) -> Any:
        for _ in range(30):
            x = kcore.ops.matmul(x, x)
        return x

    for _ in range(3):
        chain(x)
    gpu.answer_at_once()
    executable = chain.concrete(x)
    graph = executable._bound.launches[0][0]
    assert graph.title.recorded
    row("a graph of 30 products, replayed", microseconds(lambda: [graph() for _ in range(count)], count, rounds))
    submissions, each = graph.submissions, len(graph.submissions) * count

    def submit() -> None:
        for _ in range(count):
            for submission in submissions:
                submission.submit()

    row("one of its kernels, submitted by itself", microseconds(submit, each, rounds))
    runs = microseconds(lambda: [executable.run([x.data]) for _ in range(count)], count, rounds)
    row("its Executable, one input, one output", runs, "aim 50")
    row("its function", microseconds(lambda: [chain(x) for _ in range(count)], count, rounds))


class Looks(kcore.callbacks.Callback):
    """Reads the logs of every step."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        assert logs is not None
        logs["loss"]


def measure_fit(gpu: FakeGpu, name: str, model: Any, x: np.ndarray, y: np.ndarray, batch: int, rounds: int) -> None:
    gpu.keep_rules()
    model.fit(x[: 4 * batch], y[: 4 * batch], batch_size=batch, verbose=0)
    gpu.answer_at_once()
    steps, repeats = len(x) // batch, max(1, 400 // (len(x) // batch))

    def fits(part: int, **options: Any) -> float:
        some = slice(0, part * batch)
        model.fit(x[some], y[some], batch_size=batch, verbose=0, epochs=2, **options)
        work = lambda: model.fit(x[some], y[some], batch_size=batch, verbose=0, epochs=repeats, **options)  # noqa: E731
        return microseconds(work, repeats, rounds)

    few = max(steps // 4, 1)
    for title, options in (
        ("step of fit", {}),
        ("step of fit, in order", {"shuffle": False}),
        ("step of fit, a callback reads the logs", {"callbacks": [Looks()]}),
    ):
        long, short = fits(steps, **options), fits(few, **options)
        each = (long - short) / (steps - few)
        row(f"{name}: {title}", each, "" if "callbacks" in options else "aim 150")
        if not options:
            row(f"{name}: epoch beside its steps", short - few * each)
    executable = model.make_train_function().concrete((Rows(x, slice(0, batch)), Rows(y, slice(0, batch))))
    order, backend = np.random.default_rng(0).permutation(len(x)), executable.backend
    batches = [[Rows(a, rows) for a in (x, y)] for rows in np.split(order[: steps * batch], steps)]

    def send() -> None:
        for rows in batches:
            for array, source in zip(executable._bound.inputs, rows, strict=True):
                backend.gather(array, source)

    row(f"{name}: of a step, gathering and sending the batch", microseconds(send, steps, 5 * rounds))


def small() -> Any:
    layers = kcore.layers
    model = kcore.Sequential(
        [kcore.Input((FEATURES,)), layers.Dense(FEATURES, activation="relu"), layers.Dense(4, name="out")]
    )
    model.compile("sgd", "mse")
    return model, np.ones((BATCH * 200, FEATURES), "float32"), np.ones((BATCH * 200, 4), "float32"), BATCH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="small,mlp,resnet20,transformer", help="small, or names of workloads")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    gpu = FakeGpu()
    measure_executable(gpu, args.rounds)
    for name in args.only.split(","):
        made = small() if name == "small" else workloads.WORKLOADS[name](kcore, np.random.default_rng(0))
        measure_fit(gpu, name, *made, args.rounds)


if __name__ == "__main__":
    main()
