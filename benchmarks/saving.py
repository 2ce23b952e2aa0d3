"""Time and memory of saving and loading large weights, beside plain h5py writing and reading the same arrays.

    python benchmarks/saving.py            # half a gigabyte, in 16 layers
    python benchmarks/saving.py --mb 2048 --forms .keras .weights.h5

Each step runs in a process of its own. Rates are in MB/s of weights; peak is the resident memory at its highest over
the size of the model, above what the process held before it made one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAYERS = 16


def make(size: int):
    import kcore
    from kcore import layers

    units = int((size / 4 / LAYERS) ** 0.5)
    zeros = [layers.Dense(units, use_bias=False, kernel_initializer="zeros") for _ in range(LAYERS)]
    return kcore.Sequential([kcore.Input((units,)), *zeros])


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def step(action: str, form: str, size: int, path: Path) -> dict[str, float]:
    """Do one thing in this process and measure it."""
    import h5py
    import numpy as np

    import kcore
    from kcore.saving import load_model

    import_everything = make(1 << 16)
    import_everything.save(path.with_name("small.keras"))
    load_model(path.with_name("small.keras"))
    held = resident()
    units = int((size / 4 / LAYERS) ** 0.5)
    total = LAYERS * units * units * 4
    if form == "h5py":
        if action == "save":
            arrays = [np.full((units, units), 0.5, "float32") for _ in range(LAYERS)]
            start = time.perf_counter()
            with h5py.File(path, "w") as file:
                for number, array in enumerate(arrays):
                    file.create_dataset(str(number), data=array)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            start = time.perf_counter()
            with h5py.File(path) as file:
                arrays = [file[str(number)][()] for number in range(LAYERS)]
    elif action == "save":
        model = make(size)
        start = time.perf_counter()
        (model.save_weights if form == ".weights.h5" else model.save)(path)
    elif form == ".weights.h5":
        model = make(size)
        start = time.perf_counter()
        model.load_weights(path)
    else:
        start = time.perf_counter()
        load_model(path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held
    assert kcore
    return {"seconds": seconds, "rate": total / seconds / 1e6, "peak": peak / total}


def measure(action: str, form: str, size: int, folder: Path) -> dict[str, float]:
    """The figures of one step, taken in another process."""
    path = folder / f"weights{'.h5py' if form == 'h5py' else form}"
    command = [sys.executable, __file__, "--step", action, form, str(size), str(path)]
    environment = {"KERAS_BACKEND": "numpy", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=512, help="size of the weights")
    parser.add_argument("--forms", nargs="+", default=[".keras", ".weights.h5", ".h5"])
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        action, form, size, path = options.step
        print(json.dumps(step(action, form, int(size), Path(path))))
        return
    print(f"{options.mb} MB in {LAYERS} layers")
    print(f"{'':12} {'save MB/s':>10} {'peak':>6} {'load MB/s':>10} {'peak':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for form in ("h5py", *options.forms):
            saved = measure("save", form, options.mb << 20, Path(folder))
            loaded = measure("load", form, options.mb << 20, Path(folder))
            print(f"{form:12} {saved['rate']:10.0f} {saved['peak']:6.2f} {loaded['rate']:10.0f} {loaded['peak']:6.2f}")


if __name__ == "__main__":
    main()
