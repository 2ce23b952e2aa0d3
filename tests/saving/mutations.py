"""Loads damaged copies of a saved model, one after the other: ``python mutations.py FORM FIRST LAST``.

Run by ``test_fuzz.py`` in a process with limits, so that a crash of HDF5, a hang or a flood of memory shows. Each copy
must load with every weight of the original's shape, or be refused with an error that names the file. The number of the
copy being loaded is written down before, so that the last one is known when the process dies.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import sys
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np

import kcore
from kcore import layers
from kcore.models import model_from_json
from kcore.saving import load_model

#: Longest time one copy may take, in seconds of the processor, and the memory it may take, in bytes.
SLOWEST, LARGEST = 5.0, 6 << 30
STRANGE = (
    None,
    True,
    -1,
    0,
    3.5,
    1e300,
    10**9,
    10**18,
    2**63,
    "",
    "x",
    [],
    {},
    [[]],
    "float64",
    "keras.layers",
    -(10**9),
)


def built():
    x = kcore.Input((6,), name="x")
    hidden = layers.BatchNormalization(name="norm")(layers.Dense(4, activation="relu", name="dense")(x))
    sequence = layers.Conv1D(3, 2, padding="same", name="conv")(layers.Reshape((2, 2), name="shape")(hidden))
    out = layers.Dense(1, name="out")(layers.LSTM(3, name="lstm")(layers.Dropout(0.5, name="drop")(sequence)))
    model = kcore.Model(x, out, name="net")
    model.compile("adam", "mse", metrics=["mae"])
    return model


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes with flips, cuts, insertions, or blocks that are doubled or wiped."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 8, 64, 512))
        kind = rng.randrange(7)
        if kind <= 1 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2 and at < len(data):
            data[at : at + size] = rng.randbytes(min(size, len(data) - at))
        elif kind == 3:
            data[at:at] = rng.randbytes(size)
        elif kind == 4:
            data[at:at] = data[at : at + size]
        elif kind == 5:
            data[at : at + size] = rng.choice((b"\0", b"\xff")) * len(data[at : at + size])
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def places(value, found):
    """Every container of a JSON value with the key of each of its parts."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found.append((value, key))
        places(part, found)
    return found


def distorted(text: str, rng: random.Random) -> str:
    """JSON with values of other types, lost or doubled keys, huge numbers, and deep nesting."""
    config = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        found = places(config, [])
        if not found:
            break
        container, key = rng.choice(found)
        kind = rng.randrange(8)
        if kind <= 3:
            container[key] = rng.choice(STRANGE)
        elif kind == 4:
            del container[key]
        elif kind == 5:
            other, place = rng.choice(found)
            container[key] = json.loads(json.dumps(other[place]))
        elif kind == 6 and isinstance(container[key], int | float):
            container[key] = container[key] * rng.choice((-1, 1000, 10**6, 10**12))
        else:
            for _ in range(rng.choice((2, 50, 400))):
                container[key] = [container[key]] if kind == 7 else {"class_name": "Dense", "config": container[key]}
    return json.dumps(config)


def inside_archive(content: bytes, rng: random.Random) -> bytes:
    """An archive with one member damaged and all else in order, checksums too."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w") as new:
        chosen = rng.choice(("config.json", "config.json", "config.json", "model.weights.h5"))
        for name in old.namelist():
            member = old.read(name)
            if name == chosen:
                member = distorted(member.decode(), rng).encode() if name == "config.json" else damaged(member, rng)
            new.writestr(name, member)
    return result.getvalue()


def inside_h5(content: bytes, rng: random.Random) -> bytes:
    """A sound HDF5 file whose description is distorted."""
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        name = rng.choice(("model_config", "model_config", "training_config"))
        text = file.attrs[name]
        file.attrs[name] = distorted(text.decode() if isinstance(text, bytes) else text, rng)
    return memory.getvalue()


def mutated(form: str, content: bytes, rng: random.Random) -> bytes:
    if form == "json":
        return distorted(content.decode(), rng).encode() if rng.random() < 0.8 else damaged(content, rng)
    if form == ".keras" and rng.random() < 0.7:
        return inside_archive(content, rng)
    if form == ".h5" and rng.random() < 0.5:
        return inside_h5(content, rng)
    return damaged(content, rng)


def attempt(form: str, path: Path, model, before) -> str:
    """Load a file; "loaded", "refused", or what is wrong with how it went."""
    try:
        if form == "json":
            model_from_json(path.read_bytes().decode("utf-8", "replace"))
        elif form == ".weights.h5":
            model.load_weights(path)
        else:
            other = load_model(path)
            if not all(np.ndim(w) == w.ndim for w in other.get_weights()):
                return "not all weights are there"
        return "loaded"
    except (ValueError, FileNotFoundError, kcore.registry.UnknownObjectError) as error:
        if form != "json" and path.name not in str(error):
            return f"the message does not name the file: {type(error).__name__}: {error}"
        if form == ".weights.h5" and not all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True)):
            return f"loaded in part, then: {error}"
        return "refused"
    except Exception as error:  # noqa: BLE001 - any other error is what is looked for
        import traceback

        where = "".join(traceback.format_tb(error.__traceback__)[-2:])
        return f"{type(error).__name__}: {str(error)[:300]}\n{where}"


def main(form: str, first: int, last: int, folder: Path) -> None:
    warnings.simplefilter("ignore")
    kcore.set_random_seed(1)
    model = built()
    path = folder / f"good{form}"
    if form == "json":
        path.write_text(model.to_json())
    else:
        (model.save_weights if form == ".weights.h5" else model.save)(path)
    content, bad = path.read_bytes(), folder / f"bad{form}"
    before = model.get_weights()
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST, LARGEST))
    counts: dict[str, int] = {}
    for number in range(first, last):
        (folder / "number").write_text(str(number))
        bad.write_bytes(mutated(form, content, random.Random(f"{form} {number}")))
        start = time.process_time()
        outcome = attempt(form, bad, model, before)
        if time.process_time() - start > SLOWEST:
            outcome = f"took {time.process_time() - start:.1f} s of the processor"
        if outcome not in ("loaded", "refused"):
            print(f"copy {number} of {form}: {outcome}", flush=True)
        elif outcome == "loaded" and form == ".weights.h5":
            model.set_weights(before)
        counts[outcome[:7]] = counts.get(outcome[:7], 0) + 1
    print(json.dumps(counts))
    sys.stdout.flush()
    os._exit(0)  # no time for tidying up after damaged files


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
