"""kcore on a GPU beside Keras on JAX, PyTorch and torch.compile, on the same GPU in the same run: the tables.

    python benchmarks/cuda_bench.py [--peers python] [--part workloads,large,calls,host] [--json out.json]
    python benchmarks/cuda_bench.py --table out.json        # the tables of recorded figures, on any machine

Peers live in an environment of their own (``pip install keras "jax[cuda13]" torch``). Each side runs in processes of
its own; what is not over within its share of ten minutes is missing in the table, and said so.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

#: Sides: (title, library, engine, whether Keras or torch compiles).
SIDES = [
    ("kcore", "kcore", "cuda", False),
    ("Keras on JAX", "keras", "jax", False),
    ("Keras on torch", "keras", "torch", False),
    ("Keras on torch.compile", "keras", "torch", True),
    ("torch", "torch", "torch", False),
    ("torch.compile", "torch", "torch", True),
]
BATCHES = (128, 1024)
#: Model, examples of a batch.
LARGE = {"resnet50": 128, "encoder": 32}
#: What is aimed at: the best of the peers, shares of direct calls, microseconds.
GOALS = {"speed": 1.0, "share": 0.95, "executable": 50.0, "fit": 150.0}
#: Seconds of each part, of ten minutes in all.
SHARES = {"calls": 60.0, "host": 30.0, "large": 250.0, "workloads": 240.0}


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        part: ``"workloads"``, ``"large"``, ``"calls"`` or ``"host"``.
        name: what was measured, with its batch.
        side: who did it.
        value: steps per second; for `calls` TFLOP/s; for `host` microseconds.
        note: why there is no value.
    """

    part: str
    name: str
    side: str
    value: float | None
    note: str = ""


# -- measuring ---------------------------------------------------------------------------------------------------------


def rate(step: Callable[[], Any], wait: Callable[[], Any], seconds: float = 1.5, rounds: int = 3) -> float:
    """Steps per second: the median of some rounds, each as many steps as fill its time, waited for at the end."""
    for _ in range(3):
        step()
    wait()
    begin = time.perf_counter()
    step()
    wait()
    count = max(int(seconds / rounds / max(time.perf_counter() - begin, 1e-6)), 2)
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(count):
            step()
        wait()
        found.append(count / (time.perf_counter() - begin))
    return statistics.median(found)


def fit_rate(model: Any, x: np.ndarray, y: np.ndarray, batch: int, rounds: int = 3) -> float:
    """Steps per second of `fit`, the first epoch not counted."""
    model.fit(x, y, batch_size=batch, verbose=0)
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        model.fit(x, y, batch_size=batch, verbose=0)
        found.append(len(x) / batch / (time.perf_counter() - begin))
    return statistics.median(found)


def recompiled(model: Any) -> None:
    """Let Keras on torch use torch.compile for a model that has been compiled."""
    model.compile(model.optimizer, model.loss, jit_compile=True)


def measure_workloads(lib: str, compiled: bool, batches: Sequence[int], steps: int, emit: Callable[[str, float], None]):
    """The eight workloads at each batch."""
    import workloads

    k = importlib.import_module(lib)
    for batch in batches:
        for name, make in workloads.WORKLOADS.items():
            model, x, y, _ = make(k, np.random.default_rng(0))
            if compiled:
                recompiled(model)
            take = np.arange(batch * steps) % len(x)
            emit(f"{name}, batch {batch}", fit_rate(model, x[take], y[take], batch))


def measure_large(lib: str, compiled: bool, small: bool, emit: Callable[[str, float], None]) -> None:
    """ResNet-50 and the encoder in bfloat16."""
    for name, batch in LARGE.items():
        batch = 2 if small else batch
        size, tokens, words = (32, 8, 50) if small else (224, 512, 30522)
        rng = np.random.default_rng(0)
        if name == "resnet50":
            x: np.ndarray = rng.random((batch, size, size, 3), dtype=np.float32)
            y = rng.integers(0, 10, batch).astype("int64")
        else:
            x = rng.integers(0, words, (batch, tokens)).astype("int32")
            y = rng.integers(0, 2, batch).astype("int64")
        title = f"{name}, batch {batch}, bfloat16"
        if lib == "torch":
            emit(title, _torch_rate(name, compiled, small, x, y))
            continue
        import large_models

        k = importlib.import_module(lib)
        k.config.set_dtype_policy("mixed_bfloat16")
        if name == "resnet50":
            model = large_models.resnet50(k, 32, 10, 4, (1, 1)) if small else large_models.resnet50(k)
        else:
            model = large_models.encoder(k, 1, 16, 2, 8, 50) if small else large_models.encoder(k)
        if compiled:
            recompiled(model)
        take = np.arange(batch * (2 if small else 16)) % batch
        emit(title, fit_rate(model, x[take], y[take], batch, 1 if small else 3))


def _torch_rate(name: str, compiled: bool, small: bool, x: np.ndarray, y: np.ndarray) -> float:
    import torch
    import torch_large

    device = "cuda" if torch.cuda.is_available() else "cpu"
    step = torch_large.step_of(name, device, compiled, small)
    batch, labels = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    batch = torch_large.images(batch) if name == "resnet50" else batch.long()
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    return rate(lambda: step(batch, labels), wait, 0.2 if small else 3.0)


PRODUCTS = [(4096, 4096, 4096), (8192, 768, 3072), (1024, 784, 256)]
IMAGES = [(64, 56, 64, 3), (64, 14, 256, 3), (64, 56, 64, 1)]  # batch, side, channels, window


def measure_calls(emit: Callable[[str, float], None], emit_direct: Callable[[str, float], None]) -> None:
    """Products and convolutions by kcore, and the same by cuBLAS and cuDNN called directly: TFLOP/s."""
    import kcore
    from kcore import ops
    from kcore_cuda.libraries import cudnn, libraries_of
    from kcore_cuda.libraries.convolution import convolution_of
    from kcore_cuda.libraries.cublas import row_major
    from kcore_cuda.place import place_of

    backend = kcore.use_backend("cuda").backend
    place = place_of(kcore.backend.current().device)
    library = libraries_of(place)

    def ours(call: Callable[..., Any], arrays: Sequence[np.ndarray], dtype: str) -> float:
        tensors = [ops.cast(ops.convert_to_tensor(a), dtype) for a in arrays]
        compiled = kcore.function(call)
        return rate(lambda: compiled(*tensors), place.synchronize)

    for dtype in ("bfloat16", "float32"):
        for m, k, n in PRODUCTS:
            title, work = f"product {m} x {k} x {n}, {dtype}", 2e-12 * m * k * n
            a, b = np.ones((m, k), "float32"), np.ones((k, n), "float32")
            emit(title, work * ours(lambda a, b: ops.matmul(a, b), [a, b], dtype))
            x, y, z = (place.array(s, dtype) for s in ((m, k), (k, n), (m, n)))
            (call,) = library.cublas.gemm(row_major(m, n, k, False, False), dtype, x.ptr, y.ptr, z.ptr, False)
            emit_direct(title, work * rate(call, place.synchronize))
        for batch, side, channels, window in IMAGES:
            title = f"convolution {batch} x {side} x {side} x {channels}, window {window}, {dtype}"
            work = 2e-12 * batch * side * side * channels * channels * window * window
            image = np.ones((batch, side, side, channels), "float32")
            weights = np.ones((window, window, channels, channels), "float32")
            emit(title, work * ours(lambda a, b: ops.conv(a, b, padding="same"), [image, weights], dtype))
            if not cudnn.available():
                continue
            compiled = kcore.function(lambda a, b: ops.conv(a, b, padding="same"))
            tensors = [ops.cast(ops.convert_to_tensor(a), dtype) for a in (image, weights)]
            node = next(s.node for s in compiled.concrete(*tensors).plan.steps if s.node.op.name == "conv")
            graph = library.cudnn.plan(convolution_of(node), cudnn.Options())
            if graph is None:
                continue
            arrays = [place.array(v.shape, dtype) for v in (*node.sources, *node.outputs)]
            workspace = place.array((max(graph.get_workspace_size(), 1),), "uint8")
            direct = library.cudnn.call(graph, [a.ptr for a in arrays], workspace.ptr)
            emit_direct(title, work * rate(direct, place.synchronize))
    assert backend.name == "cuda"


def measure_host(device: str, emit: Callable[[str, float], None]) -> None:
    """Microseconds of the host for a run of an Executable of thirty kernels, and for a step of `fit`."""
    import kcore

    kcore.use_backend(device)
    x = kcore.ops.convert_to_tensor(np.ones((8, 8), "float32"))

    def chain(x: Any) -> Any:
        for _ in range(30):
            x = kcore.ops.matmul(x, x)
        return x

    compiled = kcore.function(chain)
    for _ in range(5):
        compiled(x).numpy()
    begin = time.perf_counter()
    for _ in range(50):
        compiled(x)
    emit("executable of 30 products, 8 x 8", (time.perf_counter() - begin) / 50 * 1e6)
    compiled(x).numpy()
    layers = kcore.layers
    model = kcore.Sequential([kcore.Input((16,)), layers.Dense(16, activation="relu"), layers.Dense(4)])
    model.compile("sgd", "mse")
    images, labels = np.ones((8 * 500, 16), "float32"), np.ones((8 * 500, 4), "float32")
    emit("step of fit, 16-16-4, batch 8", 1e6 / fit_rate(model, images, labels, 8))


# -- processes ---------------------------------------------------------------------------------------------------------


def worker(args: argparse.Namespace) -> None:
    """Measure one side of one part, and write each row as soon as it is there."""
    rows: list[dict[str, Any]] = []

    def into(side: str) -> Callable[[str, float], None]:
        def emit(name: str, value: float) -> None:
            rows.append(asdict(Row(args.worker, name, side, value)))
            print(f"{args.worker}: {side}: {name}: {value:.4g}", flush=True)
            Path(args.json).write_text(json.dumps(rows), encoding="utf-8")

        return emit

    title, lib, _, compiled = next(s for s in SIDES if s[0] == args.side)
    if args.worker == "workloads":
        measure_workloads(lib, compiled, BATCHES, 20, into(title))
    elif args.worker == "large":
        measure_large(lib, compiled, args.small, into(title))
    elif args.worker == "calls":
        measure_calls(into(title), into("direct"))
    else:
        measure_host(args.device, into(title))


def run(part: str, side: str, python: str, seconds: float, extra: Sequence[str] = ()) -> list[Row]:
    """The rows of one side of one part, from a process of its own; one without a value where it did not end well."""
    title, lib, engine, _ = next(s for s in SIDES if s[0] == side)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if lib != "torch":
        environment["KERAS_BACKEND"] = engine
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [python, str(HERE / "cuda_bench.py"), "--worker", part, "--side", side, "--json", str(out), *extra]
        note = ""
        try:
            done = subprocess.run(command, env=environment, timeout=seconds, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                note = (done.stderr.strip().splitlines() or ["it failed"])[-1][:120]
        except subprocess.TimeoutExpired:
            note = f"not over in {seconds:.0f} s"
        rows = [Row(**r) for r in json.loads(out.read_text(encoding="utf-8"))] if out.exists() else []
    return rows + ([Row(part, "", title, None, note)] if note else [])


# -- tables ------------------------------------------------------------------------------------------------------------


def tables(rows: Iterable[Row]) -> str:
    """The figures as Markdown, with what is aimed at beside what was found."""
    rows = list(rows)
    lines: list[str] = []
    for part, title in (("workloads", "Steps of `fit` per second"), ("large", "Training steps per second, bfloat16")):
        lines += _compared([r for r in rows if r.part == part], title)
    lines += _shared([r for r in rows if r.part == "calls"])
    host = [r for r in rows if r.part == "host" and r.value is not None]
    if host:
        lines += ["", "| host time | microseconds | aim |", "|---|---|---|"]
        for r in host:
            goal = GOALS["executable" if r.name.startswith("executable") else "fit"]
            lines.append(f"| {r.name} | {r.value:.0f} | {goal:.0f} {_mark((r.value or 0) <= goal)} |")
    missing = [f"- {r.side}, {r.part}: {r.note}" for r in rows if r.value is None]
    if missing:
        lines += ["", "Missing:", "", *missing]
    return "\n".join(lines).strip() + "\n"


def _mark(reached: bool) -> str:
    return "(reached)" if reached else "(missed)"


def _compared(rows: list[Row], title: str) -> list[str]:
    known = [r for r in rows if r.value is not None]
    if not known:
        return []
    sides = [s[0] for s in SIDES if any(r.side == s[0] for r in known)]
    found = {(r.name, r.side): r.value for r in known}
    lines = ["", f"| {title} | {' | '.join(sides)} | kcore against the best |", "|---" * (len(sides) + 2) + "|"]
    for name in dict.fromkeys(r.name for r in known):
        values = [found.get((name, s)) for s in sides]
        peers = [v for s, v in zip(sides, values, strict=True) if s != "kcore" and v is not None]
        ours = found.get((name, "kcore"))
        ratio = f"{ours / max(peers):.2f} {_mark(ours / max(peers) >= GOALS['speed'])}" if ours and peers else "-"
        lines.append(f"| {name} | {' | '.join('-' if v is None else f'{v:,.1f}' for v in values)} | {ratio} |")
    return lines


def _shared(rows: list[Row]) -> list[str]:
    found = {(r.name, r.side): r.value for r in rows if r.value is not None}
    if not found:
        return []
    lines = ["", "| TFLOP/s | kcore | library called directly | share |", "|---|---|---|---|"]
    for name in dict.fromkeys(name for name, _ in found):
        ours, direct = found.get((name, "kcore")), found.get((name, "direct"))
        share = f"{ours / direct:.0%} {_mark(ours / direct >= GOALS['share'])}" if ours and direct else "-"
        texts = ["-" if v is None else f"{v:,.1f}" for v in (ours, direct)]
        lines.append(f"| {name} | {texts[0]} | {texts[1]} | {share} |")
    return lines


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="python with keras, jax and torch for CUDA")
    parser.add_argument("--part", default=",".join(SHARES))
    parser.add_argument("--json", default="", help="write the figures there")
    parser.add_argument("--table", default="", help="print the tables of recorded figures, and measure nothing")
    parser.add_argument("--worker", default="", choices=["", *SHARES], help=argparse.SUPPRESS)
    parser.add_argument("--side", default="kcore", choices=[s[0] for s in SIDES], help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    args = parsed()
    if args.worker:
        worker(args)
        return 0
    if args.table:
        print(tables(Row(**r) for r in json.loads(Path(args.table).read_text(encoding="utf-8"))))
        return 0
    from cuda_gpu import describe, require, results

    require("cuda-bench")
    head = describe()
    record = Path(args.json) if args.json else results("cuda-bench.json")
    rows: list[Row] = []
    for part in args.part.split(","):
        sides = [s for s in SIDES if s[0] == "kcore" or (part in ("workloads", "large") and args.peers)]
        sides = [s for s in sides if part == "large" or s[1] != "torch"]
        for title, lib, _, _ in sides:
            python = sys.executable if lib == "kcore" else args.peers
            rows += run(part, title, python, SHARES[part] / len(sides))
            record.write_text(json.dumps([asdict(r) for r in rows], indent=1), encoding="utf-8")
            record.with_suffix(".md").write_text(f"{head}\n\n{tables(rows)}", encoding="utf-8")
    print(f"\n{head}\n\n{tables(rows)}")
    if not args.peers:
        print("No peers: name a python that has them by PEERS=...")
    return 1 if any(r.side == "kcore" and r.value is None for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
