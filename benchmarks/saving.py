"""Time and memory of saving and loading large weights, beside plain h5py writing and reading the same arrays.

    python benchmarks/saving.py            # half a gigabyte, in 16 layers
    python benchmarks/saving.py --mb 2048 --forms .keras .weights.h5
    python benchmarks/saving.py --adam     # with the state of an optimizer, which is counted with the weights

Each step runs in a process of its own. ``.keras`` and ``.h5`` are whole models, made while they are loaded; the others
are weights for a model that is there (``only.h5`` in Keras 2's form). Rates are in MB of weights, by the clock and by
the time that the processor worked for it, which other programs disturb less; peak is the resident memory at its highest
over the size of the model, above what the process held before it made one.
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

import numpy as np

LAYERS = 16

FORMS = (".keras", ".h5", ".weights.h5", "only.h5", ".weights.json", ".safetensors")

#: Forms that hold a model, not its weights alone.
WHOLE = (".keras", ".h5")


def make(size: int):
    import kcore
    from kcore import layers

    units = width(size)
    zeros = [layers.Dense(units, use_bias=False, kernel_initializer="zeros") for _ in range(LAYERS)]
    return kcore.Sequential([kcore.Input((units,)), *zeros])


def width(size: int) -> int:
    """How many units a layer has so that all weights, of four bytes, have a size."""
    return int((size / 4 / LAYERS) ** 0.5)


def compiled(model):
    """The model with Adam, whose state is twice the weights."""
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def handle(size: int) -> None:
    """Let another process write to so much memory and end.

    A virtual machine gets memory that was not in use for seconds from its host, page by page, at a tenth of the rate at
    which it is written to otherwise. What was free just now is there at once: for h5py and for kcore alike.
    """
    child = os.fork()
    if child == 0:
        np.empty(size, np.uint8).fill(1)
        os._exit(0)
    os.waitpid(child, 0)


def now() -> tuple[float, float]:
    """The clock, and the processor's time that this process has had."""
    return time.perf_counter(), time.process_time()


def step(action: str, form: str, size: int, path: Path, adam: bool) -> dict[str, float]:
    """Do one thing in this process and measure it."""
    import h5py

    from kcore.saving import load_model

    with_state = compiled if adam and form != "h5py" else lambda model: model
    small = with_state(make(1 << 16))  # imports everything
    small.save(path.with_name("small.keras"))
    load_model(path.with_name("small.keras"))
    held = resident()
    units = width(size)
    total = LAYERS * units * units * 4 * (3 if adam else 1)
    count = LAYERS * (3 if adam else 1)
    if form == "h5py":
        if action == "save":
            arrays = [np.full((units, units), 0.5, "float32") for _ in range(count)]
            handle(2 * total)
            start = now()
            with h5py.File(path, "w") as file:
                for number, array in enumerate(arrays):
                    file.create_dataset(str(number), data=array)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            handle(2 * total)
            start = now()
            with h5py.File(path) as file:
                arrays = [file[str(number)][()] for number in range(count)]
    elif action == "save":
        model = with_state(make(size))
        handle(2 * total)
        start = now()
        (model.save if form in WHOLE else model.save_weights)(path)
    elif form in WHOLE:
        handle(2 * total)
        start = now()
        load_model(path)
    else:
        model = with_state(make(size))
        handle(2 * total)
        start = now()
        model.load_weights(path)
    seconds, worked = (b - a for a, b in zip(start, now(), strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held
    return {"rate": total / seconds / 1e6, "work": total / worked / 1e6, "peak": peak / total}


def measure(action: str, form: str, size: int, folder: Path, adam: bool) -> dict[str, float]:
    """The figures of one step, taken in another process."""
    path = folder / f"weights{'.h5py' if form == 'h5py' else form}"
    command = [sys.executable, __file__, *(["--adam"] if adam else []), "--step", action, form, str(size), str(path)]
    environment = {"KERAS_BACKEND": "numpy", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=512, help="size of the weights")
    parser.add_argument("--forms", nargs="*", default=FORMS, choices=FORMS)
    parser.add_argument("--adam", action="store_true", help="with the state of an optimizer")
    parser.add_argument("--folder", help="where the files go; a temporary folder by default")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        action, form, size, path = options.step
        print(json.dumps(step(action, form, int(size), Path(path), options.adam)))
        return
    print(f"{options.mb} MB in {LAYERS} layers{', and twice that of Adam' if options.adam else ''}")
    print(f"{'':14} {'save MB/s':>10} {'per CPU s':>10} {'peak':>6} {'load MB/s':>10} {'per CPU s':>10} {'peak':>6}")
    for form in ("h5py", *options.forms):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            saved = measure("save", form, options.mb << 20, Path(folder), options.adam)
            loaded = measure("load", form, options.mb << 20, Path(folder), options.adam)
        figures = [f"{done['rate']:10.0f} {done['work']:10.0f} {done['peak']:6.2f}" for done in (saved, loaded)]
        print(f"{form:14} {' '.join(figures)}", flush=True)


if __name__ == "__main__":
    main()
