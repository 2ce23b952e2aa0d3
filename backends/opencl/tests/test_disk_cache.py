"""The second process compiles nothing; files that are damaged, foreign or not there only cost time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyopencl as cl
import pytest

from kcore.backend import cache
from kcore.backend.disk_cache import FOLDER, PROGRAM, digest, evict
from kcore.codegen import Argument, Source
from kcore_opencl import disk_cache
from kcore_opencl.programs import Programs


def source(name: str, value: str) -> Source:
    """A kernel of one work-item that stores a number."""
    text = f"// model/{name}: full\n__kernel void {name}(__global float *y0)\n{{\n    y0[0] = {value};\n}}\n"
    return Source(name, text, (Argument("y0", "output", "float32"),), 1, 1, "opencl")


SOURCES = [source("first", "2.0f"), source("second", "4.0f")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("KCORE_NO_CACHE", raising=False)
    monkeypatch.setattr(cache, "_said", False)
    return tmp_path / "opencl" / FOLDER


def programs(folder) -> list[Path]:
    """The files of programs; the index lies beside them."""
    return [path for path in folder.iterdir() if path.suffix == PROGRAM]


def fresh(device) -> Programs:
    """The programs of a device as a new process has them."""
    return Programs(device.place.context, device.place.device, device.place.traits.maker == "pocl")


def result(programs: Programs, place, source: Source) -> float:
    out = np.zeros(1, np.float32)
    buffer = cl.Buffer(place.context, cl.mem_flags.READ_WRITE, 4)
    kernel = programs.kernel(source)
    kernel.set_args(buffer)
    cl.enqueue_nd_range_kernel(place.queue, kernel, (1,), (1,))
    cl.enqueue_copy(place.queue, out, buffer)
    return float(out[0])


def check(device, compiled: int, loaded: int) -> None:
    """Build in a new process, so to speak: what is compiled and loaded, and that it computes."""
    made = fresh(device)
    made.build(SOURCES)
    assert (made.compiled, made.loaded) == (compiled, loaded)
    assert [result(made, device.place, s) for s in SOURCES] == [2, 4]


def test_the_second_process_compiles_nothing(device, folder):
    check(device, 2, 0)
    check(device, 0, 2)
    assert len(programs(folder)) == 1


def test_a_source_is_found_whatever_it_was_built_with(device, folder):
    check(device, 2, 0)
    made = fresh(device)
    assert result(made, device.place, SOURCES[1]) == 4
    assert made.compiled == 0


@pytest.mark.parametrize("damage", ["torn", "torn head", "empty", "changed", "no program"])
def test_a_damaged_file_is_ignored_and_written_again(device, folder, damage):
    check(device, 2, 0)
    (file,) = programs(folder)
    content = file.read_bytes()
    head, _, program = content.partition(b"\n")
    nothing = json.dumps({**json.loads(head), "digest": digest(b"nothing")}).encode() + b"\nnothing"
    damaged = {
        "torn": content[: len(content) - 7],
        "torn head": content[:20],
        "empty": b"",
        "changed": content[:-3] + b"abc",
        "no program": nothing,
    }
    file.write_bytes(damaged[damage])
    check(device, 2, 0)
    check(device, 0, 2)


def test_programs_of_another_driver_or_version_are_not_used(device, folder, monkeypatch):
    check(device, 2, 0)
    known = disk_cache.identity(device.place.device)
    monkeypatch.setattr(disk_cache, "identity", lambda _: {**known, "kcore": "9.9 9.9"})
    check(device, 2, 0)
    assert len(programs(folder)) == 2


def test_a_file_under_another_devices_name_is_not_used(device, folder):
    check(device, 2, 0)
    (file,) = programs(folder)
    head, _, program = file.read_bytes().partition(b"\n")
    about = json.loads(head)
    about["about"]["driver"] = "of another machine"
    file.write_bytes(json.dumps(about).encode() + b"\n" + program)
    check(device, 2, 0)


def test_it_can_be_switched_off(device, folder, monkeypatch):
    monkeypatch.setenv("KCORE_NO_CACHE", "1")
    check(device, 2, 0)
    check(device, 2, 0)
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_said_once(device, folder, monkeypatch, recwarn):
    folder.parent.parent.joinpath("file").write_text("")
    monkeypatch.setenv("KCORE_CACHE_DIR", str(folder.parent.parent / "file"))
    check(device, 2, 0)
    check(device, 2, 0)
    said = [str(w.message) for w in recwarn if "kcore cannot write" in str(w.message)]
    assert len(said) == 1 and "KCORE_CACHE_DIR" in said[0]


def test_a_full_disk_is_said_once(device, folder, monkeypatch, recwarn):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    check(device, 2, 0)
    check(device, 2, 0)
    assert len([w for w in recwarn if "No space left on device" in str(w.message)]) == 1
    assert not [p for p in folder.iterdir() if p.suffix == ".bin" or p.name.startswith(".")]


def test_several_may_build_at_once(device, folder):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fresh(device).build(SOURCES), range(8)))
    check(device, 0, 2)


def test_the_size_is_bounded_by_removing_what_was_not_used_for_longest(tmp_path):
    for i in range(5):
        file = tmp_path / f"{i}.bin"
        file.write_bytes(bytes(100))
        os.utime(file, (i, i))
    os.utime(tmp_path / "0.bin", (9, 9))
    evict(tmp_path, 300)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.bin", "3.bin", "4.bin"]


TRAIN = """
import kcore, numpy as np
kcore.use_backend("opencl:{wanted}")
model = kcore.Sequential([kcore.Input((4,)), kcore.layers.Dense(3, activation="relu"), kcore.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"), batch_size=4, verbose=0)
from kcore_opencl.place import place_of
programs = place_of(kcore.backend.current().device).programs
print(programs.compiled, programs.loaded)
"""


def test_a_second_training_compiles_nothing(device, folder):
    script = TRAIN.format(wanted="pocl" if device.place.traits.maker == "pocl" else "intel")

    def train() -> list[int]:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        return [int(n) for n in done.stdout.split()]

    assert train()[0] > 5
    assert train()[0] == 0
