"""Loads damaged copies of a saved model, one after the other: ``python mutations.py FORM FIRST LAST FOLDER``.

Run by ``test_fuzz.py`` in a process with limits, so that a crash of HDF5, a hang or a flood of memory shows. Each copy
must be refused with an error that names it, and then leaves a model in hand as it was; or it loads, and then

- every weight is, bit for bit, an array that another reader (plain h5py, or a few lines for safetensors) finds in it,
- there are no more of them than the file has bytes,
- the model can be made again from its own configuration.

The number of the copy being loaded is written down before, so that the last one is known when the process dies.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

import kcore
from kcore import layers
from kcore.models import model_from_json
from kcore.saving import load_model
from kcore.saving.own import seed_generators

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
    model.optimizer.build(model.trainable_variables)
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


def places(value):
    """Every container of a JSON value with the key of each of its parts."""
    found, waiting = [], [value]
    while waiting:
        part = waiting.pop()
        items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, inner in items:
            found.append((part, key))
            waiting.append(inner)
    return found


def distorted(text: str, rng: random.Random) -> str:
    """JSON with values of other types, lost or doubled keys, huge numbers, and deep nesting."""
    config = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        found = places(config)
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
            for _ in range(rng.choice((2, 50, 120))):  # four times two levels each: what can still be written
                container[key] = [container[key]] if kind == 7 else {"class_name": "Dense", "config": container[key]}
    return json.dumps(config)


#: Forms that are a file of an old Keras: the archive in ``files`` and the model in it.
OLD = {
    "keras-1.2.2": ("keras-1.2.2-tensorflow.zip", "functional_1.h5"),
    "keras-2.2.4": ("keras-2.2.4-tensorflow.zip", "functional.h5"),
    "keras-2.15.0": ("keras-2.15.0-tensorflow.zip", "functional.keras"),
    "keras-2.15.0-ops": ("keras-2.15.0-tensorflow.zip", "ops.h5"),
}
#: What the files of the others are called.
NAMES = {
    "json": "model.json",
    ".keras": "model.keras",
    ".h5": "model.h5",
    ".weights.h5": "model.weights.h5",
    "only.h5": "only.h5",
    "shards": "model.weights.json",
    ".safetensors": "model.safetensors",
    **{form: file for form, (_, file) in OLD.items()},
}
#: Forms that are loaded into a model in hand.
INTO_A_MODEL = (".weights.h5", "only.h5", "shards", ".safetensors")


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
        described = ("model_config", "model_config", "training_config")
        name = rng.choice([name for name in described if name in file.attrs])
        text = file.attrs[name]
        file.attrs[name] = distorted(text.decode() if isinstance(text, bytes) else text, rng)
    return memory.getvalue()


def inside_safetensors(content: bytes, rng: random.Random) -> bytes:
    """The arrays as they are, behind a header that is distorted."""
    size = struct.unpack("<Q", content[:8])[0]
    header = distorted(content[8 : 8 + size].decode(), rng).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def mutated(name: str, content: bytes, rng: random.Random) -> bytes:
    if name.endswith(".json"):
        return distorted(content.decode(), rng).encode() if rng.random() < 0.8 else damaged(content, rng)
    if name.endswith(".keras") and rng.random() < 0.7:
        return inside_archive(content, rng)
    if name.endswith(".safetensors") and rng.random() < 0.6:
        return inside_safetensors(content, rng)
    if content[:4] == b"\x89HDF" and b"model_config" in content and rng.random() < 0.5:
        return inside_h5(content, rng)
    return damaged(content, rng)


# -- what must hold ----------------------------------------------------------------------------------------------------


def stored(folder: Path) -> list[np.ndarray]:
    """All arrays in the files of a folder, read by others than kcore."""
    found: list[np.ndarray] = []
    for path in folder.iterdir():
        content = path.read_bytes()
        if content[:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                content = archive.read("model.weights.h5")
        if path.suffix == ".safetensors":
            size = struct.unpack("<Q", content[:8])[0]
            for name, entry in json.loads(content[8 : 8 + size]).items():
                if name != "__metadata__":
                    start, end = entry["data_offsets"]
                    kind = {"F32": "float32", "F64": "float64", "I32": "int32", "U32": "uint32"}.get(entry["dtype"])
                    data = content[8 + size + start : 8 + size + end]
                    found += [np.frombuffer(data, kind).reshape(entry["shape"])] if kind else []
        elif path.suffix != ".json":
            with h5py.File(io.BytesIO(content)) as file:
                found += readable(file)
    return found


def readable(group) -> Iterator[np.ndarray]:
    """The arrays below a group that can be read; kcore, too, does not look at what it has no use for."""
    with suppress(RuntimeError, KeyError, OSError, ValueError):
        for name in group:
            with suppress(RuntimeError, KeyError, OSError, ValueError):
                item = group[name]
                if isinstance(item, h5py.Group):
                    yield from readable(item)
                else:
                    yield item[()]


def is_among(value: np.ndarray, arrays: list[np.ndarray]) -> bool:
    """Whether a weight is one of the arrays, as the model's dtype holds it."""
    alike = [array for array in arrays if array.shape == value.shape]
    return any(array.astype(value.dtype).tobytes() == value.tobytes() for array in alike)


def values_of(model) -> dict[str, list[np.ndarray]]:
    """Everything that loading may change."""
    states = [generator.state for generator in seed_generators(model)]
    kinds = {"weights": model.weights, "optimizer": model.optimizer.variables, "generators": states}
    return {kind: [variable.numpy() for variable in variables] for kind, variables in kinds.items()}


def same(a: dict[str, list[np.ndarray]], b: dict[str, list[np.ndarray]]) -> bool:
    return all(x.tobytes() == y.tobytes() for kind in a for x, y in zip(a[kind], b[kind], strict=True))


def wrong_weights(folder: Path, model, before) -> str:
    """What is wrong with a model after a file was loaded into it; nothing if all is well."""
    arrays, after = stored(folder), values_of(model)
    strange = [w.name for w in model.weights if not is_among(w.numpy(), arrays)]
    if strange:
        return f"loaded, but {strange} are not in the file"
    untouched = all(x.tobytes() == y.tobytes() for x, y in zip(after["optimizer"], before["optimizer"], strict=True))
    if not untouched and not all(is_among(value, arrays) for value in after["optimizer"]):
        return "the optimizer's state is loaded in part"
    return ""


def wrong_model(folder: Path, model, form: str) -> str:
    """What is wrong with a model that was made from a file; nothing if all is well."""
    again = model_from_json(model.to_json())
    if [w.shape for w in again.weights] != [w.shape for w in model.weights]:
        return "the model's own configuration makes another model"
    if form == "json":
        return ""
    if sum(w.nbytes for w in model.get_weights()) > sum(path.stat().st_size for path in folder.iterdir()):
        return "the model has more weights than the file has bytes"
    arrays = stored(folder)
    strange = [w.path for w in model.weights if not is_among(w.numpy(), arrays)]
    return f"loaded, but {strange} are not in the file" if strange else ""


def attempt(form: str, folder: Path, model, before) -> str:
    """Load a file; "loaded", "refused", or what is wrong with how it went."""
    path = folder / NAMES[form]
    try:
        if form in INTO_A_MODEL:
            model.load_weights(path)
            return wrong_weights(folder, model, before) or "loaded"
        made = model_from_json(path.read_bytes().decode("utf-8", "replace")) if form == "json" else load_model(path)
    except (ValueError, FileNotFoundError, kcore.registry.UnknownObjectError) as error:
        if form != "json" and str(folder) not in str(error):
            return f"the message does not name the file: {type(error).__name__}: {error}"
        if not same(values_of(model), before):
            return f"loaded in part, then: {error}"
        return "refused"
    except Exception as error:  # noqa: BLE001 - any other error is what is looked for
        where = "".join(traceback.format_tb(error.__traceback__)[-2:])
        return f"{type(error).__name__}: {str(error)[:300]}\n{where}"
    return wrong_model(folder, made, form) or "loaded"


def originals(form: str) -> dict[str, bytes]:
    """The files of a form, undamaged, by name."""
    if form in OLD:
        archive, name = OLD[form]
        with zipfile.ZipFile(Path(__file__).with_name("files") / archive) as files:
            return {name: files.read(name)}
    kcore.set_random_seed(1)
    model = built()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES[form]
        if form == "json":
            path.write_text(model.to_json())
        elif form == "shards":
            model.save_weights(path, max_shard_size=600 / 1024**3)
        else:
            (model.save_weights if form in INTO_A_MODEL else model.save)(path)
        return {file.name: file.read_bytes() for file in sorted(path.parent.iterdir())}


def main(form: str, first: int, last: int, folder: Path) -> None:
    warnings.simplefilter("ignore")
    good, bad = originals(form), folder / "bad"
    kcore.set_random_seed(2)
    model = built()
    for variable in (*model.weights, *model.optimizer.variables[2:]):
        variable.assign(np.full(variable.shape, 0.125, "float32"))  # what no file holds
    before = values_of(model)
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST, LARGEST))
    counts: dict[str, int] = {}
    for number in range(first, last):
        (folder / "number").write_text(str(number))
        shutil.rmtree(bad, ignore_errors=True)
        bad.mkdir()
        rng = random.Random(f"{form} {number}")
        chosen = rng.choice(list(good))
        for name, content in good.items():
            (bad / name).write_bytes(mutated(name, content, rng) if name == chosen else content)
        start = time.process_time()
        outcome = attempt(form, bad, model, before)
        if time.process_time() - start > SLOWEST:
            outcome = f"took {time.process_time() - start:.1f} s of the processor"
        if outcome not in ("loaded", "refused"):
            print(f"copy {number} of {form}: {outcome}", flush=True)
        if outcome != "refused" and form in INTO_A_MODEL:
            for kind, variables in (("weights", model.weights), ("optimizer", model.optimizer.variables)):
                for variable, value in zip(variables, before[kind], strict=True):
                    variable.assign(value)
            for generator, value in zip(seed_generators(model), before["generators"], strict=True):
                generator.state.assign(value)
        counts[outcome[:7]] = counts.get(outcome[:7], 0) + 1
    print(json.dumps(counts))
    sys.stdout.flush()
    os._exit(0)  # no time for tidying up after damaged files


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
